"""Where items stand, whether they are seen at the moment or hidden.

Items do not move by themselves, so none is followed: what stays where it is for a moment stands there, and what
is in a hand never does. An item that is not seen any more was taken or is hidden, and what hides it, a person or
an arm, hides things beside it too: time tells that it was taken only while what stands around is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.perception.geometry import Point

Floats = NDArray[np.float64]

DIM_SHARE = 0.5  # an item that stands is seen by whatever scores this share of what a new one must score
REST = 0.5  # seconds at one place after which an item stands there
BLINK = 0.35  # seconds for which an item must not be lost from sight while it comes to rest
GONE = 0.5  # seconds after which an item that is not seen, while those around it are, stands there no longer
LONGEST_HIDDEN = 60.0  # the same while others around it are not seen either
FORGOTTEN = 1.5  # seconds, counted alike, until which one that is seen again at once stands again
SAME_PLACE = 0.2  # in units of the item's box: what is farther away, or differs so much in size, is another
DUPLICATE = 0.5  # a box that covers a surer one this much (intersection over union) is the same item again
BEHIND = 0.3  # one that covers a hidden one this much may be a part of it, or have stood behind it
NEIGHBOURS = 8  # so many items around one tell whether it is hidden:
HIDDEN_TOGETHER = 2  # so many of them are not seen either; a hand takes two at most
TALL = (
    0.35  # people are tall: what stands above or below one counts as this much nearer than what is beside it
)
MEMORY = 5.0  # for so many seconds is remembered how an item was called, and where exactly it was seen
MOST_PLACES = 512


@dataclass(eq=False)
class Place:
    """Where something is or was seen to stand still, ``since`` then; ``missed`` is for how many seconds it
    should have been seen since ``seen_at``, and was not.
    """

    number: int
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
        self._neighbours = np.zeros((0, 0), np.int64)
        self._at = math.inf
        self._next = 0

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
        away = np.hypot(*(_centres(self.standing) - at).T)
        near = np.argsort(away, kind="stable")[:NEIGHBOURS].tolist()
        return len([i for i in near if self.standing[i].seen_at == self._at]) / len(near)

    def _recognise(self, at: float, found: Sequence[Detection]) -> list[Detection]:
        """Give the places what is seen there, the most alike first; returns what is seen elsewhere."""
        places = [*self.standing, *self._gone, *self._coming]
        if not places or not found:
            return list(found)
        away = _away(_boxes(places), np.array([d.box for d in found]))
        pairs = np.argwhere(away < SAME_PLACE)
        order = np.argsort(away[pairs[:, 0], pairs[:, 1]], kind="stable")
        free_places, free = set(range(len(places))), set(range(len(found)))
        for i, j in pairs[order].tolist():
            if i in free_places and j in free:
                free_places.remove(i)
                free.remove(j)
                places[i].see(at, found[j])
        return [found[j] for j in sorted(free)]

    def _miss(self, at: float, passed: float) -> None:
        """Let time tell against those standing that are not seen."""
        for place in self._gone:
            place.missed += passed * (place.seen_at < at)
        seen = np.array([place.seen_at == at for place in self.standing])
        if seen.all():
            return
        hidden = (~seen[self._neighbours]).sum(axis=1) >= HIDDEN_TOGETHER
        for i in np.flatnonzero(~seen).tolist():
            self.standing[i].missed += passed * (GONE / LONGEST_HIDDEN if hidden[i] else 1.0)

    def _come(self, at: float, others: Sequence[Detection]) -> None:
        for detection in others:
            if self.known < MOST_PLACES and detection.score >= self.clear_score:
                labels = {detection.label: detection.score}
                self._coming.append(Place(self._next, detection.box, at, at, labels))
                self._next += 1

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
            self._neighbours = _nearest(_centres(standing))


def _distinct(found: Sequence[Detection]) -> list[Detection]:
    """Without second boxes around the same item, the surest first."""
    found = sorted(found, key=lambda d: -d.score)
    boxes = np.array([d.box for d in found], np.float64).reshape(-1, 4)
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    area = shared.diagonal()
    covers = shared >= DUPLICATE * (area[:, None] + area - shared)
    kept: list[int] = []
    for i in range(len(found)):
        if not covers[i, kept].any():
            kept.append(i)
    return [found[i] for i in kept]


def _boxes(places: Sequence[Place]) -> Floats:
    return np.array([place.box for place in places], np.float64).reshape(-1, 4)


def _centres(places: Sequence[Place]) -> Floats:
    boxes = _boxes(places)
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _nearest(points: Floats) -> NDArray[np.int64]:
    """For each of n points (n x 2) the ``NEIGHBOURS`` nearest others, as what hides one would hide them."""
    away = np.hypot(*((points[:, None] - points) * (1.0, TALL)).transpose(2, 0, 1))
    np.fill_diagonal(away, -1.0)
    return np.argsort(away, axis=1, kind="stable")[:, 1 : 1 + NEIGHBOURS]


def _away(places: Floats, found: Floats) -> Floats:
    """n x m: how far apart boxes are in units of the place's, the most of their shift and half their change of
    size, across or down.
    """
    size = np.maximum(places[:, 2:] - places[:, :2], 1e-9)
    off = (found - places[:, None]) / np.concatenate([size, size], axis=1)[:, None]
    shift, growth = off[..., :2] + off[..., 2:], off[..., 2:] - off[..., :2]
    away: Floats = np.maximum(abs(shift), abs(growth)).max(axis=2) / 2
    return away
