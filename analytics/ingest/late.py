"""Marks for buckets that changed long after their time, so that closed days are summed again.

A commit that changes buckets calls :func:`mark_late` in its own transaction; day closing calls
:func:`take_late` in the transaction that sums the days again. A mark is a row of its own, so a commit
that is still open while days are being closed leaves its mark for the next round.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Protocol

# Days are closed a quarter of an hour after their end at the earliest, when their last bucket began half
# an hour ago; the five minutes between are for a commit that is still open then.
LATE_AFTER: Final = "25 minutes"

MARK = f"""
INSERT INTO ingest_late_bucket (store_id, start)
SELECT DISTINCT store_id, start
FROM unnest(%s::bigint[], %s::timestamptz[]) AS changed (store_id, start)
WHERE start < now() - interval '{LATE_AFTER}'
"""


class Cursor(Protocol):
    """A cursor of Django or psycopg."""

    def execute(self, query: Any, parameters: Any, /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


def mark_late(cursor: Cursor, changed: Iterable[tuple[int, datetime]]) -> None:
    """Remember the late ones among the changed buckets, given as store and start (UTC)."""
    buckets = list(changed)
    cursor.execute(MARK, ([store for store, _ in buckets], [start for _, start in buckets]))


def take_late(cursor: Cursor, store_id: int) -> list[datetime]:
    """Remove the marks of a store and return the starts of the buckets that they name."""
    cursor.execute("DELETE FROM ingest_late_bucket WHERE store_id = %s RETURNING start", (store_id,))
    return [start for (start,) in cursor.fetchall()]
