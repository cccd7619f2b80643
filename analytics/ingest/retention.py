"""Dropping what was received longer ago than it is kept: batches, whose counts stay, and what is set aside.

A partition goes in three steps, each of which can be repeated: for each of its sensors a row of
``ingest_archive_start`` remembers what the rest of its archive goes on from; then the partition is detached,
which readers and writers do not wait for; then it is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, LiteralString

from psycopg import Connection, sql

from analytics.ingest.archive import Walk, archive_locked, read_start
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.packed import unpack

DAY_MS: Final = 86_400_000

PARTITIONS: LiteralString = """
SELECT relname, inhrelid IS NOT NULL, coalesce(inhdetachpending, false)
FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE relname ~ '^ingest_batch_[0-9]{8}$' AND relkind = 'r' AND pg_table_is_visible(pg_class.oid)
ORDER BY relname
"""
# The last batch in the order of commits, which out of a released one cannot be seen.
CONTENT: LiteralString = """
SELECT sensor.public_id, max(ARRAY[epoch, first_seq]) FILTER (WHERE NOT released)
FROM {partition} JOIN fleet_sensor sensor ON sensor.id = sensor_id
GROUP BY sensor.public_id ORDER BY sensor.public_id
"""
RELEASED: LiteralString = "SELECT sensor_id, first_at, event_count, events FROM {partition} WHERE released"
KEEP_START: LiteralString = """
INSERT INTO ingest_archive_start (sensor_id, epoch, next_seq, newest_at, heartbeat_ms, channel, kind, value, at)
VALUES (%s, %s, %s, %s, %s, %s::bigint[], %s::smallint[], %s::integer[], %s::bigint[])
ON CONFLICT (sensor_id) DO UPDATE
SET epoch = excluded.epoch, next_seq = excluded.next_seq, newest_at = excluded.newest_at,
    heartbeat_ms = excluded.heartbeat_ms, channel = excluded.channel, kind = excluded.kind,
    value = excluded.value, at = excluded.at
"""
# With an empty path: nothing was wrong with their batch but the clock.
EXPIRE_SET_ASIDE: LiteralString = """
WITH expired AS (
    DELETE FROM ingest_set_aside WHERE received_at < %s
    RETURNING sensor_id, epoch, first_seq, event_count
), noted AS (
    INSERT INTO ingest_rejection (sensor_id, epoch, first_seq, last_seq, path, reason, received_at)
    SELECT sensor_id, epoch, first_seq, first_seq + event_count - 1, '', %s, now() FROM expired
)
SELECT coalesce(sum(event_count), 0)::bigint FROM expired
"""


@dataclass(frozen=True, slots=True)
class Partition:
    name: str
    attached: bool
    half_detached: bool

    @property
    def day(self) -> date:
        return datetime.strptime(self.name[-8:], "%Y%m%d").date()


def oldest_kept(now: int, keep_days: int) -> int:
    """The time from which on events are kept, as ``now`` in Unix ms."""
    return now - keep_days * DAY_MS


def drop_expired(connection: Connection, now: datetime, keep_days: int) -> list[date]:
    """Drop the partitions whose batches were all received over ``keep_days`` days ago; returns their days.

    ``connection`` is outside of a transaction.
    """
    first_kept = first_day(now, keep_days)
    found = [Partition(*row) for row in connection.execute(PARTITIONS).fetchall()]
    expired = [partition for partition in found if partition.day < first_kept]
    for partition in expired:
        with archive_locked(connection):
            drop(connection, partition)
    return [partition.day for partition in expired]


def first_day(now: datetime, keep_days: int) -> date:
    """The first day (UTC) of which what was received is kept."""
    return now.astimezone(UTC).date() - timedelta(days=keep_days)


def expire_set_aside(connection: Connection, now: datetime, keep_days: int) -> int:
    """Give up events that were set aside on days over ``keep_days`` ago; returns how many.

    In their place a rejection says that they were never counted.
    """
    first_kept = datetime.combine(first_day(now, keep_days), time(), UTC)
    reason = f"lay ahead of the clock, and was not released within {keep_days} days"
    [events] = connection.execute(EXPIRE_SET_ASIDE, [first_kept, reason]).fetchone() or [0]
    return int(events)


def drop(connection: Connection, partition: Partition) -> None:
    name = sql.Identifier(partition.name)
    if partition.half_detached:
        connection.execute(sql.SQL("ALTER TABLE ingest_batch DETACH PARTITION {} FINALIZE").format(name))
    elif partition.attached:
        remember(connection, name)
        connection.execute(sql.SQL("ALTER TABLE ingest_batch DETACH PARTITION {} CONCURRENTLY").format(name))
    connection.execute(sql.SQL("DROP TABLE {}").format(name))


def remember(connection: Connection, partition: sql.Identifier) -> None:
    """Move the start of each sensor's archive behind what the partition holds of it."""
    content = connection.execute(sql.SQL(CONTENT).format(partition=partition)).fetchall()
    sensors = Directory().sensors(connection, [public_id for public_id, _ in content])
    released: defaultdict[int, list[int]] = defaultdict(list)
    for sensor_id, *packed in connection.execute(sql.SQL(RELEASED).format(partition=partition)):
        released[sensor_id] += unpack(*packed).at.tolist()
    for public_id, last in content:
        sensor = sensors[public_id]
        with connection.transaction():
            move_start(connection, sensor, released[sensor.id], last)


def move_start(
    connection: Connection, sensor: SensorFacts, released: list[int], last: list[int] | None
) -> None:
    """``last`` names the sensor's last batch to be passed by; None where only released ones are dropped.

    ``released`` are the times of their events.
    """
    start = read_start(connection, sensor.id)
    walk = Walk(sensor, start)
    newest_at = max([*released, start.newest_at or 0])
    for batches, _ in walk.steps(connection, last or [0, 0]):
        newest_at = max(newest_at, *(batch.columns.summary.newest for batch in batches))
    keep_start(connection, walk, newest_at)


def keep_start(connection: Connection, walk: Walk, newest_at: int) -> None:
    gauges = walk.state.gauges.values()
    columns = (
        [*walk.state.gauges],
        [gauge.kind for gauge in gauges],
        [gauge.value for gauge in gauges],
        [gauge.at for gauge in gauges],
    )
    head = (walk.sensor.id, walk.epoch, walk.next_seq, newest_at, walk.state.heartbeat_ms)
    connection.execute(KEEP_START, [*head, *columns])
