"""What there is to see of a fleet: how each sensor is, and which events were never counted."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

from django.db import connection

from sensorapp.fleet.health import LastHeard, State, Status, clock_error, sensor_state, sensor_status
from sensorapp.fleet.models import Store

SENSORS: Final[LiteralString] = """
SELECT sensor.store_id, sensor.public_id, sensor.name, coalesce(held.events, 0), cursor.skew_ms,
       cursor.received_at, cursor.newest_at, cursor.heartbeat_ms
FROM fleet_sensor sensor
LEFT JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
LEFT JOIN (SELECT sensor_id, sum(event_count) AS events FROM ingest_set_aside GROUP BY 1) held
  ON held.sensor_id = sensor.id
WHERE sensor.store_id = ANY(%s) AND sensor.revoked_at IS NULL
ORDER BY sensor.name, sensor.id
"""
INDEX: Final = re.compile(r"\[\d+\]$|^\$\.?")


@dataclass(frozen=True, slots=True)
class SensorState:
    """A sensor at a moment. ``skew`` is how far ahead its clock is, negative where behind; None where its
    last delivery did not tell.

    ``set_aside`` is how many of its events lay ahead when they came, and wait to be released.
    """

    store: Store
    public_id: str
    name: str
    status: Status
    received_at: datetime | None
    newest_at: datetime | None
    skew: timedelta | None
    set_aside: int

    @property
    def clock_error(self) -> timedelta | None:
        """The skew, where it is large enough to matter."""
        return clock_error(None if self.skew is None else self.skew // timedelta(milliseconds=1))

    @property
    def state(self) -> State:
        return sensor_state(self.status, self.clock_error)

    @property
    def is_troubled(self) -> bool:
        return self.status != "live" or self.clock_error is not None or self.set_aside > 0


def read_sensors(stores: Collection[Store], at: datetime) -> list[SensorState]:
    """The sensors in use of these stores, as they are ``at``; in the order of their names. One query."""
    by_id = {store.pk: store for store in stores}
    with connection.cursor() as cursor:
        cursor.execute(SENSORS, [[*by_id]])
        return [state_of(by_id[store], at, *rest) for store, *rest in cursor.fetchall()]


def state_of(
    store: Store, at: datetime, public_id: str, name: str, set_aside: int, skew_ms: int | None, *last: Any
) -> SensorState:
    heard = LastHeard(*last) if last[0] else None
    skew = None if skew_ms is None else timedelta(milliseconds=skew_ms)
    status = sensor_status(heard, at)
    received_at, newest_at = (heard.received_at, heard.counted_until) if heard else (None, None)
    return SensorState(store, public_id, name, status, received_at, newest_at, skew, set_aside)


NEVER_COUNTED: Final[LiteralString] = """
SELECT sensor.store_id, sensor.public_id, sensor.name, path, reason, received_at, epoch, first_seq, last_seq
FROM ingest_rejection rejection JOIN fleet_sensor sensor ON sensor.id = rejection.sensor_id
WHERE sensor.store_id = ANY(%s) ORDER BY received_at DESC, rejection.id DESC LIMIT %s
"""
TOLD_AT_ONCE: Final = 3


@dataclass(frozen=True, slots=True)
class Refused:
    """Consecutive events that were refused ``at`` a moment, by the numbers that their sensor gave them."""

    at: datetime
    epoch: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class NeverCounted:
    """Events of a sensor that never will be counted, alike in why; the newest first.

    ``where`` is the place in the batch, less its numbers; empty for what was set aside and not released.
    """

    store: Store
    public_id: str
    name: str
    where: str
    why: str
    refused: list[Refused] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        return self.refused[0].at

    @property
    def events(self) -> int:
        return sum(one.last_seq - one.first_seq + 1 for one in self.refused)

    @property
    def told(self) -> list[Refused]:
        """As many as one looks up in a sender's log."""
        return self.refused[:TOLD_AT_ONCE]

    @property
    def untold(self) -> int:
        return len(self.refused) - len(self.told)


def read_never_counted(stores: Collection[Store], limit: int) -> list[NeverCounted]:
    """What the newest ``limit`` rejections of these stores say, alike ones together, newest first. One query."""
    by_id = {store.pk: store for store in stores}
    found: dict[tuple[str, str, str], NeverCounted] = {}
    with connection.cursor() as cursor:
        cursor.execute(NEVER_COUNTED, [[*by_id], limit])
        for store, public_id, name, path, reason, *refused in cursor.fetchall():
            where, why = INDEX.sub("", path.rpartition("].")[2]), reason[:1].lower() + reason[1:]
            alike = NeverCounted(by_id[store], public_id, name, where, why)
            found.setdefault((public_id, where, why), alike).refused.append(Refused(*refused))
    return list(found.values())
