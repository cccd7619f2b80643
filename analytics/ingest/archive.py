"""Reading the archive: what a sensor's batches count, computed again in the order in which they were committed.

Within a sensor that order is (epoch, first sequence number); released batches count by themselves. Where retention has dropped the first batches, a
row of ``ingest_archive_start`` stands for them: what was known of the sensor's gauges when they ended, and up to
when they counted. Before that time its buckets cannot be computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Final, LiteralString

from psycopg import Connection

from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import Deltas, Gauge, Run, SensorState, fold_all, fold_alone
from analytics.ingest.packed import unpack
from analytics.ingest.table import join
from analytics.metrics import BUCKET_MS
from sensorapp.columns import Columns

# So many batches are in memory at once: a few megabytes at a hundred events each.
BATCHES_AT_ONCE: Final = 500

READ_START: LiteralString = """
SELECT epoch, next_seq, newest_at, heartbeat_ms, channel, kind, value, at
FROM ingest_archive_start WHERE sensor_id = %s
"""
READ_BATCHES: LiteralString = """
SELECT epoch, first_seq, config, first_at, event_count, events FROM ingest_batch
WHERE organisation_id = %(organisation)s AND sensor_id = %(sensor)s AND NOT released
  AND (epoch, first_seq) >= (%(epoch)s, %(next_seq)s)
ORDER BY epoch, first_seq
"""
READ_RELEASED: LiteralString = """
SELECT epoch, first_seq, config, first_at, event_count, events FROM ingest_batch
WHERE organisation_id = %(organisation)s AND sensor_id = %(sensor)s AND released
"""


@dataclass(slots=True)
class Start:
    """Where a sensor's archive begins, and what must be known of the time before: nothing, if it is whole.

    ``newest_at`` (Unix ms) is the newest time that a dropped event has.
    """

    epoch: int = 0
    next_seq: int = 0
    newest_at: int | None = None
    heartbeat_ms: int = 0
    gauges: dict[int, Gauge] = field(default_factory=dict)

    @property
    def begins_ms(self) -> int | None:
        """The first bucket that no dropped batch has counted into; None if none was dropped."""
        return None if self.newest_at is None else self.newest_at - self.newest_at % BUCKET_MS + BUCKET_MS


@dataclass(slots=True)
class Archived:
    """A batch as it was counted."""

    epoch: int
    first_seq: int
    config: int
    columns: Columns


def read_start(connection: Connection, sensor_id: int) -> Start:
    row = connection.execute(READ_START, [sensor_id]).fetchone()
    if row is None:
        return Start()
    epoch, next_seq, newest_at, heartbeat_ms, *gauges = row
    by_channel = {channel: Gauge(*gauge) for channel, *gauge in zip(*gauges, strict=True)}
    return Start(epoch, next_seq, newest_at, heartbeat_ms, by_channel)


def read_batches(
    connection: Connection, query: LiteralString, sensor: SensorFacts, epoch: int = 0, next_seq: int = 0
) -> Iterator[Archived]:
    """The batches that a query finds, a few at a time; runs in a transaction."""
    scope = {"organisation": sensor.organisation_id, "sensor": sensor.id}
    with connection.cursor(name="ingest_archive") as cursor:
        cursor.itersize = BATCHES_AT_ONCE
        cursor.execute(query, scope | {"epoch": epoch, "next_seq": next_seq})
        for epoch, first_seq, config, *packed in cursor:
            yield Archived(epoch, first_seq, config, unpack(*packed))


class Walk:
    """Counting on through a sensor's batches, in the order of their commits."""

    def __init__(self, sensor: SensorFacts, start: Start) -> None:
        self.sensor = sensor
        self.epoch, self.next_seq = start.epoch, start.next_seq
        self.state = SensorState(sensor.channels, dict(start.gauges), start.heartbeat_ms)

    def steps(
        self, connection: Connection, last: Sequence[int] | None = None
    ) -> Iterator[tuple[list[Archived], Deltas]]:
        """Batches not walked through yet, some at a time, with what they count; up to that of epoch and number ``last``."""
        batches = read_batches(connection, READ_BATCHES, self.sensor, self.epoch, self.next_seq)
        if last is not None:
            batches = takewhile(lambda batch: (batch.epoch, batch.first_seq) <= tuple(last), batches)
        while some := list(islice(batches, BATCHES_AT_ONCE)):
            counted: Deltas = {}
            runs = [Run(self.state, counted, self.sensor.scenes.get(batch.config)) for batch in some]
            fold_all(join([batch.columns for batch in some]), runs)
            self.epoch, self.next_seq = some[-1].epoch, some[-1].first_seq + len(some[-1].columns)
            yield some, counted


class Replay:
    """What a sensor's batches count in the buckets that begin in a span of time (Unix ms)."""

    def __init__(self, sensor: SensorFacts, start: Start, begins_ms: int, ends_ms: int) -> None:
        self.sensor, self.begins_ms, self.ends_ms = sensor, begins_ms, ends_ms
        self.total: Deltas = {}
        self._walk = Walk(sensor, start)
        self._released: set[tuple[int, int]] = set()

    def advance(self, connection: Connection) -> None:
        """Count what has come since the last time; runs in a transaction."""
        for _, counted in self._walk.steps(connection):
            self._add(counted)
        for batch in read_batches(connection, READ_RELEASED, self.sensor):
            if (batch.epoch, batch.first_seq) not in self._released:
                self._released.add((batch.epoch, batch.first_seq))
                alone: Deltas = {}
                fold_alone(batch.columns, self.sensor.channels, alone)
                self._add(alone)

    def _add(self, counted: Deltas) -> None:
        for key, value in counted.items():
            if self.begins_ms <= key[2] < self.ends_ms:
                self.total[key] = self.total.get(key, 0) + value


# --- who reads, who drops ----------------------------------------------------------------------------

LOCK_NUMBER: Final = 7_305_411_890


@contextmanager
def archive_locked(connection: Connection) -> Iterator[None]:
    """Let nobody read the archive meanwhile. Taken outside of a transaction: detaching allows none."""
    connection.execute("SELECT pg_advisory_lock(%s)", [LOCK_NUMBER])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK_NUMBER])


@contextmanager
def archive_kept(connection: Connection) -> Iterator[None]:
    """Let nothing be dropped between reading where an archive begins and reading its batches.

    Taken before the transaction begins, so that all that it sees is newer.
    """
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [LOCK_NUMBER])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock_shared(%s)", [LOCK_NUMBER])
