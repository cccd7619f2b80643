"""Committing: batches of many sensors in one transaction, each event exactly once.

The cursor of a sensor is the promise kept: it is locked first, compared with the batch, and moved in the
transaction that stores the batch and counts its events. Whoever resends finds it moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate, groupby
from typing import Final, Literal, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor

from analytics.ingest.arrays import register
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import Deltas, Gauge, Run, SensorState, fold_all
from analytics.ingest.late import mark_late
from analytics.ingest.packed import pack
from analytics.ingest.resent import LATELY, Known, Past, judge, read
from analytics.ingest.table import NONE, Table, join
from sensorapp.columns import Columns, Integers
from sensorapp.wire import Ack, AckStatus

GAUGE_CHANNELS: Final = ("zone", "slot")
# Batches that follow each other are stored as one row of at most so many events.
ROW_EVENTS: Final = 1_000
# In place of a sensor's skew where none of its batches said when it was sent.
NOT_MEASURED: Final = -(2**63)
# What may be wrong with a batch of a known sensor.
Fault = Literal["contract", "scene", "channel", "clock"]


@dataclass(slots=True)
class Incoming:
    """A batch of a known sensor. ``problem`` is the path and the reason for which it is invalid, ``fault`` of which
    sort that is.

    Events after ``trusted_until`` (Unix ms) are set aside. ``released`` is a batch that was, and is counted.
    ``known`` of its events came with an earlier batch, as committing finds. ``refused_at`` are the times of events
    of which nothing else could be read.
    """

    sensor: SensorFacts
    epoch: int
    first_seq: int
    count: int
    config: int = 0
    model: bytes = b""
    columns: Columns = NONE
    problem: tuple[str, str] | None = None
    fault: Fault = "contract"
    sent_at: int | None = None
    trusted_until: int | None = None
    released: bool = False
    known: int = 0
    refused_at: Sequence[int | None] = ()

    @property
    def at(self) -> Sequence[int | None]:
        """The times of its events (Unix ms); None where it cannot be read."""
        return self.columns.at.tolist() if len(self.columns) else self.refused_at

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1

    def with_events(self, first_seq: int, columns: Columns) -> Incoming:
        """The same batch with these events in place of its own, as with a part of them."""
        return replace(self, first_seq=first_seq, count=len(columns), columns=columns)


@dataclass(slots=True)
class Row:
    """Consecutive events of a sensor that are counted and stored as one: those of ``batch``, and what follows them."""

    batch: Incoming
    pieces: list[Columns]
    count: int

    @classmethod
    def of(cls, batch: Incoming) -> Row:
        return cls(batch, [batch.columns], batch.count)

    def goes_on_with(self, batch: Incoming) -> bool:
        """Whether a batch begins where this ends, and all else that a row says is true of it too."""
        first = self.batch
        alike = (batch.epoch, batch.config, batch.model) == (first.epoch, first.config, first.model)
        follows = batch.first_seq == first.first_seq + self.count
        return alike and follows and self.count + batch.count <= ROW_EVENTS

    def add(self, batch: Incoming) -> None:
        self.pieces.append(batch.columns)
        self.count += batch.count


@dataclass(slots=True)
class Progress:
    """A sensor's cursor, and what is known of its gauges, while a group of batches is worked through.

    ``row`` is the last one that is to be stored.
    """

    sensor: SensorFacts
    epoch: int
    next_seq: int
    newest_at: int
    state: SensorState
    skew_ms: int = NOT_MEASURED
    row: Row | None = None

    def expects(self, batch: Incoming) -> int:
        return self.present(batch) or 0

    def present(self, batch: Incoming) -> int | None:
        """The next number in the batch's epoch, None where that is an earlier one."""
        return self.next_seq if batch.epoch == self.epoch else None

    def has_passed(self, batch: Incoming) -> bool:
        """Whether the batch begins with a number that is known."""
        return batch.epoch < self.epoch or batch.first_seq < self.expects(batch)


@dataclass(slots=True)
class Group:
    """What one transaction is going to write."""

    received_at: datetime
    stored: list[Row] = field(default_factory=list)
    set_aside: list[Row] = field(default_factory=list)
    rejected: list[tuple[Incoming, int]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)  # of each stored row
    deltas: dict[int, Deltas] = field(default_factory=dict)
    past: Past = field(default_factory=lambda: defaultdict(list))

    @property
    def received_ms(self) -> int:
        return int(self.received_at.timestamp() * 1000)


