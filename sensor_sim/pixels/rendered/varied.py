"""Scenes of every kind, for training: cameras, rooms, light and people drawn at random from wide ranges.

A detector that has seen all of this takes a real picture for one more of them (domain randomisation,
Tobin et al. 2017). Nothing is counted here; the truth is where everybody is and how much of them is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import numpy as np

from sensor_sim.pixels.rendered import Happening, View, carts
from sensor_sim.pixels.rendered.backdrop import Opening, Panel, Room
from sensor_sim.pixels.rendered.camera import Camera
from sensor_sim.pixels.rendered.cast import actors
from sensor_sim.pixels.rendered.crowd import STEP, Cart, Leg, State, Walker, step
from sensor_sim.pixels.rendered.figures import random_look
from sensor_sim.pixels.rendered.furniture import furniture
from sensor_sim.pixels.rendered.solids import Colour, Placed
from sensor_sim.pixels.rendered.stage import Look, Stage
from sensor_sim.pixels.rendered.surfaces import FLOORS, WALLS, floor_colour, made, wall_colour

MOST_PEOPLE = 14


class Varied:
    """A world whose ``scene`` is empty. Each seed is another place; its people walk about from the start."""

    scene: Mapping[str, Any] = {"version": 1}

    def __init__(self, seed: int, start: float) -> None:
        self._rng = rng = np.random.default_rng([seed, 0x7A])
        self._start, self._steps, self._share = start, 0, 0.0
        self.camera = _camera(rng)
        self.room = _room(rng, self.camera)
        self._stage = Stage(self.room, self.camera, _look(rng))
        self._shutter = rng.uniform(0.01, 0.12) if rng.random() < 0.5 else 0.0
        self._light = float(rng.uniform(0.3, 1.0))
        self.walkers: list[Walker] = []
        self._uniform: Colour = tuple(rng.uniform(10, 230, 3).tolist())
        wanted = int(min(rng.geometric(0.3) - (rng.random() < 0.25), MOST_PEOPLE))
        for _ in range(wanted):
            self._add()
        for _ in range(20):  # nobody stands in anybody
            step(self.walkers, self)

    def advance(self, at: float) -> Sequence[Happening]:
        passed = (at - self._start) / STEP
        while self._steps < passed:
            step(self.walkers, self)
            self._steps += 1
            for walker in self.walkers:
                if len(walker.plan) < 2:
                    walker.plan.append(self._leg())
        self._share = 1.0 - (self._steps - passed)
        return []

    def end(self) -> Sequence[Happening]:
        return []

    def view(self, width: int, height: int) -> View:
        cast = actors(self.walkers, self._share, self._shutter)
        return self._stage.draw(cast, width, height, self._light)

    def fence(self, walker: Walker, x: float, y: float) -> tuple[float, float]:
        room, margin = self.room, 0.3
        return min(max(x, room.left + margin), room.right - margin), min(y, room.front - margin)

    def way(self, x: float, y: float, leg: Leg) -> tuple[float, float]:
        return leg.x, leg.y

    def _add(self) -> None:
        rng = self._rng
        first, kind = self._leg(), rng.random()
        cart = None
        if kind < 0.14:
            trolley = rng.random() < 0.6
            solids = carts.trolley(rng) if trolley else carts.pram(rng)
            cart = Cart("trolley" if trolley else "pram", solids, 0.85)
        standing = rng.random() < 0.4
        self.walkers.append(
            Walker(
                number=len(self.walkers) * 2 + 1,
                look=random_look(
                    rng, child=kind > 0.88, uniform=self._uniform if 0.2 < kind < 0.28 else None
                ),
                speed=float(rng.uniform(0.5, 1.9)),
                plan=[Leg(first.x, first.y, 1e9, rng.uniform(-pi, pi)) if standing else self._leg()],
                state=State(first.x, first.y, rng.uniform(-pi, pi), rng.uniform(0, 2 * pi)),
                carry="push" if cart else rng.choice(["none", "none", "bag", "phone", "front"]),
                cart=cart,
                lean=float(np.clip(rng.normal(0.05, 0.12), -0.1, 0.6)),
                head=float(rng.normal(0, 0.4)),
            )
        )

    def _leg(self) -> Leg:
        """Somewhere on the floor that is in view, or just outside of it."""
        rng, room = self._rng, self.room
        for _ in range(30):
            point = self.camera.floor_at(rng.uniform(-0.15, 1.15), rng.uniform(0.0, 1.45))
            if point and room.left < point[0] < room.right and 0.2 < point[1] < room.front - 0.3:
                break
        else:
            point = (rng.uniform(-1, 1), rng.uniform(0.4, 0.9) * room.front)
        pause = rng.exponential(2.0) if rng.random() < 0.5 else 0.0
        return Leg(point[0], point[1], pause, rng.uniform(-pi, pi))


def _camera(rng: np.random.Generator) -> Camera:
    pitch = rng.uniform(10, 45) if rng.random() < 0.6 else rng.uniform(35, 85)
    return Camera(
        height=float(rng.uniform(1.9, 4.2)),
        pitch=float(pitch),
        focal=float(rng.uniform(0.55, 1.1)),
        yaw=float(rng.uniform(-30, 30)),
        roll=float(rng.normal(0, 3)),
    )


def _room(rng: np.random.Generator, camera: Camera) -> Room:
    middle = camera.floor_at(0.5, rng.uniform(0.05, 0.6))
    front = min(max(middle[1] if middle else 6.0, 2.0), 9.0) if rng.random() < 0.8 else 12.0
    left, right = (float(rng.uniform(1.5, 7)) for _ in range(2))
    opening = None
    if rng.random() < 0.35:
        at, half = rng.uniform(-1, 1), rng.uniform(0.5, 1.6)
        opening = Opening(at - half, at + half, rng.uniform(2.0, 2.8))
    pieces = [_piece(rng, camera, front) for _ in range(rng.integers(0, 4))]
    return Room(
        front=front,
        left=-left,
        right=right,
        floor=made(rng, FLOORS[rng.integers(len(FLOORS))], floor_colour(rng), rng.uniform(0.8, 3.0)),
        wall=made(rng, WALLS[rng.integers(len(WALLS))], wall_colour(rng), rng.uniform(1.0, 3.0)),
        turned=float(rng.uniform(-pi, pi)),
        opening=opening,
        panels=_panels(rng, left, right),
        pavement=made(rng, FLOORS[rng.integers(len(FLOORS))], floor_colour(rng), 2.0),
        houses=made(rng, WALLS[rng.integers(len(WALLS))], wall_colour(rng), 3.0),
        lamp=(float(rng.uniform(-3, 3)), float(rng.uniform(0, front))),
        falloff=float(rng.uniform(0.0, 0.4)),
        gloss=float(rng.uniform(0.0, 0.35)),
        furniture=[piece for piece in pieces if piece],
    )


def _look(rng: np.random.Generator) -> Look:
    b, g, r = 1 + rng.normal(0, 0.07, 3)
    bright = rng.uniform(0.6, 1.15)
    return Look(
        sun=(float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.6)), 1.0),
        share=float(rng.uniform(0.15, 0.6)),
        shadow=float(rng.uniform(0.05, 0.6)),
        tint=(float(b * bright), float(g * bright), float(r * bright)),
    )


def _panels(rng: np.random.Generator, left: float, right: float) -> list[Panel]:
    """Skirting, posters, screens, pillars and windows."""
    panels = []
    if rng.random() < 0.5:
        panels.append(Panel(-left, right, 0.0, rng.uniform(0.05, 0.25), wall_colour(rng)))
    for _ in range(rng.integers(0, 5)):
        x, z = rng.uniform(-left, right), rng.uniform(0.3, 2.2)
        colour = tuple(rng.uniform(10, 250, 3).tolist())
        panels.append(Panel(x, x + rng.uniform(0.2, 1.8), z, z + rng.uniform(0.2, 1.5), colour))
    if rng.random() < 0.3:
        x = rng.uniform(-left, right)
        panels.append(Panel(x, x + rng.uniform(0.15, 0.6), 0.0, 4.0, wall_colour(rng)))
    return panels


def _piece(rng: np.random.Generator, camera: Camera, front: float) -> Placed | None:
    point = camera.floor_at(rng.uniform(0.0, 1.0), rng.uniform(0.1, 1.0))
    if point is None or point[1] > front - 0.2:
        return None
    return furniture(rng).placed(point[0], point[1], rng.uniform(-pi, pi))
