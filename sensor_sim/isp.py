"""The image signal processor: a picture → the network's input tensor.

Files and cameras deliver developed pictures, so what is left to do is to scale, order the colours and
normalise. Raw Bayer data would be developed here, before :func:`develop` scales it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.package import Input
from sensor_sim.pixels import Image

Tensor = NDArray[np.float32 | np.uint8]


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


FILLED = Placement(0.0, 0.0, 1.0, 1.0)


def develop(image: Image, target: Input) -> tuple[Tensor, Placement]:
    """A picture (height x width x 3, BGR, 0 to 255) → the tensor (1 x 3 x h x w or 1 x h x w x 3).

    Returns with it where the picture lies in the tensor.
    """
    scaled, placement = _letterbox(image, target) if target.aspect == "letterbox" else _stretch(image, target)
    ordered = scaled[:, :, ::-1] if target.colour == "RGB" else scaled
    values = ordered if target.dtype == "uint8" else _normalise(ordered, target)
    shaped = values if target.layout == "NHWC" else values.transpose(2, 0, 1)
    return np.ascontiguousarray(shaped[None]), placement


def _normalise(values: Image, target: Input) -> NDArray[np.float32]:
    mean, std = np.array(target.mean, np.float32), np.array(target.std, np.float32)
    return ((values - mean) / std).astype(np.float32, copy=False)


def _stretch(image: Image, target: Input) -> tuple[Image, Placement]:
    return _scale(image, target.width, target.height), FILLED


def _letterbox(image: Image, target: Input) -> tuple[Image, Placement]:
    height, width = image.shape[:2]
    scale = min(target.width / width, target.height / height)
    inner_width, inner_height = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = (target.width - inner_width) // 2, (target.height - inner_height) // 2
    canvas = np.full((target.height, target.width, 3), target.pad, np.uint8)
    canvas[top : top + inner_height, left : left + inner_width] = _scale(image, inner_width, inner_height)
    return canvas, Placement(
        left / target.width, top / target.height, inner_width / target.width, inner_height / target.height
    )


def _scale(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
