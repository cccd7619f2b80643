"""Events that lay ahead of the clock when they came: kept, listed, and counted when somebody has said how.

Which clock was wrong, and by how much, no program can know. Nothing of them is counted before. But events of a
sensor that lie about as far ahead have mostly one error of its clock in common: they are a lot, and are listed,
chosen and moved together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import groupby, pairwise
from operator import add
from typing import Final, LiteralString, NamedTuple

import numpy as np
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from psycopg import Cursor

from analytics.ingest import commit
from analytics.ingest.arrays import register
from analytics.ingest.commit import Group, Incoming, Row, lock, table_of, write_stored
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.fold import Deltas, fold_alone
from analytics.ingest.packed import unpack
from analytics.ingest.retention import oldest_kept
from sensorapp.accounts.log import Actor, record
from sensorapp.columns import Integers
from sensorapp.durations import argument, written
from sensorapp.fleet.models import Sensor

# Events that are further from each other in how far ahead they lie are of different lots.
APART: Final = timedelta(minutes=5)
MS: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Lot:
    """Events of a sensor that lie about as far ahead of when they came, and when they came."""

    events: int
    received_from: datetime
    received_until: datetime
    least_ahead: timedelta
    most_ahead: timedelta

    def __add__(self, other: Lot) -> Lot:
        return Lot(
            self.events + other.events,
            min(self.received_from, other.received_from),
            max(self.received_until, other.received_until),
            min(self.least_ahead, other.least_ahead),
            max(self.most_ahead, other.most_ahead),
        )

    @property
    def clock_error(self) -> timedelta:
        """How far ahead the sensor's clock was, if that was all: its newest events come at once. In whole seconds."""
        return timedelta(seconds=round(self.most_ahead.total_seconds()))

    def includes(self, ahead: timedelta) -> bool:
        """Whether that far ahead lie events of this lot rather than of another one."""
        return self.least_ahead - APART / 2 <= ahead <= self.most_ahead + APART / 2


