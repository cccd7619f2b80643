"""Points and polygons in fractions of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sensor_sim.detection import Box
from sensorapp import wire

Point = tuple[float, float]

# Closer to the picture's edge than this, a box is cut off by it.
EDGE = 0.015
# The picture's right and lower edge as ``inside`` has it, to which they do not belong.
LAST = math.nextafter(1.0, 0.0)
# The foot of a person cut off by an edge is taken to be farther out by this share of what is seen.
BEYOND = 0.1
# Who leans is seen so far out of where they stand: by this share of the box's height along the way from the nadir (less
# than half, as shoulders are nearer to the camera than feet), and at most by this share of its width.
LEAN, MOST_LEAN = 0.4, 0.3


def cut_at_side(box: Box) -> bool:
    """Whether the picture's left or right edge shows only a part of what is in the box."""
    return box.left < EDGE or box.right > 1 - EDGE


def cut(box: Box) -> bool:
    """Whether an edge of the picture shows only a part of what is in the box, and the foot is beyond it."""
    return cut_at_side(box) or box.bottom > 1 - EDGE


def find_nadir(camera: wire.Camera) -> Point:
    """The point of the picture straight below the camera, from which all that is upright leads away: below the
    picture's lower edge (pinhole camera, not turned to a side)."""
    below = math.tan(math.radians(90 - camera.tilt_degrees)) / math.tan(math.radians(camera.view_degrees / 2))
    return 0.5, 0.5 + below / 2


def foot(box: Box, nadir: Point | None = None) -> Point:
    """Where a person stands: the middle of the box's lower side, moved in where people are seen leaning away
    from the ``nadir``.

    Where an edge of the picture cuts the box off, the foot lies farther out than the middle of what is seen,
    perhaps outside the picture; a lean counts against that.
    """
    x, y = (box.left + box.right) / 2, box.bottom
    if nadir:
        x -= _lean(box, nadir)
    beyond_left, beyond_right = box.left < EDGE, box.right > 1 - EDGE
    if beyond_left or beyond_right:
        return x + BEYOND * box.width * (beyond_right - beyond_left), y
    if y > 1 - EDGE:
        return x, max(y, 1.0) + BEYOND * box.height
    return x, y


def _lean(box: Box, nadir: Point) -> float:
    """How far to the right of where a person stands the middle of their box is."""
    (x, y), reach, most = box.centre, LEAN * box.height, MOST_LEAN * box.width
    lean = (x - nadir[0]) * reach / max(nadir[1] - y, reach, 1e-9)
    return min(max(lean, -most), most)


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
