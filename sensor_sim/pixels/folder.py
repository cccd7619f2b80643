"""Folders of images."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from sensor_sim.documents import check_file
from sensor_sim.errors import SensorError
from sensor_sim.pixels import Frame, Image

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder:
    """The images of a folder in the order of their names, or of the one number in which these differ, ``rate`` a second,
    the first at ``start``.

    Without a ``start`` the last one is now. They may differ in size; other files are passed over. Raises
    :class:`SensorError` for a folder without images or, when its turn comes, an image that is damaged or
    too large.
    """

    def __init__(self, path: Path, rate: float, start: float | None = None) -> None:
        try:
            self._paths = _in_order(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise SensorError(
                f"{path}: cannot be read: {error.strerror}; --images takes a folder of images"
            ) from None
        if not self._paths:
            raise SensorError(
                f"{path}: no images in this folder; they are told by their names ({' '.join(sorted(SUFFIXES))})"
            )
        self._rate = rate
        self._start = time.time() - (len(self._paths) - 1) / rate if start is None else start

    def __length_hint__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for number, path in enumerate(self._paths):
            yield Frame(self._start + number / self._rate, _read(path))


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """By name, or by number where the names differ in nothing but one, so that 9 comes before 10."""
    ordered = sorted(paths)
    split = [["".join(part) for _, part in groupby(path.stem, str.isdecimal)] for path in ordered]
    words = {tuple(None if part.isdecimal() else part for part in parts) for parts in split}
    if len(words) == 1 and words.pop().count(None) == 1:
        ordered.sort(key=lambda path: int("".join(filter(str.isdecimal, path.stem))))
    return ordered


def _read(path: Path) -> Image:
    try:
        check_file(path)
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise SensorError(
            f"{path}: cannot be read: {error.strerror}; check its rights or take it out of the folder"
        ) from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        raise SensorError(
            f"{path}: the image is too large to be read; make it smaller or take it out of the folder"
        ) from None
    if image is None:
        raise SensorError(f"{path}: no image, or a damaged one; replace it or take it out of the folder")
    return np.asarray(image, np.uint8)
