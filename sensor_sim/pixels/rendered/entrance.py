"""A shop's entrance: people come in and go out, and everything that a sensor should count is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, hypot
from typing import Any

import numpy as np

from sensor_sim.pixels.rendered import Happening, View
from sensor_sim.pixels.rendered.arrivals import Arrivals, Density
from sensor_sim.pixels.rendered.cast import actors
from sensor_sim.pixels.rendered.crowd import STEP, Walker, step
from sensor_sim.pixels.rendered.shop import FOYER, LINE, shop
from sensor_sim.pixels.rendered.stage import Pane, Stage
from sensor_sim.pixels.rendered.truth import LineTruth, ZoneTruth

DOOR_NOTICES = 1.7  # metres from which the door opens for somebody
DOOR_SECONDS = 0.9  # from closed to open
NIGHT = 0.04
GLASS = (205, 195, 180)


class Entrance:
    """The camera hangs from the ceiling and looks out through the door; coming in is "forward".

    Happenings come in the order in which they became certain; ``Crossed.at`` is the earlier moment of passing
    the line itself. ``walkers`` may be looked at: everybody about, with where they stand on the floor. They keep
    clear of one another but not of the furniture: now and then one walks through a piece of it.
    """

    scene: Mapping[str, Any]

    def __init__(self, seed: int, start: float, density: Density = "normal") -> None:
        self.shop = shop(seed)
        self.scene = self.shop.scene()
        self.walkers: list[Walker] = []
        self._start, self._steps, self._at = start, 0, start
        self._arrivals = Arrivals(np.random.default_rng([seed, 0xE7]), self.shop, density)
        self._stage = Stage(self.shop.room, self.shop.camera, self.shop.look)
        self._foyer = ZoneTruth(FOYER, self.shop.foyer)
        self._truths = (LineTruth(LINE, *self.shop.line), self._foyer)
        self._open = self._was_open = 0.0
        self._certain: list[tuple[int, Happening]] = []  # with the step at which it became certain

    def advance(self, at: float) -> Sequence[Happening]:
        self._at = max(at, self._at)
        passed = (self._at - self._start) / STEP
        while self._steps < ceil(passed):
            self._step()
        happened = [happening for when, happening in self._certain if when <= passed]
        self._certain = [one for one in self._certain if one[0] > passed]
        return happened

    def end(self) -> Sequence[Happening]:
        return list(self._foyer.end(self._at))

    def view(self, width: int, height: int) -> View:
        share = 1.0 - (self._steps - (self._at - self._start) / STEP)
        opened = self._was_open + share * (self._open - self._was_open)
        return self._stage.draw(
            actors(self.walkers, share), width, height, daylight(self._at), self._panes(opened)
        )

    def _step(self) -> None:
        """One step of the simulation, on its own grid of time."""
        self._steps += 1
        self.walkers.extend(self._arrivals.until((self._steps - 1) * STEP))
        step(self.walkers, self.shop)
        at = self._start + self._steps * STEP
        for walker in self.walkers:
            for truth in self._truths:
                self._note(truth.observe(at, walker.number, (walker.state.x, walker.state.y)))
        for walker in self.walkers:
            if walker.done:
                for truth in self._truths:
                    self._note(truth.forget(walker.number))
        self._note(self._foyer.settle(at))
        self.walkers = [walker for walker in self.walkers if not walker.done]
        self._move_door()

    def _note(self, happenings: Iterable[Happening]) -> None:
        self._certain.extend((self._steps, happening) for happening in happenings)

    def _move_door(self) -> None:
        door = self.shop.door
        middle = (door.left + door.right) / 2
        near = any(
            hypot((w.state.x - middle) / 1.3, w.state.y - self.shop.threshold) < DOOR_NOTICES
            for w in self.walkers
        )
        self._was_open = self._open
        self._open = min(max(self._open + (1 if near else -1) * STEP / DOOR_SECONDS, 0.0), 1.0)

    def _panes(self, opened: float) -> list[Pane]:
        if not self.shop.doors:
            return []
        door = self.shop.door
        half = (door.right - door.left) / 2
        slid = 0.95 * half * opened
        return [
            Pane(door.left - slid, door.left + half - slid, door.high, GLASS),
            Pane(door.right - half + slid, door.right + slid, door.high, GLASS),
        ]


def daylight(at: float) -> float:
    """How light it is at ``at`` seconds since 1970 by the sun's time at Greenwich: 1 from 8 to 18 o'clock,
    ``NIGHT`` from 20 to 6, dusk and dawn between."""
    hour = at / 3600 % 24
    day = min(max((hour - 6) / 2, 0.0), max((20 - hour) / 2, 0.0), 1.0)
    return NIGHT + (1 - NIGHT) * day * day * (3 - 2 * day)
