"""What every decoder takes in and gives out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box

Outputs = list[NDArray[np.generic]]
Size = tuple[int, int]


class Found(NamedTuple):
    """An object of class number ``label``; the box is in fractions of the input tensor."""

    label: int
    score: float
    box: Box


def shapes(outputs: Outputs) -> str:
    """The outputs' shapes in words, for messages."""
    return ", ".join("x".join(map(str, output.shape)) or "a single number" for output in outputs)
