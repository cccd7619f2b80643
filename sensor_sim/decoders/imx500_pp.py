"""Detectors for the IMX500 that end in non-maximum suppression inside the network.

Four outputs: boxes (n x 4), scores (n), classes (n) and the count of valid rows (1). Packages differ in
the order of the outputs, in the order of a box's sides and in its unit, so the card says them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sensor_sim.decoders.found import Found, Outputs, Size, shapes
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Part = Literal["boxes", "scores", "classes", "count"]


class Imx500PP(Struct, tag="imx500_pp", tag_field="layout", frozen=True, forbid_unknown_fields=True):
    """Settings in the card.

    ``box_order``: ``yxyx`` is top, left, bottom, right; ``xyxy`` is left, top, right, bottom.
    ``box_unit``: fractions of the input tensor or its pixels.
    """

    box_order: Literal["yxyx", "xyxy"] = "yxyx"
    box_unit: Literal["fraction", "pixel"] = "fraction"
    outputs: tuple[Part, Part, Part, Part] = ("boxes", "scores", "classes", "count")

    def __post_init__(self) -> None:
        if len(set(self.outputs)) != 4:
            raise ValueError("outputs: name each of boxes, scores, classes and count once")

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        if len(outputs) != 4:
            raise SensorError(
                f"decoder: imx500_pp reads 4 outputs ({', '.join(self.outputs)}), "
                f"the network has {len(outputs)} ({shapes(outputs)})"
            )
        boxes, scores, classes, count = self._parts(outputs)
        rows = boxes.shape[0] if boxes.ndim == 2 else -1
        if (
            boxes.ndim != 2
            or boxes.shape[1] != 4
            or scores.size != rows
            or classes.size != rows
            or count.size != 1
        ):
            raise SensorError(
                f"decoder.outputs: {', '.join(self.outputs)} need shapes nx4 (boxes), n, n and 1 (count), "
                f"the network has {shapes(outputs)}"
            )

    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        boxes, scores, classes, count = self._parts(outputs)
        valid = min(max(int(count.reshape(-1)[0]), 0), len(boxes))
        unit = np.array([*size, *size], np.float64) if self.box_unit == "pixel" else np.ones(4)
        if self.box_order == "yxyx":
            boxes = boxes[:, [1, 0, 3, 2]]
        found = []
        for box, score, label in zip(
            boxes[:valid] / unit, scores.reshape(-1), classes.reshape(-1), strict=False
        ):
            if score >= least_score and int(label) in wanted:
                found.append(Found(int(label), float(score), Box(*map(float, box))))
        return found

    def _parts(self, outputs: Outputs) -> list[NDArray[np.float64]]:
        by_name = dict(zip(self.outputs, outputs, strict=True))
        return [np.asarray(by_name[name], np.float64) for name in get_args(Part)]
