"""Sending events through the commit that the gateway uses, and reading the same from the list of events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import connection

from analytics.counts.days import to_ms
from analytics.ingest.commit import Incoming, commit
from analytics.ingest.directory import SENSORS, SensorFacts, sensor_facts
from analytics.ingest.models import Cursor
from sensorapp import columns, wire
from sensorapp.fleet.models import Sensor

SECOND = 1000
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def send(sensor: Sensor, events: Iterable[wire.Event], heard_at: datetime | None = None) -> None:
    """Commit events as the sensor's next batch, in the order of their times.

    ``heard_at`` says when the backend received it, instead of now.
    """
    events = sorted(events, key=lambda event: event.at)
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


def watching(begin: datetime, end: datetime, every_ms: int = MINUTE) -> list[wire.Event]:
    """The heartbeats of a sensor that observes from ``begin`` to ``end`` without a break."""
    moments = range(to_ms(begin) + every_ms, to_ms(end) + 1, every_ms)
    return [heartbeat(at, every_ms) for at in moments]


def crossing(at: datetime, direction: wire.Direction = "forward", line: int = 0) -> wire.Event:
    return wire.Crossing(to_ms(at), line, direction)


@dataclass
class Ledger:
    """The truth about entrances, from the list of events and without SQL. Slow and simple on purpose.

    ``watched`` holds the spans that each sensor's heartbeats cover.
    """

    entered: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    watched: defaultdict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, sensor: Sensor, events: Iterable[wire.Event], inwards: str = "forward") -> None:
        for event in events:
            if isinstance(event, wire.Crossing):
                (self.entered if event.direction == inwards else self.left).append(event.at)
            elif isinstance(event, wire.Heartbeat):
                self.watched[sensor.pk].append((event.at - event.observed_ms, event.at))

    def observed(self, sensor_id: int, begin: int, end: int) -> int:
        return sum(max(0, min(end, until) - max(begin, since)) for since, until in self.watched[sensor_id])

    def known(self, begin: int, end: int) -> bool:
        crossed = count(self.entered, begin, end) + count(self.left, begin, end)
        return crossed > 0 or any(self.observed(sensor, begin, end) for sensor in list(self.watched))

    def by_quarter(self, moments: Sequence[int], starts: Sequence[int]) -> list[int | None]:
        """Of quarters of an hour given by their beginnings in seconds."""
        quarters = [(start * 1000, start * 1000 + QUARTER) for start in starts]
        return [count(moments, *quarter) if self.known(*quarter) else None for quarter in quarters]

    def times(self, begin: int, end: int) -> tuple[int, int]:
        """Observed and expected time between two moments in which the store is open throughout."""
        observed = expected = 0
        for start in range(begin - begin % QUARTER, end, QUARTER):
            for sensor, spans in list(self.watched.items()):
                first = min(since for since, _ in spans)
                duty = overlap((start, start + QUARTER), (max(begin, first - first % QUARTER), end))
                expected += duty
                observed += min(self.observed(sensor, start, start + QUARTER), duty)
        return observed, expected


def count(moments: Sequence[int], begin: int, end: int) -> int:
    return sum(begin <= at < end for at in moments)


def overlap(one: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
