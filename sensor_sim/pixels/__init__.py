"""Where light comes from.

A source is an iterable of frames in order of time; ``None`` in their place means that there is nothing to
see just now. How to add one: one file with such an iterable, and its option in ``sensor_sim.sources``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Rectangle(NamedTuple):
    """A part of the pixel array, in its full-resolution pixels, origin top left."""

    left: int
    top: int
    width: int
    height: int


class Raw(NamedTuple):
    """What a pixel array reads out, and what developing it must know.

    ``values`` is height x width, ``bits`` bit in uint16, colours in turn red, green in even rows and green,
    blue in odd ones. A value is the mean of ``binning`` x ``binning`` pixels of its colour, and ``black``
    without light. ``window`` is the part of the array that was read. ``white_balance`` are the factors that
    make red, green and blue of a white thing equal.
    """

    values: NDArray[np.uint16]
    window: Rectangle
    binning: int
    bits: int
    black: int
    white_balance: tuple[float, float, float]


class Frame(NamedTuple):
    """One picture, taken at ``at`` seconds since 1970 (UTC): raw, or height x width x 3, blue, green, red."""

    at: float
    image: Image | Raw


Source = Iterable[Frame | None]
