"""What the page of all sensors says: the troubled ones before the rest, and what does not count."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings

from analytics.ingest.overview import NeverCounted, SensorState, read_never_counted, read_sensors
from analytics.ingest.set_aside import SetAside, list_set_aside
from dashboard.store_page import SENSOR_STATES, tally
from sensorapp.fleet.models import Store

TROUBLED_AT_ONCE: Final = 100
LIVE_AT_ONCE: Final = 500
REJECTIONS: Final = 1_000
NEVER_COUNTED_AT_ONCE: Final = 100
LOTS_AT_ONCE: Final = 20
# To tell lots, each event is looked at.
EVENTS_LOOKED_AT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lot of what is set aside, and its sensor as it is now: a clock that was wrong may be right again."""

    lot: SetAside
    sensor: SensorState


@dataclass(frozen=True, slots=True)
class SensorsPage:
    """Tallies and totals count all sensors; the lists hold as many as a person can read.

    ``lots`` are those of what is set aside; none where that is too much to look at while somebody waits.
    """

    at: datetime
    tally: list[tuple[str, int]]
    troubled: list[SensorState]
    troubled_in_all: int
    live: list[SensorState]
    live_in_all: int
    set_aside: int
    lots: list[Waiting]
    lots_in_all: int
    kept_days: int
    never_counted: list[NeverCounted]


def sensors_page(stores: Collection[Store], at: datetime) -> SensorsPage:
    sensors = read_sensors(stores, at)
    troubled = sorted(
        (sensor for sensor in sensors if sensor.is_troubled),
        key=lambda sensor: (SENSOR_STATES.index(sensor.state), sensor.store.name),
    )
    live = sorted(
        (sensor for sensor in sensors if not sensor.is_troubled), key=lambda sensor: sensor.store.name
    )
    lots = lots_of(sensors)
    return SensorsPage(
        at=at,
        tally=tally((sensor.state for sensor in sensors), SENSOR_STATES),
        troubled=troubled[:TROUBLED_AT_ONCE],
        troubled_in_all=len(troubled),
        live=live[:LIVE_AT_ONCE],
        live_in_all=len(live),
        set_aside=sum(sensor.set_aside for sensor in sensors),
        lots=lots[:LOTS_AT_ONCE],
        lots_in_all=len(lots),
        kept_days=settings.INGEST_RETENTION_DAYS,
        never_counted=read_never_counted(stores, REJECTIONS)[:NEVER_COUNTED_AT_ONCE],
    )


def lots_of(sensors: Collection[SensorState]) -> list[Waiting]:
    held = {sensor.public_id: sensor for sensor in sensors if sensor.set_aside}
    if not 0 < sum(sensor.set_aside for sensor in held.values()) <= EVENTS_LOOKED_AT:
        return []
    return [Waiting(lot, held[lot.sensor]) for lot in list_set_aside(held)]
