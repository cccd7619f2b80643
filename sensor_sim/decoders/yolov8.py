"""YOLO without objectness, as Ultralytics exports its versions 8 and 11 without suppression: one table of
anchors, each with a box and class scores.

Of each anchor: the centre's x and y, width and height, all in pixels of the tensor, then one score for each
class. The network has decoded the boxes and applied the sigmoid. The table lies on its side, with a column
for each anchor: 1 x (4 + classes) x anchors.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from sensor_sim.decoders.found import (
    Found,
    Layout,
    Outputs,
    Size,
    check_classes,
    check_scores,
    check_unit,
    fractions,
    shapes,
    tables,
)
from sensor_sim.decoders.suppression import candidates, suppress
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]


class YoloV8(Layout, tag="yolov8", frozen=True):
    """Settings in the card.

    ``transposed``: the table stands upright, with a row for each anchor: 1 x anchors x (4 + classes).
    ``nms_overlap``: overlap from which on boxes are one.
    """

    transposed: bool = False
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.7

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        table = self._table(outputs)
        if table.shape[1] != 4 + labels and len(table) == 4 + labels:
            raise SensorError(
                f"decoder.transposed: the network has {shapes(outputs)}, so the card needs "
                f"{'false' if self.transposed else 'true'}"
            )
        check_classes(table.shape[1] - 4, labels)

    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        table = self._table(outputs)
        check_scores(table[:, 4:], "decoder.layout", "export it with its sigmoid")
        check_unit(table[:, :4], table[:, 4:].max(axis=1), "pixel", "decoder.layout", "export it with pixels")

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        table = self._table(outputs)
        found = candidates(table[:, 4:], wanted, least_score)
        centres, sides = table[found.rows, :2], table[found.rows, 2:4]
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        return suppress(fractions(boxes, size), found.labels, found.scores, self.nms_overlap)

    def _table(self, outputs: Outputs) -> Floats:
        """The one output as anchors x (4 + classes)."""
        upright = [table if self.transposed else table.T for table in tables(outputs)]
        if len(outputs) != 1 or not upright or upright[0].shape[1] < 5:
            raise SensorError(
                "decoder: yolov8 reads one output of "
                f"{'anchors x (4 + labels)' if self.transposed else '(4 + labels) x anchors'}, "
                f"the network has {shapes(outputs)}"
            )
        return upright[0]
