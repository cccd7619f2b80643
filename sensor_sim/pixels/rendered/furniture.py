"""What stands about in rooms, as solids: tables, plants, posts and displays."""

from __future__ import annotations

from math import pi

import numpy as np

from sensor_sim.pixels.rendered.backdrop import Opening
from sensor_sim.pixels.rendered.solids import Cloth, Placed, Solids


def furniture(rng: np.random.Generator) -> Solids:
    """One piece of any kind."""
    return (table, plant, post)[rng.integers(3)](rng)


def furnished(rng: np.random.Generator, door: Opening, front: float) -> list[Placed]:
    """A few pieces beside the way in."""
    places = []
    for side in (-1, 1):
        for _ in range(rng.integers(0, 3)):
            edge = door.right if side > 0 else door.left
            x, y = edge + side * rng.uniform(0.6, 2.2), rng.uniform(0.35, 0.9) * front
            places.append(furniture(rng).placed(x, y, rng.uniform(-pi, pi)))
    return places


def _paint(rng: np.random.Generator) -> Cloth:
    grey = rng.uniform(20, 245)
    b, g, r = np.clip(grey * (1 + rng.normal(0, 0.2, 3)), 5, 250)
    return Cloth((float(b), float(g), float(r)), folds=0.0)


def table(rng: np.random.Generator) -> Solids:
    """Round, on one leg."""
    solids, high, wide = Solids(), rng.uniform(0.6, 1.15), rng.uniform(0.3, 0.55)
    top, leg = _paint(rng), _paint(rng)
    solids.add((0, 0, 0.04), (0, 0, high), 0.03, 0.03, leg)
    for x, y in ((1, 0), (0, 1)):
        foot = 0.6 * wide
        solids.add((-x * foot, -y * foot, 0.04), (x * foot, y * foot, 0.04), 0.03, 0.03, leg)
    solids.add((0, 0, high), (0, 0, high), wide, wide, top, (1.0, 1.0, 0.05))
    return solids


def plant(rng: np.random.Generator) -> Solids:
    solids, pot = Solids(), _paint(rng)
    solids.add((0, 0, 0.05), (0, 0, 0.35), 0.14, 0.2, pot, (1.0, 1.0, 0.3))
    for _ in range(rng.integers(4, 12)):
        x, y, z = rng.normal(0, 0.18), rng.normal(0, 0.18), rng.uniform(0.5, 1.4)
        green = (30 * rng.uniform(0.4, 1.6), 95 * rng.uniform(0.6, 1.4), 50 * rng.uniform(0.5, 1.6))
        leaf = Cloth(green, folds=0.15)
        solids.add((x * 0.3, y * 0.3, z - 0.25), (x, y, z), 0.05, rng.uniform(0.05, 0.14), leaf)
    return solids


def post(rng: np.random.Generator) -> Solids:
    solids, high, wide = Solids(), rng.uniform(0.4, 1.7), rng.uniform(0.03, 0.25)
    solids.add((0, 0, 0.03), (0, 0, high), wide, wide, _paint(rng), (1.0, 1.0, 0.3))
    return solids