def lots_of(ahead: Integers, received_at: datetime) -> Iterator[Lot]:
    """The lots of events that were received at one moment; ``ahead`` (ms) says how far each lies ahead."""
    ordered = np.sort(ahead)
    [bounds] = np.nonzero(np.diff(ordered) > APART // MS)
    for begin, end in pairwise([0, *(bounds + 1).tolist(), len(ordered)]):
        least, most = int(ordered[begin]) * MS, int(ordered[end - 1]) * MS
        yield Lot(end - begin, received_at, received_at, least, most)


def together(lots: Iterable[Lot]) -> list[Lot]:
    """Those that belong to one added up; the least error first."""
    found: list[Lot] = []
    for lot in sorted(lots, key=lambda lot: lot.least_ahead):
        if found and lot.least_ahead - found[-1].most_ahead <= APART:
            found[-1] += lot
        else:
            found.append(lot)
    return found


# --- listing ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetAside:
    """A lot, and whose it is."""

    organisation: str
    store: str
    sensor: str
    name: str
    lot: Lot

    @property
    def command(self) -> str:
        """What to type so that it is counted."""
        return f".venv/bin/python manage.py release_set_aside {self.sensor} --ahead={argument(self.lot.clock_error)}"


LIST: Final[LiteralString] = """
SELECT organisation.slug, store.slug, sensor.public_id, sensor.name,
       held.received_at, held.first_at, held.event_count, held.events
FROM ingest_set_aside held
JOIN fleet_sensor sensor ON sensor.id = held.sensor_id
JOIN fleet_store store ON store.id = sensor.store_id
JOIN accounts_organisation organisation ON organisation.id = store.organisation_id
WHERE %(sensors)s::text[] IS NULL OR sensor.public_id = ANY(%(sensors)s)
ORDER BY organisation.slug, store.slug, sensor.name, sensor.public_id
"""


def list_set_aside(sensors: Collection[str] | None = None) -> list[SetAside]:
    """The lots of all sensors, or of those named, in the order of organisations, stores, names and errors."""
    with connection.cursor() as cursor:
        cursor.execute(LIST, {"sensors": None if sensors is None else [*sensors]})
        by_sensor = groupby(cursor.fetchall(), key=lambda row: row[:4])
        return [
            SetAside(organisation, store, sensor, name, lot)
            for (organisation, store, sensor, name), rows in by_sensor
            for lot in together(lot for row in rows for lot in lots_in(*row[4:]))
        ]


def lots_in(received_at: datetime, first_at: int, count: int, events: bytes) -> Iterator[Lot]:
    return lots_of(unpack(first_at, count, events).at - in_ms(received_at), received_at)


def in_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# --- releasing -------------------------------------------------------------------------------------


class Released(NamedTuple):
    """How many events were counted, and by how much their times were moved."""

    events: int
    shift: timedelta


@dataclass(frozen=True, slots=True)
class Held:
    """A row of what is set aside. ``ahead`` (ms) says of each event how far it lies ahead."""

    received_at: datetime
    batch: Incoming
    ahead: Integers

    def parts(self, lot: Lot) -> Iterator[tuple[Incoming, bool]]:
        """Its events in runs that are of the lot or are not; with each run, whether it is."""
        inside = (self.ahead >= lot.least_ahead // MS) & (self.ahead <= lot.most_ahead // MS)
        first_seq = self.batch.first_seq
        for part, is_inside in commit.runs(self.batch.columns, inside):
            yield self.batch.with_events(first_seq, part), is_inside
            first_seq += len(part)


@transaction.atomic
def release_set_aside(
    sensor: Sensor,
    shift: timedelta | None = None,
    received_from: datetime | None = None,
    received_until: datetime | None = None,
    ahead: timedelta | None = None,
    actor: Actor = None,
) -> Released:
    """Count what is set aside of ``sensor``, its times moved by ``shift``, by default back by its clock's error.

    Only the lot of what lies ``ahead`` so far, which must be named where there are several and no shift; and only
    what came in the given span of time, both ends included. They leave their place in the transaction that counts
    them, so that none counts twice. Raises :class:`~django.core.exceptions.ValidationError`, which names the
    argument, where that is nothing, or its times cannot be right after it.
    """
    connection.ensure_connection()
    with Cursor(connection.connection) as cursor:
        register(cursor)
        facts = Directory().sensors(connection.connection, [sensor.public_id])[sensor.public_id]
        group = Group(datetime.now(UTC))
        # Whoever else counts this sensor's events waits here.
        progress = lock(cursor, {facts.id: facts}, group.received_at)
        held = read_held(cursor, facts, received_from, received_until)
        lot = choose(
            together(lot for one in held for lot in lots_of(one.ahead, one.received_at)), shift, ahead
        )
        shift = -lot.clock_error if shift is None else shift
        batches = [moved(batch, shift) for batch in take(cursor, held, lot)]
        check_times(batches, group.received_ms)
        group.deltas = {facts.id: released(batches)}
        group.stored = [Row.of(batch) for batch in batches]
        write_stored(cursor, group, progress, table_of(group.stored))
    detail = {"events": lot.events, "shift_s": shift.total_seconds()}
    record(sensor.store.organisation, actor, "released events set aside", sensor, **detail)
    return Released(lot.events, shift)


HELD: Final[LiteralString] = """
SELECT received_at, epoch, first_seq, config, model, first_at, event_count, events FROM ingest_set_aside
WHERE organisation_id = %s AND sensor_id = %s AND received_at BETWEEN %s AND %s
ORDER BY epoch, first_seq FOR UPDATE
"""
CAME: Final[LiteralString] = """
SELECT min(received_at), max(received_at) FROM ingest_set_aside WHERE organisation_id = %s AND sensor_id = %s
"""
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def read_held(
    cursor: Cursor, sensor: SensorFacts, received_from: datetime | None, received_until: datetime | None
) -> list[Held]:
    """What came in that span of time; raises where it is nothing."""
    begin, end = received_from or EARLIEST, received_until or LATEST
    if begin > end:
        raise ValidationError({"received_until": "lies before the beginning of the span; exchange the two"})
    key = [sensor.organisation_id, sensor.id]
    held = [held_row(sensor, *row) for row in cursor.execute(HELD, [*key, begin, end]).fetchall()]
    if not held:
        [[first, last]] = cursor.execute(CAME, key).fetchall()
        if first is None:
            raise ValidationError({"sensor": f"nothing of {sensor.public_id} is set aside"})
        field = "received_from" if received_until is None else "received_until"
        came = f"what is set aside came between {first:%Y-%m-%dT%H:%M:%S} and {last:%Y-%m-%dT%H:%M:%S} UTC"
        raise ValidationError({field: f"nothing came in this span of time; {came}"})
    return held


def held_row(
    sensor: SensorFacts,
    received_at: datetime,
    epoch: int,
    first_seq: int,
    config: int,
    model: bytes,
    first_at: int,
    count: int,
    events: bytes,
) -> Held:
    columns = unpack(first_at, count, events)
    batch = Incoming(sensor, epoch, first_seq, count, config, bytes(model), columns, released=True)
    return Held(received_at, batch, columns.at - in_ms(received_at))


def choose(lots: Sequence[Lot], shift: timedelta | None, ahead: timedelta | None) -> Lot:
    """The lot that is meant, or all of them as one where a shift is given that shall be right for all."""
    spans = " and ".join(written(lot.clock_error) for lot in lots)
    if ahead is not None:
        for lot in lots:
            if lot.includes(ahead):
                return lot
        raise ValidationError(
            {"ahead": f"nothing lies {written(ahead)} ahead, but {spans}; choose from these"}
        )
    if shift is None and len(lots) > 1:
        raise ValidationError(
            {"ahead": f"they lie {spans} ahead, by errors of their own; choose one of them"}
        )
    return reduce(add, lots)


DELETE: Final[LiteralString] = """
DELETE FROM ingest_set_aside WHERE organisation_id = %s AND sensor_id = %s
  AND (epoch, first_seq) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[]))
"""


def take(cursor: Cursor, held: Sequence[Held], lot: Lot) -> list[Incoming]:
    """Remove a lot from what is set aside, and return it; what else its rows hold stays."""
    taken: list[Incoming] = []
    touched: list[Incoming] = []
    left: list[tuple[datetime, list[Row]]] = []
    for one in held:
        parts = list(one.parts(lot))
        if inside := [part for part, is_inside in parts if is_inside]:
            taken += inside
            touched.append(one.batch)
            left.append((one.received_at, [Row.of(part) for part, is_inside in parts if not is_inside]))
    sensor = taken[0].sensor
    key = [batch.epoch for batch in touched], [batch.first_seq for batch in touched]
    cursor.execute(DELETE, [sensor.organisation_id, sensor.id, *key])
    commit.set_aside(cursor, [(received_at, rows) for received_at, rows in left if rows])
    return taken


def moved(batch: Incoming, shift: timedelta) -> Incoming:
    return batch.with_events(batch.first_seq, batch.columns.moved(shift // MS))


def check_times(batches: Iterable[Incoming], now: int) -> None:
    """Raise where a time still lies ahead, or so far back that no shift can have been meant."""
    found = [batch.columns.summary for batch in batches]
    too_far = max(one.newest for one in found) - now - settings.INGEST_FUTURE_TOLERANCE_SECONDS * 1000
    if too_far > 0:
        said = f"the newest of them would lie {written(too_far * MS)} too far ahead; move them further back"
        raise ValidationError({"shift": said})
    days = settings.INGEST_RETENTION_DAYS
    if any(one.oldest < oldest_kept(now, days) for one in found):
        raise ValidationError(
            {"shift": f"the oldest of them would lie over {days} days back; move them less"}
        )


def released(batches: Iterable[Incoming]) -> Deltas:
    """What released batches count, each by itself."""
    deltas: Deltas = {}
    for batch in batches:
        fold_alone(batch.columns, batch.sensor.channels, deltas)
    return deltas
