"""The tracker on its own: what it follows, what it gives up, and what it does not take for new."""

from __future__ import annotations

import pytest

from sensor_sim.detection import Box, Detection, overlap
from sensor_sim.perception.track import Track
from sensor_sim.perception.tracking import MOST_TRACKS, Sighting, Tracker

WIDTH, HEIGHT = 0.1, 0.3


def seen(x: float, y: float = 0.8, score: float = 0.8) -> Detection:
    return Detection("person", score, Box(x - WIDTH / 2, y - HEIGHT, x + WIDTH / 2, y))


def walk(tracker: Tracker, rate: float, seconds: float, speed: float, score: float = 0.8) -> Sighting:
    """From 0.2 of the width to the right."""
    for i in range(round(rate * seconds) + 1):
        sighting = tracker.update(i / rate, [seen(0.2 + speed * i / rate, score=score)])
    return sighting


@pytest.mark.parametrize("rate", [3.0, 10.0, 30.0])
def test_one_walker_is_one_track_at_any_frame_rate(rate: float) -> None:
    sighting = walk(Tracker(0.35), rate, 3.0, speed=0.2)
    [track] = sighting.seen
    assert track.number == 0
    assert track.foot == pytest.approx((0.8, 0.8), abs=0.01)


def test_a_stride_longer_than_the_box_is_followed() -> None:
    """At three frames a second a brisk walker is more than a box farther each time."""
    sighting = walk(Tracker(0.35), 3.0, 1.5, speed=0.35)
    assert [track.number for track in sighting.seen] == [0]


def test_dim_detections_keep_a_track_and_begin_none() -> None:
    tracker = Tracker(0.35)
    assert walk(tracker, 10.0, 1.0, 0.1, score=0.3) == Sighting([], [], [])
    for i in range(3):
        tracker.update(2 + i / 10, [seen(0.5)])
    for i in range(50):
        sighting = tracker.update(2.3 + i / 10, [seen(0.5, score=0.15)])
    assert [track.number for track in sighting.seen] == [0]
    assert walk(Tracker(0.35), 10.0, 1.0, 0.1, score=0.05) == Sighting([], [], [])


def test_where_every_score_counts_so_does_none_at_all() -> None:
    sighting = walk(Tracker(0.0), 10.0, 1.0, 0.1, score=0.0)
    assert [track.number for track in sighting.seen] == [0]


@pytest.mark.parametrize(("score", "needed"), [(0.36, 6), (0.5, 5), (0.95, 3)])
def test_the_dimmer_somebody_is_seen_the_oftener_before_they_are_believed(score: float, needed: int) -> None:
    tracker = Tracker(0.35)
    boxes = [seen(0.5)._replace(score=score)] * 6
    confirmed = [tracker.update(frame / 10, [box]).seen[0].confirmed for frame, box in enumerate(boxes)]
    assert confirmed == [False] * (needed - 1) + [True] * (7 - needed)


def test_an_unseen_track_coasts_to_a_stop_and_is_given_up() -> None:
    tracker = Tracker(0.35)
    walk(tracker, 10.0, 1.0, speed=0.2)
    [track] = tracker.update(1.1, []).hidden
    before = track.box.centre[0]
    for i in range(12, 25):
        assert tracker.update(i / 10, []).hidden == [track]
    assert 0.05 < track.box.centre[0] - before < 0.2 * 0.5
    assert tracker.update(2.6, []) == Sighting([], [], [track])
    assert tracker.update(2.7, []) == Sighting([], [], [])
    walk(tracker, 10.0, 0.1, speed=0.2)
    assert [track.number for track in tracker.update(1.0, []).ended] == [1], (
        "who was hardly seen is not waited for"
    )


def numbers(sighting: Sighting) -> list[int]:
    return [track.number for track in sighting.seen]


@pytest.mark.parametrize(
    ("hidden", "across", "down", "height", "found"),
    [
        # Across in widths, down in heights of the person.
        (1.0, 0.0, 0.85, 1.0, True),
        (1.0, 0.0, -0.85, 1.0, True),
        (1.0, 2.5, 0.0, 1.0, True),
        (0.4, 0.0, 0.5, 1.0, True),
        (1.0, 0.0, 0.7, 1.2, True),
        # Too far for the time, too large or too small, or too late.
        (1.0, 0.0, 0.95, 1.0, False),
        (1.0, 2.8, 0.0, 1.0, False),
        (0.4, 0.0, 0.6, 1.0, False),
        (1.0, 0.0, 0.7, 1.4, False),
        (1.0, 0.0, 0.7, 0.7, False),
        (1.7, 0.0, 0.0, 1.0, False),
    ],
)
def test_who_walks_on_behind_somebody_is_found_again(
    hidden: float, across: float, down: float, height: float, found: bool
) -> None:
    tracker = Tracker(0.35)
    for i in range(11):
        tracker.update(i / 10, [seen(0.2, y=0.6)])
    x, top, tall = 0.2 + across * WIDTH, 0.6 + (down - 1) * HEIGHT, height * HEIGHT
    box = Box(x - WIDTH / 2, top, x + WIDTH / 2, top + tall)
    for i in range(1, round(10 * hidden)):
        tracker.update(1.0 + i / 10, [])
    sighting = tracker.update(1.0 + hidden, [Detection("person", 0.8, box)])
    assert numbers(sighting) == [0 if found else 1]


def test_of_two_who_are_found_again_each_is_the_nearest() -> None:
    tracker = Tracker(0.35)
    for i in range(10):
        assert numbers(tracker.update(i / 10, [seen(0.2), seen(0.6)])) in ([0, 1], [1, 0])
    left, right = sorted(tracker.update(1.0, []).hidden, key=lambda track: track.box.left)
    sighting = tracker.update(1.7, [seen(0.45), seen(0.25)])
    assert {track.number: track.detected_foot[0] for track in sighting.seen} == {
        left.number: pytest.approx(0.25),
        right.number: pytest.approx(0.45),
    }


