"""What people push: goods in a trolley look like heads, and are taken for somebody who goes before the person.

They are seen poorly, less surely than the person who pushes them, are mostly lower, and go before them, the same way.
Before somebody who walks away from the camera they come into sight only on the way, and until then that person hides
them; where they end is guessed, so they may look as high as the person, and now and then they are seen well for a moment.
Whoever comes into sight there past others, too, may as well be somebody whom those hid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sensor_sim.detection import overlap
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
    always, new = all(poorly), any(poorly) and track.at - track.began < NEW
    if not (always or new):
        return False
    behind = ((one, way) for one in seen if _may_push(one, track) and (way := _way_before(track, one)))
    return any(
        (always and track.box.height <= LOWER * person.box.height) or (new and _hid(person, way, track, seen))
        for person, way in behind
    )


def _may_push(person: Track, track: Track) -> bool:
    surer = person.confirmed and person.mean_score >= SURER * track.mean_score
    return surer and person is not track and track.box.height <= person.box.height


def _hid(person: Track, way: Point, track: Track, seen: Sequence[Track]) -> bool:
    """Whether the person, who has gone that way, hid what the track is of until they walked away from the camera, and nobody
    else can have hidden it."""
    later, away = track.began - person.began > LATER, way[1] < -UP * math.hypot(*way)
    return later and away and not any(_covers(other, track) for other in seen if other not in (track, person))


def _covers(other: Track, track: Track) -> bool:
    """Whether the other one, nearer to the camera, covers some of the track's box."""
    return other.confirmed and other.box.bottom > track.box.bottom and overlap(other.box, track.box) > 0


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
