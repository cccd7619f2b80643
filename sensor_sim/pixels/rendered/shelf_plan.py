"""The plan of what hides what: a small picture whose pixels hold which thing is seen there.

It has one size whatever is drawn, so that the same things are seen equally well at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.pixels.rendered import Thing
from sensor_sim.pixels.rendered.shelf_bay import Floats

WIDTH, HEIGHT = 480, 360
LARGEST = 4 * WIDTH  # of what reaches far beyond the picture, so much is looked at

Plan = NDArray[np.uint16]  # the place of a thing in the order of drawing, from 1; 0 where there is none


class Outlined(NamedTuple):
    """A thing to be: its polygons and its box in widths of the picture, and the pixels it covers when
    nothing hides it or cuts it off.
    """

    number: int
    label: str
    outlines: Sequence[Floats]
    box: Box
    area: int


def outlined(number: int, label: str, outlines: Sequence[Floats]) -> Outlined:
    points = np.concatenate(outlines)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    corner = np.floor(np.array([left, top]) * WIDTH) - 1
    columns = min(int(right * WIDTH - corner[0]) + 3, LARGEST)
    rows = min(int(bottom * WIDTH - corner[1]) + 3, LARGEST)
    alone = np.zeros((rows, columns), np.uint16)
    fill(alone, [outline - corner / WIDTH for outline in outlines], 1)
    return Outlined(number, label, outlines, Box(left, top, right, bottom), cv2.countNonZero(alone))


def empty_plan() -> Plan:
    return np.zeros((HEIGHT, WIDTH), np.uint16)


def fill(plan: Plan, outlines: Sequence[Floats], value: int) -> None:
    for outline in outlines:
        cv2.fillPoly(plan, [np.round(outline * (WIDTH * 16)).astype(np.int32)], value, cv2.LINE_8, 4)


def find_things(plan: Plan, drawn: Sequence[Outlined], crop: Box) -> list[Thing]:
    """Those of ``drawn`` that lie in ``crop``, a part of the picture in fractions of it."""
    rows = slice(round(crop.top * HEIGHT), round(crop.bottom * HEIGHT))
    columns = slice(round(crop.left * WIDTH), round(crop.right * WIDTH))
    counts = np.bincount(plan[rows, columns].ravel(), minlength=len(drawn) + 1)[1:].tolist()
    found = []
    for thing, count in zip(drawn, counts, strict=True):
        box = _within(thing.box, crop)
        if box.area > 0.0:
            found.append(Thing(thing.number, thing.label, box, min(1.0, count / max(thing.area, 1))))
    return found


def _within(box: Box, crop: Box) -> Box:
    """From widths of the whole picture to fractions of a part of it, cut off at its edge."""

    def cut(at: float, start: float, size: float) -> float:
        return min(max((at - start) / size, 0.0), 1.0)

    return Box(
        cut(box.left, crop.left, crop.width),
        cut(box.top * 4 / 3, crop.top, crop.height),
        cut(box.right, crop.left, crop.width),
        cut(box.bottom * 4 / 3, crop.top, crop.height),
    )
