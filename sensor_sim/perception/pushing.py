"""What people push: goods in a trolley look like heads, and are taken for somebody who goes before the person.

They are lower than the person who pushes them or seen far less surely, and go straight before them, the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import PEOPLE, ROUNDING, Track

# What scores less than so many times the score from which on a detection is clear, over the whole time and lately, is dim.
DIM = 1.1
# Goods and person have gone one way for so many seconds, but for this share of it, and are at most so many of the person's
# heights apart.
FOR, ALIKE, APART = 1.0, 0.5, 1.0


class Goods(NamedTuple):
    """They have at most this share of the person's height, score so many times less, and are no farther to a side of the
    person's way than so many heights."""

    lower: float
    surer: float
    beside: float

    def fits(self, track: Track, person: Track) -> bool:
        surer = person.mean_score >= self.surer * track.mean_score
        return surer and track.box.height <= self.lower * person.box.height


DIM_GOODS = Goods(0.8, 1.5, 0.3)
# Children who go before somebody seldom keep so straight before them.
CLEAR_GOODS = (Goods(0.65, 1.2, 0.07), Goods(1.0, 1.8, 0.07))


def is_pushed(track: Track, seen: Iterable[Track], clear_score: float) -> bool:
    """Whether one of those seen, as the track is, pushes it; ``clear_score`` is that from which on a detection counts."""
    is_dim = max(track.mean_score, track.late_score) < DIM * clear_score
    kinds = (DIM_GOODS, *CLEAR_GOODS) if is_dim else CLEAR_GOODS
    return any(
        _goes_before(track, person, max(goods.beside for goods in looks))
        for person in seen
        if person.confirmed and (looks := [goods for goods in kinds if goods.fits(track, person)])
    )


def _goes_before(track: Track, person: Track, most_beside: float) -> bool:
    across, down = PEOPLE.slender / max(person.box.width, 1e-9), 1 / max(person.box.height, 1e-9)

    def way(a: Point, b: Point) -> Point:
        """In heights of the person."""
        return (b[0] - a[0]) * across, (b[1] - a[1]) * down

    began, place = track.remembered(track.at - FOR)
    person_began, person_place = person.remembered(began)
    if abs(began - track.at + FOR) > FOR / 3 or abs(person_began - began) > ROUNDING:
        return False
    (x, y), (person_x, person_y) = way(place, track.detected_foot), way(person_place, person.detected_foot)
    on = math.hypot(person_x, person_y)
    if not on or math.hypot(x - person_x, y - person_y) > ALIKE * on:
        return False
    x, y = way(person.detected_foot, track.detected_foot)
    ahead, beside = (x * person_x + y * person_y) / on, (x * person_y - y * person_x) / on
    return 0 < ahead < APART and abs(beside) < most_beside
