"""A small fleet: a store with two doors, three zones and a shelf, in any time zone, open by day or around the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from sensor_sim.fleet import plan as p

HOURS = [0.0] * 8 + [0.5, 0.7, 0.8, 1.0, 1.2, 1.1, 0.9, 0.9, 1.1, 1.5, 1.6, 1.2, 0.6, 0.2, 0.0, 0.0]
MODEL = "0123456789abcdef"
ORIGIN = date(2026, 9, 1)
FAR_AHEAD = 4_102_444_800_000 - 4_102_444_800_000 % 900_000 - 900_000


def sensor(id_: str, name: str, **channels: Any) -> p.Sensor:
    return p.Sensor(f"s-{id_}", name, MODEL, 1, **channels)


def sensors(prefix: str = "test", drift: p.Drift | None = None) -> list[p.Sensor]:
    return [
        sensor(f"{prefix}door1", "front", lines=[p.Line(0, "forward", 0.6, drift)]),
        sensor(f"{prefix}door2", "back", lines=[p.Line(3, "backward", 0.4)]),
        sensor(
            f"{prefix}zone1",
            "hall",
            zones=[p.Zone(1, "Fruit", 2.0, 60.0), p.Zone(2, "Milk", 1.0, 30.0, picks=2.0)],
        ),
        sensor(f"{prefix}zone2", "tills", zones=[p.Zone(1, "Till", 1.0, 80.0, checkout=True)]),
        sensor(f"{prefix}shelf", "cooler", slots=[p.Slot(17, "Milk", 12, 2.0), p.Slot(18, "Milk", 6, 1.0)]),
    ]


def store(
    time_zone: str = "Europe/Berlin", *, slug: str = "test", visitors: float = 300.0, **parts: Any
) -> p.Store:
    demand = p.Demand(visitors, [1.0] * 7, HOURS, HOURS, 0.5, 2.0)
    defaults: dict[str, Any] = {
        "token": "g-test0000.secret",
        "opening_hours": [(time(9), time(20))] * 7,
        "demand": demand,
        "sensors": sensors(),
    }
    return p.Store(slug=slug, time_zone=time_zone, **(defaults | parts))


def night_store(time_zone: str = "Europe/Berlin", **parts: Any) -> p.Store:
    """It is open around the clock but for the last minute, and people stay for long."""
    busy = p.Demand(800.0, [1.0] * 7, [1.0] * 24, [1.0] * 24, 0.5, 3.0)
    slow = [p.Zone(1, "Fruit", 2.0, 300.0), p.Zone(2, "Milk", 1.0, 240.0, picks=2.0)]
    front, back, hall, *others = sensors()
    hall = msgspec.structs.replace(hall, zones=slow)
    defaults: dict[str, Any] = {
        "opening_hours": [(time(0), time(23, 59))] * 7,
        "demand": busy,
        "sensors": [front, back, hall, *others],
    }
    return store(time_zone, **(defaults | parts))


def plan(*stores: p.Store, seed: int = 1, origin: date = ORIGIN, live_from: int = FAR_AHEAD) -> p.Plan:
    return p.Plan(p.SCHEDULE, seed, origin, live_from, list(stores))


def milliseconds(day: date, hour: int = 0) -> int:
    return int(
        (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)).timestamp() * 1000
    )
