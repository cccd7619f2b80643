"""A bay of shelves and the camera before it: where everything is.

Lengths are centimetres: x to the right, y up from the floor, z from the boards' front edge into the shelf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels.rendered.assortment import make_product
from sensor_sim.pixels.rendered.products import LABELS, Product

Floats = NDArray[np.float64]


class Spot(NamedTuple):
    """A place for one item; ``row`` 0 is the one at the back."""

    slot: int
    column: int
    row: int


@dataclass(frozen=True)
class Slot:
    """A part of a board for one product: ``columns`` (x) side by side, ``rows`` (z), the back one first."""

    id: int
    name: str
    product: Product
    board: int
    columns: tuple[float, ...]
    rows: tuple[float, ...]
    pitch: float

    @property
    def capacity(self) -> int:
        return len(self.columns) * len(self.rows)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera. ``turn`` has the directions right, up and forward as its rows; ``focal`` is in
    widths of the picture.
    """

    position: Floats
    turn: Floats
    focal: float

    def project(self, points: Floats) -> Floats:
        """n x 3 points → n x 2 in units of the picture's width from its upper left corner, 4:3."""
        right, up, forward = self.turn @ (points - self.position).T
        scale = self.focal / np.maximum(forward, 10.0)
        return np.stack([0.5 + right * scale, 0.375 - up * scale], axis=1)


def look(position: Floats, target: Floats, roll: float, focal: float) -> Camera:
    """A camera at ``position`` with ``target`` in the middle of its picture."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.array([forward[2], 0.0, -forward[0]]) / np.hypot(forward[0], forward[2])
    up = np.cross(forward, right)
    right, up = right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll)
    return Camera(position, np.stack([right, up, forward]), focal)


@dataclass(frozen=True, eq=False)
class Bay:
    """Boards from the lowest to the highest, ``room`` high each; a table is a bay of one board."""

    width: float
    depth: float
    room: float
    boards: tuple[float, ...]
    slots: tuple[Slot, ...]
    camera: Camera
    table: bool

    @property
    def standoff(self) -> float:
        """How far before the boards people stand: between them and the camera."""
        return min(45.0, -0.45 * float(self.camera.position[2]))

    def spots(self) -> Iterator[Spot]:
        for slot in self.slots:
            for column in range(len(slot.columns)):
                yield from (Spot(slot.id, column, row) for row in range(len(slot.rows)))

    def slot(self, number: int) -> Slot:
        return self.slots[number - 1]

    def place(self, spot: Spot) -> Floats:
        """The middle of the spot, on its board."""
        slot = self.slot(spot.slot)
        return np.array([slot.columns[spot.column], self.boards[slot.board], slot.rows[spot.row]])

    def polygon(self, slot: Slot) -> list[list[float]]:
        """Where the slot's items have their middles: from the front row's feet to the back row's heads, in
        fractions of the picture.
        """
        board, half = self.boards[slot.board], slot.pitch / 2
        left, right = slot.columns[0] - half, slot.columns[-1] + half
        front, back, top = slot.rows[-1], slot.rows[0], board + slot.product.height
        corners = np.array(
            [[left, board, front], [right, board, front], [right, top, back], [left, top, back]]
        )
        fractions = np.clip(self.camera.project(corners) * (1, 4 / 3), 0.0, 1.0)
        return [[round(float(x), 4), round(float(y), 4)] for x, y in fractions]


def make_bay(rng: np.random.Generator, varied: bool) -> Bay:
    """A bay such as shops have, seen well; ``varied`` draws everything broadly instead, tables included."""
    table = varied and rng.random() < 0.35
    if table:
        width, depth, room, base, count = rng.uniform(50, 130), rng.uniform(30, 70), 45.0, 75.0, 1
    else:
        width = rng.uniform(60, 150) if varied else rng.uniform(96, 112)
        count = int(rng.integers(1, 5)) if varied else 3
        room = rng.uniform(25, 40) if varied else 34.0
        depth = rng.uniform(22, 45) if varied else 30.0
        base = rng.uniform(20, 90) if varied else 55.0
    boards = tuple(float(base + i * room) for i in range(count))
    slots = tuple(_slots(rng, width, depth, room, len(boards), varied, table))
    camera = _camera(rng, width, boards, room, varied, table)
    return Bay(width, depth, room, boards, slots, camera, table)


def _slots(
    rng: np.random.Generator, width: float, depth: float, room: float, boards: int, varied: bool, table: bool
) -> Iterator[Slot]:
    """Fill each board from left to right until little is left of it."""
    number = 1
    labels: list[str] = []
    for board in range(boards):
        left, end = -width / 2 + 1.0, width / 2 - 1.0
        for _ in range(8):
            labels = labels or list(rng.permutation(LABELS))
            product = make_product(rng, str(labels.pop()), room - (10.0 if table else 6.0))
            gap, facings, deep = _density(rng, varied, table)
            pitch = product.width + gap
            facings = min(facings, int((end - left) // pitch))
            if facings > 0:
                columns = tuple(left + pitch * (i + 0.5) for i in range(facings))
                rows = _rows(rng, product.depth, depth, deep, table)
                yield Slot(number, f"{chr(65 + board)}-{number:02}", product, board, columns, rows, pitch)
                number += 1
                left = (
                    columns[-1] + pitch / 2 + rng.uniform(0.3, 2.0) + (rng.exponential(8.0) if table else 0.0)
                )


def _density(rng: np.random.Generator, varied: bool, table: bool) -> tuple[float, int, int]:
    """Centimetres between facings, how many side by side, how many deep."""
    if table:
        return rng.uniform(1.0, 25.0), int(rng.integers(1, 4)), 1 + int(rng.random() < 0.2)
    if varied:
        return rng.uniform(0.4, 4.0), int(rng.integers(1, 6)), int(rng.integers(1, 3))
    return rng.uniform(0.8, 1.8), int(rng.integers(2, 5)), int(rng.integers(1, 3))


def _rows(rng: np.random.Generator, size: float, depth: float, deep: int, table: bool) -> tuple[float, ...]:
    """Far enough from each other that those behind show over those before them."""
    first = rng.uniform(2, 25) if table else rng.uniform(1.5, 4.0)
    step = size + max(rng.uniform(1.5, 3.0), 9.0 - size)
    fits = max(1, min(deep, int((depth - first - 1.0 - size) // step) + 1))
    return tuple(first + size / 2 + step * i for i in reversed(range(fits)))


def _camera(
    rng: np.random.Generator, width: float, boards: tuple[float, ...], room: float, varied: bool, table: bool
) -> Camera:
    """Opposite the bay and above it, so that what stands behind shows over what stands before it."""
    low, high = boards[0], boards[-1] + (0.6 * room if table else room)
    middle = np.array([0.0, (low + high) / 2, 5.0])
    if not varied:
        position = np.array([rng.uniform(-12, 12), high + 38.0, -rng.uniform(185, 205)])
        span = max(width * 1.06, (high - low + 4) * 4 / 3)
        return look(position, middle, 0.0, float(np.linalg.norm(position - middle)) / span)
    away = rng.uniform(70, 260)
    rise = rng.uniform(0.03, 0.45) * away
    position = np.array([rng.normal(0, 0.18) * away, (low if table else high - 0.6 * room) + rise, -away])
    target = middle + np.array([rng.normal(0, 0.1) * width, rng.normal(0, 0.12) * (high - low), 0.0])
    span = max(width, (high - low) * 4 / 3) * (rng.uniform(0.7, 1.2) if table else rng.uniform(0.55, 1.3))
    return look(position, target, rng.normal(0, 0.025), float(np.linalg.norm(position - target)) / span)
