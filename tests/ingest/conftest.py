"""A store with two sensors, and a connection as the gateway's committer has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.ingest.site import Site


@pytest.fixture
def site(transactional_db: None) -> Site:
    from tests.ingest.site import build_site

    return build_site()


@pytest.fixture
def connection(transactional_db: None) -> Iterator[psycopg.Connection]:
    from tests.ingest.site import clear, database_url

    with psycopg.connect(database_url(), autocommit=True) as connection:
        clear(connection)
        yield connection
        clear(connection)
