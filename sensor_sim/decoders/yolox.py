"""YOLOX: one table of cells, each with a box, the score that there is an object, and class scores.

Of each cell: x, y, width, height, objectness, classes. The centre is (x, y) plus the cell's column and row,
the size exp(width, height), both times the stride; the score is objectness times class (Ge et al., YOLOX,
2021, section 2.3, after Redmon and Farhadi, YOLOv3, 2018, section 2.1). Objectness and classes have gone
through the sigmoid inside the network, as in its ONNX export without ``--decode_in_inference``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from sensor_sim.decoders import grids
from sensor_sim.decoders.found import (
    Found,
    Layout,
    Outputs,
    Size,
    check_classes,
    check_scores,
    fractions,
    shapes,
    tables,
)
from sensor_sim.decoders.suppression import candidates, suppress
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]


class YoloX(Layout, tag="yolox", frozen=True):
    """Settings in the card: cell sizes in pixels, overlap from which on boxes are one."""

    strides: grids.Strides = (8, 16, 32)
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.45

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        check_classes(self._table(outputs, size).shape[1] - 5, labels)

    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        check_scores(self._table(outputs, size)[:, 4:], "decoder.layout", "export it as YOLOX does")

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        table = self._table(outputs, size)
        [objects] = np.nonzero(table[:, 4] >= least_score)  # no product with a class score is larger
        scores = table[objects, 4, None] * table[objects, 5:]
        found = candidates(scores, wanted, least_score)
        rows = objects[found.rows]
        boxes = self._boxes(table[rows, :4], rows, size)
        return suppress(boxes, found.labels, found.scores, self.nms_overlap)

    def _boxes(self, encoded: Floats, rows: NDArray[np.int64], size: Size) -> Floats:
        """Left, top, right and bottom, in fractions, of the cells with these numbers."""
        corners, strides = (part[rows] for part in grids.cells(self.strides, size))
        centres = corners + encoded[:, :2] * strides[:, None]
        halves = np.exp(encoded[:, 2:]) * strides[:, None] / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        return fractions(boxes, size)

    def _table(self, outputs: Outputs, size: Size) -> Floats:
        """The one output as cells x (5 + classes)."""
        cells = sum(grids.count(stride, size) for stride in self.strides)
        fitting = [table for table in tables(outputs) if len(table) == cells and table.shape[1] > 5]
        if len(outputs) != 1 or not fitting:
            raise SensorError(
                f"decoder: yolox with strides {', '.join(map(str, self.strides))} reads one output of "
                f"{cells}x(5 + labels), the network has {shapes(outputs)}"
            )
        return fitting[0]
