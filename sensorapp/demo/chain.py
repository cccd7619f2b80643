"""The demo chain as ``fixtures/demo`` describes it, and the scenes that follow from the description."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from sensor_sim.fleet.plan import Campaign, Demand, Drift, Holiday, OpeningHours, PowerCut
from sensorapp import wire
from sensorapp.accounts.models import Role
from sensorapp.fleet.floor_plan import FloorPlan
from sensorapp.stack import paths

FOLDER = paths.ROOT / "fixtures" / "demo"
WHOLE_PICTURE = (0.05, 0.08, 0.95, 0.92)
# A line across the picture from left to right: forward is downwards.
ACROSS: tuple[wire.Point, wire.Point] = ((0.06, 0.5), (0.94, 0.5))
GAP = 0.01


class FixtureError(Exception):
    """A fixture that cannot be used; the message names the file and the field."""


class Part(Struct, forbid_unknown_fields=True, frozen=True):
    """A part of the description."""


class Product(Part, frozen=True):
    """``facings`` stand side by side, and behind them as many as it takes to hold ``capacity`` units."""

    name: wire.Name
    item: wire.Name
    facings: Annotated[int, Meta(ge=1, le=100)]
    capacity: Annotated[int, Meta(ge=1, le=10_000)]
    weight: float

    @property
    def deep(self) -> int:
        return -(-self.capacity // self.facings)


class Person(Part, frozen=True):
    email: str
    name: str
    role: Role
    stores: list[str] | None = None


class Mounted(Part, frozen=True):
    """A sensor at a place of the floor plan, looking somewhere."""

    name: wire.Name
    at: tuple[float, float]
    heading: float


class DoorSensor(Mounted, frozen=True):
    entrance: str
    share: float
    entry_direction: wire.Direction = "forward"
    drift: Drift | None = None

    def scene(self) -> wire.Scene:
        return wire.Scene(version=0, privacy="counts", lines=[wire.Line(0, self.name, ACROSS)])


class FreeSensor(Mounted, frozen=True):
    """A sensor that waits for somebody's own video; ``scene`` is a file, ``line`` crosses the entrance."""

    entrance: str
    scene: str
    line: int
    entry_direction: wire.Direction = "forward"


class ZoneShape(Part, frozen=True):
    name: wire.Name
    weight: float
    dwell_s: float
    spread: float = 0.7
    checkout: bool = False
    picks: float = 0.0


class ZoneSensor(Mounted, frozen=True):
    zones: list[ZoneShape]

    def scene(self) -> wire.Scene:
        boxes = grid(1, len(self.zones))
        zones = [
            wire.Zone(number, zone.name, polygon(box))
            for number, (zone, box) in enumerate(zip(self.zones, boxes, strict=True), 1)
        ]
        return wire.Scene(version=0, zones=zones)


class ShelfSensor(Mounted, frozen=True):
    """``rows`` are the products on its boards, from the top left."""

    zone: str
    rows: list[list[str]]

    @property
    def products(self) -> list[str]:
        return [sku for row in self.rows for sku in row]

    def scene(self, products: dict[str, Product]) -> wire.Scene:
        boxes = [
            box for number, row in enumerate(self.rows) for box in grid(len(self.rows), len(row), number)
        ]
        names = [f"{chr(65 + r)}-{c:02}" for r, row in enumerate(self.rows) for c in range(1, len(row) + 1)]
        planned = [products[sku] for sku in self.products]
        slots = [
            wire.Slot(number, name, product.item, polygon(box), product.facings, product.deep)
            for number, (name, product, box) in enumerate(zip(names, planned, boxes, strict=True), 1)
        ]
        items = sorted({product.item for product in planned})
        return wire.Scene(version=0, privacy="counts", detect=wire.Detect(items, 0.5), slots=slots)


