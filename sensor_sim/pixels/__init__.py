"""Where light comes from.

A source is an iterable of frames in order of time; ``None`` in their place means that there is nothing to
see just now. How to add one: one file with such an iterable, and its option in ``sensor_sim.watch``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Frame(NamedTuple):
    """One picture: ``image`` is height x width x 3, blue, green, red; ``at`` is seconds since 1970 (UTC)."""

    at: float
    image: Image


Source = Iterable[Frame | None]
