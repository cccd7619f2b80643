"""The image signal processor: a picture → the network's input tensor.

Raw pictures are developed: black level, lens shading, white balance, colour matrix, sRGB's gamma. All but the
last are linear, so where the tensor is much smaller than the picture the Bayer planes are scaled down first,
and the rest costs next to nothing. Files and cameras deliver developed pictures; those are only scaled. Then
both are put into the order of colours and the values that the network asks for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensor_sim.package import Input
from sensor_sim.pixels import Image, Raw, Rectangle
from sensor_sim.pixels.imx500 import ARRAY, COLOUR_MATRIX, WHITE, Floats, shading

Tensor = NDArray[np.float32 | np.uint8]

# Developing works on values of 16 bit, so that scaling down keeps what averaging gains.
FINE_BITS = 16
GAMMA_STEPS = 1 << 14
# A tensor is small if the picture has this many times its width and height. Red and blue, which lie one value
# apart, then come to lie at most a third of the tensor's pixels apart.
SMALL = 3


class Placement(NamedTuple):
    """Where the picture lies in the tensor, in fractions of the tensor's width and height."""

    left: float
    top: float
    width: float
    height: float

    def to_picture(self, box: Box) -> Box:
        """A box in fractions of the tensor → in fractions of the picture."""
        return Box(
            (box.left - self.left) / self.width,
            (box.top - self.top) / self.height,
            (box.right - self.left) / self.width,
            (box.bottom - self.top) / self.height,
        )

    def of_whole(self, part: Box) -> Placement:
        """If this is where ``part`` of a picture lies: where the whole of it would."""
        width, height = self.width / part.width, self.height / part.height
        return Placement(self.left - part.left * width, self.top - part.top * height, width, height)


FILLED = Placement(0.0, 0.0, 1.0, 1.0)


def develop(image: Image | Raw, target: Input, region: Rectangle = ARRAY) -> tuple[Tensor, Placement]:
    """A picture → the tensor (1 x 3 x h x w or 1 x h x w x 3) that shows ``region``.

    The picture is raw, or height x width x 3, BGR, 0 to 255, and then stands for the whole array. Returns with
    the tensor where the whole array's picture lies in it, so that boxes are fractions of that whatever part
    of it was read and looked at. Raises :class:`SensorError` for a region of which nothing was read.
    """
    cut, part = _crop_raw(image, region) if isinstance(image, Raw) else _crop(image, region)
    scaled, placement = _letterbox(cut, target) if target.aspect == "letterbox" else _stretch(cut, target)
    ordered = scaled[:, :, ::-1] if target.colour == "RGB" else scaled
    values = ordered if target.dtype == "uint8" else _normalise(ordered, target)
    shaped = values if target.layout == "NHWC" else values.transpose(2, 0, 1)
    return np.ascontiguousarray(shaped[None]), placement.of_whole(part)


def _normalise(values: Image, target: Input) -> NDArray[np.float32]:
    mean, std = np.array(target.mean, np.float32), np.array(target.std, np.float32)
    return ((values - mean) / std).astype(np.float32, copy=False)


def _stretch(image: Image | Raw, target: Input) -> tuple[Image, Placement]:
    return _scale(image, target.width, target.height), FILLED


