"""A slot as a grid of spots: facings side by side, each some items deep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sensor_sim.detection import Box
from sensor_sim.perception.geometry import Point
from sensorapp import wire

# In units of the polygon's height: how much higher than its middle boxes have theirs, as they hold heads of those
# behind, and how far the rows' middles are apart at least, from the front to the back.
HEADS = 0.06
LEAST_ROOM = 0.1
# Fractions of the picture that a slot reaches at its corners, too.
NARROWEST = 1e-9


class Spot(NamedTuple):
    """``facing`` counts from the left, ``row`` from the back; both begin with 0."""

    facing: int
    row: int


def find_spot(slot: wire.Slot, box: Box) -> Spot:
    """Where an item stands that has its middle in the slot.

    The polygon reaches from the feet of the front row to the heads of the back row, and rows have their middles
    evenly around the polygon's, or a little higher: a box around an item in front holds the head of the one
    behind it too, and may be as high as the polygon.
    """
    facings, deep = slot.facings or 1, slot.deep
    x, y = box.centre
    left, right = _extent(slot.polygon, y)
    top, bottom = _extent([(y, x) for x, y in slot.polygon], x)
    facing = int((x - left) / (right - left) * facings)
    height = bottom - top
    middle, room = (top + bottom) / 2 - HEADS * height, max(height - box.height, LEAST_ROOM * height)
    row = round(((y - middle) / room + 0.5) * (deep - 1))
    return Spot(_limited(facing, facings), _limited(row, deep))


def _extent(polygon: Sequence[Point], y: float) -> tuple[float, float]:
    """From where to where a polygon reaches across at a height at which it has points inside."""
    edges = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    met = [x0 + (y - y0) / (y1 - y0) * (x1 - x0) for (x0, y0), (x1, y1) in edges if (y0 > y) != (y1 > y)]
    return min(met), max(max(met), min(met) + NARROWEST)


def _limited(place: int, count: int) -> int:
    return min(max(place, 0), count - 1)
