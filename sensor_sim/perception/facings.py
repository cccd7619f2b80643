"""A slot as a grid of spots: facings side by side, each some items deep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sensor_sim.detection import Box
from sensor_sim.perception.geometry import Point
from sensorapp import wire


class Spot(NamedTuple):
    """``facing`` counts from the left, ``row`` from the back; both begin with 0."""

    facing: int
    row: int


def find_spot(slot: wire.Slot, box: Box) -> Spot:
    """Where an item stands that has its middle in the slot.

    The polygon reaches from the feet of the front row to the heads of the back row: rows have their middles
    evenly around the polygon's. A box that is higher than the polygon may hold an item in front and what shows
    behind it; then it reaches beyond the feet of the front row.
    """
    facings, deep = slot.facings or 1, slot.deep
    x, y = box.centre
    left, right = _extent(slot.polygon, y)
    top, bottom = _extent([(y, x) for x, y in slot.polygon], x)
    facing = int((x - left) / (right - left) * facings)
    room = bottom - top - box.height
    if room > 0.0:
        row = round(((y - (top + bottom) / 2) / room + 0.5) * (deep - 1))
    else:
        row = deep - 1 if box.bottom > bottom else 0
    return Spot(_limited(facing, facings), _limited(row, deep))


def _extent(polygon: Sequence[Point], y: float) -> tuple[float, float]:
    """From where to where a polygon reaches across at a height at which it has points inside."""
    edges = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    met = [x0 + (y - y0) / (y1 - y0) * (x1 - x0) for (x0, y0), (x1, y1) in edges if (y0 > y) != (y1 > y)]
    return min(met), max(met)


def _limited(place: int, count: int) -> int:
    return min(max(place, 0), count - 1)
