"""From scores to objects, the same for every layout without non-maximum suppression inside the network.

Scores are looked at first, so that boxes are decoded only where there is something. Numbers that are none
(NaN, infinity) and boxes that enclose nothing come from broken weights, not from objects: they are dropped.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.decoders.found import Found, floats
from sensor_sim.detection import Box
from sensor_sim.errors import SensorError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

# Of more candidates than this only the best are looked at: a picture has no room for so many objects.
MOST = 1000
# No object lies farther from the picture than this many times its size.
REACH = 10.0


class Candidates(NamedTuple):
    """Three arrays of one length: rows of the score table, class numbers and scores up to 1."""

    rows: Integers
    labels: Integers
    scores: Floats


def sigmoid(scores: Floats) -> Floats:
    """1 / (1 + exp(-scores)), which is 0 or 1 far out."""
    return floats(0.5 + 0.5 * np.tanh(scores / 2))


def candidates(table: Floats, wanted: Collection[int], least_score: float) -> Candidates:
    """Where the score table (n x classes) holds at least ``least_score`` for a wanted class.

    Raises :class:`SensorError` if it has no such class: dynamic dimensions may change after the trial run.
    """
    classes = np.array(sorted(wanted), np.int64)
    if (classes >= table.shape[1]).any():
        raise SensorError(
            f"labels: the network now scores {table.shape[1]} classes, fewer than the card has labels; "
            "export it with fixed dimensions"
        )
    scores = table[:, classes]
    there = (scores >= least_score) & (scores < np.inf)
    [hits] = np.nonzero(there.any(axis=1))  # nearly all rows hold nothing, and this says so quickly
    places, columns = np.nonzero(there[hits])
    rows = hits[places]
    found = scores[rows, columns]
    if len(found) > MOST:
        best = np.sort(np.argpartition(found, -MOST)[-MOST:])
        rows, columns, found = rows[best], columns[best], found[best]
    return Candidates(rows, classes[columns], np.minimum(found, 1))


def possible(boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which rows (n x 4: left, top, right, bottom, in fractions) are boxes of something."""
    near = (np.abs(boxes) <= REACH).all(axis=1)  # not so for NaN
    return np.asarray(near & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def suppress(boxes: Floats, labels: Integers, scores: Floats, most_overlap: float) -> list[Found]:
    """The best box of each object: of boxes of one class, none overlaps a better one by more than this.

    ``boxes`` are n x 4: left, top, right, bottom, in fractions of the tensor; overlap is intersection over
    union.
    """
    kept = possible(boxes)
    boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
    return [
        Found(int(labels[i]), float(scores[i]), Box(*map(float, boxes[i])))
        for i in _best(boxes, labels, scores, most_overlap)
    ]


def _best(boxes: Floats, labels: Integers, scores: Floats, most_overlap: float) -> list[int]:
    if not len(boxes):
        return []
    # OpenCV wants left, top, width, height. It moves the classes apart by the largest coordinate, which
    # keeps them apart only if none is negative.
    places = np.concatenate([boxes[:, :2] + REACH, boxes[:, 2:] - boxes[:, :2]], axis=1, dtype=np.float64)
    kept = cv2.dnn.NMSBoxesBatched(places.tolist(), scores.tolist(), labels.tolist(), 0.0, most_overlap)
    return [int(i) for i in np.asarray(kept).reshape(-1)]
