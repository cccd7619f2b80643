"""What stands still at a shelf, drawn anew only where an item came or went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered.shelf_bay import Bay, Floats, Spot
from sensor_sim.pixels.rendered.shelf_items import Patch, Region, around, lay, make_patch, pose
from sensor_sim.pixels.rendered.shelf_plan import Outlined, empty_plan, fill, outlined
from sensor_sim.pixels.rendered.shelf_scenery import Scenery
from sensor_sim.pixels.rendered.shelf_story import Item, Stock

GAP = "gap"
FIRST_GAP = 1_000_000  # numbers below are items'


class _Standing(NamedTuple):
    """An item at its spot as it is drawn; of the larger ``depth`` is drawn first."""

    board: int
    depth: tuple[float, float]
    outlined: Outlined
    patch: Patch | None


class Still:
    """``picture`` is the bay with all that stands in it, before light and lens; ``plan`` says which of
    ``things`` is seen where.
    """

    def __init__(self, bay: Bay, scenery: Scenery) -> None:
        self._bay, self._scenery = bay, scenery
        self._outlines = [scenery.front(board) for board in range(len(bay.boards))]
        self._standing: dict[tuple[Spot, Item], _Standing] = {}
        self._empty: Image = np.zeros((0, 0, 3), np.uint8)
        self._fronts: list[Image] = []
        self.picture = self._empty
        self.plan = empty_plan()
        self.things: list[Outlined] = []

    def _resize(self, width: int) -> None:
        size = width, width * 3 // 4
        self._empty = self._scenery.draw(*size)
        self._fronts = [_mask(outline * width, size) for outline in self._outlines]
        self._standing.clear()
        self.picture = self._empty.copy()

    def update(self, stock: Stock, width: int) -> None:
        """Bring the picture, ``width`` wide and 4:3, up to date."""
        resized = self.picture.shape[1] != width
        if resized:
            self._resize(width)
        now = set(stock.standing())
        gone = [self._standing.pop(key) for key in self._standing.keys() - now]
        come = {key: self._stand(*key, width) for key in now - self._standing.keys()}
        self._standing |= come
        if gone or come or resized:
            order = sorted(self._standing.values(), key=lambda s: (s.board, -s.depth[0], -s.depth[1]))
            patches = [s.patch for s in (*gone, *come.values()) if s.patch]
            if patches:
                self._redraw(order, around(patches))
            self._plan_anew(order, stock)

    def _stand(self, spot: Spot, item: Item, width: int) -> _Standing:
        place = self._bay.place(spot) + np.array([item.aside, 0.0, 0.0])
        how = pose(self._bay.camera, item.product, item.turn, place)
        return _Standing(
            self._bay.slot(spot.slot).board,
            (float(place[2]), abs(float(place[0] - self._bay.camera.position[0]))),
            outlined(item.number, item.product.label, [how.outline(item.product)]),
            make_patch(self._bay, item.product, how, place, width),
        )

    def _redraw(self, order: Iterable[_Standing], region: Region) -> None:
        """From the lowest board to the highest; each board hides what stands below it."""
        part = np.s_[region.top : region.bottom, region.left : region.right]
        self.picture[part] = self._empty[part]
        for board, front in enumerate(self._fronts):
            np.copyto(self.picture[part], self._empty[part], where=front[part][..., None] > 0)
            lay(self.picture, (s.patch for s in order if s.board == board and s.patch), region)

    def _plan_anew(self, order: Iterable[_Standing], stock: Stock) -> None:
        self.plan[:] = 0
        self.things.clear()
        gaps = list(self._gaps(stock))
        for board, outline in enumerate(self._outlines):
            fill(self.plan, [outline], 0)
            things = [gap for at, gap in gaps if at == board]
            things += [s.outlined for s in order if s.board == board]
            for place, thing in enumerate(things, len(self.things) + 1):
                fill(self.plan, thing.outlines, place)
            self.things += things

    def _gaps(self, stock: Stock) -> Iterator[tuple[int, Outlined]]:
        """With their boards. On a table nothing tells that something is missing."""
        for spot in () if self._bay.table else stock.gaps():
            slot = self._bay.slot(spot.slot)
            how = pose(self._bay.camera, slot.product, 0.0, self._bay.place(spot))
            number = FIRST_GAP + 100 * spot.slot + spot.column
            yield slot.board, outlined(number, GAP, [how.outline(slot.product)])


def _mask(outline: Floats, size: tuple[int, int]) -> Image:
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask
