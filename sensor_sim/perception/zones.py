"""Zones: who was there, for how long, and how many are there now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sensor_sim.perception.geometry import clamped, inside
from sensor_sim.perception.track import Track
from sensor_sim.perception.tracking import Sighting
from sensorapp import wire

# Seconds that somebody must have been inside (outside) without a break to have come (gone): shorter is
# walking past, or a step over the edge.
SETTLE = 1.0


@dataclass
class _Stay:
    """What is remembered of one track at one zone."""

    inside: bool  # as seen last
    since: float  # when that began
    entered: float | None = None  # when the visit began, once it is one
    left: float = 0.0  # last moment inside


class ZoneCounter:
    def __init__(self, zone: wire.Zone) -> None:
        self.zone = zone
        self._stays: dict[int, _Stay] = {}
        self._reported: int | None = None

    def observe(self, at: float, sighting: Sighting) -> Iterable[wire.Event]:
        for track in sighting.seen:
            if track.confirmed:
                self._note(at, track)
        for stay in self._stays.values():
            yield from self._settle(at, stay)
        for track in sighting.ended:
            yield from self._close(track.number)
        count = sum(stay.entered is not None for stay in self._stays.values())
        if count != self._reported:
            self._reported = count
            yield wire.Occupancy(at=round(at * 1000), zone=self.zone.id, count=count)

    def close(self) -> Iterable[wire.Visit]:
        """The view is lost: visits end when their visitors were last seen; how many stay on is not known."""
        for number in list(self._stays):
            yield from self._close(number)

    def _note(self, at: float, track: Track) -> None:
        now_inside = inside(clamped(track.detected_foot), self.zone.polygon)
        stay = self._stays.setdefault(track.number, _Stay(now_inside, at))
        if stay.inside != now_inside:
            stay.inside, stay.since = now_inside, at
        if now_inside:
            stay.left = at

    def _settle(self, at: float, stay: _Stay) -> Iterable[wire.Visit]:
        """A visit begins when somebody was seen inside for long enough, and ends when they are gone as long."""
        if stay.inside and stay.entered is None and stay.left - stay.since >= SETTLE:
            stay.entered = stay.since
        elif not stay.inside and stay.entered is not None and at - stay.since >= SETTLE:
            yield self._visit(stay.entered, stay.left)
            stay.entered = None

    def _close(self, number: int) -> Iterable[wire.Visit]:
        stay = self._stays.pop(number, None)
        if stay and stay.entered is not None:
            yield self._visit(stay.entered, stay.left)

    def _visit(self, entered: float, left: float) -> wire.Visit:
        dwell = min(round((left - entered) * 1000), 86_400_000)
        return wire.Visit(at=round(left * 1000), zone=self.zone.id, dwell_ms=dwell)
