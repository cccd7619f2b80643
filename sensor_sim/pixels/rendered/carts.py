"""What people push: shopping trolleys and prams, as solids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sensor_sim.pixels.rendered.solids import Cloth, Solids

STEEL = Cloth((150, 150, 148), folds=0.0)
RUBBER = Cloth((35, 35, 36), folds=0.0)
Rib = tuple[float, float, float]


def trolley(rng: np.random.Generator) -> Solids:
    """Standing at the origin, its handle behind."""
    cart = Solids()
    grip = Cloth(tuple(rng.uniform(20, 220, 3)), folds=0.0)
    low = [(-0.18, -0.3, 0.5), (0.18, -0.3, 0.5), (0.14, 0.38, 0.58), (-0.14, 0.38, 0.58)]
    high = [(-0.26, -0.38, 0.95), (0.26, -0.38, 0.95), (0.19, 0.45, 0.88), (-0.19, 0.45, 0.88)]
    for share in (0.0, 0.33, 0.66, 1.0):
        ring = [_between(a, b, share) for a, b in zip(low, high, strict=True)]
        for a, b in pairwise([*ring, ring[0]]):
            _bar(cart, a, b, 0.008)
    for a, b, c, d in zip(low, high, [*low[1:], low[0]], [*high[1:], high[0]], strict=True):
        for share in (0.0, 0.25, 0.5, 0.75):
            _bar(cart, _between(a, c, share), _between(b, d, share), 0.006)
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 5)):
            x, y = rng.uniform(-0.1, 0.1), rng.uniform(-0.2, 0.25)
            goods = Cloth(tuple(rng.uniform(20, 240, 3)))
            cart.add((x, y, 0.6), (x, y, 0.72), 0.1, 0.09, goods, (1.0, 1.2, 0.5))
    cart.add((-0.25, -0.47, 1.0), (0.25, -0.47, 1.0), 0.02, 0.02, grip)
    for side in (-1, 1):
        _bar(cart, (0.24 * side, -0.46, 1.0), (0.24 * side, -0.38, 0.92), 0.014)
        _bar(cart, (0.22 * side, -0.36, 0.5), (0.24 * side, -0.3, 0.12), 0.016)
        _bar(cart, (0.24 * side, -0.3, 0.14), (0.15 * side, 0.42, 0.14), 0.016)
        for y, x in ((-0.3, 0.24), (0.42, 0.15)):
            cart.add((x * side, y, 0.07), (x * side, y, 0.07), 0.065, 0.065, RUBBER, (0.35, 1.0, 1.0))
    return cart


def pram(rng: np.random.Generator) -> Solids:
    cart = Solids()
    cloth = Cloth(tuple(np.clip(rng.uniform(10, 200) + rng.normal(0, 30, 3), 5, 240)), folds=0.06)
    cart.add((0, -0.12, 0.62), (0, 0.22, 0.56), 0.2, 0.17, cloth, (1.0, 1.0, 0.7))
    cart.add((0, -0.2, 0.8), (0, -0.02, 0.86), 0.22, 0.2, cloth, (1.0, 0.9, 0.9))
    cart.add((0, 0.2, 0.42), (0, 0.42, 0.34), 0.14, 0.1, cloth, (1.0, 1.0, 0.5))
    cart.add((-0.24, -0.5, 1.02), (0.24, -0.5, 1.02), 0.02, 0.02, RUBBER)
    for side in (-1, 1):
        _bar(cart, (0.24 * side, -0.5, 1.02), (0.22 * side, 0.32, 0.22), 0.016)
        _bar(cart, (0.22 * side, 0.0, 0.6), (0.26 * side, -0.32, 0.15), 0.016)
        for y, r in ((-0.32, 0.14), (0.36, 0.1)):
            cart.add((0.26 * side, y, r), (0.26 * side, y, r), r, r, RUBBER, (0.22, 1.0, 1.0))
    return cart


def _between(a: Rib, b: Rib, share: float) -> Rib:
    x, y, z = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return x, y, z


def _bar(cart: Solids, a: Rib, b: Rib, radius: float) -> None:
    cart.add(a, b, radius, radius, STEEL)
