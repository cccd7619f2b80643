"""Where an entrance's walls, door, line, zone and camera are."""

from __future__ import annotations

from math import atan, pi, radians, tan
from typing import Any, NamedTuple

import numpy as np

from sensor_sim.pixels.rendered.backdrop import Opening, Panel, Room
from sensor_sim.pixels.rendered.camera import ASPECT, Camera
from sensor_sim.pixels.rendered.crowd import Leg, Walker
from sensor_sim.pixels.rendered.furniture import furnished
from sensor_sim.pixels.rendered.solids import Colour
from sensor_sim.pixels.rendered.stage import Look, toes
from sensor_sim.pixels.rendered.surfaces import (
    FLOORS,
    WALLS,
    concrete,
    floor_colour,
    made,
    tiles,
    wall_colour,
)
from sensor_sim.pixels.rendered.truth import Spot

LINE, FOYER = 0, 1
BODY = 0.25  # metres that a person's middle keeps from a wall
BESIDE = 0.2  # metres by which the line goes on beyond the door


class Shop(NamedTuple):
    camera: Camera
    room: Room
    look: Look
    door: Opening
    doors: bool  # whether there are sliding leaves of glass
    line: tuple[Spot, Spot]
    foyer: tuple[Spot, Spot, Spot, Spot]
    uniform: Colour

    @property
    def threshold(self) -> float:
        return self.room.front

    def scene(self) -> dict[str, Any]:
        """A scene file's content: the line and the zone, where toes are seen of people over it and in it."""
        return {
            "version": 1,
            "detect": {"labels": ["person"]},
            "lines": [{"id": LINE, "name": "door", "points": self._seen(self.line)}],
            "camera": {
                "tilt_degrees": round(self.camera.pitch, 1),
                "view_degrees": round(self.camera.view, 1),
                "height_metres": round(self.camera.height, 2),
            },
            "zones": [{"id": FOYER, "name": "foyer", "polygon": self._seen(self.foyer)}],
        }

    def _seen(self, spots: tuple[Spot, ...]) -> list[tuple[float, float]]:
        raster = self.camera.raster(4000, 3000)
        points = self.camera.project(toes(spots), raster)
        fractions = np.clip(points / (raster.width, raster.height), 0, 1)
        return [(round(x, 4), round(y, 4)) for x, y in fractions.tolist()]

    def unseen(self, y: float, side: int) -> float:
        """The x, to the left (-1) or right (1), from where nothing of a person is in the picture."""
        pitch = radians(self.camera.pitch)
        # A head is nearer to the camera than the feet, so the feet decide.
        depth = max(y, 0.0) * np.cos(pitch) + self.camera.height * np.sin(pitch)
        return side * float(depth * 0.5 / self.camera.focal + 1.4)

    def fence(self, walker: Walker, x: float, y: float) -> tuple[float, float]:
        """Nobody walks through the front but by its door."""
        if abs(y - self.threshold) < BODY:
            if self.before_door(walker.before.x):
                x = min(max(x, self.door.left + BODY), self.door.right - BODY)
            else:
                y = self.threshold + (BODY if walker.before.y > self.threshold else -BODY)
        return x, y

    def way(self, x: float, y: float, leg: Leg) -> tuple[float, float]:
        """Whoever was pushed away from the door before being through goes back to it."""
        if (y > self.threshold) == (leg.y > self.threshold) or self.before_door(x):
            return leg.x, leg.y
        return min(max(leg.x, self.door.left + BODY), self.door.right - BODY), self.threshold

    def before_door(self, x: float) -> bool:
        """Whether the door, and no wall, is there."""
        return self.door.left < x < self.door.right


