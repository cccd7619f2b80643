"""A database that other connections see, emptied afterwards of what Django does not know how to empty."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture
def other_connection(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A second connection to the test database; it commits when it is told to."""
    from tests.ingest.site import clear, database_url

    with psycopg.connect(database_url()) as connection:
        yield connection
        connection.rollback()
        clear(connection)
        connection.commit()
