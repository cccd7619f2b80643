"""One site for all fault tests of a process that runs tests; each test has a store of its own in it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.faults.site import Site
from tests.faults.small_disk import MountError, SmallDisk, small_disk

STORES = 24
SENSORS = 3


@pytest.fixture(scope="session")
def postgres_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk | None]:
    """The disk under PostgreSQL, which can be filled; None where it cannot be made."""
    try:
        with small_disk(tmp_path_factory.mktemp("disk") / "postgres", "400m") as disk:
            yield disk
    except MountError:
        yield None


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    shared_site.mend()
    yield shared_site
    shared_site.clear()


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory, postgres_disk: SmallDisk | None) -> Iterator[Site]:
    data = postgres_disk.folder / "data" if postgres_disk else None
    with Site(tmp_path_factory.mktemp("faults"), stores=STORES, sensors=SENSORS, postgres_data=data) as site:
        yield site


@pytest.fixture
def chance() -> random.Random:
    """Other moments in each run; a test that fails shows the seed."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)
