"""A crowd at a door, and a detector that makes a crowd's mistakes.

Everybody's way over the floor is known; a camera three metres up sees bodies before one another. The detector
loses whom others hide, melts neighbours into one box, trembles, and sees what is not there, for some time on
end rather than frame by frame, as networks do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from sensor_sim.detection import Box, Detection, overlap
from sensorapp import wire

START: Final = 1_772_355_600.0
Density = Literal["low", "normal", "crowd"]
# People who set out per minute.
RATES: Final[dict[Density, float]] = {"low": 4.0, "normal": 15.0, "crowd": 60.0}

Place = tuple[float, float]  # metres to the right of the camera, metres before it

CAMERA_HEIGHT, TILT, FOCAL, ASPECT = 3.0, math.radians(35), 0.77, 4 / 3
DOOR, NEAR, FAR, SIDE = 4.0, 1.6, 8.5, 2.4
RADIUS = 0.24


def project(x: float, y: float, z: float) -> Place:
    """A point in metres → in fractions of the picture."""
    down = CAMERA_HEIGHT - z
    depth = y * math.cos(TILT) + down * math.sin(TILT)
    below = down * math.cos(TILT) - y * math.sin(TILT)
    return 0.5 + FOCAL * x / depth, 0.5 + FOCAL * ASPECT * below / depth


@dataclass
class Walker:
    begin: float
    way: list[tuple[float, Place]]  # (seconds since begin, where)
    height: float

    @property
    def end(self) -> float:
        return self.begin + self.way[-1][0]

    def where(self, at: float) -> Place:
        for (t0, a), (t1, b) in pairwise(self.way):
            if at - self.begin <= t1:
                share = (at - self.begin - t0) / max(t1 - t0, 1e-9)
                return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
        return self.way[-1][1]

    def box(self, at: float) -> Box:
        x, y = self.where(at)
        sway = 0.03 * math.sin(7.0 * at + self.begin)
        corners = [
            project(x + sx * (RADIUS + sway), y + sy * RADIUS, z)
            for sx in (-1, 1)
            for sy in (-1, 1)
            for z in (0.0, self.height)
        ]
        feet = project(x, y - 0.08 + sway, 0.0)[1]
        return Box(
            max(min(c[0] for c in corners), 0.0),
            max(min(c[1] for c in corners), 0.0),
            min(max(c[0] for c in corners), 1.0),
            min(feet, 1.0),
        )

    def crossings(self) -> Iterator[tuple[float, str]]:
        for (t0, a), (t1, b) in pairwise(self.way):
            if (a[1] < DOOR) != (b[1] < DOOR):
                share = (DOOR - a[1]) / (b[1] - a[1])
                if abs(a[0] + share * (b[0] - a[0])) < SIDE:
                    yield self.begin + t0 + share * (t1 - t0), "forward" if b[1] < DOOR else "backward"


class Script:
    """Who walks where: groups, waiting, turning round, walking past."""

    def __init__(self, seed: int, density: Density, seconds: float) -> None:
        self.seconds = seconds
        self._random = random.Random(seed)
        self.walkers: list[Walker] = []
        at = 0.0
        while at < seconds:
            size = self._random.choices([1, 2, 3, 4], [0.6, 0.25, 0.1, 0.05])[0]
            self._group(at, size)
            at += self._random.expovariate(RATES[density] / 60 / 1.6)

    def _group(self, at: float, size: int) -> None:
        rng = self._random
        kind = rng.choices(["through", "turn", "wait", "past"], [0.78, 0.06, 0.08, 0.08])[0]
        inwards = rng.random() < 0.5
        speed = min(max(rng.gauss(1.2, 0.25), 0.5), 2.0)
        x = rng.uniform(-1.3, 1.3)
        drift = rng.gauss(0.0, 0.5)
        turn_at = DOOR + rng.uniform(-0.7, 0.7)
        stay = rng.uniform(1.0, 8.0)
        for member in range(size):
            aside = (member - (size - 1) / 2) * rng.uniform(0.5, 0.7)
            behind = rng.uniform(0.0, 0.5) / speed
            stops = self._stops(kind, inwards, x + aside, drift, turn_at, stay)
            self.walkers.append(
                Walker(at + behind, self._timed(stops, speed), min(max(rng.gauss(1.7, 0.12), 1.1), 2.0))
            )

    def _stops(
        self, kind: str, inwards: bool, x: float, drift: float, turn_at: float, stay: float
    ) -> list[tuple[Place, float]]:
        first, last = (FAR, NEAR) if inwards else (NEAR, FAR)
        if kind == "past":
            y = DOOR + self._random.uniform(1.0, 3.0)
            sides = (-6.0, 6.0) if inwards else (6.0, -6.0)
            return [((sides[0], y), 0.0), ((sides[1], y), 0.0)]
        middle = ((x + drift / 2, turn_at), stay if kind == "wait" else 0.0)
        if kind == "turn":
            return [((x, first), 0.0), middle, ((x + drift, first), 0.0)]
        return [((x, first), 0.0), middle, ((x + drift, last), 0.0)]

    def _timed(self, stops: list[tuple[Place, float]], speed: float) -> list[tuple[float, Place]]:
        at, way = 0.0, [(0.0, stops[0][0])]
        for (a, _), (b, stay) in pairwise(stops):
            legs = max(int(math.dist(a, b) / 0.8), 1)
            for leg in range(1, legs + 1):
                pace = speed * self._random.uniform(0.8, 1.2)
                at += math.dist(a, b) / legs / pace
                share = leg / legs
                way.append((at, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))))
            if stay:
                at += stay
                way.append((at, b))
        return way

    def seen(self, at: float) -> list[Seen]:
        """Everybody in view at ``at`` seconds, the nearest first."""
        present = [(n, w) for n, w in enumerate(self.walkers) if w.begin <= at <= w.end]
        found: list[Seen] = []
        for number, walker in sorted(present, key=lambda one: one[1].where(at)[1]):
            box = walker.box(at)
            if box.height > 0.02 and box.width > 0.01:
                hidden = sum(_covered(box, other.box) for other in found)
                found.append(Seen(number, box, max(1.0 - hidden, 0.0)))
        return found

    def truth(self) -> list[tuple[float, str]]:
        found = [crossing for walker in self.walkers for crossing in walker.crossings()]
        return sorted((START + at, way) for at, way in found if at < self.seconds)

    def scene(self) -> wire.Scene:
        a, b = project(-SIDE, DOOR, 0.0), project(SIDE, DOOR, 0.0)
        points = ((max(a[0], 0.0), a[1]), (min(b[0], 1.0), b[1]))
        return wire.Scene(version=1, lines=[wire.Line(id=0, name="door", points=points)])


class Seen(NamedTuple):
    """Somebody in view: ``box`` as if nothing stood before them, and the share of them that can be seen."""

    number: int
    box: Box
    visible: float


@dataclass
class _Mood:
    """How well the network does on one person; changes slowly."""

    miss: float = 0.0
    edges: list[float] = field(default_factory=lambda: [0.0] * 4)


@dataclass
class CrowdDetector:
    seed: int
    rate: float = 15.0
    tremble: float = 0.02  # standard deviation of an edge of somebody in plain view, in units of the box
    blindness: float = 0.02  # share of missed detections of somebody in plain view
    hiding: float = 0.3  # visible share at which half of the detections are lost
    melting: float = 0.2  # share of times at which two who overlap by half become one box
    ghosts: float = 0.02  # boxes of nobody that begin, per second

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._moods: dict[int, _Mood] = {}
        self._ghosts: list[tuple[float, Box]] = []

    def look(self, at: float, people: Sequence[Seen]) -> list[Detection]:
        """What the network finds at ``at`` seconds."""
        for number in self._moods.keys() - {one.number for one in people}:
            del self._moods[number]
        found = [d for one in people if (d := self._detect(one))]
        return suppress([*self._melt(found), *self._haunt(at)])

    def _detect(self, one: Seen) -> Detection | None:
        mood = self._moods.setdefault(one.number, _Mood())
        mood.miss = self._drift(mood.miss)
        mood.edges = [self._drift(edge) for edge in mood.edges]
        keen = 1 / (1 + math.exp(-14 * (one.visible - self.hiding) - 1.5 * mood.miss))
        if one.visible < 0.08 or self._random.random() > keen * (1 - self.blindness):
            return None
        score = min(max(0.15 + 0.65 * one.visible + 0.1 * mood.miss, 0.05), 0.98)
        tremble = self.tremble * min(1 / one.visible, 4.0)
        w, h = tremble * one.box.width, tremble * one.box.height
        left, top, right, bottom = (
            edge + side * m for edge, side, m in zip(one.box, (w, h, w, h), mood.edges, strict=True)
        )
        return Detection(
            "person", score, Box(max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))
        )

    def _drift(self, value: float) -> float:
        """A first-order autoregression of unit variance that forgets within a third of a second."""
        keep = math.exp(-3.0 / self.rate)
        return keep * value + math.sqrt(1 - keep * keep) * self._random.gauss(0.0, 1.0)

    def _melt(self, found: list[Detection]) -> list[Detection]:
        for i, a in enumerate(found):
            for j in range(i):
                b = found[j]
                if overlap(a.box, b.box) > 0.5 and self._random.random() < self.melting:
                    found[j] = Detection("person", max(a.score, b.score), _union(a.box, b.box))
                    return [*found[:i], *found[i + 1 :]]
        return found

    def _haunt(self, at: float) -> list[Detection]:
        if self._random.random() < self.ghosts / self.rate:
            x, y = self._random.uniform(0, 0.9), self._random.uniform(0.3, 0.9)
            self._ghosts.append((at + self._random.expovariate(4.0), Box(x, y - 0.2, x + 0.08, y)))
        self._ghosts = [(until, box) for until, box in self._ghosts if until >= at]
        return [Detection("person", self._random.uniform(0.2, 0.6), box) for _, box in self._ghosts]


def _union(a: Box, b: Box) -> Box:
    return Box(min(a.left, b.left), min(a.top, b.top), max(a.right, b.right), max(a.bottom, b.bottom))


def suppress(found: list[Detection], threshold: float = 0.6) -> list[Detection]:
    """Greedy non-maximum suppression."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda d: -d.score):
        if all(overlap(detection.box, other.box) < threshold for other in kept):
            kept.append(detection)
    return kept


def _covered(box: Box, other: Box) -> float:
    """The share of ``box`` that ``other`` covers."""
    width = min(box.right, other.right) - max(box.left, other.left)
    height = min(box.bottom, other.bottom) - max(box.top, other.top)
    return max(width, 0.0) * max(height, 0.0) / max(box.area, 1e-9)
