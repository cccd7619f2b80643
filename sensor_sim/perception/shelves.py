"""Shelf slots: how many items stand there, unmoved by hands and passers-by.

An item stands when it has rested at its place for a moment; in a hand it moves and is on its way. An item
that is not seen any more may be hidden, so it keeps standing for a while; one that is seen moving away is
gone. The sum is reported when it has kept still, so that two items taken at once are one change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sensor_sim.perception.geometry import Point, inside
from sensor_sim.perception.tracking import Sighting, Track
from sensorapp import wire

REST = 0.5  # seconds at one place after which an item stands
HIDDEN = 0.7  # seconds for which an unseen item is taken to be hidden
STEADY = 0.5  # seconds for which the sum must keep still before it is reported
SAME_PLACE = 0.25  # of the item's own width or height

# A change is reported at most this many seconds after it happened.
LONGEST_DELAY = max(REST, HIDDEN) + STEADY


@dataclass
class _Place:
    """Where an item was put, and since when it has been there."""

    centre: Point
    since: float


class SlotCounter:
    def __init__(self, slot: wire.Slot) -> None:
        self.slot = slot
        self._places: dict[int, _Place] = {}
        self._units = -1
        self._since = 0.0
        self._reported: int | None = None
        self._agreeing: deque[tuple[float, int]] = deque(maxlen=256)

    def observe(self, at: float, sighting: Sighting) -> Iterable[wire.Shelf]:
        for track in sighting.ended:
            self._places.pop(track.number, None)
        for track in sighting.seen:
            self._note_place(at, track)
        standing = [t for t in (*sighting.seen, *sighting.hidden) if self._stands(at, t)]
        self._remember(at, sum(track.last_seen == at for track in standing))
        if len(standing) != self._units:
            self._units, self._since = len(standing), at
        if self._units != self._reported and at - self._since >= STEADY:
            self._reported = self._units
            yield wire.Shelf(
                at=round(at * 1000), slot=self.slot.id, units=self._units, confidence=self._confidence()
            )

    def forget(self) -> None:
        """The view is lost: what stands there is not known until it is seen again."""
        self.__init__(self.slot)  # type: ignore[misc]

    def _note_place(self, at: float, track: Track) -> None:
        x, y = track.box.centre
        place = self._places.setdefault(track.number, _Place((x, y), at))
        away_x = abs(x - place.centre[0]) / max(track.box.width, 1e-9)
        away_y = abs(y - place.centre[1]) / max(track.box.height, 1e-9)
        if max(away_x, away_y) > SAME_PLACE:
            place.centre, place.since = (x, y), at

    def _stands(self, at: float, track: Track) -> bool:
        place = self._places.get(track.number)
        return (
            place is not None
            and track.confirmed
            and at - place.since >= REST
            and at - track.last_seen <= HIDDEN
            and inside(place.centre, self.slot.polygon)
        )

    def _remember(self, at: float, seen: int) -> None:
        self._agreeing.append((at, seen))
        while at - self._agreeing[0][0] > STEADY:
            self._agreeing.popleft()

    def _confidence(self) -> float:
        """The share of the frames since the sum kept still in which as many items were really seen."""
        agree = sum(seen == self._units for _, seen in self._agreeing)
        return round(agree / len(self._agreeing), 3)