def shop(seed: int) -> Shop:
    """One of many entrances alike: the camera under the ceiling, the door across the picture's middle.

    It looks steeply down, as whoever counts people mounts it: the flatter the view, the more of those who come
    through a door one behind the other is hidden.
    """
    rng = np.random.default_rng([seed, 0x51])
    camera = Camera(
        height=float(rng.uniform(3.0, 3.8)),
        pitch=float(rng.uniform(50, 60)),
        focal=float(rng.uniform(0.68, 0.8)),
        roll=float(rng.normal(0, 0.7)),
    )
    threshold = _depth(camera, rng.uniform(0.5, 0.62))
    middle, half = rng.uniform(-0.25, 0.25), rng.uniform(1.0, 1.45)
    door = Opening(middle - half, middle + half, rng.uniform(2.2, 2.5))
    wide = float(rng.uniform(5.0, 7.5))
    room = Room(
        front=threshold,
        left=-wide,
        right=wide,
        floor=made(rng, FLOORS[rng.integers(len(FLOORS))], floor_colour(rng), rng.uniform(1.0, 2.5)),
        wall=made(rng, WALLS[rng.integers(len(WALLS))], wall_colour(rng), rng.uniform(1.5, 3.0)),
        turned=float(rng.choice([0.0, pi / 2, pi / 4])),
        opening=door,
        panels=_panels(rng, door, wide),
        pavement=made(rng, [tiles, concrete][rng.integers(2)], _grey(rng), 2.0),
        houses=made(rng, WALLS[rng.integers(len(WALLS))], _grey(rng), 3.0),
        lamp=(float(rng.uniform(-1, 1)), float(rng.uniform(0.5, threshold))),
        gloss=float(rng.uniform(0.05, 0.3)),
        furniture=furnished(rng, door, threshold),
    )
    look = Look(
        (float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.2, 0.6)), 1.0),
        0.35,
        float(rng.uniform(0.2, 0.5)),
    )
    uniform: Colour = [(40, 40, 190), (150, 60, 20), (40, 140, 50), (30, 130, 220), (110, 30, 110)][
        rng.integers(5)
    ]
    return Shop(
        camera,
        room,
        look,
        door,
        bool(rng.random() < 0.7),
        ((door.left - BESIDE, threshold), (door.right + BESIDE, threshold)),
        _foyer(camera, door, threshold),
        uniform,
    )


def _depth(camera: Camera, row: float) -> float:
    """How far away the floor is that is seen at that share of the picture's height."""
    below = atan((row - 0.5) / ASPECT / camera.focal)
    return float(camera.height / tan(radians(camera.pitch) + below))


def _foyer(camera: Camera, door: Opening, threshold: float) -> tuple[Spot, Spot, Spot, Spot]:
    near, far = _depth(camera, 0.93), threshold - 0.4
    left, right = door.left - 0.1, door.right + 0.1
    return (left, far), (right, far), (right, near), (left, near)


def _grey(rng: np.random.Generator) -> Colour:
    grey = rng.uniform(90, 190)
    return grey * rng.uniform(0.9, 1.05), grey, grey * rng.uniform(0.95, 1.1)


def _panels(rng: np.random.Generator, door: Opening, wide: float) -> list[Panel]:
    """Shop windows beside the door, their frames and what is stuck to them."""
    frame = (60.0, 60.0, 62.0) if rng.random() < 0.5 else (200.0, 200.0, 200.0)
    panels = [Panel(-wide, wide, 0.0, 0.12, frame)]
    for left, right in ((-wide, door.left - 0.12), (door.right + 0.12, wide)):
        if rng.random() < 0.75:
            sill = rng.uniform(0.12, 0.6)
            panels.append(Panel(left, right, sill, door.high, (150, 140, 130), 0.3))
            panels.extend(Panel(x, x + 0.06, sill, door.high, frame) for x in np.arange(left, right, 1.5))
            if rng.random() < 0.6:
                x, z = rng.uniform(left, right - 0.5), rng.uniform(0.7, 1.4)
                b, g, r = rng.uniform(20, 240, 3)
                panels.append(Panel(x, x + rng.uniform(0.3, 0.7), z, z + 0.6, (b, g, r)))
    jambs = ((door.left - 0.12, door.left), (door.right, door.right + 0.12))
    panels.extend(Panel(left, right, 0.0, door.high + 0.1, frame) for left, right in jambs)
    panels.append(Panel(door.left - 0.12, door.right + 0.12, door.high, door.high + 0.1, frame))
    return panels
