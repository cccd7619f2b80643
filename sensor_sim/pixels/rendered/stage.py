"""A room with people and things in it, as the camera sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered import Thing, View
from sensor_sim.pixels.rendered.backdrop import Backdrop, Room, backdrop
from sensor_sim.pixels.rendered.camera import ASPECT, Camera, Floats, Raster
from sensor_sim.pixels.rendered.solids import (
    NEAR,
    Colour,
    Painted,
    Patch,
    Placed,
    Projected,
    lit,
    outlines,
    paint,
    project,
    put,
)

MASK_WIDTH = 192  # pixels of the picture in which it is found out who hides whom
LIGHT_STATES = 16  # steps in which the backdrop follows the light
LEAST_SEEN = 0.0005  # of the picture's area: of less, nothing is there to be found
TOES = 0.15  # metres before their middle, towards the camera, where the toes are of people who stand still


class Actor(NamedTuple):
    """Somebody or something that stands on the floor at (x, y); unlabelled ones only hide others."""

    number: int
    label: str
    placed: Placed
    x: float
    y: float
    blur: tuple[float, float] = (0.0, 0.0)  # on the floor, metres moved while the shutter was open


class Pane(NamedTuple):
    """A door's leaf in the plane of the front: x of its sides, and its height."""

    left: float
    right: float
    high: float
    colour: Colour


class Look(NamedTuple):
    """Where the light comes from (world axes), its share, how dark shadows are, and the picture's tint."""

    sun: tuple[float, float, float]
    share: float
    shadow: float
    tint: Colour = (1.0, 1.0, 1.0)


def toes(spots: Iterable[tuple[float, float]]) -> Floats:
    """Where on the floor the toes are of people who stand still there, N x 3."""
    return np.array([[x, y - TOES, 0.0] for x, y in spots])


