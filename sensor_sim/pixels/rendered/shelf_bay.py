"""A bay of shelves and the camera before it: where everything is.

Lengths are centimetres: x to the right, y up from the floor, z from the boards' front edge into the shelf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

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


@dataclass(frozen=True)
class Frame:
    """Boards from the lowest to the highest, with ``room`` above each."""

    width: float
    depth: float
    room: float
    boards: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Bay(Frame):
    """What stands where, and what it is seen with; a table is a bay of one board."""

    slots: tuple[Slot, ...]
    camera: Camera
    table: bool

    @property
    def standoff(self) -> float:
        """How far before the boards people stand: between them and the camera."""
        return min(45.0, -0.45 * float(self.camera.position[2]))

    def slot(self, number: int) -> Slot:
        return self.slots[number - 1]

    def place(self, spot: Spot) -> Floats:
        """The middle of the spot, on its board."""
        slot = self.slot(spot.slot)
        return np.array([slot.columns[spot.column], self.boards[slot.board], slot.rows[spot.row]])

    def polygon(self, slot: Slot) -> list[list[float]]:
        """Where the slot's items have their middles: from the front row's feet to the back row's heads, in
        fractions of the picture; perhaps outside it.
        """
        board, half = self.boards[slot.board], slot.pitch / 2
        left, right = slot.columns[0] - half, slot.columns[-1] + half
        front, back, top = slot.rows[-1], slot.rows[0], board + slot.product.height
        corners = np.array(
            [[left, board, front], [right, board, front], [right, top, back], [left, top, back]]
        )
        fractions = self.camera.project(corners) * (1, 4 / 3)
        return [[round(float(x), 4), round(float(y), 4)] for x, y in fractions]

    def sees(self, slot: Slot) -> bool:
        """Whether all of the slot lies within the picture, so that what stands there can be counted."""
        return all(0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 for x, y in self.polygon(slot))


# As in a shop and seen well; or, to train with, drawn broadly: shelves, or things standing apart on a table.
Kind = Literal["shop", "shelves", "table"]


def make_bay(rng: np.random.Generator, varied: bool) -> Bay:
    kind: Kind = "shop"
    if varied:
        kind = "table" if rng.random() < 0.35 else "shelves"
    frame = _frame(rng, kind)
    slots = tuple(_slots(rng, frame, kind))
    camera = _SEEN[kind](rng, frame)
    return Bay(frame.width, frame.depth, frame.room, frame.boards, slots, camera, kind == "table")


def _frame(rng: np.random.Generator, kind: Kind) -> Frame:
    if kind == "table":
        return Frame(rng.uniform(50, 130), rng.uniform(30, 70), 45.0, (75.0,))
    if kind == "shop":
        return Frame(rng.uniform(96, 112), 30.0, 34.0, (55.0, 89.0, 123.0))
    base, room = rng.uniform(20, 90), rng.uniform(25, 40)
    boards = tuple(float(base + i * room) for i in range(rng.integers(1, 5)))
    return Frame(rng.uniform(60, 150), rng.uniform(22, 45), room, boards)


def _slots(rng: np.random.Generator, frame: Frame, kind: Kind) -> Iterator[Slot]:
    """Fill each board from left to right until little is left of it."""
    number = 1
    labels: list[str] = []
    for board in range(len(frame.boards)):
        left, end = -frame.width / 2 + 1.0, frame.width / 2 - 1.0
        for _ in range(8):
            labels = labels or [str(label) for label in rng.permutation(LABELS)]
            product = make_product(rng, labels.pop(), frame.room - (10.0 if kind == "table" else 6.0))
            pitch, facings, rows = _facings(rng, product, frame, kind)
            columns = tuple(left + pitch * (i + 0.5) for i in range(min(facings, int((end - left) // pitch))))
            if columns:
                yield Slot(number, f"{chr(65 + board)}-{number:02}", product, board, columns, rows, pitch)
                number += 1
                left = columns[-1] + pitch / 2 + rng.uniform(0.3, 2.0)
                left += rng.exponential(8.0) if kind == "table" else 0.0


def _facings(
    rng: np.random.Generator, product: Product, frame: Frame, kind: Kind
) -> tuple[float, int, tuple[float, ...]]:
    """Centimetres from facing to facing, how many to have side by side, and the rows' places."""
    gap, facings, deep = _density(rng, kind)
    if kind == "shop" and product.height > 0.6 * frame.room:
        deep = 1  # the board above would hide what is behind
    return product.width + gap, facings, _rows(rng, product.depth, frame.depth, deep, kind)


