"""Points and polygons in fractions of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sensor_sim.detection import Box

Point = tuple[float, float]

# Closer to the picture's edge than this, a box is cut off by it.
EDGE = 0.015
# The picture's right and lower edge as ``inside`` has it, to which they do not belong.
LAST = math.nextafter(1.0, 0.0)
# The foot of a person cut off by an edge is farther out by at least this share of what is seen.
BEYOND = 0.1


def cut_at_side(box: Box) -> bool:
    """Whether the picture's left or right edge shows only a part of what is in the box."""
    return box.left < EDGE or box.right > 1 - EDGE


def cut(box: Box) -> bool:
    """Whether an edge of the picture shows only a part of what is in the box, and the foot is beyond it."""
    return cut_at_side(box) or box.bottom > 1 - EDGE


def foot(box: Box) -> Point:
    """Where a person stands: the middle of the box's lower side.

    Where an edge of the picture cuts the box off, the foot lies farther out than what is seen, perhaps
    outside the picture.
    """
    x, y = (box.left + box.right) / 2, box.bottom
    beyond_left, beyond_right = box.left < EDGE, box.right > 1 - EDGE
    if beyond_left or beyond_right:
        return x + BEYOND * box.width * (beyond_right - beyond_left), y
    if y > 1 - EDGE:
        return x, max(y, 1.0) + BEYOND * box.height
    return x, y


def clamped(point: Point) -> Point:
    """The nearest point inside the picture."""
    return min(max(point[0], 0.0), LAST), min(max(point[1], 0.0), LAST)


def inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Even-odd rule (Shimrat 1962): a ray to the right meets the outline an odd number of times."""
    x, y = point
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd
