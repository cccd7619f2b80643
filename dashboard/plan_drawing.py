"""The floor plan with what is known now: where people are, and how the sensors are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics.counts.snapshot import SensorNow, StoreSnapshot, ZoneNow
from sensorapp.fleet import floor_plan
from sensorapp.fleet.floor_plan import Area, Door, Fixture, FloorPlan, Point
from sensorapp.fleet.models import Store

MARGIN: Final = 0.5
# So many letters fit side by side over the width of a plan.
LETTERS: Final = 50


@dataclass(frozen=True, slots=True)
class Marked:
    """A text with its middle at ``x``, ``y``."""

    x: float
    y: float
    name: str
    zone: ZoneNow | None


@dataclass(frozen=True, slots=True)
class PlanDrawing:
    """All lengths are in metres, as in the plan."""

    plan: FloorPlan
    labels: list[Marked]
    sensors: list[SensorNow]

    @property
    def view_box(self) -> str:
        return f"{-MARGIN} {-MARGIN} {self.plan.width + 2 * MARGIN} {self.plan.depth + 2 * MARGIN}"

    @property
    def letter(self) -> float:
        return self.plan.width / LETTERS

    @property
    def areas(self) -> list[str]:
        return [path(area.polygon) for area in self.plan.areas]

    @property
    def walls(self) -> list[str]:
        return [path(wall) for wall in self.plan.walls]

    @property
    def doors(self) -> list[Door]:
        return self.plan.doors

    @property
    def fixtures(self) -> list[Fixture]:
        return self.plan.fixtures


def plan_drawing(store: Store, snapshot: StoreSnapshot) -> PlanDrawing | None:
    """None for a store without a floor plan."""
    if store.floor_plan is None:
        return None
    plan = floor_plan.read(store.floor_plan)
    zones = {zone.name: zone for zone in snapshot.zones}
    return PlanDrawing(
        plan,
        [label(area, zones.get(area.name)) for area in plan.areas],
        [sensor for sensor in snapshot.sensors if sensor.x is not None and sensor.y is not None],
    )


def label(area: Area, zone: ZoneNow | None) -> Marked:
    x = [point[0] for point in area.polygon]
    y = [point[1] for point in area.polygon]
    return Marked((min(x) + max(x)) / 2, (min(y) + max(y)) / 2, area.name, zone)


def path(points: list[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
