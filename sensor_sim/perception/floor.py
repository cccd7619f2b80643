"""Distances on the floor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import UNSET

from sensor_sim.detection import Box
from sensor_sim.perception.geometry import Point
from sensorapp import wire

# The whole pixel array, of which a camera's angle of view is.
ASPECT = 4 / 3
# So much of the floor (metres) the box of somebody who stands covers, where a camera looks steeply down.
PERSON = 1.67
# Feet tremble by a share of the box: a metre that is seen small, far away, counts no more than so much of the box does.
MOST = 1.5


class LineOnFloor:
    """How far a place is from a line: in metres where the scene tells the camera's height, and about so by the size
    of the person who stands there where it does not.
    """

    def __init__(self, points: tuple[Point, Point], camera: wire.Camera | None) -> None:
        height = camera.height_metres if camera else UNSET
        self._plan = _Plan(camera, height) if camera and height is not UNSET else None
        self.in_metres = self._plan is not None
        self._points = points
        self._ends = a, b = tuple(map(self._plan.place, points)) if self._plan else points
        self._length = max(math.dist(a, b), 1e-9)

    def distance(self, point: Point, box: Box) -> float:
        """Signed, positive on the right hand of who looks along the line."""
        (ax, ay), (bx, by) = self._points
        # By the extent of the box across the line, so that it does not matter that fractions of the width and of the
        # height are different lengths.
        across = abs(by - ay) * box.width + abs(bx - ax) * box.height
        guess = PERSON * _beside(self._points, point) / max(across, 1e-9)
        if not self._plan:
            return guess
        return min(_beside(self._ends, self._plan.place(point)) / self._length, MOST * guess, key=abs)


def _beside(line: Sequence[Point], point: Point) -> float:
    """The distance times the line's length, positive on the right hand where y grows towards who looks."""
    (ax, ay), (bx, by), (x, y) = *line, point
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


class _Plan:
    """The floor as a camera sees it that is not turned to a side (pinhole camera)."""

    def __init__(self, camera: wire.Camera, height: float) -> None:
        tilt = math.radians(camera.tilt_degrees)
        self._sin, self._cos = math.sin(tilt), math.cos(tilt)
        self._reach, self._height = math.tan(math.radians(camera.view_degrees / 2)), height

    def place(self, point: Point) -> Point:
        """Metres to the right of the camera, and towards it (less than 0 before it)."""
        right, down = (2 * point[0] - 1) * self._reach * ASPECT, (2 * point[1] - 1) * self._reach
        below, ahead = self._sin + down * self._cos, self._cos - down * self._sin
        scale = self._height / max(below, wire.LEAST_BELOW)
        return right * scale, -ahead * scale
