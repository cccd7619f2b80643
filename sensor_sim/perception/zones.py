"""Zones: who was there, for how long, and how many are there now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from sensor_sim.perception.geometry import clamped, inside
from sensor_sim.perception.track import Track
from sensor_sim.perception.tracking import Sighting
from sensorapp import wire

# A shorter stay is walking past, and a shorter step over the edge does not end one: seconds.
SETTLE = 1.0
# Somebody takes so long to be told at most, so that nobody is told only after it: seconds.
FIRST_LOOK = 2.0
# Who is in the zone stays in it until they are so far out of it, in heights of the person: feet tremble on its edge.
OUT = 0.01


@dataclass
class _Stay:
    """One track's time in one zone; it counts from the beginning once the track is known to be somebody."""

    entered: float
    left: float  # last moment inside
    confirmed: bool = False

    @property
    def counts(self) -> bool:
        return self.confirmed and self.left - self.entered >= SETTLE


class ZoneCounter:
    def __init__(self, zone: wire.Zone) -> None:
        self.zone = zone
        xs, ys = zip(*zone.polygon, strict=True)
        self._middle = sum(xs) / len(xs), sum(ys) / len(ys)
        self._stays: dict[int, _Stay] = {}
        self._first: float | None = None  # when the first frame came
        self._reported: int | None = None

    def observe(self, at: float, sighting: Sighting) -> Iterable[wire.Event]:
        if self._first is None:
            self._first = at
        for track in sighting.seen:
            yield from self._note(at, track)
        for track in sighting.ended:
            yield from self._close(track.number)
        count = sum(stay.counts for stay in self._stays.values())
        known = self._reported is not None or count or at - self._first >= FIRST_LOOK
        if known and count != self._reported:
            self._reported = count
            yield wire.Occupancy(at=round(at * 1000), zone=self.zone.id, count=count)

    def close(self) -> Iterable[wire.Visit]:
        """The view is lost: visits end when their visitors were last seen; how many stay on is not known."""
        for number in list(self._stays):
            yield from self._close(number)

    def _note(self, at: float, track: Track) -> Iterable[wire.Visit]:
        stay = self._stays.get(track.number)
        if self._holds(track, stays=stay is not None):
            if not stay:
                stay = self._stays[track.number] = _Stay(at, at)
            stay.left = at
        if stay:
            stay.confirmed = track.confirmed
            if at - stay.left >= SETTLE:
                yield from self._close(track.number)

    def _holds(self, track: Track, *, stays: bool) -> bool:
        """Whether somebody stands in the zone, or, if they are in it already, hardly out of it."""
        place = x, y = clamped(track.mean_foot() or track.detected_foot)
        if (is_in := inside(place, self.zone.polygon)) or not stays:
            return is_in
        to_x, to_y = self._middle[0] - x, self._middle[1] - y
        nearer = min(OUT * track.box.height / max(math.hypot(to_x, to_y), 1e-9), 1.0)
        return inside((x + nearer * to_x, y + nearer * to_y), self.zone.polygon)

    def _close(self, number: int) -> Iterable[wire.Visit]:
        stay = self._stays.pop(number, None)
        if stay and stay.counts:
            dwell = min(round((stay.left - stay.entered) * 1000), 86_400_000)
            yield wire.Visit(at=round(stay.left * 1000), zone=self.zone.id, dwell_ms=dwell)
