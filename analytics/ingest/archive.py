"""Reading the archive: what a sensor's batches count, computed again in the order in which they were committed.

Within a sensor that order is (epoch, first sequence number); released batches count by themselves. Where retention has dropped the first batches, a
row of ``ingest_archive_start`` stands for them: what was known of the sensor's gauges when they ended, and up to
when they counted. Before that time its buckets cannot be computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, LiteralString

from psycopg import Connection

from analytics.ingest.columns import Columns
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import Deltas, Gauge, SensorState, fold, fold_alone
from analytics.metrics import BUCKET_MS

# So many batches are in memory at once: a few megabytes at a hundred events each.
BATCHES_AT_ONCE: Final = 500

READ_START: LiteralString = """
SELECT epoch, next_seq, newest_at, heartbeat_ms, channel, kind, value, at
FROM ingest_archive_start WHERE sensor_id = %s
"""
READ_BATCHES: LiteralString = """
SELECT epoch, first_seq, config, released, kind, at, channel, value FROM ingest_batch
WHERE organisation_id = %(organisation)s AND sensor_id = %(sensor)s
  AND (released OR (epoch, first_seq) >= (%(epoch)s, %(next_seq)s))
ORDER BY epoch, first_seq
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
    """A batch as it was counted; ``columns`` come without what counting does not read."""

    epoch: int
    first_seq: int
    config: int
    released: bool
    columns: Columns


def read_start(connection: Connection, sensor_id: int) -> Start:
    row = connection.execute(READ_START, [sensor_id]).fetchone()
    if row is None:
        return Start()
    epoch, next_seq, newest_at, heartbeat_ms, *gauges = row
    by_channel = {channel: Gauge(*gauge) for channel, *gauge in zip(*gauges, strict=True)}
    return Start(epoch, next_seq, newest_at, heartbeat_ms, by_channel)


def read_batches(connection: Connection, sensor: SensorFacts, start: Start) -> Iterator[Archived]:
    """The batches from ``start`` on, a few at a time; runs in a transaction."""
    scope = {"organisation": sensor.organisation_id, "sensor": sensor.id}
    with connection.cursor(name="ingest_archive") as cursor:
        cursor.itersize = BATCHES_AT_ONCE
        cursor.execute(READ_BATCHES, scope | {"epoch": start.epoch, "next_seq": start.next_seq})
        for epoch, first_seq, config, released, *columns in cursor:
            yield Archived(epoch, first_seq, config, released, Columns(*columns))


def state_at(sensor: SensorFacts, start: Start) -> SensorState:
    return SensorState(sensor.channels, dict(start.gauges), start.heartbeat_ms)


def count(batch: Archived, sensor: SensorFacts, state: SensorState, counted: Deltas) -> None:
    """Add what a batch counts, as it was counted when it was committed."""
    if batch.released:
        fold_alone(batch.columns, sensor.channels, counted)
    else:
        fold(batch.columns, state, counted, sensor.scenes.get(batch.config))


def replay(connection: Connection, sensor: SensorFacts, begins_ms: int, ends_ms: int) -> Deltas:
    """What the sensor's batches count in the buckets that begin in a span of time; runs in a transaction."""
    start = read_start(connection, sensor.id)
    state, total = state_at(sensor, start), Deltas()
    for batch in read_batches(connection, sensor, start):
        counted: Deltas = {}
        count(batch, sensor, state, counted)
        for key, value in counted.items():
            if begins_ms <= key[2] < ends_ms:
                total[key] = total.get(key, 0) + value
    return total
