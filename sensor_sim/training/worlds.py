"""The worlds that the bundled models learn from, as pictures.

Each function gives the moments of the world of a seed, one after the other, as the array sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from sensor_sim.pixels.array import PixelArray
from sensor_sim.pixels.rendered import View, World
from sensor_sim.pixels.rendered.arrivals import Density
from sensor_sim.pixels.rendered.entrance import Entrance
from sensor_sim.pixels.rendered.shelf import Shelf
from sensor_sim.pixels.rendered.varied import Varied

START = 1_772_355_600.0  # a day's morning
DAY_S = 86_400.0
DENSITIES: tuple[Density, ...] = ("low", "normal", "crowd", "crowd")
PEOPLE_SIZE, SHELF_SIZE = (384, 288), (560, 420)


def varied(seed: int) -> Iterator[View]:
    """People in places of every kind."""
    return _seen(Varied(seed, START), START, seed, PEOPLE_SIZE, settle=2, apart=7)


def entrance(seed: int) -> Iterator[View]:
    """People coming and going at a shop's door, few or many, at some time of the day."""
    random = np.random.default_rng(seed)
    begin = START + random.uniform(0, DAY_S)
    world = Entrance(seed, begin, DENSITIES[random.integers(len(DENSITIES))])
    return _seen(world, begin, seed, PEOPLE_SIZE, settle=20, apart=4)


def _seen(
    world: World, begin: float, seed: int, size: tuple[int, int], settle: float, apart: float
) -> Iterator[View]:
    """Moments of a world as the array sees them, the first ``settle`` seconds after ``begin``."""
    array = PixelArray(seed=seed)
    for number in count():
        world.advance(begin + settle + number * apart)
        view = world.view(*size)
        yield view._replace(image=array.reduced(view))


def shelf(seed: int) -> Iterator[View]:
    """A busy shelf as the sensor will see it."""
    return _seen(Shelf(seed, START, pace=4), START, seed, SHELF_SIZE, settle=30, apart=60)


def varied_shelf(seed: int) -> Iterator[View]:
    """Shelves and tables of every kind."""
    return _seen(Shelf(seed, START, pace=4, varied=True), START, seed, SHELF_SIZE, settle=30, apart=60)
