"""What every decoder takes in and gives out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Outputs = list[NDArray[np.generic]]
Size = tuple[int, int]


class Found(NamedTuple):
    """An object of class number ``label``; the box is in fractions of the input tensor."""

    label: int
    score: float
    box: Box


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


def check_classes(classes: int, labels: int) -> None:
    """Raises :class:`SensorError` unless the card has one label for each class that the network scores."""
    if classes != labels:
        raise SensorError(
            f"labels: the card has {labels}, the network scores {classes} classes; "
            "list exactly one label per class"
        )
