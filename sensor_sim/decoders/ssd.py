"""SSD: a table of boxes and a table of class scores, one row for each default box.

A box is given by how far it is from its default box d with the variances v: the centre is d's centre plus
d's size times v0 times the first numbers, the size is d's size times exp(v1 times the last numbers)
(Liu et al., SSD, ECCV 2016, equation 2; the variances are those of its published code). Or the network has
applied that already and gives out corners.

What a network gives out after its own suppression (boxes, scores, classes and their count, as TensorFlow's
detection models do) is the layout ``imx500_pp``.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from sensor_sim.decoders.found import (
    Found,
    Layout,
    Outputs,
    Size,
    check_activation,
    check_classes,
    check_unit,
    floats,
    fractions,
    shapes,
    tables,
)
from sensor_sim.decoders.suppression import candidates, sigmoid, suppress
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]
Positive = Annotated[float, Meta(gt=0, le=1000)]
Cells = Annotated[int, Meta(ge=1, le=1024)]


class FeatureMap(Struct, frozen=True, forbid_unknown_fields=True):
    """The default boxes of one feature map; maps, rows, columns and shapes come in the network's order.

    ``cells``: across and down. ``shapes``: of each default box of a cell its scale s and its aspect ratio
    a (width by height); it is s·√a of the tensor wide and s/√a of it high (SSD, section 2.2). ``step``:
    from cell to cell in pixels; without it the cells fill the tensor.
    """

    cells: tuple[Cells, Cells]
    shapes: Annotated[tuple[tuple[Positive, Positive], ...], Meta(min_length=1, max_length=64)]
    step: Positive | None = None


class Ssd(Layout, tag="ssd", frozen=True):
    """Settings in the card.

    ``maps``: the default boxes; without them the boxes come decoded, as corners. ``clip``: default boxes
    are never larger than the tensor. ``box_order``: ``xyxy`` across before down, ``yxyx`` down before
    across, for centre and size as for corners. ``box_unit``: of decoded boxes, fractions of the tensor or
    its pixels. ``activation``: what turns the network's scores into 0 to 1. ``background``: the column of
    the class that is nothing; it has no label. ``outputs``: their order.
    """

    activation: Literal["softmax", "sigmoid", "none"]
    background: Annotated[int, Meta(ge=0)] | None = 0
    maps: Annotated[tuple[FeatureMap, ...], Meta(max_length=16)] = ()
    clip: bool = False
    variances: tuple[Positive, Positive] = (0.1, 0.2)
    box_order: Literal["xyxy", "yxyx"] = "xyxy"
    box_unit: Literal["fraction", "pixel"] = "fraction"
    outputs: tuple[Literal["boxes", "scores"], Literal["boxes", "scores"]] = ("boxes", "scores")
    nms_overlap: Annotated[float, Meta(gt=0, le=1)] = 0.45

    def __post_init__(self) -> None:
        if len(set(self.outputs)) != 2:
            raise ValueError("outputs: name each of boxes and scores once")

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        _, scores = self._tables(outputs)
        check_classes(scores.shape[1] - (self.background is not None), labels)

    @np.errstate(all="ignore")
    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        boxes, scores = self._tables(outputs)
        check_activation(scores, self.activation, "say softmax or sigmoid")
        if not self.maps:
            best = self._activated(scores).max(axis=1, initial=0)
            check_unit(boxes, best, self.box_unit, "decoder.box_unit", "say so")

    @np.errstate(all="ignore")
    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        encoded, scores = self._tables(outputs)
        found = candidates(self._activated(scores), wanted, least_score)
        boxes = self._boxes(encoded[found.rows], found.rows, size)
        return suppress(boxes, found.labels, found.scores, self.nms_overlap)

    def _activated(self, scores: Floats) -> Floats:
        """Scores from 0 to 1, without the background."""
        if self.activation == "softmax":
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = floats(weights / weights.sum(axis=1, keepdims=True))
        elif self.activation == "sigmoid":
            scores = sigmoid(scores)
        return scores if self.background is None else np.delete(scores, self.background, axis=1)

    def _boxes(self, encoded: Floats, rows: NDArray[np.int64], size: Size) -> Floats:
        """Left, top, right and bottom, in fractions, of the default boxes with these numbers."""
        if self.box_order == "yxyx":
            encoded = encoded[:, [1, 0, 3, 2]]
        if not self.maps:
            return fractions(encoded, size) if self.box_unit == "pixel" else encoded
        centres, sides = np.split(_default_boxes(self.maps, self.clip, size)[rows], 2, axis=1)
        centres = centres + encoded[:, :2] * self.variances[0] * sides
        halves = np.exp(encoded[:, 2:] * self.variances[1]) * sides / 2
        return np.concatenate([centres - halves, centres + halves], axis=1)

    def _tables(self, outputs: Outputs) -> tuple[Floats, Floats]:
        """Boxes (n x 4) and scores (n x classes)."""
        flat = tables(outputs)
        if len(outputs) == 2 == len(flat):
            boxes, scores = (flat[self.outputs.index(name)] for name in ("boxes", "scores"))
            if boxes.shape == (len(scores), 4):
                self._check_rows(len(boxes))
                self._check_columns(scores.shape[1])
                return boxes, scores
        raise SensorError(
            f"decoder.outputs: ssd reads {' and '.join(self.outputs)}, with boxes nx4 and scores nx(classes), "
            f"the network has {shapes(outputs)}"
        )

    def _check_rows(self, there: int) -> None:
        defaults = sum(each.cells[0] * each.cells[1] * len(each.shapes) for each in self.maps)
        if self.maps and defaults != there:
            raise SensorError(f"decoder.maps: they make {defaults} default boxes, the network has {there}")

    def _check_columns(self, columns: int) -> None:
        if self.background is not None and self.background >= columns:
            raise SensorError(
                f"decoder.background: it is {self.background}, the network's columns are 0 to {columns - 1}"
            )


@cache
def _default_boxes(maps: tuple[FeatureMap, ...], clip: bool, size: Size) -> Floats:
    """The centre's x and y, width and height of every default box, in fractions of the tensor."""
    boxes = np.concatenate([_boxes_of(each, size) for each in maps])
    if clip:
        boxes[:, 2:] = np.minimum(boxes[:, 2:], 1)
    return boxes


def _boxes_of(each: FeatureMap, size: Size) -> Floats:
    """Row by row, cell by cell, shape by shape."""
    step = np.array(
        [each.step / side if each.step else 1 / n for n, side in zip(each.cells, size, strict=True)]
    )
    down, across = np.mgrid[0 : each.cells[1], 0 : each.cells[0]]
    centres = (np.stack([across.ravel(), down.ravel()], axis=1) + 0.5) * step
    scale, ratio = np.array(each.shapes).T
    sides = np.stack([scale * np.sqrt(ratio), scale / np.sqrt(ratio)], axis=1)
    pairs = [np.repeat(centres, len(sides), axis=0), np.tile(sides, (len(centres), 1))]
    return np.concatenate(pairs, axis=1).astype(np.float32)
