"""NanoDet: three or more grids of cells, each cell with class scores and a distribution per side.

The distance from the cell's centre to each side of the box is the expectation of a softmax over ``bins``
values, times the stride (generalised focal loss, Li et al., NeurIPS 2020, equation 6). Overlapping boxes
of one class are thinned out here, not in the network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import cv2
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from sensor_sim.decoders.found import Found, Outputs, Size, shapes
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]


class NanoDet(Struct, tag="nanodet", tag_field="layout", frozen=True, forbid_unknown_fields=True):
    """Settings in the card: cell sizes in pixels, values per side, overlap from which on boxes are one."""

    strides: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=8)]
    bins: Annotated[int, Meta(ge=2, le=64)] = 8
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.6

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        if len(outputs) != 2 * len(self.strides):
            raise SensorError(
                f"decoder: nanodet with {len(self.strides)} strides reads {2 * len(self.strides)} outputs, "
                f"the network has {len(outputs)} ({shapes(outputs)})"
            )
        for stride in self.strides:
            self._pair(outputs, stride, labels, size)

    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        classes = np.array(sorted(wanted))
        parts = [self._decode_grid(outputs, stride, classes, least_score, size) for stride in self.strides]
        boxes, scores, labels = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return [
            Found(int(labels[i]), float(scores[i]), Box(*map(float, boxes[i])))
            for i in self._thin_out(boxes, scores, labels)
        ]

    def _decode_grid(
        self, outputs: Outputs, stride: int, classes: NDArray[np.int64], least_score: float, size: Size
    ) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Boxes (n x 4, fractions of the tensor), scores (n) and class numbers (n) of one grid."""
        scores, sides = self._pair(outputs, stride, None, size)
        cells, columns = np.nonzero(scores[:, classes] >= least_score)
        bins = sides[cells].reshape(-1, 4, self.bins)
        weights = np.exp(bins - bins.max(axis=2, keepdims=True))
        distances = (weights @ np.arange(self.bins, dtype=np.float32)) / weights.sum(axis=2) * stride
        across = -(-size[0] // stride)
        x, y = (cells % across + 0.5) * stride, (cells // across + 0.5) * stride
        corners = [x - distances[:, 0], y - distances[:, 1], x + distances[:, 2], y + distances[:, 3]]
        boxes = np.stack(corners, axis=1) / np.array([*size, *size])
        found = classes[columns]
        return boxes.astype(np.float32), scores[cells, found], found

    def _pair(self, outputs: Outputs, stride: int, labels: int | None, size: Size) -> tuple[Floats, Floats]:
        """The scores and the sides of one grid, told by their shapes: output names are often wrong."""
        cells = -(-size[0] // stride) * -(-size[1] // stride)
        tables = [
            np.asarray(output, np.float32).reshape(-1, output.shape[-1])
            for output in outputs
            if output.ndim > 1
        ]
        grids = [table for table in tables if len(table) == cells]
        sides = [grid for grid in grids if grid.shape[1] == 4 * self.bins][-1:]
        scores = [grid for grid in grids if not sides or grid is not sides[0]]
        if len(grids) != 2 or not sides:
            raise SensorError(
                f"decoder: stride {stride} with {self.bins} bins needs outputs of {cells}x(labels) and "
                f"{cells}x{4 * self.bins}, the network has {shapes(outputs)}"
            )
        if labels is not None and scores[0].shape[1] != labels:
            raise SensorError(
                f"labels: the card has {labels}, the network scores {scores[0].shape[1]} classes; "
                "list exactly one label per class"
            )
        return scores[0], sides[0]

    def _thin_out(self, boxes: Floats, scores: Floats, labels: NDArray[np.int64]) -> list[int]:
        if not len(scores):
            return []
        # In units that do not round away: OpenCV wants left, top, width, height.
        rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxesBatched(
            rectangles.astype(np.float64).tolist(), scores.tolist(), labels.tolist(), 0.0, self.nms_overlap
        )
        return [int(i) for i in np.asarray(kept).reshape(-1)]