def test_a_second_box_on_somebody_is_nobody_found_again() -> None:
    tracker = Tracker(0.35)
    for i in range(10):
        tracker.update(i / 10, [seen(0.5), seen(0.7)])
    for i in range(10, 20):
        sighting = tracker.update(i / 10, [seen(0.5), seen(0.52, score=0.5)])
        assert numbers(sighting) == [0], i


def test_a_second_box_on_somebody_is_not_somebody_else() -> None:
    tracker = Tracker(0.35)
    for i in range(5):
        sighting = tracker.update(i / 10, [seen(0.5), seen(0.52, score=0.5)])
    assert [track.number for track in sighting.seen] == [0]


def test_two_people_side_by_side_are_two() -> None:
    tracker = Tracker(0.35)
    for i in range(5):
        sighting = tracker.update(i / 10, [seen(0.5), seen(0.56, score=0.5)])
    assert [track.number for track in sighting.seen] == [0, 1]


def leaving(left: float) -> Track:
    """Somebody who leaves over the right edge, where the box ends lower from then on."""
    tracker = Tracker(0.35)
    for i in range(20):
        [track] = tracker.update(i / 10, [seen(0.90, y=0.8)]).seen
    for i in range(20, 25):
        [track] = tracker.update(i / 10, [Detection("person", 0.5, Box(left, 0.55, 1.0, 0.9))]).seen
    return track


def test_a_narrow_part_of_a_person_has_its_feet_where_they_were() -> None:
    """What is left of the box says nothing of the feet."""
    track = leaving(left=0.935)
    assert track.foot_seen
    assert track.foot[1] == track.detected_foot[1] == pytest.approx(0.8, abs=0.01)
    assert track.foot[0] > 0.95


def test_whoever_is_nearly_whole_has_feet_where_they_are_seen() -> None:
    track = leaving(left=0.91)
    assert track.detected_foot[1] == pytest.approx(0.9)
    assert track.foot[1] == pytest.approx(0.9, abs=0.02)


def test_whoever_comes_in_over_the_side_and_goes_out_over_it_keeps_their_height() -> None:
    """As wide as they were when they were seen whole, a fifth of the picture, not when they came in."""
    tracker = Tracker(0.35)
    shown = [0.02 * (1 + i) for i in range(12)] + [0.22 - 0.015 * (1 + i) for i in range(10)]
    for i, part in enumerate(shown):
        lower = 0.8 + 0.01 * max(i - 11, 0)
        body = Box(1 - part, 0.4, min(1.2 - part, 1.0), lower)
        [track] = tracker.update(i / 10, [Detection("person", 0.8, body)]).seen
        assert track.foot_seen == (i > 9)
        if i > 11 and part < 0.13:
            assert track.detected_foot[1] < 0.87
    assert lower == pytest.approx(0.9)


def test_the_mean_of_places_needs_its_time_and_goes_straight_from_sight_to_sight() -> None:
    """A hundredth of the picture a second, seen ten times a second, after a pause, and after too long a pause."""
    tracker = Tracker(0.35)
    times = (0.0, 0.1, 0.2, 0.3, 0.4, 1.5, 1.6, 2.2, 4.5, 4.6)
    means = []
    for at in times:
        [track] = tracker.update(at, [seen(0.5 + at / 100, score=0.9)]).seen
        means.append(track.mean_foot(0.3))
    there = [
        mean and pytest.approx((0.5 + (at - 0.15) / 100, 0.8), abs=1e-4)
        for at, mean in zip(times, means, strict=True)
    ]
    assert means == there
    assert [at for at, mean in zip(times, means, strict=True) if not mean] == [0.0, 0.1, 0.2, 4.5, 4.6]


def test_a_crowd_is_followed_and_memory_is_bounded() -> None:
    tracker = Tracker(0.35)
    for i in range(10):
        corners = [(0.05 * (k % 20), 0.05 * (k // 20)) for k in range(400)]
        crowd = [Detection("person", 0.8, Box(x, y, x + 0.02, y + 0.04)) for x, y in corners]
        sighting = tracker.update(i / 30, crowd)
    assert len(sighting.seen) == MOST_TRACKS


def test_overlap_is_intersection_over_union() -> None:
    a = Box(0.0, 0.0, 0.4, 0.4)
    assert overlap(a, a) == pytest.approx(1.0)
    assert overlap(a, Box(0.2, 0.0, 0.6, 0.4)) == pytest.approx(1 / 3)
    assert overlap(a, Box(0.4, 0.0, 0.8, 0.4)) == 0.0


def test_a_neighbour_whose_legs_are_hidden_takes_over_no_track() -> None:
    """Two in a file: the one before is missed for two frames, while of the one behind a part is seen."""
    tracker = Tracker(0.35)
    behind, before = seen(0.5, y=0.65), seen(0.53, y=0.8)
    for i in range(20):
        sighting = tracker.update(i / 15, [before, behind])
    assert [track.number for track in sighting.seen] == [0, 1]
    upper = Detection("person", 0.5, behind.box._replace(bottom=0.55))
    for i in (20, 21):
        sighting = tracker.update(i / 15, [upper])
    assert [track.number for track in sighting.seen] == [1]
    assert sighting.seen[0].foot[1] == pytest.approx(0.65, abs=0.02)
    sighting = tracker.update(22 / 15, [before, upper])
    assert {track.number: track.foot[1] for track in sighting.seen} == {
        0: pytest.approx(0.8, abs=0.01),
        1: pytest.approx(0.65, abs=0.02),
    }
