"""What does not move: floor, walls, the front with its door and windows, the street behind, and furniture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.camera import Camera, Raster
from sensor_sim.pixels.rendered.solids import Colour, Patch, Placed
from sensor_sim.pixels.rendered.surfaces import Surface

ROWS = 128  # of pixels computed at once
FAR = 60.0


class Panel(NamedTuple):
    """A rectangle on the front, metres: x and z of its sides. Glass lets most of what is behind through."""

    left: float
    right: float
    low: float
    high: float
    colour: Colour
    opacity: float = 1.0


class Opening(NamedTuple):
    left: float
    right: float
    high: float


class Room(NamedTuple):
    """``front`` is the y of the wall with the door; without an ``opening`` nothing behind it can be seen.
    The street beyond ends at a row of houses ``street`` metres on."""

    front: float
    left: float
    right: float
    floor: Surface
    wall: Surface
    turned: float = 0.0  # of the floor's pattern, radians
    opening: Opening | None = None
    panels: Sequence[Panel] = ()
    pavement: Surface | None = None
    houses: Surface | None = None
    street: float = 9.0
    lamp: tuple[float, float] = (0.0, 2.0)  # where the floor is brightest
    falloff: float = 0.15
    gloss: float = 0.1
    furniture: Sequence[Placed] = ()


class Backdrop(NamedTuple):
    """``front`` is the share (0 to 1) of each pixel that the front wall covers, height x width x 1; ``floor``
    the share in which the floor is seen, height x width."""

    image: Image
    front: Patch
    floor: Patch


def backdrop(room: Room, camera: Camera, raster: Raster, light: float) -> Backdrop:
    """Drawn with twice the pixels each way where there are few, so that edges are smooth."""
    fine = 2 if raster.width <= 1100 else 1
    full = Raster(
        raster.width * fine, raster.height * fine, raster.focal * fine, raster.cx * fine, raster.cy * fine
    )
    strips = [
        _strip(room, camera, full, slice(row, min(row + ROWS, full.height)), light)
        for row in range(0, full.height, ROWS)
    ]
    size = (raster.width, raster.height)
    image, front, floor = (
        cv2.resize(np.concatenate(parts), size, interpolation=cv2.INTER_AREA)
        for parts in zip(*strips, strict=True)
    )
    return Backdrop(
        np.asarray(image, np.uint8), np.asarray(front, np.float32)[..., None], np.asarray(floor, np.float32)
    )


def _strip(room: Room, camera: Camera, raster: Raster, rows: slice, light: float) -> tuple[Patch, ...]:
    rays = camera.rays(raster, rows).astype(np.float32)
    shape = rays.shape[:2]
    x, y, z = rays.reshape(-1, 3).T
    to_floor = np.where(z < -1e-4, -camera.height / np.minimum(z, -1e-4), FAR)
    to_front = np.where(y > 1e-3, room.front / np.maximum(y, 1e-3), FAR)
    to_side = np.where(x > 0, room.right, room.left) / np.where(np.abs(x) > 1e-3, x, 1e-3)
    to_side[to_side <= 0] = FAR
    front = (to_front <= to_floor) & (to_front < to_side)
    side = (to_side <= to_floor) & ~front
    base, over = np.zeros((len(x), 3), np.float32), np.zeros((len(x), 3), np.float32)
    opacity = np.zeros(len(x), np.float32)
    t = to_side[side]
    base[side] = _side(room, y[side] * t, camera.height + z[side] * t)
    t = to_front[front]
    over[front], opacity[front] = _front(room, x[front] * t, camera.height + z[front] * t)
    outside = front & (opacity < 1)
    base[outside] = _outside(room, camera, x[outside], y[outside], z[outside], light)
    floor = ~front & ~side
    t = to_floor[floor]
    base[floor] = _floor(room, x[floor] * t, y[floor] * t)
    seen = (floor | (outside & (to_floor < FAR))) * (1 - opacity)
    image = base + opacity[:, None] * (over - base)
    return (
        np.clip(image + 0.5, 0, 255).astype(np.uint8).reshape(*shape, 3),
        opacity.reshape(shape),
        seen.astype(np.float32).reshape(shape),
    )


def _floor(room: Room, x: Patch, y: Patch) -> Patch:
    c, s = np.float32(np.cos(room.turned)), np.float32(np.sin(room.turned))
    colour = room.floor.at(c * x + s * y, c * y - s * x)
    away = np.hypot(x - room.lamp[0], y - room.lamp[1])
    tone = 1 + room.falloff * (0.8 - np.minimum(away / 2.5, 2.0))
    # Floors mirror the bright front a little where it is near.
    mirrored = room.gloss * np.exp((y - room.front) / 0.7)
    return np.asarray(colour * (tone * (1 - mirrored))[:, None] + (215 * mirrored)[:, None], np.float32)


def _side(room: Room, y: Patch, z: Patch) -> Patch:
    z = np.clip(z, 0, 3)
    shade = 0.82 + 0.1 * z / 3 - 0.18 * np.exp(-z / 0.15)
    return np.asarray(room.wall.at(y, z) * shade[:, None], np.float32)


def _front(room: Room, x: Patch, z: Patch) -> tuple[Patch, Patch]:
    low = np.clip(z, 0, 3)
    shade = 0.95 + 0.08 * low / 3 - 0.12 * np.exp(-low / 0.2)
    colour = np.asarray(room.wall.at(x, z) * shade[:, None], np.float32)
    opacity = np.ones(x.shape, np.float32)
    for panel in room.panels:
        within = (x > panel.left) & (x < panel.right) & (z > panel.low) & (z < panel.high)
        colour[within] = panel.colour
        opacity[within] = panel.opacity
    if room.opening:
        opacity[(x > room.opening.left) & (x < room.opening.right) & (z < room.opening.high)] = 0.0
    return colour, opacity


def _outside(room: Room, camera: Camera, x: Patch, y: Patch, z: Patch, light: float) -> Patch:
    to_houses = (room.front + room.street) / y
    ground = z * to_houses < -camera.height
    pavement, houses = room.pavement or room.floor, room.houses or room.wall
    colour = np.empty((len(x), 3), np.float32)
    far = -camera.height / z[ground]
    colour[ground] = pavement.at(x[ground] * far, y[ground] * far)
    far = to_houses[~ground]
    colour[~ground] = 0.8 * houses.at(x[~ground] * far / 2, (camera.height + z[~ground] * far) / 2)
    # By day it is brighter outside than in the shop; at night dark and blue.
    night = np.array([70, 55, 45], np.float32) * 0.4
    return np.asarray(colour * (0.25 + 0.95 * light) + night * (1 - light), np.float32)
