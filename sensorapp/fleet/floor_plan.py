"""What ``Store.floor_plan`` holds: a store drawn in metres.

The origin is the top left corner, x grows to the right and y downwards, so that a drawing can take the
numbers as they are. An area has the name of the zone that lies there, and a door that of its entrance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sensorapp import wire

Metres = Annotated[float, Meta(ge=0.0, le=1_000.0)]
Length = Annotated[float, Meta(gt=0.0, le=1_000.0)]
Point = tuple[Metres, Metres]
FixtureKind = Literal["shelf", "fridge", "rack", "table", "counter", "checkout", "stairs"]


class Part(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A part of a floor plan."""


class Area(Part, frozen=True):
    name: wire.Name
    polygon: Annotated[list[Point], Meta(min_length=3, max_length=64)]


class Door(Part, frozen=True):
    """An opening in the walls, from one post to the other."""

    name: wire.Name
    posts: tuple[Point, Point]


class Fixture(Part, frozen=True):
    """A piece of furniture: a rectangle with its top left corner at ``x``, ``y``."""

    kind: FixtureKind
    x: Metres
    y: Metres
    width: Length
    depth: Length
    name: str = ""


class FloorPlan(Part, frozen=True):
    """``walls`` are open lines of two points or more."""

    width: Length
    depth: Length
    walls: list[Annotated[list[Point], Meta(min_length=2, max_length=256)]] = []
    areas: list[Area] = []
    doors: list[Door] = []
    fixtures: list[Fixture] = []

    def __post_init__(self) -> None:
        for what, (x, y) in self._points():
            if x > self.width or y > self.depth:
                raise ValueError(
                    f"{what}: the point ({x}, {y}) lies outside of {self.width} by {self.depth} metres;"
                    " move it or enlarge the plan"
                )

    def _points(self) -> Iterator[tuple[str, Point]]:
        yield from (("walls", point) for wall in self.walls for point in wall)
        yield from ((f"area {area.name}", point) for area in self.areas for point in area.polygon)
        yield from ((f"door {door.name}", post) for door in self.doors for post in door.posts)
        for fixture in self.fixtures:
            yield f"fixture {fixture.name or fixture.kind}", (fixture.x, fixture.y)
            corner = fixture.x + fixture.width, fixture.y + fixture.depth
            yield f"fixture {fixture.name or fixture.kind}", corner


def read(document: Any) -> FloorPlan:
    """A floor plan from plain dicts and lists; raises :class:`sensorapp.wire.WireError` naming the field."""
    return wire.convert(document, FloorPlan)


def plain(plan: FloorPlan) -> Any:
    """As it is kept in ``Store.floor_plan``."""
    return msgspec.to_builtins(plan)
