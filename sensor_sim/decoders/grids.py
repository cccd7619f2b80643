"""Grids of cells that cover the input tensor, one for each stride."""

from __future__ import annotations

from functools import cache
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from sensor_sim.decoders.found import Size

Floats = NDArray[np.float32]


Strides = Annotated[tuple[Annotated[int, Meta(ge=1, le=4096)], ...], Meta(min_length=1, max_length=8)]


class Cells(NamedTuple):
    """All cells of all grids, row by row, grid by grid: where each begins and how wide it is, in pixels."""

    corners: Floats  # n x 2: left, top
    strides: Floats  # n


def count(stride: int, size: Size) -> int:
    """The number of cells of one grid; cells at the right and lower edge may reach beyond the tensor."""
    return -(-size[0] // stride) * -(-size[1] // stride)


@cache
def cells(strides: tuple[int, ...], size: Size) -> Cells:
    corners = [_corners(stride, size) for stride in strides]
    widths = [np.full(len(grid), stride, np.float32) for grid, stride in zip(corners, strides, strict=True)]
    return Cells(np.concatenate(corners), np.concatenate(widths))


def _corners(stride: int, size: Size) -> Floats:
    down, across = np.mgrid[0 : size[1] : stride, 0 : size[0] : stride]
    return np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)
