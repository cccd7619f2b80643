"""The floor plan with what is known now: where people are, and how the sensors are."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

from analytics.counts.snapshot import SensorNow, StoreSnapshot, ZoneNow
from sensorapp.fleet import floor_plan
from sensorapp.fleet.floor_plan import Area, Door, Fixture, FloorPlan, Point
from sensorapp.fleet.models import Store

MARGIN: Final = 0.5
# The height of a letter is this part of the plan's width, and its width this part of its height.
LETTER_OF_WIDTH: Final = 1 / 50
WIDTH_OF_LETTER: Final = 0.6
LINE_HEIGHT: Final = 1.2


@dataclass(frozen=True, slots=True)
class Label:
    """Lines of text, the first one at ``y``, in the middle of an area; ``zone`` is what lies there."""

    x: float
    y: float
    lines: list[str]
    zone: ZoneNow | None


@dataclass(frozen=True, slots=True)
class PlanDrawing:
    """All lengths are in metres, as in the plan."""

    plan: FloorPlan
    letter: float
    labels: list[Label]
    sensors: list[SensorNow]

    @property
    def view_box(self) -> str:
        return f"{-MARGIN} {-MARGIN} {self.plan.width + 2 * MARGIN} {self.plan.depth + 2 * MARGIN}"

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
    letter = plan.width * LETTER_OF_WIDTH
    return PlanDrawing(
        plan,
        letter,
        [label(area, zones.get(area.name), letter) for area in plan.areas],
        [sensor for sensor in snapshot.sensors if sensor.x is not None and sensor.y is not None],
    )


def label(area: Area, zone: ZoneNow | None, letter: float) -> Label:
    xs, ys = zip(*area.polygon, strict=True)
    width = max(1, int((max(xs) - min(xs)) / (letter * WIDTH_OF_LETTER)))
    lines = textwrap.wrap(area.name, width, break_long_words=False)
    height = (len(lines) + (zone is not None)) * letter * LINE_HEIGHT
    # A text stands on its line, so the first one lies a letter below the top.
    top = (min(ys) + max(ys) - height) / 2 + letter
    return Label((min(xs) + max(xs)) / 2, round(top, 3), lines, zone)


def path(points: list[Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
