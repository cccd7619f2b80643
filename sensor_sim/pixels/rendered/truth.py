"""What truly happened: kept from where people stand on the floor, in metres, and nothing that the camera sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sensor_sim.pixels.rendered import Crossed, Happening, Occupied, Stayed

Spot = tuple[float, float]

CLEAR = 0.15  # metres beyond the line at which somebody has crossed it for good
LEAST_STAY = 1.0  # seconds; a step out of a zone that is shorter does not end a stay either


@dataclass
class _Way:
    """One person at one line. Sides: 1 right hand, -1 left hand, 0 not known yet."""

    at: float
    spot: Spot
    distance: float
    side: int = 0
    met: float | None = None  # when the line was last passed; None if beyond its ends


@dataclass
class LineTruth:
    """A line on the floor, from ``a`` to ``b``, the left and the right end as in the scene."""

    number: int
    a: Spot
    b: Spot
    ways: dict[int, _Way] = field(default_factory=dict, init=False)

    def observe(self, at: float, who: int, spot: Spot) -> Iterator[Happening]:
        distance = self._distance(spot)
        way = self.ways.setdefault(who, _Way(at, spot, distance))
        if (way.distance > 0) != (distance > 0):
            way.met = self._meeting(way, at, spot, distance)
        side = (distance >= CLEAR) - (distance <= -CLEAR)
        if side and side != way.side:
            if way.side and way.met is not None:
                yield Crossed(way.met, self.number, "forward" if side > 0 else "backward")
            way.side = side
        way.at, way.spot, way.distance = at, spot, distance

    def forget(self, who: int) -> Iterator[Happening]:
        self.ways.pop(who, None)
        yield from ()

    def _distance(self, spot: Spot) -> float:
        """Metres from the line, positive on the right hand as the camera sees it: the picture's y grows
        towards the camera, the floor's away from it, so the usual sign of the cross product turns."""
        dx, dy = self.b[0] - self.a[0], self.b[1] - self.a[1]
        cross = dx * (spot[1] - self.a[1]) - dy * (spot[0] - self.a[0])
        return float(-cross / (dx * dx + dy * dy) ** 0.5)

    def _meeting(self, way: _Way, at: float, spot: Spot, distance: float) -> float | None:
        share = way.distance / (way.distance - distance)
        x = way.spot[0] + share * (spot[0] - way.spot[0])
        y = way.spot[1] + share * (spot[1] - way.spot[1])
        dx, dy = self.b[0] - self.a[0], self.b[1] - self.a[1]
        along = ((x - self.a[0]) * dx + (y - self.a[1]) * dy) / (dx * dx + dy * dy)
        return way.at + share * (at - way.at) if 0 <= along <= 1 else None


@dataclass
class _Stay:
    since: float
    last: float

    @property
    def counts(self) -> bool:
        return self.last - self.since >= LEAST_STAY


@dataclass
class ZoneTruth:
    """A convex zone on the floor, its corners in one sense of turning."""

    number: int
    corners: Sequence[Spot]
    stays: dict[int, _Stay] = field(default_factory=dict, init=False)
    count: int | None = field(default=None, init=False)

    def observe(self, at: float, who: int, spot: Spot) -> Iterator[Happening]:
        stay = self.stays.get(who)
        if self._holds(spot):
            if stay:
                stay.last = at
            else:
                self.stays[who] = _Stay(at, at)
        elif stay and at - stay.last >= LEAST_STAY:
            yield from self.forget(who)

    def forget(self, who: int) -> Iterator[Happening]:
        stay = self.stays.pop(who, None)
        if stay and stay.counts:
            yield Stayed(stay.last, self.number, stay.last - stay.since)

    def settle(self, at: float) -> Iterator[Happening]:
        """After everybody was observed at ``at``: how many they are, if that is new."""
        count = sum(stay.counts for stay in self.stays.values())
        if count != self.count:
            self.count = count
            yield Occupied(at, self.number, count)

    def end(self, at: float) -> Iterator[Happening]:
        """Stays that are cut short at ``at``; how many stay on is not known any more."""
        for stay in self.stays.values():
            stay.last = min(stay.last, at)
        for who in list(self.stays):
            yield from self.forget(who)

    def _holds(self, spot: Spot) -> bool:
        turns = [
            (bx - ax) * (spot[1] - ay) - (by - ay) * (spot[0] - ax) > 0
            for (ax, ay), (bx, by) in zip(self.corners, [*self.corners[1:], self.corners[0]], strict=True)
        ]
        return all(turns) or not any(turns)
