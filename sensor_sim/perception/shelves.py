"""Shelf slots: how many items stand there, unmoved by hands and passers-by.

An item stands when it has rested at its place for a moment; in a hand it moves and is on its way. An item
that is not seen any more may be hidden, so it keeps standing for a while; one that is seen moving away is
gone. The sum is reported when it has kept still, so that two items taken at once are one change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sensor_sim.detection import Box
from sensor_sim.perception.geometry import Point, inside
from sensor_sim.perception.track import Track
from sensor_sim.perception.tracking import Sighting
from sensorapp import wire

REST = 0.5  # seconds at one place after which an item stands there
HIDDEN = 0.5  # seconds for which an item that is not seen is taken to be hidden
# Seconds for which the sum must keep still before it is reported. Longer than HIDDEN, so that of two items
# taken at once one may be lost from sight and the other be seen moving.
STEADY = 0.7
SAME_PLACE = 0.1  # in units of the item's box: farther away is another place
TAKEN = 1 / 3  # in units of the item's box: moved so far from where it stood, it is on its way

# A change is reported at most this many seconds after it happened.
LONGEST_DELAY = max(REST, HIDDEN) + STEADY


@dataclass
class _Item:
    """What is remembered of one track: where it is lying still since when, and where it stands if it does."""

    place: Point
    since: float
    stands: Point | None = None

    def move(self, at: float, box: Box) -> None:
        here = box.centre
        if _away(here, self.place, box) > SAME_PLACE:
            self.place, self.since = here, at
        if at - self.since >= REST:
            self.stands = self.place
        elif self.stands and _away(here, self.stands, box) > TAKEN:
            self.stands = None


def _away(here: Point, there: Point, box: Box) -> float:
    """How far apart two points are in units of the box, across or down, whichever is more."""
    x, y = abs(here[0] - there[0]), abs(here[1] - there[1])
    return max(x / max(box.width, 1e-9), y / max(box.height, 1e-9))


class SlotCounter:
    def __init__(self, slot: wire.Slot) -> None:
        self.slot = slot
        self._items: dict[int, _Item] = {}
        self._units: int | None = None
        self._since = 0.0
        self._reported: int | None = None
        self._agreeing: deque[tuple[float, int]] = deque(maxlen=256)

    def observe(self, at: float, sighting: Sighting) -> Iterable[wire.Shelf]:
        for track in sighting.ended:
            self._items.pop(track.number, None)
        for track in sighting.seen:
            item = self._items.setdefault(track.number, _Item(track.detected.centre, at))
            item.move(at, track.detected)
        standing = [t for t in (*sighting.seen, *sighting.hidden) if self._stands(at, t)]
        self._remember(at, sum(track.last_seen == at for track in standing))
        units = len(standing)
        if units != self._units:
            # At first nothing has had the time to come to rest.
            self._since = at + REST if self._units is None else at
            self._units = units
        if units != self._reported and at - self._since >= STEADY:
            self._reported = units
            yield wire.Shelf(
                at=round(at * 1000), slot=self.slot.id, units=units, confidence=self._confidence()
            )

    def _stands(self, at: float, track: Track) -> bool:
        place = self._items[track.number].stands
        return (
            place is not None
            and track.confirmed
            and at - track.last_seen <= HIDDEN
            and inside(place, self.slot.polygon)
        )

    def _remember(self, at: float, seen: int) -> None:
        self._agreeing.append((at, seen))
        while at - self._agreeing[0][0] > STEADY:
            self._agreeing.popleft()

    def _confidence(self) -> float:
        """The share of the frames since the sum kept still in which as many items were really seen."""
        agree = sum(seen == self._units for _, seen in self._agreeing)
        return round(agree / len(self._agreeing), 3)
