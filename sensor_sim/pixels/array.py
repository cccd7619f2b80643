"""The pixel array: what a world's camera sees → what the sensor reads out, with its noise.

Electrons are light x time; their number is random (shot noise: the variance is the mean), reading adds noise
of its own, and both are amplified and counted in steps. This is the linear camera model of EMVA Standard 1288
(release 4.0, section 2): variance in squared steps = K² σ_d² + K (mean - black) + 1/12, with K steps per
electron, σ_d read noise in electrons, and 1/12 from rounding to whole steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from sensor_sim import isp
from sensor_sim.pixels import Frame, Image, Raw, Rectangle
from sensor_sim.pixels.imx500 import (
    ARRAY,
    BINNED,
    BITS,
    BLACK,
    COLOUR_MATRIX,
    WHITE,
    WHITE_BALANCE,
    Floats,
    Mode,
    shading,
)
from sensor_sim.pixels.rendered import Happening, View, World

FULL_WELL_E = 8000.0  # electrons that saturate a pixel, and the scale at gain one
READ_NOISE_E = 3.0
LARGEST_GAIN = 22.26
DAY_S = 1 / 100  # exposes a lit shop well at gain one
ROUNDING = 1 / 12  # variance of rounding, in squared steps

NOISE_TILE = 1 << 22


class Exposure(NamedTuple):
    """``level`` is the brightness reached, 1.0 if well exposed."""

    seconds: float
    gain: float
    level: float


def expose(light: float, mode: Mode) -> Exposure:
    """Automatic exposure: as long as the light asks for and the frame's time allows, then gain."""
    wanted = DAY_S / max(light, 1e-9)
    seconds = min(max(wanted, mode.line_s), mode.longest_s)
    gain = min(max(wanted / seconds, 1.0), LARGEST_GAIN)
    return Exposure(seconds, gain, seconds * gain / wanted)


