"""An empty bay: its surroundings, walls, boards, rails and price tags, drawn at any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.looks import Colour, any_colour, from_hsv, label_art, mixed
from sensor_sim.pixels.rendered.shelf_bay import Bay, Floats
from sensor_sim.pixels.rendered.shelf_people import Part, paint

RAIL = 3.6  # centimetres of a board's front edge
EVEN = 160  # the brightness of lamps that change nothing
TILE = 128  # pixels of a texture's sides


class Face(NamedTuple):
    """A flat piece: its corners (4 x 3, from the upper left, clockwise) and what is on it."""

    corners: Floats
    texture: Image


class Scenery:
    """Everything that never moves but the items: ``faces`` in the order in which they are drawn."""

    def __init__(self, bay: Bay, rng: np.random.Generator, varied: bool) -> None:
        self.bay = bay
        self._rng = rng
        self._wall = _muted(rng)
        self._board = mixed(_muted(rng), (235, 238, 240), rng.uniform(0.2, 0.9))
        self._rail = any_colour(rng) if rng.random() < 0.5 else (220, 222, 224)
        self._around = _surroundings(rng)
        self.faces = list(self._table() if bay.table else self._shelves())
        self._clutter = list(self._odds_and_ends()) if bay.table else []
        self._lamps = self._gain = _lamps(rng, varied)
        self._blur = float(rng.choice([0.0, rng.uniform(0.0, 0.004)])) if varied else 0.0007

    def front(self, board: int) -> Floats:
        """The outline of a board's surface and rail (n x 2, widths of the picture): it hides what is below."""
        half, y, depth = self.bay.width / 2, self.bay.boards[board], self.bay.depth
        corners = np.array(
            [
                [-half, y, depth],
                [half, y, depth],
                [half, y, 0],
                [half, y - RAIL, 0],
                [-half, y - RAIL, 0],
                [-half, y, 0],
            ]
        )
        return self.bay.camera.project(corners)

    def draw(self, width: int, height: int) -> Image:
        canvas = np.asarray(
            cv2.resize(self._around, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
        )
        for face in self.faces:
            _draw_face(canvas, self.bay.camera.project(face.corners) * width, face.texture)
        paint(canvas, self._clutter)
        return canvas

    def light(self, canvas: Image) -> Image:
        """The canvas through the lens, lit by the lamps."""
        height, width = canvas.shape[:2]
        blur = self._blur * width
        soft = cv2.GaussianBlur(canvas, (0, 0), blur) if blur > 0.3 else canvas
        if self._gain.shape[:2] != (height, width):
            gain = cv2.resize(self._lamps, (width, height), interpolation=cv2.INTER_LINEAR)
            self._gain = np.asarray(gain, np.uint8)
        return np.asarray(cv2.multiply(soft, self._gain, scale=1 / EVEN), np.uint8)

    def _shelves(self) -> Iterator[Face]:
        bay, half, depth = self.bay, self.bay.width / 2, self.bay.depth
        low, high = bay.boards[0], bay.boards[-1] + bay.room
        yield _upright(-half, half, 0.0, low, 0.0, self._texture(mixed(self._board, (0, 0, 0), 0.6)))
        yield _upright(-half, half, low, high, depth, self._panel(len(bay.boards)))
        side = self._texture(mixed(self._wall, (0, 0, 0), 0.25))
        for x in (-half, half):
            yield Face(np.array([[x, high, 0], [x, high, depth], [x, low, depth], [x, low, 0]], float), side)
            yield _upright(x - 1.5, x + 1.5, 0.0, high, 0.0, self._texture(self._board))
        for y in bay.boards:
            yield self._surface(y)
            yield _upright(-half, half, y - RAIL, y, 0.0, self._texture(self._rail))
            yield from self._tags(y)

    def _table(self) -> Iterator[Face]:
        bay, y = self.bay, self.bay.boards[0]
        half = 4 * bay.width
        yield _upright(-half, half, y - 20, y + 250, bay.depth, self._texture(self._wall))
        if self._rng.random() < 0.3:
            edge = float(self._rng.choice([-1, 1]) * self._rng.uniform(0.4, 0.7)) * bay.width
            dark = self._texture(mixed(any_colour(self._rng), (10, 10, 10), 0.8))
            left, right = sorted((edge, float(np.sign(edge)) * half))
            yield _upright(left, right, y, y + 250, bay.depth - 0.1, dark)
        for _ in range(self._rng.poisson(0.6)):
            yield self._poster(y)
        edge = float(self._rng.uniform(-60, -10))
        corners = np.array(
            [[-half, y, bay.depth], [half, y, bay.depth], [half, y, edge], [-half, y, edge]], float
        )
        yield Face(corners, self._texture(self._board))

    def _poster(self, y: float) -> Face:
        wide, tall = self._rng.uniform(8, 50, 2)
        left, low = self._rng.uniform(-self.bay.width, self.bay.width), y + self._rng.uniform(2, 40)
        art = label_art(self._rng, TILE, TILE)
        return _upright(left, left + wide, low, low + tall, self.bay.depth - 0.2, art)

    def _odds_and_ends(self) -> Iterator[Part]:
        """Fruit, stones, plates: what is no product, lying behind them."""
        y, half = self.bay.boards[0], self.bay.width / 2
        for _ in range(self._rng.poisson(0.8)):
            wide, tall = self._rng.uniform(2, 12), self._rng.uniform(0.3, 1.2)
            around = np.linspace(0, 2 * np.pi, 24)[:-1]
            bumps = 1 + self._rng.uniform(0, 0.1) * np.cos(self._rng.integers(2, 6) * around)
            across, up = wide * bumps * np.cos(around), wide * tall * (1 + bumps * np.sin(around))
            x, z = self._rng.uniform(-half, half), 0.9 * self.bay.depth
            ring = np.stack([x + across, y + up, np.full(len(up), z)], axis=1)
            yield Part([self.bay.camera.project(ring)], any_colour(self._rng))

    def _surface(self, y: float) -> Face:
        half, depth = self.bay.width / 2, self.bay.depth
        corners = np.array([[-half, y, depth], [half, y, depth], [half, y, 0], [-half, y, 0]], float)
        # Darker towards the back, where the board above takes the light.
        shade = np.linspace(0.5, 1.0, TILE)[:, None, None]
        return Face(corners, (self._texture(self._board) * shade).astype(np.uint8))

    def _panel(self, boards: int) -> Image:
        """The back wall, darkest below each board, sometimes perforated."""
        texture = self._texture(self._wall).astype(np.float32)
        if self._rng.random() < 0.5:
            texture[4::8, 4::8] *= 0.6
        light = 0.6 + 0.35 * (np.arange(TILE * boards) % TILE / TILE) ** 0.6
        return (np.tile(texture, (boards, 1, 1)) * light[:, None, None]).astype(np.uint8)

    def _tags(self, y: float) -> Iterator[Face]:
        for slot in self.bay.slots:
            if self.bay.boards[slot.board] == y:
                x = slot.columns[0] - slot.pitch / 2 + self._rng.uniform(0.5, 2.0)
                paper = (190 + 0.25 * label_art(self._rng, 64, 32)).astype(np.uint8)
                price = f"{self._rng.integers(0, 20)}.{self._rng.integers(10, 99)}"
                cv2.putText(paper, price, (6, 24), cv2.FONT_HERSHEY_DUPLEX, 0.7, (20, 20, 20), 1, cv2.LINE_AA)
                yield _upright(x, x + 5.5, y - RAIL + 0.3, y - 0.4, -0.1, paper)

    def _texture(self, colour: Colour, grain: float = 0.03) -> Image:
        """A surface that is not quite even."""
        coarse = self._rng.normal(1.0, 1.5 * grain, (5, 5)).astype(np.float32)
        light = cv2.resize(coarse, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        light += self._rng.normal(0.0, grain / 2, (TILE, TILE)).astype(np.float32)
        return np.clip(light[..., None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)


def _muted(rng: np.random.Generator) -> Colour:
    """The colour of furniture and walls."""
    if rng.random() < 0.6:
        return from_hsv(rng.random(), rng.uniform(0.0, 0.12), rng.uniform(0.5, 0.95))
    return from_hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.2, 0.85))


def _surroundings(rng: np.random.Generator) -> Image:
    """What is seen beside and below the bay, far out of focus."""
    coarse = np.empty((9, 12, 3), np.uint8)
    coarse[:] = _muted(rng)
    for row, column in rng.integers(0, (9, 12), (25, 2)):
        coarse[row, column] = mixed(any_colour(rng), (90, 90, 90), 0.3)
    fine = cv2.resize(coarse, (96, 72), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(fine, (0, 0), 2.0), np.uint8)


def _upright(left: float, right: float, low: float, high: float, z: float, texture: Image) -> Face:
    corners = np.array([[left, high, z], [right, high, z], [right, low, z], [left, low, z]], np.float64)
    return Face(corners, texture)


def _lamps(rng: np.random.Generator, varied: bool) -> Image:
    """Light and its colour over the picture, 3 x 4 pixels to be made larger; ``EVEN`` leaves as it is."""
    spread = 0.12 if varied else 0.04
    tint = rng.normal(1.0, spread / 2, 3) * (rng.uniform(0.65, 1.12) if varied else rng.uniform(0.98, 1.08))
    light = rng.normal(1.0, spread, (3, 4, 1))
    return np.clip(EVEN * tint * light, 30, 205).astype(np.uint8)


def _draw_face(canvas: Image, corners: Floats, texture: Image) -> None:
    """``corners`` in pixels. Parts beyond the picture are cut off."""
    height, width = canvas.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, (width, height))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, 0, (width, height))
    size = int(high[0] - low[0]), int(high[1] - low[1])
    if min(size) <= 0:
        return
    there = (corners - low).astype(np.float32)
    rows, columns = texture.shape[:2]
    here = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    matrix = cv2.getPerspectiveTransform(here, there)
    warped = cv2.warpPerspective(
        texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(mask, [np.round((there - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cover = cv2.merge([mask] * 3)
    region = canvas[low[1] : high[1], low[0] : high[0]]
    kept = cv2.multiply(region, 255 - cover, scale=1 / 255)
    region[:] = cv2.add(kept, cv2.multiply(warped, cover, scale=1 / 255))
