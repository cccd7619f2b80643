"""Detectors for the IMX500 that end in non-maximum suppression inside the network.

Four outputs: boxes (n x 4), scores (n), classes (n) and the count of valid rows (1). Packages differ in
the order of the outputs, in the order of a box's sides and in its unit, so the card says them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sensor_sim.decoders.found import Found, Outputs, Size, shapes
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Numbers = NDArray[np.float64]
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
        if boxes.shape != (scores.size, 4) or classes.size != scores.size or count.size != 1:
            raise SensorError(
                f"decoder.outputs: {', '.join(self.outputs)} need shapes nx4 (boxes), n, n and 1 (count), "
                f"the network has {shapes(outputs)}"
            )

    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        boxes, scores, classes, count = self._parts(outputs)
        valid = min(max(int(count[0]), 0), len(boxes))
        unit = np.array([*size, *size], np.float64) if self.box_unit == "pixel" else np.ones(4)
        if self.box_order == "yxyx":
            boxes = boxes[:, [1, 0, 3, 2]]
        return [
            Found(int(label), float(score), Box(*map(float, box)))
            for box, score, label in zip(boxes[:valid] / unit, scores[:valid], classes[:valid], strict=True)
            if score >= least_score and int(label) in wanted
        ]

    def _parts(self, outputs: Outputs) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Boxes (n x 4), scores, classes and count, whatever the order and with no batch dimension."""
        parts = {
            name: np.asarray(output, np.float64) for name, output in zip(self.outputs, outputs, strict=True)
        }
        boxes = parts["boxes"]
        if boxes.shape[-1:] == (4,):
            boxes = boxes.reshape(-1, 4)
        return boxes, parts["scores"].ravel(), parts["classes"].ravel(), parts["count"].ravel()
