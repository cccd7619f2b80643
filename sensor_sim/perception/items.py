"""Where items stand, whether they are seen at the moment or hidden.

Items do not move by themselves, so none is followed: what stays where it is for a moment stands there, and what
is in a hand never does. An item that is not seen any more was taken or is hidden, and what hides it, a person or
an arm, hides things beside it too: time tells that it was taken only while what stands around is seen.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.perception.geometry import Point

DIM_SHARE = 0.5  # an item that stands is seen by whatever scores this share of what a new one must score
REST = 0.5  # seconds at one place after which an item stands there
BLINK = 0.35  # seconds for which an item must not be lost from sight while it comes to rest
GONE = 0.5  # seconds after which an item that is not seen, while those around it are, stands there no longer
LONGEST_HIDDEN = 60.0  # the same while others around it are not seen either
FORGOTTEN = 1.5  # seconds, counted alike, until which one that is seen again at once stands again
SAME_PLACE = 0.2  # in units of the item's box: what is farther away, or differs so much in size, is another
DUPLICATE = 0.5  # a box that covers a surer one this much (intersection over union) is the same item again,
BEYOND = 0.1  # unless it is higher or lower by this share of its height: then it is the one behind or before
BEHIND = 0.3  # one that covers a hidden one this much may be a part of it, or have stood behind it
NEIGHBOURS = 8  # so many items around one tell whether it is hidden:
HIDDEN_TOGETHER = 2  # so many of them are not seen either; a hand takes two at most
# People are tall: what stands above or below one is taken for nearer, by this factor, than what is beside it.
TALL = 0.35
MEMORY = 5.0  # for so many seconds is remembered how an item was called, and where exactly it was seen
MOST_PLACES = 512  # and so many detections of a frame are looked at, the surest

_Middle: TypeAlias = tuple[float, int]  # of a box, across; the number of the box


@dataclass(eq=False)
class Place:
    """Where something is or was seen to stand still, ``since`` then; ``missed`` is for how many seconds it
    should have been seen since ``seen_at``, and was not.
    """

    box: Box
    since: float
    seen_at: float
    labels: dict[str, float] = field(default_factory=dict)  # how often and surely it was called so lately
    missed: float = 0.0

    @property
    def stands(self) -> bool:
        return self.missed < GONE

    @property
    def label(self) -> str:
        return max(self.labels, key=self.labels.__getitem__)

    def see(self, at: float, detection: Detection) -> None:
        keep = math.exp((self.seen_at - at) / MEMORY)
        self.labels = {label: keep * weight for label, weight in self.labels.items()}
        self.labels[detection.label] = self.labels.get(detection.label, 0.0) + detection.score
        self.box = Box(*(b + keep * (a - b) for a, b in zip(self.box, detection.box, strict=True)))
        self.seen_at, self.missed = at, 0.0


class Places:
    """All items in view; ``clear_score`` is the score from which on a detection can be a new one.

    ``standing`` are those that are taken to stand, seen or hidden; those behind others too, where they are seen.
    """

    def __init__(self, clear_score: float) -> None:
        self.clear_score = clear_score
        self.standing: list[Place] = []
        self._gone: list[Place] = []
        self._coming: list[Place] = []
        self._neighbours: list[list[Place]] = []  # of each that stands
        self._at = math.inf

    @property
    def known(self) -> int:
        """How many places are remembered, at most ``MOST_PLACES``."""
        return len(self.standing) + len(self._gone) + len(self._coming)

    def observe(self, at: float, detections: Sequence[Detection]) -> None:
        """Take in all detections of one frame at ``at`` seconds, growing."""
        passed, self._at = max(at - self._at, 0.0), at
        found = _distinct([d for d in detections if d.score >= DIM_SHARE * self.clear_score])
        others = self._recognise(at, found)
        self._miss(at, passed)
        self._come(at, others)
        self._settle(at)

    def view(self, at: Point) -> float:
        """Which share of the items that stand around a point is seen now; a half where none is known."""
        if not self.standing:
            return 0.5
        x, y = at
        near = _nearest(self.standing, lambda place: math.dist(place.box.centre, (x, y)))
        return sum(place.seen_at == self._at for place in near) / len(near)

    def _recognise(self, at: float, found: Sequence[Detection]) -> list[Detection]:
        """Give the places what is seen there, the most alike first; returns what is seen elsewhere."""
        places = [*self.standing, *self._gone, *self._coming]
        free_places, free = set(range(len(places))), set(range(len(found)))
        for _, i, j in sorted(_alike(places, found)):
            if i in free_places and j in free:
                free_places.remove(i)
                free.remove(j)
                places[i].see(at, found[j])
        return [found[j] for j in sorted(free)]

    def _miss(self, at: float, passed: float) -> None:
        """Let time tell against those standing that are not seen."""
        for place in self._gone:
            place.missed += passed * (place.seen_at < at)
        hidden = self._hidden(at)
        for place, neighbours in zip(self.standing, self._neighbours, strict=True):
            if place.seen_at < at:
                covered = sum(other in hidden for other in neighbours) >= HIDDEN_TOGETHER
                place.missed += passed * (GONE / LONGEST_HIDDEN if covered else 1.0)

    def _hidden(self, at: float) -> set[Place]:
        """Those that tell, as they are not seen, of somebody before them. What has its middle within an item that
        is seen tells nothing: that item is before it, or in its place.
        """
        seen = [place.box for place in self.standing if place.seen_at == at]
        lost = [place for place in self.standing if place.seen_at < at]
        return {place for place in lost if not any(_within(place.box.centre, box) for box in seen)}

    def _come(self, at: float, others: Sequence[Detection]) -> None:
        for detection in others:
            if self.known < MOST_PLACES and detection.score >= self.clear_score:
                labels = {detection.label: detection.score}
                self._coming.append(Place(detection.box, at, at, labels))

    def _settle(self, at: float) -> None:
        """Who stands now."""
        known = [place for place in (*self.standing, *self._gone) if place.missed < FORGOTTEN]
        standing = [place for place in known if place.stands]
        hidden = [place for place in standing if place.seen_at < at]
        coming = []
        for place in self._coming:
            if any(overlap(place.box, other.box) >= BEHIND for other in hidden):
                place.since = at
            if place.seen_at - place.since >= REST:
                standing.append(place)
            elif at - place.seen_at <= BLINK:
                coming.append(place)
        self._coming = coming
        self._gone = [place for place in known if not place.stands]
        if standing != self.standing:
            self.standing = standing
            self._neighbours = [_around(place, standing) for place in standing]


def _distinct(found: Sequence[Detection]) -> list[Detection]:
    """Without second boxes around the same item, the surest first, of at most ``MOST_PLACES``."""
    kept: list[Detection] = []
    middles: list[_Middle] = []
    for detection in sorted(found, key=lambda d: -d.score)[:MOST_PLACES]:
        middle = detection.box.centre[0]
        reach = detection.box.width / 2  # farther apart, they share too little
        near = _between(middles, middle - reach, middle + reach)
        if not any(_duplicates(detection.box, kept[number].box) for number in near):
            insort(middles, (middle, len(kept)))
            kept.append(detection)
    return kept


def _between(middles: Sequence[_Middle], least: float, most: float) -> Iterator[int]:
    """The numbers of those whose middles, in order, are from ``least`` to ``most``."""
    first, end = bisect(middles, (least, -1)), bisect(middles, (most, MOST_PLACES))
    return (number for _, number in middles[first:end])


def _duplicates(box: Box, other: Box) -> bool:
    """Items behind one another differ at their heads and their feet alike, boxes of one item at either."""
    if overlap(box, other) < DUPLICATE:
        return False
    heads, feet = box.top - other.top, box.bottom - other.bottom
    return heads * feet <= 0.0 or min(abs(heads), abs(feet)) < BEYOND * box.height


def _alike(places: Sequence[Place], found: Sequence[Detection]) -> Iterator[tuple[float, int, int]]:
    """Which boxes may be of the same item: (how far apart, place, detection).

    That is the most of their shift and half their change of size, across or down, in units of the place's box.
    """
    middles = sorted((detection.box.centre[0], j) for j, detection in enumerate(found))
    for i, place in enumerate(places):
        left, top, right, bottom = place.box
        width, height = max(right - left, 1e-9), max(bottom - top, 1e-9)
        middle, most = place.box.centre[0], SAME_PLACE * width
        for j in _between(middles, middle - most, middle + most):
            box = found[j].box
            across = _off(box.left - left, box.right - right) / width
            away = max(across, _off(box.top - top, box.bottom - bottom) / height)
            if away < SAME_PLACE:
                yield away, i, j


def _within(point: Point, box: Box) -> bool:
    return box.left <= point[0] <= box.right and box.top <= point[1] <= box.bottom


def _off(begin: float, end: float) -> float:
    """The shift or half the change of size, whichever is more, of what has its ends moved so far."""
    return max(abs(begin + end), abs(end - begin)) / 2


def _around(place: Place, standing: Sequence[Place]) -> list[Place]:
    """Those nearest to one, as what hides it would hide them; what overlaps it may be the same item again."""
    x, y = place.box.centre

    def away(other: Place) -> float:
        there = other.box.centre
        return math.hypot(there[0] - x, (there[1] - y) * TALL)

    return _nearest([other for other in standing if overlap(place.box, other.box) < BEHIND], away)


def _nearest(places: Sequence[Place], away: Callable[[Place], float]) -> list[Place]:
    return heapq.nsmallest(NEIGHBOURS, places, away)
