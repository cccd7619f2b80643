"""What people push: goods in a trolley look like heads, and are taken for somebody who goes before the person.

They are lower than the person who pushes them, are seen less surely, and go before them, the same way: straight so, if
they are small, and about so, if they are seen poorly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import PEOPLE, ROUNDING, Track

# What scores less than so many times the score from which on a detection is clear, over the whole time and lately, is seen
# poorly.
POORLY = 1.1
# Goods and person have gone one way for so many seconds, but for this share of it, and are at most so many of the person's
# heights apart.
FOR, ALIKE, APART = 1.0, 0.5, 1.0


class Kind(NamedTuple):
    """Goods that have at most this share of the height of who pushes them, in the picture or upright on the floor, that
    score at least so many times less, lately, too, and that are at most so many of the person's heights to a side of their way."""

    most_height: float
    least_surer: float
    most_beside: float


DIM, SMALL = Kind(0.85, 1.5, 0.3), Kind(0.65, 1.2, 0.07)


def is_pushed(track: Track, seen: Iterable[Track], clear_score: float) -> bool:
    """Whether one of those seen, as the track is, pushes it; ``clear_score`` is that from which on a detection counts."""
    is_dim = max(track.mean_score, track.late_score) < POORLY * clear_score
    kinds = (DIM, SMALL) if is_dim else (SMALL,)
    return any(
        person.confirmed and person is not track and any(_is(kind, track, person) for kind in kinds)
        for person in seen
    )


def _is(kind: Kind, track: Track, person: Track) -> bool:
    lower = track.box.height <= kind.most_height * person.box.height
    if not lower:  # a box is also lower the nearer to the camera somebody stands
        lower = 0 < track.late_height <= kind.most_height * person.late_height
    surer = (
        person.mean_score >= kind.least_surer * track.mean_score
        and person.late_score >= kind.least_surer * track.late_score
    )
    return lower and surer and _goes_before(track, person, kind.most_beside)


def _goes_before(track: Track, person: Track, most_beside: float) -> bool:
    across, down = PEOPLE.slender / max(person.box.width, 1e-9), 1 / max(person.box.height, 1e-9)

    def way(a: Point, b: Point) -> Point:
        """In heights of the person."""
        return (b[0] - a[0]) * across, (b[1] - a[1]) * down

    x, y = way(person.detected_foot, track.detected_foot)
    if math.hypot(x, y) > APART + most_beside:
        return False
    began, place = track.remembered(track.at - FOR)
    person_began, person_place = person.remembered(began)
    if abs(began - track.at + FOR) > FOR / 3 or abs(person_began - began) > ROUNDING:
        return False
    (gone_x, gone_y), (on_x, on_y) = way(place, track.detected_foot), way(person_place, person.detected_foot)
    on = math.hypot(on_x, on_y)
    if not on or math.hypot(gone_x - on_x, gone_y - on_y) > ALIKE * on:
        return False
    ahead, beside = (x * on_x + y * on_y) / on, (x * on_y - y * on_x) / on
    return 0 < ahead < APART and abs(beside) < most_beside