class StoreShape(Part, frozen=True):
    name: str
    slug: str
    city: str
    country: str
    time_zone: str
    opening_hours: list[OpeningHours | None]
    demand: Demand
    entrances: list[str]
    floor_plan: FloorPlan
    doors: list[DoorSensor]
    zones: list[ZoneSensor]
    shelves: list[ShelfSensor]
    free: FreeSensor | None = None
    power_cuts: list[PowerCut] = []


class Models(Part, frozen=True):
    person: wire.PackageDigest
    product: wire.PackageDigest


class ChainShape(Part, frozen=True, dict=True):
    name: str
    slug: str
    seed: int
    history_days: int
    models: Models
    people: list[Person]
    campaigns: list[Campaign]
    stores: list[str]
    holidays: dict[str, list[Holiday]]
    products: dict[str, Product]

    @cached_property
    def store_shapes(self) -> list[StoreShape]:
        shapes = [read(FOLDER / f"{slug}.yaml", StoreShape) for slug in self.stores]
        for shape in shapes:
            check(shape, self.products)
        if sum(shape.free is not None for shape in shapes) > 1:
            raise FixtureError(f"{FOLDER}: one store has the free sensor, not several")
        return shapes

    @property
    def free(self) -> tuple[StoreShape, FreeSensor] | None:
        """The store that has the free sensor, and the sensor."""
        return next(((shape, shape.free) for shape in self.store_shapes if shape.free), None)


Kind = TypeVar("Kind")


def read_chain() -> ChainShape:
    """Read ``fixtures/demo``; raises :class:`FixtureError`."""
    return read(FOLDER / "chain.yaml", ChainShape)


def read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FixtureError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise FixtureError(f"{path}: {error}") from None


def read_scene(shape: FreeSensor) -> wire.Scene:
    path = FOLDER / shape.scene
    try:
        return wire.decode(path.read_bytes(), wire.Scene)
    except OSError as error:
        raise FixtureError(f"{path}: {error.strerror}") from None
    except wire.WireError as error:
        raise FixtureError(f"{path}: {error}") from None


def check(shape: StoreShape, products: dict[str, Product]) -> None:
    """What the types cannot say: that everything named is there, and once."""
    zones = [zone.name for sensor in shape.zones for zone in sensor.zones]
    areas = {area.name for area in shape.floor_plan.areas}
    named: list[tuple[str, str, Any]] = [
        *(("entrance", door.entrance, shape.entrances) for door in shape.doors),
        *(
            ("door of the floor plan", name, {d.name for d in shape.floor_plan.doors})
            for name in shape.entrances
        ),
        *(("area of the floor plan", zone, areas) for zone in zones),
        *(("zone", shelf.zone, zones) for shelf in shape.shelves),
        *(("product", sku, products) for shelf in shape.shelves for sku in shelf.products),
    ]
    for what, name, known in named:
        if name not in known:
            raise FixtureError(f"{shape.slug}.yaml: there is no {what} {name!r}")
    names = [sensor.name for sensor in sensors(shape)]
    for what, all_names in (("sensor", names), ("zone", zones)):
        if twice := {name for name in all_names if all_names.count(name) > 1}:
            raise FixtureError(f"{shape.slug}.yaml: the {what} name {min(twice)!r} is used twice")


def sensors(shape: StoreShape) -> list[Mounted]:
    free = [shape.free] if shape.free else []
    return [*shape.doors, *free, *shape.zones, *shape.shelves]


def grid(rows: int, columns: int, row: int = 0) -> Iterator[tuple[float, float, float, float]]:
    """The boxes of one row of a grid over the picture, as left, top, right, bottom."""
    left, top, right, bottom = WHOLE_PICTURE
    width, height = (right - left) / columns, (bottom - top) / rows
    for column in range(columns):
        x, y = left + column * width, top + row * height
        yield x + GAP, y + GAP, x + width - GAP, y + height - GAP


def polygon(box: tuple[float, float, float, float]) -> list[wire.Point]:
    left, top, right, bottom = (round(edge, 3) for edge in box)
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