class Stage:
    """``draw`` may be asked for any size; the backdrop is kept for the last few sizes and states of light."""

    def __init__(self, room: Room, camera: Camera, look: Look) -> None:
        self.room, self.camera, self.look = room, camera, look
        self._light = lit(camera, look.sun, look.share)
        self._backdrops: dict[tuple[int, int, int], Backdrop] = {}
        self._furniture = [
            Actor(-1 - i, "", placed, float(placed.a[:, 0].mean()), float(placed.a[:, 1].mean()))
            for i, placed in enumerate(room.furniture)
        ]

    def draw(
        self, actors: Sequence[Actor], width: int, height: int, light: float, panes: Sequence[Pane] = ()
    ) -> View:
        raster = self.camera.raster(width, height)
        behind = self._backdrop(raster, light)
        # Those behind the front come first, however far to a side somebody before it stands.
        everybody = sorted([*actors, *self._furniture], key=self._depth, reverse=True)
        beyond = sum(self._is_beyond(actor) for actor in everybody)
        image = behind.image.copy()
        things: list[Thing] = []
        painted: list[Painted | None] = []
        if everybody:
            projected = project([actor.placed for actor in everybody], self.camera, raster)
            things = self._things(everybody, projected, raster, beyond)
            _shade(image, behind, self._shadows(everybody, raster), self.look.shadow)
            painted = list(self._painted(everybody, projected, raster))
        _through(image, behind, painted[:beyond], 0.35 + 0.65 * light)
        for pane in panes:
            _glass(image, self._corners(pane, raster), pane.colour)
        for one in filter(None, painted[beyond:]):
            put(image, one)
        return View(_tinted(image, self.look.tint), light, things)

    def _depth(self, actor: Actor) -> tuple[bool, float]:
        return self._is_beyond(actor), actor.x * actor.x + actor.y * actor.y

    def _is_beyond(self, actor: Actor) -> bool:
        return actor.y > self.room.front

    def _things(
        self, far_first: Sequence[Actor], projected: Projected, raster: Raster, beyond: int
    ) -> list[Thing]:
        """Boxes from the outlines, visible shares from a small picture of numbers, always of the same size.

        The first ``beyond`` actors stand behind the front wall.
        """
        scale = MASK_WIDTH / max(raster.width, raster.height * ASPECT)
        columns, rows = max(round(raster.width * scale), 1), max(round(raster.height * scale), 1)
        shapes = outlines(projected.scaled(scale))
        polygons = _fixed(shapes)
        numbers = np.zeros((rows, columns), np.int16)
        if beyond:
            _number(numbers, polygons, projected.starts, range(beyond))
            wall = self._backdrop(self.camera.raster(columns, rows), 1.0).front[..., 0]
            numbers[wall > 0.5] = 0
        _number(numbers, polygons, projected.starts, range(beyond, len(far_first)))
        counts = np.bincount(numbers.ravel(), minlength=len(far_first) + 1)[1:].tolist()
        things = []
        for i, (actor, count) in enumerate(zip(far_first, counts, strict=True)):
            if actor.label and count > LEAST_SEEN * rows * columns:
                shape = shapes[projected.starts[i] : projected.starts[i + 1]]
                visible = min(count / _area(shape), 1.0)
                box, mark = _box(shape, columns, rows), self._mark(actor.placed, columns, rows)
                if actor.label == "person" and not self.camera.sees_below:
                    box = self._standing(box, actor, columns, rows)
                things.append(Thing(actor.number, actor.label, box, visible, mark))
        return things

    def _standing(self, box: Box, actor: Actor, columns: int, rows: int) -> Box:
        """The box ended where the person's toes would be if the person stood still, not at the foremost foot.

        Feet swing to and fro by a tenth of the box, and it is the person who crosses a line.
        """
        where = toes([(actor.x, actor.y)])
        if float(self.camera.seen(where)[0, 2]) < NEAR:
            return box
        end = float(self.camera.project(where, self.camera.raster(columns, rows))[0, 1]) / rows
        return box._replace(bottom=min(max(end, box.top), 1.0))

    def _mark(self, placed: Placed, columns: int, rows: int) -> Box | None:
        """The square around the thing's mark, in fractions of the picture."""
        if placed.mark is None:
            return None
        middle, radius = placed.mark
        depth = float(self.camera.seen(middle[None])[0, 2])
        if depth < NEAR:
            return None
        raster = self.camera.raster(columns, rows)
        (x, y), reach = self.camera.project(middle[None], raster)[0].tolist(), radius * raster.focal / depth
        return Box((x - reach) / columns, (y - reach) / rows, (x + reach) / columns, (y + reach) / rows)

    def _backdrop(self, raster: Raster, light: float) -> Backdrop:
        state = round(light * LIGHT_STATES) if self.room.opening else LIGHT_STATES
        key = (raster.width, raster.height, state)
        if key not in self._backdrops:
            if len(self._backdrops) >= 4:
                self._backdrops.pop(next(iter(self._backdrops)))
            self._backdrops[key] = backdrop(self.room, self.camera, raster, state / LIGHT_STATES)
        return self._backdrops[key]

    def _painted(
        self, actors: Sequence[Actor], projected: Projected, raster: Raster
    ) -> Iterator[Painted | None]:
        for actor, one in zip(actors, paint(projected, raster, self._light), strict=True):
            yield self._smeared(one, actor, raster) if one and actor.blur != (0.0, 0.0) else one

    def _smeared(self, painted: Painted, actor: Actor, raster: Raster) -> Painted:
        foot = np.array([[actor.x, actor.y, 0.8], [actor.x + actor.blur[0], actor.y + actor.blur[1], 0.8]])
        if self.camera.seen(foot)[:, 2].min() < 0.3:
            return painted
        a, b = self.camera.project(foot, raster)
        return painted._replace(patch=_smeared(painted.patch, b - a))

    def _shadows(self, actors: Sequence[Actor], raster: Raster) -> Patch:
        """How much of the light is kept from the floor, 0 to 1, at a quarter of the size or less."""
        small = self.camera.raster(max(raster.width // 4, 80), max(raster.height // 4, 60))
        mask = np.zeros((small.height, small.width), np.uint8)
        flat = project([_flat(actor.placed, self.look.sun) for actor in actors], self.camera, small)
        for outline in _fixed(outlines(flat)):
            cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_8, 4)
        soft = cv2.GaussianBlur(mask, (0, 0), max(small.width / 80, 1.0))
        return np.asarray(soft, np.float32) / np.float32(255)

    def _corners(self, pane: Pane, raster: Raster) -> Floats:
        y = self.room.front
        return self.camera.project(
            np.array([[x, y, z] for x, z in ((pane.left, 0.0), (pane.right, 0.0), (pane.right, pane.high), (pane.left, pane.high))]),
            raster,
        )  # fmt: skip


def _number(
    picture: NDArray[np.int16], polygons: NDArray[np.int32], starts: Sequence[int], things: range
) -> None:
    """Thing i becomes i + 1."""
    for i in things:
        for polygon in polygons[starts[i] : starts[i + 1]]:
            cv2.fillConvexPoly(picture, polygon, i + 1, cv2.LINE_8, 4)


def _fixed(outline: Floats) -> NDArray[np.int32]:
    """Points for OpenCV in sixteenths of a pixel, whose pixels' centres are whole."""
    return np.clip((outline - 0.5) * 16, -(2**19), 2**19).astype(np.int32)


def _box(shape: Floats, columns: int, rows: int) -> Box:
    low = np.clip(shape.min(axis=(0, 1)) / (columns, rows), 0, 1)
    high = np.clip(shape.max(axis=(0, 1)) / (columns, rows), 0, 1)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def _area(shape: Floats) -> int:
    """Pixels within the outlines, wherever they lie."""
    low = np.floor(shape.min(axis=(0, 1)))
    width, height = np.minimum(np.ceil(shape.max(axis=(0, 1))) - low + 1, 4 * MASK_WIDTH).astype(int)
    mask = np.zeros((height, width), np.uint8)
    for outline in _fixed(shape - low):
        cv2.fillConvexPoly(mask, outline, 1, cv2.LINE_8, 4)
    return max(int(cv2.countNonZero(mask)), 1)


def _flat(placed: Placed, sun: tuple[float, float, float]) -> Placed:
    """The shadow: every solid along the light's way down to the floor."""
    slope = np.array([sun[0] / sun[2], sun[1] / sun[2], 1.0])
    axes = placed.axes.copy()
    axes[:, 2] *= 0.02
    return Placed(
        placed.a - placed.a[:, 2:] * slope,
        placed.b - placed.b[:, 2:] * slope,
        placed.radii,
        axes,
        placed.cloths,
    )


def _shade(image: Image, behind: Backdrop, shadows: Patch, depth: float) -> None:
    rows, columns = np.nonzero(shadows > 0.02)
    if not len(rows):
        return
    height, width = image.shape[:2]
    fy, fx = height / shadows.shape[0], width / shadows.shape[1]
    top, bottom = int(rows.min() * fy), min(int((rows.max() + 1) * fy) + 1, height)
    left, right = int(columns.min() * fx), min(int((columns.max() + 1) * fx) + 1, width)
    whole = cv2.resize(shadows, (width, height), interpolation=cv2.INTER_LINEAR)[top:bottom, left:right]
    part = image[top:bottom, left:right]
    part[...] = part * (1.0 - depth * whole * behind.floor[top:bottom, left:right])[..., None]


def _through(image: Image, behind: Backdrop, outside: Sequence[Painted | None], bright: float) -> None:
    """People beyond the front, seen through its door and windows; at night the shop lights them a little."""
    for one in filter(None, outside):
        height, width = one.patch.shape[:2]
        area = np.s_[one.top : one.top + height, one.left : one.left + width]
        part, keep = image[area], 1.0 - behind.front[area]
        part[...] = part * (1.0 - keep * one.patch[..., 3:] / 255) + one.patch[..., :3] * (keep * bright)


def _glass(image: Image, corners: Floats, colour: Colour) -> None:
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    part = image[top:bottom, left:right]
    pane = part.copy()
    points = _fixed(corners - (left, top))
    cv2.fillConvexPoly(pane, points, colour, cv2.LINE_AA, 4)
    cv2.addWeighted(part, 0.7, pane, 0.3, 0, dst=part)
    thick = max(round(width / 160), 1)
    cv2.polylines(part, [points], True, (90, 90, 92), thick, cv2.LINE_AA, 4)


def _smeared(patch: Patch, way: Floats) -> Patch:
    """Motion blur along a way in pixels."""
    reach = int(min(max(abs(way).max(), 0), 40))
    if reach < 2:
        return patch
    kernel = np.zeros((reach | 1, reach | 1), np.float32)
    half = reach // 2
    step = way / max(abs(way).max(), 1e-6) * half
    ends = [tuple(round(half + sign * s) for s in step) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(patch, -1, kernel / kernel.sum()), np.float32)


def _tinted(image: Image, tint: Colour) -> Image:
    if tint == (1.0, 1.0, 1.0):
        return image
    return np.asarray(cv2.multiply(image, np.array([*tint, 1.0])), np.uint8)
