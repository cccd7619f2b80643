"""What people push: goods in a trolley look like heads, and are taken for somebody who goes before the person.

They are seen poorly, less surely than the person who pushes them, are lower, and go before them, the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import PEOPLE, ROUNDING, Track

# What scores less than so many times the score from which on a detection is clear, over the whole time and lately, is seen
# poorly.
POORLY = 1.1
# Goods have at most this share of the height of the person who pushes them, and score so many times less.
LOWER, SURER = 0.8, 1.5
# Both have gone one way for so many seconds, but for this share of it; the goods are at most so many of the person's heights
# ahead, and so many to a side.
FOR, ALIKE, AHEAD, BESIDE = 1.0, 0.5, 1.0, 0.3


def is_pushed(track: Track, seen: Iterable[Track], clear_score: float) -> bool:
    """Whether one of those seen, as the track is, pushes it; ``clear_score`` is that from which on a detection counts."""
    if max(track.mean_score, track.late_score) >= POORLY * clear_score:
        return False
    return any(
        person.confirmed and person is not track and _is_less(track, person) and _goes_before(track, person)
        for person in seen
    )


def _is_less(track: Track, person: Track) -> bool:
    lower = track.box.height <= LOWER * person.box.height
    return lower and person.mean_score >= SURER * track.mean_score


def _goes_before(track: Track, person: Track) -> bool:
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
    return 0 < ahead < AHEAD and abs(beside) < BESIDE
