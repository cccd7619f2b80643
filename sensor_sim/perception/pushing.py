"""What people push: goods in a trolley look like heads, and are taken for somebody who goes before the person.

They are seen poorly, less surely than the person who pushes them, are mostly lower, and go before them, the same way.
Before somebody who walks away from the camera they come into sight only on the way, and until then that person hides
them; where they end is guessed, so they may look as high as the person, and now and then they are seen well for a moment.
Whoever comes into sight there past others, too, may as well be somebody whom those hid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sensor_sim.perception.geometry import Point
from sensor_sim.perception.track import PEOPLE, ROUNDING, Track

# What scores less than so many times the score from which on a detection is clear, over the whole time and lately, is seen
# poorly. Of what is new one of the two is enough: it came into sight at most so many seconds ago, and so much later than
# the person.
POORLY, NEW, LATER = 1.1, 2.0, 0.2
# Goods have at most this share of the height of the person who pushes them (what is new, all of it), and score so many times
# less.
LOWER, SURER = 0.8, 1.5
# Both have gone one way for so many seconds, but for this share of it; the goods are at most so many of the person's heights
# ahead, and so many to a side.
FOR, ALIKE, AHEAD, BESIDE = 1.0, 0.5, 1.0, 0.3
# Who walks away goes up the picture for at least this share of the way.
UP = 0.3


def is_pushed(track: Track, seen: Sequence[Track], clear_score: float) -> bool:
    """Whether one of those seen, as the track is, pushes it; ``clear_score`` is that from which on a detection counts."""
    poorly = [score < POORLY * clear_score for score in (track.mean_score, track.late_score)]
    new = any(poorly) and track.at - track.began < NEW
    if not (all(poorly) or new):
        return False
    return any(
        person.confirmed
        and person is not track
        and person.mean_score >= SURER * track.mean_score
        and track.box.height <= person.box.height
        and (way := _way_before(track, person))
        and (
            (all(poorly) and track.box.height <= LOWER * person.box.height)
            or (
                new
                and track.began - person.began > LATER
                and way[1] < -UP * math.hypot(*way)
                and not any(_hides(other, track) for other in seen if other not in (track, person))
            )
        )
        for person in seen
    )


def _hides(other: Track, track: Track) -> bool:
    """Whether the other one, nearer to the camera, covers some of the track's box."""
    left, top, right, bottom = other.box
    nearer = other.confirmed and bottom > track.box.bottom > top
    return nearer and left < track.box.right and right > track.box.left


def _way_before(track: Track, person: Track) -> Point | None:
    """The way (right and down, in heights of the person) that the person has gone behind what the track is of; None if they
    have not."""
    across, down = PEOPLE.slender / max(person.box.width, 1e-9), 1 / max(person.box.height, 1e-9)

    def way(a: Point, b: Point) -> Point:
        return (b[0] - a[0]) * across, (b[1] - a[1]) * down

    since, place = track.remembered(track.at - FOR)
    person_since, person_place = person.remembered(since)
    if abs(since - track.at + FOR) > FOR / 3 or abs(person_since - since) > ROUNDING:
        return None
    (x, y), (person_x, person_y) = way(place, track.detected_foot), way(person_place, person.detected_foot)
    on = math.hypot(person_x, person_y)
    if not on or math.hypot(x - person_x, y - person_y) > ALIKE * on:
        return None
    x, y = way(person.detected_foot, track.detected_foot)
    ahead, beside = (x * person_x + y * person_y) / on, (x * person_y - y * person_x) / on
    return (person_x, person_y) if 0 < ahead < AHEAD and abs(beside) < BESIDE else None
