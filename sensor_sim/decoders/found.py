"""What every decoder is, takes in and gives out."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Outputs = list[NDArray[np.generic]]
Size = tuple[int, int]

# How far quantisation may take a score out of 0 to 1.
SLACK = 0.1
# Boxes in fractions reach little beyond the tensor, those in pixels farther than that.
MOST_FRACTION, LEAST_PIXELS = 1.5, 4.0
SURE = 0.3  # where a box has at least this score, something is


class Found(NamedTuple):
    """An object of class number ``label``; the box is in fractions of the input tensor."""

    label: int
    score: float
    box: Box


class Layout(Struct, tag_field="layout", frozen=True, forbid_unknown_fields=True):
    """An output layout of networks. Its tag is its name in model cards, its fields are its settings there.

    ``outputs`` come in the network's order, with a batch dimension or without; ``size`` is the tensor's (width,
    height). An output may hold anything: NaN, infinity, no rows, other shapes than in the trial run.
    """

    def check(self, outputs: Outputs, labels: int, size: Size) -> None:
        """Raises :class:`SensorError` saying what in the outputs of a trial run does not fit the card, which has so
        many ``labels``."""
        raise NotImplementedError

    def check_values(self, outputs: Outputs, labels: int, size: Size) -> None:
        """Raises :class:`SensorError` saying which field of the card does not fit the values of outputs whose shapes do;
        those of an empty picture may not tell."""

    def decode(
        self, outputs: Outputs, wanted: Collection[int], least_score: float, size: Size
    ) -> list[Found]:
        """The objects of the class numbers ``wanted`` in the outputs of one inference, boxes in fractions of the
        tensor; raises :class:`SensorError` if they have other shapes than the layout's."""
        raise NotImplementedError


def floats(output: NDArray[np.generic]) -> NDArray[np.float32]:
    """An output as single precision; what is too large for it becomes infinite, without a warning."""
    with np.errstate(all="ignore"):
        return np.asarray(output, np.float32)


def tables(outputs: Outputs) -> list[NDArray[np.float32]]:
    """The outputs that have rows and columns, as such: n x m, with no batch dimension or others before."""
    return [floats(o).reshape(-1, o.shape[-1]) for o in outputs if o.ndim > 1 and o.shape[-1]]


def fractions(boxes: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Boxes (n x 4: left, top, right, bottom) in pixels → in fractions of a tensor of this size."""
    return np.asarray(boxes / np.array([*size, *size]), np.float32)


def shapes(outputs: Outputs) -> str:
    """The outputs' shapes in words, for messages."""
    return ", ".join("x".join(map(str, output.shape)) or "a single number" for output in outputs)


def check_numbers(values: NDArray[np.generic]) -> None:
    """Raises :class:`SensorError` for NaN: nothing would ever be found, which must not look as if nobody was there."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise SensorError(
            "model.onnx: the network gives values that are no numbers (NaN); train or export it again"
        )


def check_scores(scores: NDArray[np.float32], field: str, remedy: str) -> None:
    """Raises :class:`SensorError` for scores that are none; ``field`` is where the card says how they come to be."""
    check_numbers(scores)
    if ((scores < -SLACK) | (scores > 1 + SLACK)).any():
        raise SensorError(f"{field}: scores are from 0 to 1, and there the network has others; {remedy}")


def check_activation(scores: NDArray[np.float32], activation: str, remedy: str) -> None:
    """Raises :class:`SensorError` unless there is something left to do for the card's ``activation`` (or nothing, for
    ``none``) to make these values scores."""
    if activation == "none":
        check_scores(scores, "decoder.activation", remedy)
        return
    check_numbers(scores)
    if scores.any() and scores.min() >= 0 and scores.max() <= 1:
        raise SensorError(
            f"decoder.activation: the card says {activation}, and the network's scores are from 0 to 1 already; say none"
        )


def check_unit(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], unit: str, field: str, remedy: str
) -> None:
    """Raises :class:`SensorError` for boxes (n x 4) of these scores (n) that are not in this unit (``pixel`` or
    ``fraction``) of the tensor: fractions are about 1 at most, and nothing is all within the first pixel."""
    largest = np.abs(boxes[scores >= SURE]).max(axis=1, initial=0)
    is_other = largest <= MOST_FRACTION if unit == "pixel" else largest > LEAST_PIXELS
    if largest.any() and is_other.all():
        other = "fraction" if unit == "pixel" else "pixel"
        raise SensorError(f"{field}: the card says {unit}, and the network's boxes are in {other}s; {remedy}")


def check_classes(classes: int, labels: int) -> None:
    """Raises :class:`SensorError` unless the card has one label for each class that the network scores."""
    if classes != labels:
        raise SensorError(
            f"labels: the card has {labels}, the network scores {classes} classes; "
            "list exactly one label per class"
        )
