"""The IMX500's pixel array in numbers: its size, its colours, its lens and the ways to read it out.

Sizes, modes and bits are those of the chip; what its maker does not publish (full well, read noise, colour
filters, the share of a frame's time that reading takes) is of the size usual for pixels of 1.55 µm behind
the lens of the Raspberry Pi AI Camera (4.74 mm).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor_sim.pixels import Rectangle

Floats = NDArray[np.float32]

ARRAY = Rectangle(0, 0, 4056, 3040)
BITS, BLACK = 10, 64

# Where a white surface comes to lie in a well exposed picture: a little below saturation, so that noise
# is not cut off on one side.
WHITE = 0.9 * (2**BITS - 1 - BLACK)

# Daylight white as the colour filters weaken it, and the way from the filters' colours to sRGB. Each row
# of the matrix adds up to one, so that white stays white. Both in the order red, green, blue.
WHITE_BALANCE = (1.9, 1.0, 1.6)
COLOUR_MATRIX: Floats = np.array(
    [[1.65, -0.50, -0.15], [-0.25, 1.50, -0.25], [-0.05, -0.50, 1.55]], np.float32
)

PIXEL_MM, FOCAL_LENGTH_MM = 0.00155, 4.74
# Powers of the cosine by which light falls off: four by nature, and a little more or less because filters
# and microlenses treat slanting light by its colour. Red, green, blue.
FALL_OFF = (4.3, 4.0, 3.8)


class Mode(NamedTuple):
    """A way to read the array out: which part, how many pixels of a colour make one value, how often."""

    name: str
    window: Rectangle
    binning: int
    rate: float  # frames per second

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is read out."""
        return self.window.width // self.binning, self.window.height // self.binning

    @property
    def line_s(self) -> float:
        """Seconds from the beginning of one line's readout to that of the next."""
        return READING / self.rate / self.size[1]

    @property
    def longest_s(self) -> float:
        """The longest exposure: a frame's time but for the lines in which a row is reset."""
        return 1 / self.rate - RESET_LINES * self.line_s

    def delay(self, row: float) -> float:
        """Seconds by which a row is exposed later than the middle one: the shutter rolls, line after line."""
        return (row - self.size[1] / 2) * self.line_s


READING = 0.95  # share of a frame's time in which lines are read; the rest is blanking
RESET_LINES = 22

FULL = Mode("full", ARRAY, 1, 10.0)
BINNED = Mode("binned", ARRAY, 2, 30.0)
VIDEO = Mode("video", Rectangle(108, 440, 3840, 2160), 1, 60.0)
MODES = {mode.name: mode for mode in (FULL, BINNED, VIDEO)}


@lru_cache(maxsize=8)
def shading(window: Rectangle, width: int, height: int) -> Floats:
    """How much of the light in the middle of the array arrives at each of width x height points.

    Returns height x width x 3 (blue, green, red), 1.0 in the middle. The points lie in the middles of equal
    cells of the window. Illumination falls with the cosine of the angle to the fourth power; see E. Hecht,
    Optics, on the cos⁴ law.
    """
    x = _from_middle(window.left, window.width, width, ARRAY.width)
    y = _from_middle(window.top, window.height, height, ARRAY.height)
    cosine_squared = 1 / (1 + x[None, :] ** 2 + y[:, None] ** 2)
    planes = [cosine_squared ** (power / 2) for power in reversed(FALL_OFF)]
    return np.stack(planes, axis=2).astype(np.float32)


def _from_middle(begin: int, length: int, count: int, whole: int) -> NDArray[np.float64]:
    """Tangents of the angles at which light comes to the middles of ``count`` cells of one axis."""
    pixels = begin + (np.arange(count) + 0.5) * length / count - whole / 2
    return np.asarray(pixels * PIXEL_MM / FOCAL_LENGTH_MM, np.float64)