def _letterbox(image: Image | Raw, target: Input) -> tuple[Image, Placement]:
    height, width = (image.values if isinstance(image, Raw) else image).shape[:2]
    scale = min(target.width / width, target.height / height)
    inner_width, inner_height = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = (target.width - inner_width) // 2, (target.height - inner_height) // 2
    canvas = np.full((target.height, target.width, 3), target.pad, np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = _scale(image, inner_width, inner_height)
    return canvas, Placement(
        left / target.width, top / target.height, inner_width / target.width, inner_height / target.height
    )


def _scale(image: Image | Raw, width: int, height: int) -> Image:
    if isinstance(image, Raw):
        return develop_raw(image, width, height)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


# --- region of interest ----------------------------------------------------------------------------


def _crop(image: Image, region: Rectangle) -> tuple[Image, Box]:
    """The part of a developed picture that shows the region, and what part of the whole that is."""
    height, width = image.shape[:2]
    left, right = _span(region.left, region.width, 0, ARRAY.width, width)
    top, bottom = _span(region.top, region.height, 0, ARRAY.height, height)
    part = Box(left / width, top / height, right / width, bottom / height)
    return image[top:bottom, left:right], part


def _crop_raw(raw: Raw, region: Rectangle) -> tuple[Raw, Box]:
    """The same of a raw picture. What was not read is not shown; cuts go between groups of four colours."""
    window, cell = raw.window, 2 * raw.binning
    left, right = _span(region.left, region.width, window.left, window.width, window.width // cell)
    top, bottom = _span(region.top, region.height, window.top, window.height, window.height // cell)
    read = Rectangle(
        window.left + left * cell, window.top + top * cell, (right - left) * cell, (bottom - top) * cell
    )
    values = raw.values[2 * top : 2 * bottom, 2 * left : 2 * right]
    return raw._replace(values=values, window=read), Box(
        read.left / ARRAY.width,
        read.top / ARRAY.height,
        (read.left + read.width) / ARRAY.width,
        (read.top + read.height) / ARRAY.height,
    )


def _span(begin: int, length: int, origin: int, whole: int, cells: int) -> tuple[int, int]:
    """The first cell, and the one after the last, that ``begin`` to ``begin + length`` touches."""
    first = max((begin - origin) * cells // whole, 0)
    last = min(-((origin - begin - length) * cells // whole), cells)
    if first >= last:
        raise SensorError("region of interest: the sensor reads nothing there; choose it within the picture")
    return first, last


# --- developing ------------------------------------------------------------------------------------


def develop_raw(raw: Raw, width: int, height: int) -> Image:
    """A raw picture → height x width x 3, BGR, sRGB-coded."""
    rows, columns = raw.values.shape
    small = SMALL * width <= columns and SMALL * height <= rows
    colours = _scale_planes(raw, width, height) if small else _demosaic(raw, width, height)
    return finish(colours, raw.window, raw.white_balance)


def finish(light: Floats, window: Rectangle, white_balance: tuple[float, float, float]) -> Image:
    """What is left to do once black is zero: height x width x 3, BGR, in units of the raw values → sRGB."""
    height, width = light.shape[:2]
    balanced = cv2.multiply(light, _gains(window, width, height, white_balance))
    linear = cv2.transform(balanced, COLOUR_MATRIX[::-1, ::-1])
    steps: NDArray[np.float32] = np.clip(linear, 0, 1) * (GAMMA_STEPS - 1) + 0.5
    return np.take(_gamma(), steps.astype(np.uint16))


def _scale_planes(raw: Raw, width: int, height: int) -> Floats:
    """Each colour by itself scaled to the size; blue, the mean of both greens, red; black is zero.

    Two values beside each other are moved as one word of 32 bit, which is what makes this fast.
    """
    pairs = raw.values.view(np.uint32)
    groups = np.empty((pairs.shape[0] // 2, pairs.shape[1], 2), np.uint32)
    for row in (0, 1):
        np.left_shift(pairs[row::2], FINE_BITS - raw.bits, out=groups[:, :, row])
    planes = groups.view(np.uint16)  # red, green, green, blue
    scaled = cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    unit = 1 / (1 << FINE_BITS - raw.bits)
    pick = np.array([[0, 0, 0, 1], [0, 0.5, 0.5, 0], [1, 0, 0, 0]]) * unit
    return _floats(cv2.transform(scaled, np.hstack([pick, np.full((3, 1), -raw.black)])))


def _demosaic(raw: Raw, width: int, height: int) -> Floats:
    """The same through a picture of full size, for tensors that are nearly as large as it."""
    fine = np.left_shift(raw.values, FINE_BITS - raw.bits)
    full = cv2.demosaicing(fine, cv2.COLOR_BayerRGGB2BGR)
    shrinks = width < full.shape[1] and height < full.shape[0]
    scaled = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _floats(scaled / np.float32(1 << FINE_BITS - raw.bits) - raw.black)


@lru_cache(maxsize=8)
def _gains(window: Rectangle, width: int, height: int, white_balance: tuple[float, float, float]) -> Floats:
    """What undoes the lens's shading and balances white, 1.0 being a well exposed white (h x w x 3, BGR)."""
    return _floats(np.array(white_balance[::-1]) / (shading(window, width, height) * WHITE))


@lru_cache(maxsize=1)
def _gamma() -> NDArray[np.uint8]:
    """sRGB's transfer function (IEC 61966-2-1) in ``GAMMA_STEPS`` steps from 0 to 1."""
    linear = np.linspace(0, 1, GAMMA_STEPS)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * coded), np.uint8)


def _floats(values: NDArray[np.generic] | cv2.typing.MatLike) -> Floats:
    return np.asarray(values, np.float32)
