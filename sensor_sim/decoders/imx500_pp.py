"""Detectors for the IMX500 that end in non-maximum suppression inside the network.

Four outputs: boxes (n x 4), scores (n), classes (n) and the count of valid rows (1). Packages differ in
the order of the outputs, in the order of a box's sides and in its unit, so the card says them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensor_sim.decoders.found import (
    SURE,
    Found,
    Layout,
    Outputs,
    Size,
    check_scores,
    check_unit,
    floats,
    fractions,
    shapes,
)
from sensor_sim.decoders.suppression import possible
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]
Part = Literal["boxes", "scores", "classes", "count"]

HAIR = 0.2  # so far from a whole number a class is still that one, as a step of a scale
PADDING = -1


class Imx500PP(Layout, tag="imx500_pp", frozen=True):
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
        self._parts(outputs)

    @np.errstate(all="ignore")
    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        boxes, scores, classes, count = self._parts(outputs)
        valid = np.arange(len(scores)) < count
        boxes, scores, classes = boxes[valid], scores[valid], classes[valid]
        # Some networks fill rows up with a score and a class of -1.
        check_scores(scores[scores != PADDING], "decoder.outputs", "name the outputs in the network's order")
        self._check_labels(classes, classes[scores >= SURE], labels)
        check_unit(boxes, scores, self.box_unit, "decoder.box_unit", "say so")

    @staticmethod
    def _check_labels(classes: Floats, sure: Floats, labels: int) -> None:
        if (np.abs(classes - np.rint(classes)) > HAIR).any():
            raise SensorError(
                "decoder.outputs: classes are whole numbers, and there the network has others; name the outputs in "
                "the network's order"
            )
        if ((sure < -HAIR) | (sure > labels - 1 + HAIR)).any():
            raise SensorError(
                f"labels: the card has {labels}, for the classes 0 to {labels - 1}, and the network finds others; list "
                "exactly one label per class"
            )

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        boxes, scores, classes, count = self._parts(outputs)
        classes = np.rint(classes)
        if self.box_order == "yxyx":
            boxes = boxes[:, [1, 0, 3, 2]]
        if self.box_unit == "pixel":
            boxes = fractions(boxes, size)
        found = (scores >= least_score) & (scores < np.inf) & np.isin(classes, list(wanted)) & possible(boxes)
        found &= np.arange(len(found)) < count
        return [
            Found(int(label), min(float(score), 1.0), Box(*map(float, box)))
            for box, score, label in zip(boxes[found], scores[found], classes[found], strict=True)
        ]

    def _parts(self, outputs: Outputs) -> tuple[Floats, Floats, Floats, Floats]:
        """Boxes (n x 4), scores, classes and count, whatever the order and with no batch dimension.

        Classes and count are whole numbers that the chip gives out as steps of a scale: a hair below one
        is that one. The count is rounded.
        """
        if len(outputs) != 4:
            raise SensorError(
                f"decoder: imx500_pp reads 4 outputs ({', '.join(self.outputs)}), "
                f"the network has {len(outputs)} ({shapes(outputs)})"
            )
        parts = {name: floats(output) for name, output in zip(self.outputs, outputs, strict=True)}
        boxes, scores, classes, count = parts["boxes"], parts["scores"], parts["classes"], parts["count"]
        if (
            boxes.shape[-1:] != (4,)
            or not boxes.size == 4 * scores.size == 4 * classes.size
            or count.size != 1
        ):
            raise SensorError(
                f"decoder.outputs: {', '.join(self.outputs)} need shapes nx4 (boxes), n, n and 1 (count), "
                f"the network has {shapes(outputs)}"
            )
        return boxes.reshape(-1, 4), scores.ravel(), classes.ravel(), np.rint(count.ravel())
