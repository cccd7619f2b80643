"""When a sensor's heartbeats come, and what is in them. Both follow from the clock: nothing of them is kept."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from sensor_sim.fleet.demand import Day, random
from sensor_sim.fleet.plan import QUARTER
from sensorapp import wire

FRAMES_PER_S, INFERRED = 30, 0.97
DNN_US, DNN_US_DEVIATION = 13_960, 45
# Draws that are looked up instead of made: a fleet makes ten thousand heartbeats a second.
NOISE: Final[list[float]] = random("heartbeats").standard_normal(4_099).clip(-3.0, 3.0).tolist()


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """A sensor's heartbeats in a part of a day, as progressions of moments one behind the other.

    ``phase`` is when within the interval they come, so that not all sensors' come at once. Each observed the
    time since the one before, but nothing before ``on_again``, when power came back.
    """

    progressions: tuple[range, ...]
    day: Day
    phase: int

    def __len__(self) -> int:
        return sum(map(len, self.progressions))

    def until(self, moment: int) -> int:
        """How many are not later than ``moment``."""
        count = 0
        for one in self.progressions:
            count += min(max((moment - one.start) // one.step + 1, 0), len(one))
        return count

    def at(self, number: int) -> int:
        return self._place(number)[0]

    def event(self, number: int) -> wire.Event:
        at, observed = self._place(number)
        if self.day.dark and at > self.day.dark[1]:
            observed = min(observed, at - self.day.dark[1])
        frames = observed * FRAMES_PER_S // 1000
        beat = at // 1000 + self.phase
        inferences = int(frames * (INFERRED + 0.003 * NOISE[beat % 4_099]))
        noon = math.tau * (at - self.day.begins) / (self.day.ends - self.day.begins)
        warmth = round(37.5 - 3.5 * math.cos(noon) + 0.4 * NOISE[beat * 31 % 4_099], 1)
        dnn = DNN_US + int(DNN_US_DEVIATION * NOISE[beat * 17 % 4_099])
        return wire.Heartbeat(at, observed, frames, inferences, warmth, dnn)

    def between(self, first: int, stop: int) -> Heartbeats:
        parts = []
        for one in self.progressions:
            parts.append(one[max(first, 0) : max(stop, 0)])
            first, stop = first - len(one), stop - len(one)
        return Heartbeats(tuple(filter(None, parts)), self.day, self.phase)

    def _place(self, number: int) -> tuple[int, int]:
        """The moment of a heartbeat and the time since the one before."""
        for one in self.progressions:
            if number < len(one):
                return one[number], one.step
            number -= len(one)
        raise IndexError("no such heartbeat")


def heartbeats(day: Day, live_from: int, interval: int, phase: int) -> Heartbeats:
    """A day's heartbeats: every 15 minutes up to ``live_from``, from there on every ``interval``.

    All in milliseconds. Quarters of an hour and the intervals, which divide them, lie on the same grid in
    every time zone, and ``live_from`` is on it.
    """
    change = live_from + phase + 1
    rare = range(first_beat(day.begins, QUARTER, phase), min(day.ends, change), QUARTER)
    often = range(first_beat(max(day.begins, change), interval, phase), day.ends, interval)
    parts = [part for one in (rare, often) for part in awake(one, day.dark)]
    return Heartbeats(tuple(filter(None, parts)), day, phase)


def awake(moments: range, dark: tuple[int, int] | None) -> list[range]:
    if dark is None:
        return [moments]
    off, on = (bisect_right(moments, edge - 1) for edge in dark)
    return [moments[:off], moments[on:]]


def first_beat(begin: int, interval: int, phase: int) -> int:
    """The first moment from ``begin`` on that is a multiple of ``interval`` plus ``phase``."""
    return begin + (phase - begin) % interval
