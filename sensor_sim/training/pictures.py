"""Rendered pictures with their labels, drawn once and kept as arrays on disk.

Picture number i of a recipe is the same whoever draws it and when: an interrupted rendering goes on where it
stopped, and the number of processes changes nothing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from sensor_sim.errors import SensorError
from sensor_sim.pixels import Image
from sensor_sim.pixels.rendered import Thing, View

# Columns of the labels: class number (-1 for none), left, top, right, bottom, visible share, and the left, top,
# right and bottom of its mark, which is the box itself where it has none.
COLUMNS = 10
BOX, MARK = slice(1, 5), slice(6, 10)

Labels = NDArray[np.float32]  # n x COLUMNS


@dataclass(frozen=True)
class Album:
    """``pictures`` is n x height x width x 3 (BGR), ``labels`` n x most things x COLUMNS, ``light`` n."""

    pictures: Image
    labels: Labels
    light: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    def things(self, number: int) -> Labels:
        """The labels of one picture, without empty rows."""
        rows: Labels = self.labels[number]
        return np.asarray(rows[rows[:, 0] >= 0], np.float32)


@dataclass(frozen=True)
class Order:
    """What to draw: ``count`` pictures in groups of ``moments`` from one world, of which ``draw`` gives the
    views for its seed. Groups are the unit of work. Of more than ``most`` things in a picture, those of which
    least is visible are left out.
    """

    draw: Callable[[int], Iterator[View]]
    classes: tuple[str, ...]
    size: tuple[int, int]  # width, height
    count: int
    moments: int
    first_seed: int
    most: int = 64

    @property
    def groups(self) -> int:
        return -(-self.count // self.moments)


def render(
    order: Order, folder: Path, processes: int, report: Callable[[int, int], None] = lambda done, of: None
) -> Album:
    """Draw what is still missing in ``folder``; ``report`` is told how many pictures of how many are there."""
    album, done = _open(order, folder)
    missing = np.flatnonzero(~done).tolist()
    with multiprocessing.get_context("spawn").Pool(processes, cv2.setNumThreads, (1,)) as pool:
        for group in pool.imap_unordered(partial(_draw_group, order, folder), missing):
            done[group] = True
            report(min(int(done.sum()) * order.moments, order.count), order.count)
    return album


def read(order: Order, folder: Path) -> Album:
    """The pictures of a finished rendering. Raises :class:`SensorError` if some are missing."""
    album, done = _open(order, folder)
    if not done.all():
        raise SensorError(f"{folder}: {int((~done).sum())} groups of pictures are missing; render first")
    return album


def rows(things: Sequence[Thing], classes: tuple[str, ...], most: int) -> Labels:
    """Labels (most x COLUMNS) of the things of these classes, the most visible ones first."""
    table = np.full((most, COLUMNS), -1, np.float32)
    known = sorted((t for t in things if t.label in classes), key=lambda thing: -thing.visible)[:most]
    for row, thing in zip(table, known, strict=False):
        row[:] = (classes.index(thing.label), *thing.box, thing.visible, *(thing.mark or thing.box))
    return table


def _draw_group(order: Order, folder: Path, group: int) -> int:
    album, _ = _open(order, folder)
    views = order.draw(order.first_seed + group)
    first = group * order.moments
    for number, view in zip(range(first, min(first + order.moments, order.count)), views, strict=False):
        album.pictures[number] = view.image
        album.labels[number] = rows(view.things, order.classes, order.most)
        album.light[number] = view.light
    return group


def _open(order: Order, folder: Path) -> tuple[Album, NDArray[np.bool_]]:
    """The arrays in ``folder``, made if they are missing, and which groups are drawn already."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = order.size
    album = Album(
        _array(folder / "pictures.npy", np.uint8, (order.count, height, width, 3)),
        _array(folder / "labels.npy", np.float32, (order.count, order.most, COLUMNS)),
        _array(folder / "light.npy", np.float32, (order.count,)),
    )
    return album, _array(folder / "done.npy", np.bool_, (order.groups,))


def _array(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    if path.exists():
        there: NDArray[Any] = open_memmap(path, mode="r+")
        if there.shape != shape:
            raise SensorError(f"{path}: drawn by another recipe; remove its folder to draw anew")
        return there
    return open_memmap(path, mode="w+", dtype=kind, shape=shape)
