"""The floor plan with people and sensors in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from analytics.counts.snapshot import SensorNow, ZoneNow
from dashboard.plan_drawing import plan_drawing
from sensorapp.fleet.models import Store
from tests.dashboard.test_store_page import BERLIN, LAST_WEEK, WEDNESDAY, day, snapshot_of

NOW = datetime(2026, 6, 10, 10, 0, tzinfo=UTC)
PLAN: dict[str, Any] = {
    "width": 50,
    "depth": 20,
    "walls": [[[0, 0], [50, 0], [50, 20]]],
    "areas": [
        {"name": "Fruit and vegetables", "polygon": [[10, 5], [16, 5], [16, 15], [10, 15]]},
        {"name": "Storage", "polygon": [[30, 5], [40, 5], [40, 15]]},
    ],
    "doors": [{"name": "Main entrance", "posts": [[20, 20], [24, 20]]}],
    "fixtures": [{"kind": "shelf", "x": 1, "y": 1, "width": 5, "depth": 1, "name": "Milk"}],
}


def sensor(number: int, x: float | None) -> SensorNow:
    return SensorNow(number, f"s-{number}", f"Sensor {number}", "live", NOW, NOW, x, 1.0, 90.0)


def snapshot(**parts: Any) -> Any:
    return snapshot_of(day(WEDNESDAY, BERLIN, {}), day(LAST_WEEK, BERLIN, {}), **parts)


def test_an_area_shows_the_people_of_the_zone_with_its_name() -> None:
    zone = ZoneNow(1, "Fruit and vegetables", 3, 10, 5.0)
    drawing = plan_drawing(Store(floor_plan=PLAN), snapshot(zones=[zone]))
    assert drawing is not None
    fruit, storage = drawing.labels
    # Ten letters fit into six metres.
    assert (fruit.x, fruit.lines, fruit.zone) == (13, ["Fruit and", "vegetables"], zone)
    assert (storage.x, storage.lines, storage.zone) == (35, ["Storage"], None)
    assert all(5 < label.y < 15 for label in drawing.labels)
    assert drawing.view_box == "-0.5 -0.5 51.0 21.0"


def test_sensors_without_a_place_are_left_out() -> None:
    drawing = plan_drawing(Store(floor_plan=PLAN), snapshot(sensors=[sensor(1, 2.0), sensor(2, None)]))
    assert drawing is not None
    assert [sensor.name for sensor in drawing.sensors] == ["Sensor 1"]


def test_a_store_without_a_plan_has_no_drawing() -> None:
    assert plan_drawing(Store(floor_plan=None), snapshot()) is None
