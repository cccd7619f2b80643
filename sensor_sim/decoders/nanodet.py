"""NanoDet: three or more grids of cells, each cell with class scores and a distribution per side.

The distance from the cell's centre to each side of the box is the expectation of a softmax over ``bins``
values, times the stride (generalised focal loss, Li et al., NeurIPS 2020, equation 6). Overlapping boxes
of one class are thinned out here, not in the network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from sensor_sim.decoders import grids
from sensor_sim.decoders.found import Found, Outputs, Size, check_classes, fractions, shapes, tables
from sensor_sim.decoders.suppression import candidates, suppress
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]


class NanoDet(Struct, tag="nanodet", tag_field="layout", frozen=True, forbid_unknown_fields=True):
    """Settings in the card: cell sizes in pixels, values per side, overlap from which on boxes are one."""

    strides: grids.Strides
    bins: Annotated[int, Meta(ge=2, le=64)] = 8
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.6

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        if len(outputs) != 2 * len(self.strides):
            raise SensorError(
                f"decoder: nanodet with {len(self.strides)} strides reads {2 * len(self.strides)} outputs, "
                f"the network has {len(outputs)} ({shapes(outputs)})"
            )
        for stride in self.strides:
            check_classes(self._pair(outputs, stride, size)[0].shape[1], labels)

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        pairs = [self._pair(outputs, stride, size) for stride in self.strides]
        scores, sides = (np.concatenate(grid) for grid in zip(*pairs, strict=True))
        found = candidates(scores, wanted, least_score)
        boxes = self._boxes(sides[found.rows], found.rows, size)
        return suppress(boxes, found.labels, found.scores, self.nms_overlap)

    def _boxes(self, sides: Floats, rows: NDArray[np.int64], size: Size) -> Floats:
        """Left, top, right and bottom, in fractions, of the cells with these numbers."""
        corners, strides = (part[rows] for part in grids.cells(self.strides, size))
        bins = sides.reshape(-1, 4, self.bins)
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        expected = (weights @ np.arange(self.bins, dtype=np.float32)) / weights.sum(axis=2)
        distances = expected * strides[:, None]
        centres = corners + strides[:, None] / 2
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return fractions(boxes, size)

    def _pair(self, outputs: Outputs, stride: int, size: Size) -> tuple[Floats, Floats]:
        """The scores and the sides of one grid, told by their shapes: output names are often wrong."""
        cells = grids.count(stride, size)
        pair = [table for table in tables(outputs) if len(table) == cells]
        sides = [table for table in pair if table.shape[1] == 4 * self.bins][-1:]
        scores = [table for table in pair if not sides or table is not sides[0]]
        if len(pair) != 2 or not sides:
            raise SensorError(
                f"decoder: stride {stride} with {self.bins} bins needs outputs of {cells}x(labels) and "
                f"{cells}x{4 * self.bins}, the network has {shapes(outputs)}"
            )
        return scores[0], sides[0]
