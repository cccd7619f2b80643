"""Marks for buckets that changed long after their time, so that closed days are summed again.

A commit that changes buckets calls :func:`mark_late` in its own transaction, which asks the database nothing
where none is late; day closing calls :func:`take_late` in the transaction that sums the days again. A mark is a row of its own, so a commit
that is still open while days are being closed leaves its mark for the next round.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString, Protocol

# Days are closed a quarter of an hour after their end at the earliest, when their last bucket began half
# an hour ago; the five minutes between are for a commit that is still open then. Both are judged by the
# database's clock, for those of a gateway and a worker may differ by more.
LATE_AFTER: Final = timedelta(minutes=25)

MARK: LiteralString = """
INSERT INTO ingest_late_bucket (store_id, start)
SELECT store_id, to_timestamp(start / 1000) FROM unnest(%s::bigint[], %s::bigint[]) AS late (store_id, start)
"""


class Cursor(Protocol):
    """A cursor of Django or psycopg."""

    def execute(self, query: Any, parameters: Any, /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


def mark_late(cursor: Cursor, changed: Iterable[tuple[int, int]], now: datetime) -> None:
    """Remember the late ones among the changed buckets, given as store and start in Unix milliseconds.

    ``now`` is the database's, or later: then it may mark more, never less.
    """
    before = (now - LATE_AFTER).timestamp() * 1000
    if late := {(store, start) for store, start in changed if start < before}:
        stores, starts = zip(*late, strict=True)
        cursor.execute(MARK, (list(stores), list(starts)))


def take_late(cursor: Cursor, store_id: int) -> list[datetime]:
    """Remove the marks of a store and return the starts (UTC) of the buckets that they name."""
    cursor.execute("DELETE FROM ingest_late_bucket WHERE store_id = %s RETURNING start", (store_id,))
    return [start.astimezone(UTC) for (start,) in cursor.fetchall()]


def late_starts(cursor: Cursor, store_id: int) -> list[datetime]:
    """The same as :func:`take_late` without removing anything."""
    cursor.execute("SELECT start FROM ingest_late_bucket WHERE store_id = %s", (store_id,))
    return [start.astimezone(UTC) for (start,) in cursor.fetchall()]
