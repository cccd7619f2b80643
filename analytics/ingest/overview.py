"""What there is to see of a fleet: how each sensor is, and which events were never counted."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

from django.db import connection

from sensorapp.fleet.health import LastHeard, Status, clock_error, sensor_status
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
    """A sensor at a moment. ``skew`` is how far ahead its clock is, negative where behind; None if never told.

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
    def is_troubled(self) -> bool:
        return self.status != "live" or self.clock_error is not None or self.set_aside > 0


def read_sensors(stores: Collection[Store], at: datetime) -> list[SensorState]:
    """The sensors in use of these stores, as they are ``at``; in the order of their names. One query."""
    by_id = {store.pk: store for store in stores}
    with connection.cursor() as cursor:
        cursor.execute(SENSORS, [[*by_id]])
        return [sensor_state(by_id[store], at, *rest) for store, *rest in cursor.fetchall()]


def sensor_state(
    store: Store, at: datetime, public_id: str, name: str, set_aside: int, skew_ms: int | None, *last: Any
) -> SensorState:
    received_at, newest_at, _ = last
    heard = LastHeard(*last) if received_at else None
    skew = None if skew_ms is None else timedelta(milliseconds=skew_ms)
    status = sensor_status(heard, at)
    return SensorState(store, public_id, name, status, received_at, newest_at, skew, set_aside)


NEVER_COUNTED: Final[LiteralString] = """
SELECT sensor.id, sensor.store_id, sensor.name, path, reason, received_at, last_seq - first_seq + 1
FROM ingest_rejection rejection JOIN fleet_sensor sensor ON sensor.id = rejection.sensor_id
WHERE sensor.store_id = ANY(%s) ORDER BY received_at DESC, rejection.id DESC LIMIT %s
"""


@dataclass(slots=True)
class NeverCounted:
    """Events of a sensor that never will be counted, and why; the newest of them were refused at ``at``.

    ``where`` is the place in the batch, less its numbers; empty for what was set aside and not released.
    """

    store: Store
    name: str
    where: str
    why: str
    at: datetime
    events: int = 0


def read_never_counted(stores: Collection[Store], limit: int) -> list[NeverCounted]:
    """What the newest ``limit`` rejections of these stores say, alike ones together, newest first. One query."""
    by_id = {store.pk: store for store in stores}
    found: dict[tuple[int, str, str], NeverCounted] = {}
    with connection.cursor() as cursor:
        cursor.execute(NEVER_COUNTED, [[*by_id], limit])
        for sensor, store, name, path, why, at, events in cursor.fetchall():
            where = INDEX.sub("", path.rpartition("].")[2])
            alike = NeverCounted(by_id[store], name, where, why, at)
            found.setdefault((sensor, where, why), alike).events += events
    return list(found.values())
