"""Daily partitions of ``ingest_batch``: made ahead, so that no batch ever waits for its table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

DAYS_AHEAD = 14

# CREATE TABLE … PARTITION OF would lock the whole table against readers and writers; a table attached
# afterwards does not. The advisory lock lets gateways and workers ask at the same time.
STATEMENT = """
DO $$
DECLARE
    day date;
    partition text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ingest_batch partitions'));
    FOR day IN SELECT generate_series(date '{first_day}', date '{last_day}', interval '1 day')::date LOOP
        partition := 'ingest_batch_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE ingest_batch INCLUDING ALL)', partition);
        EXECUTE format(
            'ALTER TABLE ingest_batch ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00'
        );
    END LOOP;
END
$$
"""


class Executor(Protocol):
    """A cursor of Django or psycopg, or a psycopg connection."""

    def execute(self, query: Any, /) -> Any: ...


def partition_statement(first_day: date, last_day: date) -> str:
    """One SQL statement that makes the missing partitions of these UTC days, both included.

    For an asynchronous connection: ``await connection.execute(partition_statement(…))``.
    """
    if last_day < first_day:
        raise ValueError(f"last_day: {last_day} lies before first_day {first_day}; exchange them")
    return STATEMENT.format(first_day=first_day.isoformat(), last_day=last_day.isoformat())


def create_partitions(executor: Executor, first_day: date, last_day: date) -> None:
    """Make the missing partitions of these UTC days, both included; those that exist stay as they are."""
    executor.execute(partition_statement(first_day, last_day))


def create_partitions_ahead(executor: Executor, now: datetime | None = None) -> None:
    """From yesterday, for a clock that lags, to :data:`DAYS_AHEAD` days from now."""
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    create_partitions(executor, today - timedelta(days=1), today + timedelta(days=DAYS_AHEAD))
