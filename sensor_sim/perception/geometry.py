"""Points and polygons in fractions of the picture."""

from __future__ import annotations

from collections.abc import Sequence

from sensor_sim.detection import Box

Point = tuple[float, float]

# Closer to the picture's edge than this, a box is cut off by it.
EDGE = 0.015
# The foot of a person cut off by the edge lies beyond it, by at least this share of what is seen.
BEYOND = 0.1


def foot(box: Box) -> Point:
    """Where a person stands: the middle of the box's lower side, inside the picture."""
    x = (box.left + box.right) / 2
    return min(max(x, 0.0), 1.0), min(max(box.bottom, 0.0), 1.0)


def foot_beyond_edges(box: Box) -> Point:
    """Like :func:`foot`; where an edge of the picture cuts the box off, the foot is taken to lie outside."""
    x, y = (box.left + box.right) / 2, box.bottom
    if box.left < EDGE and box.right <= 1 - EDGE:
        x -= BEYOND * box.width
    if box.right > 1 - EDGE and box.left >= EDGE:
        x += BEYOND * box.width
    if box.bottom > 1 - EDGE:
        y = max(y, 1.0) + BEYOND * box.height
    return x, y


def inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Even-odd rule (Shimrat 1962): a ray to the right meets the outline an odd number of times."""
    x, y = point
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


def area(polygon: Sequence[Point]) -> float:
    """Enclosed area in fractions of the picture's (shoelace formula)."""
    pairs = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs)) / 2