def commit(connection: Connection, batches: Sequence[Incoming]) -> tuple[list[Ack], dict[int, int]]:
    """Store and count what is new in ``batches``; returns an answer to each, and the new store versions.

    Runs in one transaction of its own: when it returns, everything acknowledged is durable, and when it
    raises, nothing has changed.
    """
    # Django's connections make cursors that write values into the text; arrays travel in binary only.
    with connection.transaction(), Cursor(connection) as cursor:
        register(cursor)
        group = Group(datetime.now(UTC))
        progress = lock(cursor, {batch.sensor.id: batch.sensor for batch in batches}, group.received_at)
        group.past = read_past(cursor, batches, progress, group.received_at)
        acks = [settle(batch, progress[batch.sensor.id], group) for batch in batches]
        return acks, write(cursor, group, progress)


# --- judging ---------------------------------------------------------------------------------------


def settle(batch: Incoming, progress: Progress, group: Group) -> Ack:
    """Decide on one batch; what is new in it is noted in ``group``."""
    if batch.sent_at is not None:
        progress.skew_ms = batch.sent_at - group.received_ms
    expected = progress.expects(batch)
    batch.known = min(max(expected - batch.first_seq, 0), batch.count)
    past = group.past[batch.sensor.id, batch.epoch]
    if progress.has_passed(batch) and (verdict := judge(batch, past, progress.present(batch))):
        if verdict.status == "stale_epoch":
            return ack(batch, "stale_epoch", progress.epoch, progress.next_seq - 1)
        batch.known = batch.count  # what is not comes again, by itself
        return ack(batch, verdict.status, batch.epoch, verdict.acked_seq, *verdict.problem)
    if batch.first_seq > expected:
        return ack(batch, "gap", batch.epoch, expected - 1)
    if batch.last_seq < expected:
        return ack(batch, "duplicate", batch.epoch, expected - 1)
    progress.epoch, progress.next_seq = batch.epoch, batch.last_seq + 1
    if batch.problem:
        past.append(Known(batch.first_seq, batch.last_seq, None, batch.problem, batch.at))
        group.rejected.append((batch, expected))
        path, reason = batch.problem
        return ack(batch, "invalid", batch.epoch, batch.last_seq, path, reason)
    past.append(Known(batch.first_seq, batch.last_seq, batch.columns))
    keep(batch, batch.columns.without_first(batch.known), progress, group)
    return ack(batch, "stored", batch.epoch, batch.last_seq)


def keep(batch: Incoming, columns: Columns, progress: Progress, group: Group) -> None:
    """Note the events that are new, to be counted or, those that lie ahead, to be set aside."""
    scene = batch.sensor.scenes.get(batch.config)
    first_seq = batch.last_seq - len(columns) + 1
    for part, ahead in parts(columns, batch.trusted_until):
        kept = batch
        if len(part) < batch.count:
            kept = batch.with_events(first_seq, part)
        first_seq += len(part)
        if ahead:
            group.set_aside.append(Row.of(kept))
            continue
        progress.newest_at = int(part.at[-1])
        if progress.row and progress.row.goes_on_with(kept):
            progress.row.add(kept)
            continue
        progress.row = Row.of(kept)
        group.stored.append(progress.row)
        group.runs.append(Run(progress.state, group.deltas.setdefault(batch.sensor.id, {}), scene))


def parts(columns: Columns, trusted_until: int | None) -> Iterator[tuple[Columns, bool]]:
    """Cut events where those that lie ahead begin or end; with each part, whether it does."""
    if trusted_until is None or columns.summary.newest <= trusted_until:
        yield columns, False
        return
    yield from runs(columns, columns.at > trusted_until)


def runs(columns: Columns, marks: NDArray[np.bool_]) -> Iterator[tuple[Columns, bool]]:
    """Cut events into runs of which all have the same mark; with each run, its mark."""
    lengths = [(bool(mark), len(list(run))) for mark, run in groupby(marks)]
    bounds = list(accumulate(length for _, length in lengths))
    yield from zip(columns.cut(bounds), (mark for mark, _ in lengths), strict=True)


def ack(
    batch: Incoming, status: AckStatus, epoch: int, acked_seq: int, path: str = "", reason: str = ""
) -> Ack:
    return Ack(batch.sensor.public_id, epoch, acked_seq, status, path, reason)


# --- reading ---------------------------------------------------------------------------------------

ADD_CURSORS: LiteralString = """
INSERT INTO ingest_cursor (sensor_id, epoch, next_seq, received_at, newest_at)
SELECT unnest(%s::bigint[]), 0, 0, %s, 'epoch' ORDER BY 1 ON CONFLICT DO NOTHING
"""
LOCK_CURSORS: LiteralString = """
SELECT sensor_id, epoch, next_seq, (extract(epoch FROM newest_at) * 1000)::bigint, heartbeat_ms
FROM ingest_cursor WHERE sensor_id = ANY(%s) ORDER BY sensor_id FOR UPDATE
"""
READ_GAUGES: LiteralString = "SELECT channel_id, kind, value, at FROM ingest_gauge WHERE channel_id = ANY(%s)"


def lock(cursor: Cursor, sensors: dict[int, SensorFacts], now: datetime) -> dict[int, Progress]:
    """Take the sensors' cursors, in one order for all gateways so that none waits for another in a ring."""
    rows = cursor.execute(LOCK_CURSORS, [list(sensors)]).fetchall()
    if len(rows) < len(sensors):
        cursor.execute(ADD_CURSORS, [list(sensors.keys() - {row[0] for row in rows}), now])
        rows = cursor.execute(LOCK_CURSORS, [list(sensors)]).fetchall()
    gauges = read_gauges(cursor, sensors.values())
    return {
        sensor_id: Progress(
            sensors[sensor_id],
            epoch,
            next_seq,
            newest_at,
            SensorState(sensors[sensor_id].channels, gauges[sensor_id], heartbeat_ms),
        )
        for sensor_id, epoch, next_seq, newest_at, heartbeat_ms in rows
    }


def read_past(
    cursor: Cursor, batches: Sequence[Incoming], progress: dict[int, Progress], now: datetime
) -> Past:
    """What is known of batches that are sent again: mostly they came lately, but those of an earlier epoch."""
    again = [(batch, progress[batch.sensor.id]) for batch in batches]
    earlier = [(batch, batch.count) for batch, one in again if batch.epoch < one.epoch]
    present = [
        (batch, min(one.next_seq - batch.first_seq, batch.count))
        for batch, one in again
        if batch.epoch == one.epoch and one.has_passed(batch)
    ]
    return read(cursor, present, now - LATELY) | read(cursor, earlier)


def read_gauges(cursor: Cursor, sensors: Iterable[SensorFacts]) -> dict[int, dict[int, Gauge]]:
    gauges: dict[int, dict[int, Gauge]] = {}
    owner: dict[int, int] = {}
    for sensor in sensors:
        gauges[sensor.id] = {}
        for (kind, _), channel in sensor.channels.items():
            if kind in GAUGE_CHANNELS:
                owner[channel] = sensor.id
    for channel, kind, value, at in cursor.execute(READ_GAUGES, [list(owner)]):
        gauges[owner[channel]][channel] = Gauge(kind, value, at)
    return gauges


# --- writing ---------------------------------------------------------------------------------------

COPY_BATCHES: LiteralString = """
COPY ingest_batch (organisation_id, sensor_id, epoch, first_seq, received_at, first_at, config,
                   event_count, model, events, released) FROM STDIN (FORMAT binary)
"""
SET_ASIDE: LiteralString = """
COPY ingest_set_aside (organisation_id, sensor_id, epoch, first_seq, received_at, first_at, config,
                       event_count, model, events) FROM STDIN (FORMAT binary)
"""
BATCH_TYPES: Final = (*("int8",) * 4, "timestamptz", "int8", "int4", "int2", "bytea", "bytea")
ADD_TO_BUCKETS: LiteralString = """
INSERT INTO ingest_bucket AS bucket (organisation_id, store_id, channel_id, metric, start, value)
SELECT organisation, store, channel, metric, to_timestamp(start / 1000), value
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[])
     AS new (organisation, store, channel, metric, start, value)
ON CONFLICT (organisation_id, store_id, channel_id, metric, start)
DO UPDATE SET value = bucket.value + excluded.value
"""
KEEP_GAUGES: LiteralString = """
INSERT INTO ingest_gauge (channel_id, kind, value, at)
SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::integer[], %s::bigint[])
ON CONFLICT (channel_id) DO UPDATE SET kind = excluded.kind, value = excluded.value, at = excluded.at
"""
FORGET_GAUGES: LiteralString = "DELETE FROM ingest_gauge WHERE channel_id = ANY(%s)"
MOVE_CURSORS: LiteralString = """
UPDATE ingest_cursor SET epoch = new.epoch, next_seq = new.next_seq, heartbeat_ms = new.heartbeat_ms,
                         newest_at = to_timestamp(new.newest_at / 1000.0), received_at = %s,
                         skew_ms = nullif(new.skew_ms, %s)
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[])
     AS new (sensor_id, epoch, next_seq, newest_at, heartbeat_ms, skew_ms)
WHERE ingest_cursor.sensor_id = new.sensor_id
"""
NOTE_REJECTIONS: LiteralString = """
INSERT INTO ingest_rejection (sensor_id, epoch, first_seq, last_seq, path, reason, received_at, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
NEXT_VERSIONS: LiteralString = """
INSERT INTO ingest_store_version AS current (store_id, version)
SELECT unnest(%s::bigint[]), 1 ORDER BY 1
ON CONFLICT (store_id) DO UPDATE SET version = current.version + 1
RETURNING store_id, version, statement_timestamp()
"""


def write(cursor: Cursor, group: Group, progress: dict[int, Progress]) -> dict[int, int]:
    """Count and write a group in one go; returns the new versions of the stores it changed."""
    stored = table_of(group.stored)
    fold_all(stored, group.runs)
    move_cursors(cursor, progress, group.received_at)
    if group.rejected:
        cursor.executemany(NOTE_REJECTIONS, [rejection_row(group, *entry) for entry in group.rejected])
    if group.set_aside:
        set_aside(cursor, [(group.received_at, group.set_aside)])
    return write_stored(cursor, group, progress, stored) if group.stored else {}


def set_aside(cursor: Cursor, received: Iterable[tuple[datetime, Sequence[Row]]]) -> None:
    """Keep rows that do not count, with the moments at which they were received."""
    held = (one for at, rows in received for one in values(rows, table_of(rows), at))
    copy_rows(cursor, SET_ASIDE, BATCH_TYPES, held)


def write_stored(
    cursor: Cursor, group: Group, progress: dict[int, Progress], stored: Table
) -> dict[int, int]:
    """Write what a group keeps, whose events are ``stored``, and counts; returns the stores' new versions."""
    kept = zip(values(group.stored, stored, group.received_at), group.stored, strict=True)
    batches = ((*values, row.batch.released) for values, row in kept)
    copy_rows(cursor, COPY_BATCHES, (*BATCH_TYPES, "bool"), batches)
    add_to_buckets(cursor, group, progress)
    keep_gauges(cursor, group, progress)
    stores = {row.batch.sensor.store_id for row in group.stored}
    versions = cursor.execute(NEXT_VERSIONS, [sorted(stores)]).fetchall()
    # The database's clock comes with a statement that is needed anyway.
    mark_late(cursor, changed_buckets(group, progress), max(group.received_at, versions[0][2]))
    return {store: version for store, version, _ in versions}


