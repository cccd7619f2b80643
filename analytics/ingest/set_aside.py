"""Events that lay ahead of the clock when they came: kept, listed, and counted when somebody has said how.

Which clock was wrong, and by how much, no program can know. Nothing of them is counted before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, LiteralString

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from psycopg import Cursor

from analytics.ingest.arrays import register
from analytics.ingest.commit import Group, Incoming, Row, lock, table_of, write_stored
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.fold import Deltas, fold_alone
from analytics.ingest.packed import unpack
from analytics.ingest.retention import oldest_kept
from sensorapp.accounts.log import Actor, record
from sensorapp.fleet.models import Sensor


@dataclass(frozen=True, slots=True)
class SetAside:
    """What is set aside of one sensor: when it came, and how far ahead of that its newest events were."""

    organisation: str
    store: str
    sensor: str
    name: str
    events: int
    received_from: datetime
    received_until: datetime
    least_ahead: timedelta
    most_ahead: timedelta


LIST: Final[LiteralString] = """
SELECT organisation.slug, store.slug, sensor.public_id, sensor.name,
       held.received_at, held.first_at, held.event_count, held.events
FROM ingest_set_aside held
JOIN fleet_sensor sensor ON sensor.id = held.sensor_id
JOIN fleet_store store ON store.id = sensor.store_id
JOIN accounts_organisation organisation ON organisation.id = store.organisation_id
ORDER BY organisation.slug, store.slug, sensor.name, sensor.public_id
"""


def list_set_aside() -> list[SetAside]:
    """One entry a sensor, in the order of organisations, stores and names."""
    with connection.cursor() as cursor:
        cursor.execute(LIST)
        by_sensor = groupby(cursor.fetchall(), key=lambda row: row[:4])
        return [set_aside_of(names, [row[4:] for row in rows]) for names, rows in by_sensor]


def set_aside_of(
    names: tuple[str, str, str, str], held: Sequence[tuple[datetime, int, int, bytes]]
) -> SetAside:
    """``held``: of each batch when it was received, and its events as they are kept."""
    received = [received_at for received_at, *_ in held]
    ahead = [
        datetime.fromtimestamp(unpack(first_at, count, events).summary.newest / 1000, UTC) - received_at
        for received_at, first_at, count, events in held
    ]
    total = sum(count for _, _, count, _ in held)
    return SetAside(*names, total, min(received), max(received), min(ahead), max(ahead))


@transaction.atomic
def release_set_aside(
    sensor: Sensor,
    shift: timedelta = timedelta(0),
    received_from: datetime | None = None,
    received_until: datetime | None = None,
    actor: Actor = None,
) -> int:
    """Count what is set aside of ``sensor``, its times moved by ``shift``; returns how many events.

    Only what came in the given span of time, both ends included. They leave their place in the transaction
    that counts them, so that none counts twice. Raises :class:`~django.core.exceptions.ValidationError`
    where their times cannot be right after it.
    """
    connection.ensure_connection()
    with Cursor(connection.connection) as cursor:
        register(cursor)
        facts = Directory().sensors(connection.connection, [sensor.public_id])[sensor.public_id]
        group = Group(datetime.now(UTC))
        # Whoever else counts this sensor's events waits here.
        progress = lock(cursor, {facts.id: facts}, group.received_at)
        batches = list(take(cursor, facts, shift, received_from, received_until))
        check_times(batches, group.received_ms)
        group.deltas = {facts.id: released(batches)}
        group.stored = [Row.of(batch) for batch in batches]
        if batches:
            write_stored(cursor, group, progress, table_of(group.stored))
    events = sum(batch.count for batch in batches)
    detail = {"events": events, "shift_s": shift.total_seconds()}
    record(sensor.store.organisation, actor, "released events set aside", sensor, **detail)
    return events


TAKE: Final[LiteralString] = """
WITH held AS (
    DELETE FROM ingest_set_aside
    WHERE organisation_id = %s AND sensor_id = %s AND received_at BETWEEN %s AND %s
    RETURNING epoch, first_seq, config, model, first_at, event_count, events
)
SELECT * FROM held ORDER BY epoch, first_seq
"""
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def take(
    cursor: Cursor,
    sensor: SensorFacts,
    shift: timedelta,
    received_from: datetime | None,
    received_until: datetime | None,
) -> Iterator[Incoming]:
    span = received_from or EARLIEST, received_until or LATEST
    shift_ms = shift // timedelta(milliseconds=1)
    for epoch, first_seq, config, model, *packed in cursor.execute(
        TAKE, [sensor.organisation_id, sensor.id, *span]
    ).fetchall():
        columns = unpack(*packed).moved(shift_ms)
        yield Incoming(sensor, epoch, first_seq, len(columns), config, bytes(model), columns, released=True)


def check_times(batches: Iterable[Incoming], now: int) -> None:
    """Raise where a time still lies ahead, or so far back that no shift can have been meant."""
    found = [batch.columns.summary for batch in batches]
    latest = now + settings.INGEST_FUTURE_TOLERANCE_SECONDS * 1000
    newest = max((one.newest for one in found), default=latest)
    if newest > latest:
        seconds = -(-(newest - latest) // 1000)
        raise ValidationError(
            {
                "shift": f"the newest of the events would lie {seconds} s too far ahead; shift them further back"
            }
        )
    days = settings.INGEST_RETENTION_DAYS
    if any(one.oldest < oldest_kept(now, days) for one in found):
        raise ValidationError(
            {"shift": f"the oldest of the events would lie over {days} days back; shift less"}
        )


def released(batches: Iterable[Incoming]) -> Deltas:
    """What released batches count, each by itself."""
    deltas: Deltas = {}
    for batch in batches:
        fold_alone(batch.columns, batch.sensor.channels, deltas)
    return deltas
