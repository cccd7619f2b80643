"""What the chip lets out: labelled boxes and how it fares, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in fractions of the picture's width and height, origin top left, y growing downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    if width <= 0.0 or height <= 0.0:
        return 0.0
    shared = width * height
    return shared / (a.area + b.area - shared)


class Detection(NamedTuple):
    """One object that the network found; ``score`` is 0 to 1."""

    label: str
    score: float
    box: Box


class Metadata(NamedTuple):
    """What the chip says of one frame, taken at ``at`` seconds since 1970.

    ``detections`` is None for a frame that carries no result, because the network was still busy with an
    earlier one; ``dnn_us`` and ``dsp_us`` are then 0, else the microseconds that the network and what follows
    it on the chip took.
    """

    at: float
    detections: Sequence[Detection] | None
    dnn_us: int
    dsp_us: int
    temperature_c: float
