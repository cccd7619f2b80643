"""NanoDet and NanoDet-Plus: three or more grids of cells, each cell with class scores and a distribution per side.

The distance from the cell's origin to each side of the box is the expectation of a softmax over ``bins``
values, times the stride (generalised focal loss, Li et al., NeurIPS 2020, equation 6). The first NanoDet
measures from the cell's centre and gives out scores and sides of each grid; NanoDet-Plus measures from the
upper left corner and joins all in one output, of each cell its scores and then its sides. Overlapping boxes
of one class are thinned out here, not in the network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from sensor_sim.decoders import grids
from sensor_sim.decoders.found import (
    Found,
    Layout,
    Outputs,
    Size,
    check_activation,
    check_classes,
    floats,
    fractions,
    shapes,
    tables,
)
from sensor_sim.decoders.suppression import candidates, sigmoid, suppress
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]


class NanoDet(Layout, tag="nanodet", frozen=True):
    """Settings in the card.

    ``strides``: cell sizes in pixels. ``bins``: values per side. ``origin``: where in a cell distances begin.
    ``outputs``: ``pairs`` are scores and sides of each stride, ``joined`` is one table of all cells, or its
    values in one row. ``activation``: what turns the network's scores into 0 to 1. ``nms_overlap``: overlap
    from which on boxes are one.
    """

    strides: grids.Strides
    bins: Annotated[int, Meta(ge=2, le=64)] = 8
    origin: Literal["centre", "corner"] = "centre"
    outputs: Literal["pairs", "joined"] = "pairs"
    activation: Literal["none", "sigmoid"] = "none"
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.6

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        for scores, _ in self._parts(outputs, size):
            check_classes(scores.shape[1], labels)

    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        scores = np.concatenate([scores for scores, _ in self._parts(outputs, size)])
        check_activation(scores, self.activation, "say sigmoid")

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        scores, sides = (np.concatenate(part) for part in zip(*self._parts(outputs, size), strict=True))
        if self.activation == "sigmoid":
            scores = sigmoid(scores)
        found = candidates(scores, wanted, least_score)
        boxes = self._boxes(sides[found.rows], found.rows, size)
        return suppress(boxes, found.labels, found.scores, self.nms_overlap)

    def _boxes(self, sides: Floats, rows: NDArray[np.int64], size: Size) -> Floats:
        """Left, top, right and bottom, in fractions, of the cells with these numbers."""
        corners, strides = (part[rows] for part in grids.cells(self.strides, size))
        origins = corners + strides[:, None] * (0.5 if self.origin == "centre" else 0)
        bins = sides.reshape(-1, 4, self.bins)
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        expected = (weights @ np.arange(self.bins, dtype=np.float32)) / weights.sum(axis=2)
        distances = expected * strides[:, None]
        boxes = np.concatenate([origins - distances[:, :2], origins + distances[:, 2:]], axis=1)
        return fractions(boxes, size)

    def _parts(self, outputs: Outputs, size: Size) -> list[tuple[Floats, Floats]]:
        """Scores (cells x classes) and sides (cells x 4 bins) of each grid, or of all grids at once."""
        if self.outputs == "joined":
            return [self._joined(outputs, size)]
        if len(outputs) != 2 * len(self.strides):
            raise SensorError(
                f"decoder.outputs: {len(self.strides)} strides in pairs are {2 * len(self.strides)} outputs, "
                f"the network has {len(outputs)} ({shapes(outputs)})"
            )
        return [self._pair(outputs, stride, size) for stride in self.strides]

    def _pair(self, outputs: Outputs, stride: int, size: Size) -> tuple[Floats, Floats]:
        """Those of one grid, told by their shapes: output names are often wrong."""
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

    def _joined(self, outputs: Outputs, size: Size) -> tuple[Floats, Floats]:
        """Those of all grids from the one output: a table, or its values one after another."""
        cells, sides = sum(grids.count(stride, size) for stride in self.strides), 4 * self.bins
        if len(outputs) == 1:
            [output] = outputs
            columns = output.size // cells
            shape = tuple(side for side in output.shape if side != 1)
            if columns > sides and shape in ((cells, columns), (cells * columns,)):
                table = floats(output).reshape(cells, columns)
                return table[:, :-sides], table[:, -sides:]
        raise SensorError(
            f"decoder.outputs: strides {', '.join(map(str, self.strides))} with {self.bins} bins, joined, are one "
            f"output of {cells}x(labels + {4 * self.bins}) or all its values in a row, the network has {shapes(outputs)}"
        )
