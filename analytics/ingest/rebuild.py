"""Computing buckets again from the archived batches: to compare them, and to replace those that differ.

The same batches give the same rows, whatever commits they came in: counting is integer arithmetic over a
sensor's events in their order (:mod:`analytics.ingest.fold`), and all that it reads besides them, the channels
and the scenes that a sensor was given, never changes once it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, LiteralString

from psycopg import Connection

from analytics.ingest.archive import Replay, archive_kept, read_start
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import Deltas, Key
from analytics.ingest.late import mark_late

# What buckets may begin at: the contract's times.
ALWAYS: Final = (0, 4_102_444_800_000)

LOCK: LiteralString = "SELECT FROM ingest_cursor WHERE sensor_id = %s FOR UPDATE"
READ: LiteralString = """
SELECT channel_id, metric, (extract(epoch FROM start) * 1000)::bigint, value FROM ingest_bucket
WHERE organisation_id = %s AND store_id = %s AND channel_id = ANY(%s)
  AND start >= to_timestamp(%s / 1000) AND start < to_timestamp(%s / 1000)
"""
DELETE: LiteralString = """
DELETE FROM ingest_bucket bucket
USING unnest(%s::bigint[], %s::smallint[], %s::bigint[]) AS gone (channel, metric, start)
WHERE organisation_id = %s AND store_id = %s AND bucket.channel_id = gone.channel
  AND bucket.metric = gone.metric AND bucket.start = to_timestamp(gone.start / 1000)
"""
PUT: LiteralString = """
INSERT INTO ingest_bucket (channel_id, metric, start, value, organisation_id, store_id)
SELECT channel, metric, to_timestamp(start / 1000), value, %s, %s
FROM unnest(%s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[]) AS new (channel, metric, start, value)
ON CONFLICT (organisation_id, store_id, channel_id, metric, start) DO UPDATE SET value = excluded.value
"""
NEXT_VERSION: LiteralString = """
INSERT INTO ingest_store_version AS current (store_id, version) VALUES (%s, 1)
ON CONFLICT (store_id) DO UPDATE SET version = current.version + 1 RETURNING statement_timestamp()
"""
# Of whole days (UTC) within a span, which the nightly check has found to differ.
FORGET_DIFFERING: LiteralString = """
DELETE FROM ingest_differing WHERE sensor_id = %s
AND day >= to_timestamp(%s / 1000) AT TIME ZONE 'UTC' AND day + 1 <= to_timestamp(%s / 1000) AT TIME ZONE 'UTC'
"""


class TooEarlyError(ValueError):
    """The span begins before the sensor's archive does."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The buckets of a sensor in a span of time: as they are kept, and as its batches give them."""

    kept: Deltas
    computed: Deltas

    @property
    def buckets(self) -> int:
        return len(self.kept.keys() | self.computed.keys())

    @property
    def wrong(self) -> Deltas:
        """Those that are missing or hold another value, as they should be."""
        return {key: value for key, value in self.computed.items() if self.kept.get(key) != value}

    @property
    def needless(self) -> set[Key]:
        return self.kept.keys() - self.computed.keys()

    @property
    def differing(self) -> set[Key]:
        return self.wrong.keys() | self.needless


def compare(connection: Connection, sensor: SensorFacts, begins_ms: int, ends_ms: int) -> Comparison:
    """Compare the buckets that begin in a span of time, all as of one moment; holds up nobody.

    Raises :class:`TooEarlyError` where dropped batches have counted into the span.
    """
    with archive_kept(connection), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        replay = begin_replay(connection, sensor, begins_ms, ends_ms)
        replay.advance(connection)
        return Comparison(read_buckets(connection, replay), replay.total)


def rebuild(connection: Connection, sensor: SensorFacts, begins_ms: int, ends_ms: int) -> Comparison:
    """Give a sensor's buckets the values that its batches give them, and return what was found.

    Its commits wait only while the batches are read that have come meanwhile. The store's pages and closed
    days follow, as after a late commit. Raises :class:`TooEarlyError` as :func:`compare` does.
    """
    with archive_kept(connection):
        replay = begin_replay(connection, sensor, begins_ms, ends_ms)
        with connection.transaction():
            replay.advance(connection)
        with connection.transaction():
            connection.execute(LOCK, [sensor.id])
            replay.advance(connection)
            found = Comparison(read_buckets(connection, replay), replay.total)
            if found.differing:
                replace(connection, sensor, found)
            connection.execute(FORGET_DIFFERING, [sensor.id, begins_ms, ends_ms])
    return found


def begin_replay(connection: Connection, sensor: SensorFacts, begins_ms: int, ends_ms: int) -> Replay:
    start = read_start(connection, sensor.id)
    if start.begins_ms is not None and begins_ms < start.begins_ms:
        raise TooEarlyError(
            f"--from: retention has dropped what {sensor.public_id} counted before {iso(start.begins_ms)};"
            " begin there or later"
        )
    return Replay(sensor, start, begins_ms, ends_ms)


def read_buckets(connection: Connection, replay: Replay) -> Deltas:
    sensor = replay.sensor
    scope = sensor.organisation_id, sensor.store_id, [*sensor.channels.values()]
    rows = connection.execute(READ, [*scope, replay.begins_ms, replay.ends_ms]).fetchall()
    return {(channel, metric, start): value for channel, metric, start, value in rows}


def replace(connection: Connection, sensor: SensorFacts, found: Comparison) -> None:
    scope = sensor.organisation_id, sensor.store_id
    with connection.cursor() as cursor:
        cursor.execute(DELETE, [*columns([*found.needless], 3), *scope])
        cursor.execute(PUT, [*scope, *columns([(*key, value) for key, value in found.wrong.items()], 4)])
        [[now]] = cursor.execute(NEXT_VERSION, [sensor.store_id]).fetchall()
        mark_late(cursor, {(sensor.store_id, start) for _, _, start in found.differing}, now)


def columns(rows: list[tuple[int, ...]], width: int) -> list[list[int]]:
    return [[row[place] for row in rows] for place in range(width)]


def first_bucket(connection: Connection, sensor: SensorFacts) -> int:
    """The beginning (Unix ms) of the first bucket that can be computed again."""
    return read_start(connection, sensor.id).begins_ms or ALWAYS[0]


def iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%MZ}"