def move_cursors(cursor: Cursor, progress: dict[int, Progress], now: datetime) -> None:
    rows = [
        (sensor_id, one.epoch, one.next_seq, one.newest_at, one.state.heartbeat_ms, one.skew_ms)
        for sensor_id, one in progress.items()
    ]
    cursor.execute(MOVE_CURSORS, [now, NOT_MEASURED, *transpose(rows)])


def rejection_row(group: Group, batch: Incoming, expected: int) -> tuple[object, ...]:
    path, reason = batch.problem or ("", "")
    at = list(batch.at[batch.known :])
    return batch.sensor.id, batch.epoch, expected, batch.last_seq, path, reason, group.received_at, at


def table_of(rows: Sequence[Row]) -> Table:
    return join([piece for row in rows for piece in row.pieces], [row.count for row in rows])


def values(rows: Sequence[Row], table: Table, received_at: datetime) -> Iterator[tuple[object, ...]]:
    """What is stored of each; ``table`` holds their events."""
    first_at = table.at[table.bounds[:-1]].tolist()
    for row, at, events in zip(rows, first_at, pack(table), strict=True):
        batch, sensor = row.batch, row.batch.sensor
        head = (sensor.organisation_id, sensor.id, batch.epoch, batch.first_seq, received_at)
        yield *head, at, batch.config, row.count, batch.model, events


def copy_rows(
    cursor: Cursor, statement: LiteralString, types: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for values in rows:
            copy.write_row(values)


def add_to_buckets(cursor: Cursor, group: Group, progress: dict[int, Progress]) -> None:
    rows = [
        (sensor.organisation_id, sensor.store_id, channel, metric, start, value)
        for sensor, deltas in ((progress[id_].sensor, deltas) for id_, deltas in group.deltas.items())
        for (channel, metric, start), value in deltas.items()
    ]
    if rows:
        cursor.execute(ADD_TO_BUCKETS, transpose(rows))


def changed_buckets(group: Group, progress: dict[int, Progress]) -> Iterator[tuple[int, int]]:
    """Store and start (Unix ms) of every bucket that the group changes, some more than once."""
    for sensor_id, deltas in group.deltas.items():
        store = progress[sensor_id].sensor.store_id
        for _, _, start in deltas:
            yield store, start


def keep_gauges(cursor: Cursor, group: Group, progress: dict[int, Progress]) -> None:
    states = [progress[sensor_id].state for sensor_id in group.deltas]
    rows = [
        (channel, gauge.kind, gauge.value, gauge.at)
        for state in states
        for channel, gauge in state.gauges.items()
        if channel in state.changed
    ]
    if rows:
        cursor.execute(KEEP_GAUGES, transpose(rows))
    if gone := [channel for state in states for channel in state.changed - state.gauges.keys()]:
        cursor.execute(FORGET_GAUGES, [gone])


def transpose(rows: Sequence[tuple[int, ...]]) -> list[Integers]:
    return list(np.array(rows, np.int64).T)
