"""How well detections agree with what is truly there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.training.targets import LEAST_VISIBLE

# A detection is right from this intersection over union on.
RIGHT = 0.5


@dataclass(frozen=True)
class Truth:
    label: str
    box: Box
    visible: float


@dataclass(frozen=True)
class Scored:
    """One picture compared: each detection that counts, as its score and whether it is right, and for each
    thing worth finding the score with which it was found, 0 if it was not."""

    detections: list[tuple[float, bool]]
    found: list[tuple[Truth, float]]


def compare(detections: Sequence[Detection], truths: Sequence[Truth], label: str) -> Scored:
    """Match the detections of one label with the things of that label, the best score first.

    What can hardly be seen (less than ``LEAST_VISIBLE``) is neither missed nor a false alarm.
    """
    mine = [truth for truth in truths if truth.label == label]
    free = [truth for truth in mine if truth.visible >= LEAST_VISIBLE]
    hidden = [truth for truth in mine if truth.visible < LEAST_VISIBLE]
    judged, found = [], []
    for detection in sorted((d for d in detections if d.label == label), key=lambda d: -d.score):
        best = max(free, key=lambda truth: overlap(truth.box, detection.box), default=None)
        if best is not None and overlap(best.box, detection.box) >= RIGHT:
            free.remove(best)
            found.append((best, detection.score))
            judged.append((detection.score, True))
        elif all(overlap(truth.box, detection.box) < RIGHT for truth in hidden):
            judged.append((detection.score, False))
    return Scored(judged, found + [(truth, 0.0) for truth in free])


def average_precision(pictures: Sequence[Scored]) -> float:
    """Area under precision over recall, precision made monotonous (all points, as PASCAL VOC 2010 on)."""
    things = sum(len(picture.found) for picture in pictures)
    judged = sorted((pair for picture in pictures for pair in picture.detections), key=lambda pair: -pair[0])
    if not things or not judged:
        return 0.0
    right = np.cumsum([is_right for _, is_right in judged])
    precision = np.maximum.accumulate((right / np.arange(1, len(judged) + 1))[::-1])[::-1]
    steps: NDArray[np.float64] = np.diff(np.concatenate([[0.0], right / things]))
    return float((steps * precision).sum())


def recall(found: Sequence[tuple[Truth, float]], score: float) -> float:
    """The share of things found with at least this score; NaN of none."""
    return float(np.mean([at >= score for _, at in found])) if found else float("nan")


def precision(pictures: Sequence[Scored], score: float) -> float:
    """The share of detections with at least this score that are right; NaN of none."""
    judged = [is_right for picture in pictures for at, is_right in picture.detections if at >= score]
    return float(np.mean(judged)) if judged else float("nan")
