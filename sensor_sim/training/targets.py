"""What the network should say of each cell: the labels of a picture → targets.

Each thing is a bell over its mark in the heat map of its class, 1 in the cell of the mark's centre (Liu et al.,
"Training-time-friendly network for real-time object detection", AAAI 2020, section 3.2); the cells under the bell
learn the thing's box as well, weighted by the bell, so that each counts about the same whatever its size. A mark
is the whole box, or of people the head: seen from above, heads hardly ever hide each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor_sim.training.pictures import BOX, MARK, Labels

Floats = NDArray[np.float32]

STRIDE = 8
# Things of which less can be seen are neither right nor wrong to find.
LEAST_VISIBLE = 0.15
# The bell ends at this share of the mark's sides.
BELL = 0.54


class Targets(NamedTuple):
    """For a grid of h x w cells."""

    heat: Floats  # classes x h x w: 1 at centres, falling to 0
    care: Floats  # h x w: 0 where the heat does not matter
    boxes: Floats  # 4 x h x w: top, left, bottom, right in cells
    weights: Floats  # h x w: how much the box matters


def assign(things: Labels, classes: int, width: int, height: int) -> Targets:
    """Targets for things (n x COLUMNS, fractions of the picture) in a tensor of width x height pixels."""
    across, down = width // STRIDE, height // STRIDE
    heat = np.zeros((classes, down, across), np.float32)
    hidden = np.zeros((down, across), np.float32)
    boxes = np.zeros((4, down, across), np.float32)
    weights = np.zeros((down, across), np.float32)
    size = np.array([across, down, across, down], np.float32)
    scaled, marks = things[:, BOX] * size, things[:, MARK] * size
    areas = (scaled[:, 2] - scaled[:, 0]) * (scaled[:, 3] - scaled[:, 1])
    for i in np.argsort(-areas, kind="stable"):  # small ones last: they win where bells overlap
        under, bell = _bell(marks[i], across, down)
        if things[i, 5] < LEAST_VISIBLE:
            hidden[under] = np.maximum(hidden[under], bell)
            continue
        layer = heat[int(things[i, 0])]
        layer[under] = np.maximum(layer[under], bell)
        boxes[:, *under] = scaled[i, [1, 0, 3, 2], None, None]
        weights[under] = bell / bell.sum()
    care = np.where((hidden > 0) & (heat.max(axis=0) < hidden), 0.0, 1.0).astype(np.float32)
    return Targets(heat, care, boxes, weights)


def _bell(box: Floats, across: int, down: int) -> tuple[tuple[slice, slice], Floats]:
    """A Gaussian bell around the centre of a box (left, top, right, bottom in cells): rows and columns, and
    the values there."""
    columns, row = _falling(box[0], box[2], across)
    rows, column = _falling(box[1], box[3], down)
    return (rows, columns), column[:, None] * row[None, :]


def _falling(begin: float, end: float, length: int) -> tuple[slice, Floats]:
    """One dimension of the bell, cut to a grid of this length."""
    centre = min(max(int((begin + end) / 2), 0), length - 1)
    radius = int((end - begin) * BELL / 2)
    where = slice(max(centre - radius, 0), min(centre + radius + 1, length))
    offset = np.arange(where.start, where.stop, dtype=np.float32) - centre
    return where, np.exp(-(offset**2) / (2 * ((2 * radius + 1) / 6) ** 2)).astype(np.float32)
