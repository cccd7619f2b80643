"""One track on its own: what a box that is not quite the object's says of where the object is."""

from __future__ import annotations

import pytest

from sensor_sim.detection import Box, Detection
from sensor_sim.perception.track import Track

WIDTH, HEIGHT = 0.1, 0.3
GATE = 4.0


def person(x: float = 0.5, y: float = 0.8) -> Box:
    return Box(x - WIDTH / 2, y - HEIGHT, x + WIDTH / 2, y)


def show(track: Track, at: float, box: Box) -> float:
    """The distance, in standard deviations, that the detection had."""
    track.predict(at)
    innovation = track.compare(box)
    track.correct(Detection("person", 0.8, box), innovation, 0.35)
    return innovation.distance**0.5


def standing() -> Track:
    track = Track(0, 0.0, person())
    for i in range(1, 20):
        show(track, i / 15, person())
    return track


@pytest.mark.parametrize("hidden", [0.45, 0.6])
def test_whoever_hides_the_legs_does_not_lift_the_feet(hidden: float) -> None:
    track = standing()
    for i in range(20, 23):
        left, top, right, bottom = person()
        assert show(track, i / 15, Box(left, top, right, bottom - hidden * HEIGHT)) < GATE
        assert track.foot == pytest.approx((0.5, 0.8), abs=0.1 * HEIGHT)
        assert track.detected_foot == pytest.approx((0.5, 0.8), abs=0.1 * HEIGHT)


def test_people_are_told_apart_by_their_heads() -> None:
    """Of boxes that differ at one end, the one with its head elsewhere is another's."""
    left, top, right, bottom = person()
    off = 0.3 * HEIGHT
    elsewhere = show(standing(), 20 / 15, Box(left, top + off, right, bottom))
    assert show(standing(), 20 / 15, Box(left, top, right, bottom + off)) < GATE < elsewhere


def test_melting_into_a_neighbour_moves_nobody() -> None:
    track = standing()
    for i in range(20, 26):
        left, top, right, bottom = person()
        assert show(track, i / 15, Box(left, top, right + 0.7 * WIDTH, bottom)) < GATE
        assert track.foot == pytest.approx((0.5, 0.8), abs=0.01)


def test_what_stays_so_is_believed_in_the_end() -> None:
    """Somebody whose legs were hidden at first is all seen: within two seconds the feet are where they are."""
    left, top, right, bottom = person()
    track = Track(0, 0.0, Box(left, top, right, bottom - 0.4 * HEIGHT))
    for i in range(1, 15):
        show(track, i / 15, Box(left, top, right, bottom - 0.4 * HEIGHT))
    for i in range(15, 45):
        show(track, i / 15, person())
    assert track.foot == pytest.approx((0.5, 0.8), abs=0.01)


def test_coming_nearer_is_growing() -> None:
    """By a quarter in a second, as of somebody who walks up to the camera."""
    track = standing()
    for i in range(20, 50):
        x, y, scale = 0.5, 0.8 + 0.08 * (i - 20) / 15, 1 + 0.25 * (i - 20) / 15
        show(track, i / 15, Box(x - scale * WIDTH / 2, y - scale * HEIGHT, x + scale * WIDTH / 2, y))
    assert track.foot == pytest.approx((x, y), abs=0.02)
    assert track.box.height == pytest.approx(scale * HEIGHT, rel=0.05)


@pytest.mark.parametrize("away", [(0.0, 0.15), (0.0, -0.15), (0.06, 0.0)])
def test_half_a_person_away_is_somebody_else(away: tuple[float, float]) -> None:
    track = standing()
    track.predict(20 / 15)
    assert track.compare(person(0.5 + away[0], 0.8 + away[1])).distance > GATE**2
