"""Sending events through the commit that the gateway uses, and reading the same from the list of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection

from analytics.ingest import columns
from analytics.ingest.commit import Incoming, commit
from analytics.ingest.directory import SENSORS, SensorFacts, sensor_facts
from analytics.ingest.models import Cursor
from sensorapp import wire
from sensorapp.fleet.models import Sensor

MINUTE = 60_000
QUARTER = 15 * MINUTE


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def send(sensor: Sensor, events: Sequence[wire.Event], heard_at: datetime | None = None) -> None:
    """Commit events as the sensor's next batch; ``heard_at`` says when the backend received it."""
    cursor = Cursor.objects.filter(pk=sensor.pk).first()
    batch = Incoming(
        facts(sensor),
        epoch=1,
        first_seq=cursor.next_seq if cursor else 0,
        count=len(events),
        config=1,
        model=bytes(8),
        columns=columns.encode(events),
    )
    connection.ensure_connection()
    [ack], _ = commit(connection.connection, [batch])
    assert ack.status == "stored"
    if heard_at:
        Cursor.objects.filter(pk=sensor.pk).update(received_at=heard_at)


def facts(sensor: Sensor) -> SensorFacts:
    with connection.cursor() as cursor:
        cursor.execute(SENSORS, [[sensor.public_id]])
        names = [column.name for column in cursor.description]
        return sensor_facts(**dict(zip(names, cursor.fetchone(), strict=True)))


def heartbeat(at: int, observed_ms: int = MINUTE) -> wire.Heartbeat:
    return wire.Heartbeat(at, observed_ms, 1800, 1740, 41.5, 13_960)


def heartbeats(begin: datetime, end: datetime, every_ms: int = MINUTE) -> list[wire.Event]:
    """A sensor that observes from ``begin`` to ``end`` without a break."""
    moments = range(ms(begin) + every_ms, ms(end) + 1, every_ms)
    return [heartbeat(at, every_ms) for at in moments]


def crossings(
    at: Sequence[datetime], direction: wire.Direction = "forward", line: int = 0
) -> list[wire.Event]:
    return [wire.Crossing(ms(moment), line, direction) for moment in at]


class Ledger:
    """The truth about entrances, kept minute by minute from the events themselves and without SQL.

    Slow and simple on purpose: it walks through every event for each question.
    """

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.left: list[int] = []
        self.watched: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)

    def note(self, sensor: Sensor, events: Sequence[wire.Event], entry_direction: str = "forward") -> None:
        for event in events:
            if isinstance(event, wire.Crossing):
                (self.entered if event.direction == entry_direction else self.left).append(event.at)
            elif isinstance(event, wire.Heartbeat):
                self.watched[sensor.pk].append((event.at - event.observed_ms, event.at))

    def count(self, moments: Sequence[int], start: int, end: int) -> int:
        return sum(start <= at < end for at in moments)

    def observed(self, sensor_id: int, start: int, end: int) -> int:
        return sum(max(0, min(end, until) - max(start, since)) for since, until in self.watched[sensor_id])

    def known(self, start: int) -> bool:
        end = start + QUARTER
        counted = self.count(self.entered, start, end) + self.count(self.left, start, end)
        return counted > 0 or any(self.observed(sensor, start, end) for sensor in self.watched)

    def by_quarter(self, moments: Sequence[int], begin: datetime, quarters: int) -> list[int | None]:
        starts = [ms(begin) + place * QUARTER for place in range(quarters)]
        return [self.count(moments, at, at + QUARTER) if self.known(at) else None for at in starts]


def after(moment: datetime, **parts: float) -> datetime:
    return moment + timedelta(**parts)
