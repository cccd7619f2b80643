"""People who walk by a script, seen by a detector that is not perfect.

The script knows what each person did; nothing here knows how the sensor finds it out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from sensor_sim.detection import Box, Detection

Point = tuple[float, float]
WIDTH, HEIGHT = 0.08, 0.2
START = 1_772_355_600.0


@dataclass
class Person:
    """A walk: at ``begin``, stand at the first place; then, in turn, walk to each place and stay there.

    ``stops`` are (place, seconds of staying, whether the person can be seen meanwhile).
    """

    begin: float
    stops: list[tuple[Point, float, bool]]
    speed: float = 0.2  # fractions of the picture per second

    def __post_init__(self) -> None:
        self._legs: list[tuple[float, float, Point, Point, bool]] = []
        at, here = self.begin, self.stops[0][0]
        for place, stay, visible in self.stops:
            walk = max(abs(place[0] - here[0]), abs(place[1] - here[1])) / self.speed
            self._legs.append((at, at + walk, here, place, True))
            self._legs.append((at + walk, at + walk + stay, place, place, visible))
            at, here = at + walk + stay, place
        self.end = at

    def where(self, at: float) -> Point | None:
        """Where the foot is; None while the person cannot be seen."""
        for begin, end, a, b, visible in self._legs:
            if begin <= at < end:
                share = (at - begin) / (end - begin)
                here = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
                return here if visible else None
        return None


@dataclass
class Detector:
    """Sees boxes with trembling edges, now and then dimly, and misses some frames."""

    seed: int
    rate: float = 15.0  # frames per second
    tremble: float = 0.01  # at most, in units of the box
    dropped: float = 0.0  # share of frames that are lost, never two in a row
    dim: float = 0.0  # share of the detections that score low, never two in a row
    _random: random.Random = field(init=False)

    def frames(self, people: list[Person], tail: float = 3.0) -> Iterator[tuple[float, list[Detection]]]:
        self._random = random.Random(self.seed)
        lost = dim = False
        for i in range(int((max(person.end for person in people) + tail) * self.rate)):
            at = i / self.rate
            lost = not lost and self._random.random() < self.dropped
            dim = not dim and self._random.random() < self.dim
            if not lost:
                places = [person.where(at) for person in people]
                yield START + at, [self._detection(place, dim) for place in places if place]

    def _detection(self, foot: Point, dim: bool) -> Detection:
        def shake(edge: float, side: float) -> float:
            return edge + side * self._random.uniform(-self.tremble, self.tremble)

        x, y = foot
        box = Box(
            shake(x - WIDTH / 2, WIDTH),
            shake(y - HEIGHT, HEIGHT),
            shake(x + WIDTH / 2, WIDTH),
            shake(y, HEIGHT),
        )
        return Detection("person", 0.2 if dim else self._random.uniform(0.4, 0.9), box)
