"""A pinhole camera above a floor.

The world is in metres: x to the right, y away from the camera along the floor, z up. The camera stands at
(0, 0, height). Its own axes are x to the picture's right, y down the picture, z along the line of sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import atan, cos, degrees, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The picture's shape that the focal length speaks of.
ASPECT = 4 / 3


class Raster(NamedTuple):
    """A grid of pixels over the camera's picture: ``focal`` in pixels, the optical axis meets (cx, cy)."""

    width: int
    height: int
    focal: float
    cx: float
    cy: float


@dataclass(frozen=True)
class Camera:
    """``pitch`` is downwards from the horizon, ``yaw`` to the right, ``roll`` clockwise, all in degrees;
    ``focal`` is the focal length in widths of a 4:3 picture."""

    height: float
    pitch: float
    focal: float
    yaw: float = 0.0
    roll: float = 0.0

    @cached_property
    def rotation(self) -> Floats:
        """3 x 3, from the world's axes to the camera's."""
        p, y, r = radians(self.pitch), radians(self.yaw), radians(self.roll)
        turn = np.array([[cos(y), -sin(y), 0.0], [sin(y), cos(y), 0.0], [0.0, 0.0, 1.0]])
        tilt = np.array([[1.0, 0.0, 0.0], [0.0, -sin(p), -cos(p)], [0.0, cos(p), -sin(p)]])
        spin = np.array([[cos(r), sin(r), 0.0], [-sin(r), cos(r), 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(spin @ tilt @ turn)

    @property
    def view(self) -> float:
        """The vertical angle of view of a 4:3 picture in degrees."""
        return degrees(2 * atan(0.5 / ASPECT / self.focal))

    @property
    def sees_below(self) -> bool:
        """Whether it sees what is straight below it, where people are seen from above."""
        return self.pitch + self.view / 2 >= 90

    @cached_property
    def position(self) -> Floats:
        return np.array([0.0, 0.0, self.height])

    def raster(self, width: int, height: int) -> Raster:
        """Pixels of a picture of that size; shapes other than 4:3 see the middle of it."""
        full = max(width, height * ASPECT)
        return Raster(width, height, self.focal * full, width / 2, height / 2)

    def seen(self, points: Floats) -> Floats:
        """World to camera axes, N x 3."""
        return np.asarray((points - self.position) @ self.rotation.T)

    def project(self, points: Floats, raster: Raster) -> Floats:
        """N x 3 world points before the camera to N x 2 pixels."""
        p = self.seen(points)
        return p[:, :2] * (raster.focal / p[:, 2:]) + (raster.cx, raster.cy)

    def rays(self, raster: Raster, rows: slice) -> Floats:
        """Directions in the world through the centres of the pixels of some rows: rows x width x 3."""
        x = (np.arange(raster.width) + 0.5 - raster.cx) / raster.focal
        y = (np.arange(raster.height)[rows] + 0.5 - raster.cy) / raster.focal
        grid = np.stack(np.broadcast_arrays(x[None, :], y[:, None], 1.0), axis=-1)
        return np.asarray(grid @ self.rotation)

    def floor_at(self, x: float, y: float) -> tuple[float, float] | None:
        """The floor's point (metres) at a point of the 4:3 picture (fractions); None above the horizon."""
        ray = np.array([(x - 0.5) / self.focal, (y - 0.5) / ASPECT / self.focal, 1.0]) @ self.rotation
        if ray[2] > -1e-3:
            return None
        far = -self.height / ray[2]
        return float(ray[0] * far), float(ray[1] * far)
