"""Shelf slots: how many items stand there, unmoved by hands and passers-by.

The number is reported when it has kept still, so that two items taken at once are one change, and dated to when that
began. What is hidden keeps standing, and so does the number.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from statistics import median

from sensor_sim.perception.facings import Spot, find_spot
from sensor_sim.perception.geometry import Point, inside
from sensor_sim.perception.items import GONE, REST, Place, Places
from sensorapp import wire

# Seconds for which the number must keep still before it is reported. Longer than GONE, so that of two items
# taken at once one may be lost from sight later than the other.
STEADY = 0.7
LOOK_AGAIN = 1.0  # seconds after which is looked again where in the slot items stand
MANY = 2  # where so many are called one name and none its own, the network means the slot's product
ALIKE = 0.2  # what differs in width and height by less than this share may be the same product

# A change that nothing hides is reported at most this many seconds after it happened.
LONGEST_DELAY = max(REST, GONE) + STEADY


class SlotCounter:
    """Counts one slot.

    Where the slot tells its facings, each is filled from the back and emptied from the front: the item in front
    tells of those behind it, of which little is seen.
    """

    def __init__(self, slot: wire.Slot) -> None:
        self.slot = slot
        self._middle = _middle(slot.polygon)
        self._name = slot.item  # what the network calls the slot's product
        self._spots: dict[Place, Spot | None] = {}  # None is outside the slot
        self._looked_at = 0.0
        self._units: int | None = None
        self._since = 0.0
        self._reported: int | None = None
        self._views: deque[tuple[float, float]] = deque(maxlen=256)

    def observe(self, at: float, places: Places) -> Iterable[wire.Shelf]:
        here = self._here(at, places.standing)
        counted, units = self._count(here)
        self._remember(at, counted, places)
        if units != self._units:
            # At first nothing has had the time to come to rest.
            self._since = at + REST if self._units is None else at
            self._units = units
        if units != self._reported and at - self._since >= STEADY:
            self._reported = units
            yield wire.Shelf(
                at=round(self._since * 1000), slot=self.slot.id, units=units, confidence=self._confidence()
            )

    def _here(self, at: float, standing: Sequence[Place]) -> list[tuple[Spot, Place]]:
        """Those that have their middle in the slot. Boxes still change a little while items stand."""
        if at - self._looked_at >= LOOK_AGAIN:
            self._looked_at, self._spots = at, {}
        known = self._spots
        self._spots = {place: known[place] if place in known else self._spot(place) for place in standing}
        return [(spot, place) for place in standing if (spot := self._spots[place])]

    def _spot(self, place: Place) -> Spot | None:
        return find_spot(self.slot, place.box) if inside(place.box.centre, self.slot.polygon) else None

    def _count(self, here: Sequence[tuple[Spot, Place]]) -> tuple[list[Place], int]:
        """The items that tell of the slot, and how many of its own product stand there."""
        if not self.slot.facings:
            places = [place for _, place in here]
            return places, sum(place.label == self.slot.item for place in places)
        self._learn_name([place.label for _, place in here])
        named = [place for _, place in here if place.label in (self.slot.item, self._name)]
        own = {place for _, place in here if place in named or _alike(place, named)}
        # Of each facing what stands in front, its own product rather than a part of it: the last wins.
        forward = sorted(here, key=lambda h: (h[0].row, h[1] in own))
        front = {spot.facing: (spot, place) for spot, place in forward}.values()
        return [place for _, place in front], sum(spot.row + (place in own) for spot, place in front)

    def _learn_name(self, labels: Sequence[str]) -> None:
        """The network may take the slot's product for another: then it calls all of them so."""
        named = Counter(labels)
        own, (name, often) = named[self.slot.item], max(named.items(), key=lambda n: n[1], default=("", 0))
        if own and own >= named[self._name]:
            self._name = self.slot.item
        elif not own and often >= MANY:
            self._name = name

    def _remember(self, at: float, counted: Sequence[Place], places: Places) -> None:
        """What share of what counts, or else of what stands around the empty slot, is seen now."""
        seen = [place.seen_at == at for place in counted]
        self._views.append((at, sum(seen) / len(seen) if seen else places.view(self._middle)))
        while at - self._views[0][0] > STEADY:
            self._views.popleft()

    def _confidence(self) -> float:
        """That share on average over the last ``STEADY`` seconds."""
        return round(sum(view for _, view in self._views) / len(self._views), 3)


def _alike(place: Place, own: Sequence[Place]) -> bool:
    """Whether something is as large as the slot's own items: the network may call one of them another name."""
    if not own:
        return False
    width, height = median(p.box.width for p in own), median(p.box.height for p in own)
    return abs(place.box.width / width - 1) < ALIKE and abs(place.box.height / height - 1) < ALIKE


def _middle(polygon: Sequence[Point]) -> Point:
    return sum(x for x, _ in polygon) / len(polygon), sum(y for _, y in polygon) / len(polygon)