def _density(rng: np.random.Generator, kind: Kind) -> tuple[float, int, int]:
    """Centimetres between facings, how many side by side, how many deep."""
    match kind:
        case "shop":
            return rng.uniform(0.8, 1.8), int(rng.integers(2, 5)), int(rng.integers(1, 3))
        case "shelves":
            return rng.uniform(0.4, 4.0), int(rng.integers(1, 6)), int(rng.integers(1, 3))
        case "table":
            return 1.0 + rng.exponential(7.0), int(rng.integers(1, 4)), 1 + int(rng.random() < 0.2)


def _rows(rng: np.random.Generator, size: float, depth: float, deep: int, kind: Kind) -> tuple[float, ...]:
    """Far enough from each other that those behind show over those before them."""
    first = rng.uniform(2, 25) if kind == "table" else rng.uniform(1.5, 4.0)
    step = size + max(rng.uniform(1.5, 3.0), 10.0 - size)
    fits = max(1, min(deep, int((depth - first - 1.0 - size) // step) + 1))
    return tuple(first + size / 2 + step * i for i in reversed(range(fits)))


def _seen_well(rng: np.random.Generator, frame: Frame) -> Camera:
    """From opposite and above, so that what stands behind shows over what stands before it."""
    low, high = frame.boards[0], frame.boards[-1] + frame.room
    middle = np.array([0.0, (low + high) / 2, 5.0])
    position = np.array([rng.uniform(-12, 12), high + 38.0, -rng.uniform(185, 205)])
    span = max(frame.width * 1.06, (high - low + 4) * 4 / 3)
    return look(position, middle, 0.0, float(np.linalg.norm(position - middle)) / span)


def _seen_anyhow(rng: np.random.Generator, frame: Frame) -> Camera:
    """From wherever the highest board is still seen from above."""
    low, high = frame.boards[0], frame.boards[-1] + frame.room
    away = rng.uniform(70, 260)
    eye = np.array(
        [rng.normal(0, 0.18) * away, high - 0.6 * frame.room + rng.uniform(0.03, 0.45) * away, -away]
    )
    aside = np.array([rng.normal(0, 0.1) * frame.width, rng.normal(0, 0.12) * (high - low), 0.0])
    target = np.array([0.0, (low + high) / 2, 5.0]) + aside
    span = max(frame.width, (high - low) * 4 / 3) * rng.uniform(0.55, 1.3)
    return look(eye, target, rng.normal(0, 0.025), float(np.linalg.norm(eye - target)) / span)


def _seen_on_table(rng: np.random.Generator, frame: Frame) -> Camera:
    """From the height of the eyes of somebody who sits there, or a little lower."""
    board = frame.boards[0]
    away = rng.uniform(70, 260)
    eye = np.array([rng.normal(0, 0.18) * away, board + rng.uniform(0.03, 0.45) * away, -away])
    target = np.array([rng.normal(0, 0.1) * frame.width, board + rng.normal(13.5, 3.0), 5.0])
    span = max(frame.width, 36.0) * rng.uniform(0.7, 1.2)
    return look(eye, target, rng.normal(0, 0.025), float(np.linalg.norm(eye - target)) / span)


_SEEN: dict[Kind, Callable[[np.random.Generator, Frame], Camera]] = {
    "shop": _seen_well,
    "shelves": _seen_anyhow,
    "table": _seen_on_table,
}
