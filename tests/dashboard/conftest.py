"""A shop in the database, and the clock standing at `NOW`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache

if TYPE_CHECKING:
    from tests.dashboard.site import Shop


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.dashboard.site import NOW

    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)


@pytest.fixture
def shop(db: None, clock: None) -> Shop:
    from tests.dashboard.site import build_shop

    return build_shop()


@pytest.fixture
def committed_shop(transactional_db: None, clock: None) -> Iterator[Shop]:
    """A shop that other connections see, too."""
    import psycopg

    from tests.dashboard.site import build_shop
    from tests.ingest.site import clear, database_url

    yield build_shop()
    with psycopg.connect(database_url(), autocommit=True) as connection:
        clear(connection)