class PixelArray:
    """The array in one readout mode. The same seed and views give the same values."""

    def __init__(self, mode: Mode = BINNED, seed: int = 0) -> None:
        self.mode = mode
        self._random = np.random.default_rng(seed)

    def read_out(self, view: View) -> Raw:
        """The view's picture must be drawn at :func:`drawn_size`."""
        mode = self.mode
        image = _cut(view.image, mode)
        width, height = mode.size
        exposure = expose(view.light, mode)
        share = shading(mode.window, width // 2, height // 2) * np.float32(WHITE * exposure.level)
        values = np.empty((height, width), np.uint16)
        for row, column, colour in ((0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 0)):
            light = cv2.transform(_linear(image[row::2, column::2]), _camera_colours()[colour : colour + 1])
            steps = light * share[:, :, colour]
            noisy = self._disturb(steps, variance(steps, exposure.gain, mode.binning**2)) + BLACK
            values[row::2, column::2] = np.clip(np.rint(noisy), 0, 2**BITS - 1)
        return Raw(values, mode.window, mode.binning, BITS, BLACK, WHITE_BALANCE)

    def reduced(self, view: View) -> Image:
        """The developed picture of the whole array (BGR) as if read out, scaled down to the view's size.

        Far faster than reading out and developing, for training and long runs: light, exposure, shading and
        developing are the same, and so is the noise of each pixel, which averaging has made smaller (up to a
        third of the mode's size; beyond, developing interpolates, which smooths). Neighbours' noise is
        independent here. At most 1280 x 960, the largest tensor.
        """
        height, width = view.image.shape[:2]
        exposure = expose(view.light, self.mode)
        share = shading(ARRAY, width, height) * np.float32(WHITE * exposure.level)
        steps = cv2.transform(_linear(view.image), _camera_colours()) * share
        of_values = variance(steps, exposure.gain, self.mode.binning**2) + ROUNDING
        averaged = _averaged(self.mode, width, height) * np.array(
            [1, 2, 1], np.float32
        )  # there are two greens
        return isp.finish(self._disturb(steps, of_values / averaged), ARRAY, WHITE_BALANCE)

    def _disturb(self, steps: Floats, variance: Floats) -> Floats:
        tile = _normal_tile()
        begin = int(self._random.integers(len(tile) - steps.size))
        noise = tile[begin : begin + steps.size].reshape(steps.shape)
        return np.asarray(steps + np.sqrt(variance) * noise, np.float32)


def variance(steps: Floats, gain: float, pixels: int) -> Floats:
    """Of values that are each the mean of ``pixels`` pixels, before rounding; in squared steps, as above."""
    per_electron = gain * (2**BITS - 1 - BLACK) / FULL_WELL_E
    shot, read = per_electron * np.maximum(steps, 0), (per_electron * READ_NOISE_E) ** 2
    return np.asarray((shot + read) / pixels, np.float32)


class Rendered:
    """The frames of a world for ``seconds`` from ``start`` (seconds since 1970) at the mode's rate.

    They are raw, or with ``reduced`` (width, height) developed pictures of that size. What truly happens is
    told to ``tell`` before the first frame that can show it, and what the end cuts short after the last. A frame's time is that of its middle row; of raw
    frames each of ``bands`` bands of rows is drawn as the world is when the rolling shutter exposes it.
    """

    def __init__(
        self,
        world: World,
        mode: Mode = BINNED,
        *,
        start: float,
        seconds: float,
        seed: int = 0,
        reduced: tuple[int, int] | None = None,
        bands: int = 1,
        tell: Callable[[Happening], None] = lambda happening: None,
    ) -> None:
        self._world = world
        self._array = PixelArray(mode, seed)
        self._start, self._count = start, round(seconds * mode.rate)
        self._reduced = reduced
        self._bands = bands
        self._tell = tell

    def __length_hint__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        try:
            for number in range(self._count):
                yield self._frame(self._start + number / self._array.mode.rate)
        finally:  # whoever watches may have had enough before
            for happening in self._world.end():
                self._tell(happening)

    def _frame(self, at: float) -> Frame:
        if self._reduced:
            return Frame(at, self._array.reduced(self._view(at, self._reduced)))
        return Frame(at, self._array.read_out(self._rolling_view(at)))

    def _rolling_view(self, at: float) -> View:
        """The whole array's view; what is read of it in bands, each at its time."""
        mode = self._array.mode
        begin, rows = mode.window.top // mode.binning, mode.size[1]
        edges = [rows * number // self._bands for number in range(self._bands + 1)]
        views = [
            self._view(at + mode.delay((first + last) / 2), drawn_size(mode))
            for first, last in pairwise(edges)
        ]
        cuts = [0, *(begin + edge for edge in edges[1:-1]), None]
        bands = [view.image[slice(*cut)] for view, cut in zip(views, pairwise(cuts), strict=True)]
        return views[-1]._replace(image=np.concatenate(bands))

    def _view(self, at: float, size: tuple[int, int]) -> View:
        for happening in self._world.advance(at):
            self._tell(happening)
        return self._world.view(*size)


def drawn_size(mode: Mode) -> tuple[int, int]:
    """Width and height at which a view must be drawn for the mode: the whole array, binned or not."""
    return ARRAY.width // mode.binning, ARRAY.height // mode.binning


def _cut(image: Image, mode: Mode) -> Image:
    window = Rectangle(*(side // mode.binning for side in mode.window))
    return image[window.top : window.top + window.height, window.left : window.left + window.width]


def _averaged(mode: Mode, width: int, height: int) -> float:
    """How many independent values of a colour have the noise of one pixel, after scaling down by area."""
    groups = 2 * mode.binning
    return _averaged_along(ARRAY.width // groups, width) * _averaged_along(ARRAY.height // groups, height)


def _averaged_along(values: int, pixels: int) -> float:
    """The same along one axis: a pixel is the mean over a span of values, those at its ends in part."""
    span = values / pixels
    if span <= 1:
        return 1.0
    ends = np.arange(pixels + 1) * span
    begin, end = ends[:-1], ends[1:]
    squares = (np.ceil(begin) - begin) ** 2 + (np.floor(end) - np.ceil(begin)) + (end - np.floor(end)) ** 2
    return float(span**2 / squares.mean())


def _linear(image: Image) -> Floats:
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), _linear_table()), np.float32)


@lru_cache(maxsize=1)
def _linear_table() -> Floats:
    """The inverse of sRGB's transfer function (IEC 61966-2-1) for 0 to 255."""
    coded = np.arange(256) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=1)
def _camera_colours() -> Floats:
    """From linear sRGB to what the colour filters let through (3 x 3; blue, green, red both ways)."""
    filters = np.linalg.inv(COLOUR_MATRIX) / np.array(WHITE_BALANCE)[:, None]
    return np.ascontiguousarray(filters[::-1, ::-1], np.float32)


@lru_cache(maxsize=1)
def _normal_tile() -> Floats:
    """Standard normal values, many enough that cuts at random places look independent."""
    return np.random.default_rng(0).standard_normal(NOISE_TILE, np.float32)
