"""Line crossings against what people really did."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from sensor_sim.detection import Box, Detection
from sensor_sim.perception import Perception
from sensor_sim.perception.floor import LineOnFloor
from sensorapp import wire
from tests.sensor_sim.people import HEIGHT, START, WIDTH, Detector, Person, Point

# Long enough for a crossing to count at five frames a second of which every other one may be lost.
STAY = 1.2
DIRECTIONS = {(-1, 1): "forward", (1, -1): "backward"}


@dataclass(frozen=True)
class Where:
    """A line at some angle in the picture; places are given along it and beside it."""

    angle: float
    length: float = 0.4

    @property
    def ends(self) -> tuple[Point, Point]:
        x, y = math.cos(self.angle) * self.length / 2, math.sin(self.angle) * self.length / 2
        return (0.5 - x, 0.55 - y), (0.5 + x, 0.55 + y)

    def place(self, along: float, beside: float) -> Point:
        """``along`` is 0 to 1 from end to end; ``beside`` is in heights of a person, positive on the right."""
        (ax, ay), (bx, by) = self.ends
        # On a picture, with y growing downwards, the right hand of somebody who looks along (dx, dy) points
        # along (-dy, dx).
        dx, dy = (bx - ax) / self.length, (by - ay) / self.length
        off = beside * HEIGHT
        return ax + along * (bx - ax) - dy * off, ay + along * (by - ay) + dx * off


wheres = st.builds(Where, st.floats(0, 2 * math.pi))
detectors = st.builds(
    Detector,
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([5.0, 10.0, 15.0, 29.97]),
    tremble=st.floats(0, 0.01),
    dropped=st.floats(0, 0.2),
    dim=st.floats(0, 0.3),
)


def crossings(where: Where, detector: Detector, people: list[Person]) -> list[str]:
    return told_at(where.ends, detector, people)


def told_at(
    ends: tuple[Point, Point],
    detector: Detector,
    people: list[Person],
    tail: float = 3.0,
    camera: wire.Camera | UnsetType = UNSET,
    size: float = 1.0,
) -> list[str]:
    """Directions, in the order in which they are told, until ``tail`` seconds after everybody stood still; everybody
    is seen so many times their ``size``."""
    line = wire.Line(id=7, name="line", points=ends)
    perception = Perception(wire.Scene(version=1, lines=[line], camera=camera))
    events = [
        event
        for at, found in detector.frames(people, tail)
        for event in perception.observe(at, [shrunk(detection, size) for detection in found])
    ]
    events += perception.interrupt()
    assert all(isinstance(event, wire.Crossing) and event.line == 7 for event in events)
    return [event.direction for event in events if isinstance(event, wire.Crossing)]


def shrunk(detection: Detection, size: float) -> Detection:
    """On the same foot."""
    left, top, right, bottom = detection.box
    middle, half = (left + right) / 2, (right - left) / 2 * size
    return detection._replace(box=Box(middle - half, bottom - (bottom - top) * size, middle + half, bottom))


def ledger(sides: list[int]) -> list[str]:
    """What somebody did who stood on these sides one after the other."""
    return [DIRECTIONS[a, b] for a, b in pairwise(sides) if a != b]


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[tuple[float, float, float]], list[int]]:
    """Stops (along, beside, seconds) of somebody who crosses, turns round and lingers; and the sides."""
    sides = draw(st.lists(st.sampled_from([-1, 1]), min_size=1, max_size=5))
    stops = []
    for side in sides:
        if draw(st.booleans()):  # linger on the line, wherever one goes then
            stops.append(
                (draw(st.floats(0.2, 0.8)), draw(st.floats(-0.004, 0.004)), draw(st.floats(0.2, 4.0)))
            )
        stops.append(
            (draw(st.floats(0.2, 0.8)), side * draw(st.floats(0.3, 0.6)), draw(st.floats(STAY, 2.0)))
        )
    return stops, sides


@given(wheres, detectors, walks())
def test_everyone_counts_as_what_they_did(
    where: Where, detector: Detector, walk: tuple[list[tuple[float, float, float]], list[int]]
) -> None:
    stops, sides = walk
    first = where.place(0.5, sides[0] * 0.5)
    person = Person(1.0, [(first, 1.0, True)] + [(where.place(a, b), stay, True) for a, b, stay in stops])
    assert crossings(where, detector, [person]) == ledger(sides)


@given(wheres, detectors, st.sampled_from([-1, 1]), st.booleans())
def test_a_way_round_the_end_is_no_crossing(
    where: Where, detector: Detector, side: int, first_end: bool
) -> None:
    beyond = -0.4 if first_end else 1.4
    stops = [(where.place(beyond, b * side), 0.7, True) for b in (0.5, -0.5, 0.5)]
    assert crossings(where, detector, [Person(1.0, stops)]) == []


@given(wheres, detectors, st.sampled_from([-1, 1]))
def test_out_through_the_line_and_back_round_its_end(where: Where, detector: Detector, side: int) -> None:
    stops = [(0.5, 0.5), (0.5, -0.5), (1.4, -0.5), (1.4, 0.5), (0.5, 0.5)]
    person = Person(1.0, [(where.place(a, b * side), 0.7, True) for a, b in stops])
    assert crossings(where, detector, [person]) == [DIRECTIONS[side, -side]]


@given(wheres, detectors, st.floats(0.0, 1.0), st.booleans())
def test_two_people_at_once(where: Where, detector: Detector, delay: float, opposite: bool) -> None:
    """They pass each other side by side, more than a person's size apart."""
    there = 1 if opposite else -1
    one = Person(1.0, [(where.place(0.1, b), 1.0, True) for b in (-0.5, 0.5)])
    two = Person(1.0 + delay, [(where.place(0.9, there * b), 1.0, True) for b in (0.5, -0.5)])
    expected = ["forward", "backward" if opposite else "forward"]
    assert Counter(crossings(where, detector, [one, two])) == Counter(expected)


@given(wheres, detectors, st.floats(2.0, 6.0))
def test_somebody_lost_and_found_as_somebody_else(where: Where, detector: Detector, hidden: float) -> None:
    """Hidden for longer than a track is kept, a person gets a new identity, and counts the same."""
    a, b = where.place(0.5, -0.5), where.place(0.5, 0.5)
    there, away, back = (b, STAY, True), (b, hidden, False), (a, STAY, True)
    person = Person(1.0, [(a, STAY, True), there, away, there, back])
    assert crossings(where, detector, [person]) == ["forward", "backward"]


@given(wheres, detectors.filter(lambda d: d.rate >= 10), st.floats(0.7, 1.0), st.sampled_from([-0.25, 0.25]))
def test_who_walks_over_the_line_unseen_is_found_again_beyond_it(
    where: Where, detector: Detector, hidden: float, side: float
) -> None:
    """Behind somebody, for less time than a track is kept."""
    a, b = where.place(0.5, -side), where.place(0.5, side)
    person = Person(1.0, [(a, STAY, True), (b, hidden, False), (b, STAY, True)], speed=50.0)
    assert crossings(where, detector, [person]) == [DIRECTIONS[-1 if side > 0 else 1, 1 if side > 0 else -1]]


@given(wheres, detectors, st.integers(0, 30))
def test_lingering_and_trembling_on_the_line_is_nothing(
    where: Where, detector: Detector, seconds: int
) -> None:
    on, back = where.place(0.5, 0.0), where.place(0.5, -0.5)
    person = Person(1.0, [(back, 1.0, True), (on, float(seconds), True), (back, 1.0, True)])
    assert crossings(where, detector, [person]) == []


@pytest.mark.parametrize(
    ("points", "direction"),
    [
        (((0.1, 0.5), (0.9, 0.5)), "forward"),  # looking right, the right hand is below
        (((0.9, 0.5), (0.1, 0.5)), "backward"),
        (((0.5, 0.9), (0.5, 0.1)), None),
    ],
)
def test_the_contracts_meaning_of_forward(
    points: tuple[tuple[float, float], tuple[float, float]], direction: str | None
) -> None:
    """Somebody walks down the picture."""
    perception = Perception(wire.Scene(version=1, lines=[wire.Line(id=0, name="x", points=points)]))
    person = Person(0.5, [((0.4, 0.35), 1.0, True), ((0.4, 0.65), 1.0, True)])
    events = [
        e for at, found in Detector(1, tremble=0.0).frames([person]) for e in perception.observe(at, found)
    ]
    assert [e.direction for e in events if isinstance(e, wire.Crossing)] == ([direction] if direction else [])


def test_a_crossing_is_told_within_a_second_and_dated_to_the_moment() -> None:
    """At 0.2 pictures a second the foot meets the line 0.75 s after it set out at 2.0 s."""
    line = wire.Line(id=0, name="x", points=((0.1, 0.5), (0.9, 0.5)))
    perception = Perception(wire.Scene(version=1, lines=[line]))
    person = Person(1.0, [((0.4, 0.35), 1.0, True), ((0.4, 0.65), 1.0, True)])
    told = [
        (at, event)
        for at, found in Detector(1, tremble=0.0).frames([person])
        for event in perception.observe(at, found)
    ]
    [(at, event)] = told
    assert abs(event.at / 1000 - (START + 2.75)) < 0.1
    assert at - (START + 2.75) < 0.7


def test_feet_that_somebody_hides_must_stay_clear_for_longer() -> None:
    """Somebody stands still nearer to the camera and lower in the picture, before the place that is walked to."""
    line = wire.Line(id=0, name="x", points=((0.1, 0.5), (0.9, 0.5)))
    walker = Person(1.0, [((0.4, 0.35), 1.0, True), ((0.4, 0.65), 2.0, True)])
    delays = []
    for hidden in (False, True):
        perception = Perception(wire.Scene(version=1, lines=[line]))
        people = [walker, Person(0.0, [((0.4, 0.72), 8.0, True)])] if hidden else [walker]
        [(at, event)] = [
            (at, event)
            for at, found in Detector(1, tremble=0.0).frames(people)
            for event in perception.observe(at, found)
        ]
        assert isinstance(event, wire.Crossing)
        assert event.direction == "forward"
        delays.append(at - event.at / 1000)
    assert delays == [pytest.approx(0.32, abs=0.03), pytest.approx(0.45, abs=0.03)]


@pytest.mark.parametrize(
    ("beyond", "seconds", "told"),
    [
        (0.20, 0.1, ["forward", "backward"]),
        (0.10, 0.4, ["forward", "backward"]),
        # Not all of the body is beyond: a crossing only for whoever stays there.
        (0.05, 0.4, []),
        (0.05, 1.9, ["forward", "backward"]),
        # Nearly on the line.
        (0.03, 5.0, []),
    ],
)
def test_who_turns_round_beyond_the_line_crossed_it_if_far_enough_or_long_enough(
    beyond: float, seconds: float, told: list[str]
) -> None:
    """``beyond`` in heights of the person."""
    there = (0.4, 0.5 + beyond * HEIGHT)
    person = Person(1.0, [((0.4, 0.35), 1.0, True), (there, seconds, True), ((0.4, 0.35), 2.0, True)])
    assert told_at(((0.1, 0.5), (0.9, 0.5)), Detector(1, tremble=0.0), [person]) == told


@pytest.mark.parametrize("rate", [0.6, 1.0, 2.0, 240.0])
def test_slow_cameras_and_fast_ones_count_too(rate: float) -> None:
    person = Person(
        1.0, [((0.4, 0.3), 6.0, True), ((0.4, 0.7), 6.0, True), ((0.4, 0.3), 6.0, True)], speed=0.05
    )
    told = told_at(((0.1, 0.5), (0.9, 0.5)), Detector(1, rate=rate, tremble=0.0), [person])
    assert told == ["forward", "backward"]


OVER_DOOR = wire.Camera(tilt_degrees=60, view_degrees=50, height_metres=3.2)


@pytest.mark.parametrize(
    ("metres", "seconds", "told"),
    [
        (0.4, 0.1, ["forward", "backward"]),
        (0.2, 0.5, ["forward", "backward"]),
        # Half a body's depth is 15 cm, however long somebody stays.
        (0.13, 5.0, []),
        (0.17, 5.0, ["forward", "backward"]),
    ],
)
@pytest.mark.parametrize("size", [1.0, 0.6])
def test_where_the_camera_is_known_to_hang_far_enough_is_in_metres(
    metres: float, seconds: float, told: list[str], size: float
) -> None:
    """For adults and children alike: the size of the box does not matter."""
    floor = LineOnFloor(((0.1, 0.5), (0.9, 0.5)), OVER_DOOR)
    beyond = next(
        y for y in np.arange(0.5, 0.7, 0.0005) if floor.distance((0.4, y), Box(0, 0, 0, 0)) > metres
    )
    person = Person(
        1.0, [((0.4, 0.35), 1.0, True), ((0.4, float(beyond)), seconds, True), ((0.4, 0.35), 2.0, True)]
    )
    ends, detector = ((0.1, 0.5), (0.9, 0.5)), Detector(1, tremble=0.0)
    assert told_at(ends, detector, [person], camera=OVER_DOOR, size=size) == told


def test_where_a_line_is_far_away_trembling_is_no_crossing() -> None:
    """Somebody stands on a line nine metres from a camera, where 15 centimetres are a fiftieth of them."""
    camera = wire.Camera(tilt_degrees=20, view_degrees=52, height_metres=3)
    person = Person(1.0, [((0.4, 0.6), 1.0, True), ((0.4, 0.48), 60.0, True)])
    assert told_at(((0.1, 0.48), (0.9, 0.48)), Detector(1, tremble=0.05), [person], camera=camera) == []


@pytest.mark.parametrize(("beyond", "told"), [(0.12, []), (0.6, ["forward"])])
def test_whose_whole_was_never_seen_must_come_farther(beyond: float, told: list[str]) -> None:
    """At the picture's side, in heights of the person: where their feet are is a guess."""
    person = Person(1.0, [((0.03, 0.35), 1.0, True), ((0.03, 0.5 + beyond * HEIGHT), 3.0, True)])
    assert told_at(((0.0, 0.5), (0.9, 0.5)), Detector(1, tremble=0.0), [person]) == told


@pytest.mark.parametrize(("beyond", "seconds", "told"), [(0.15, 0.1, ["forward"]), (0.07, 0.4, [])])
def test_who_is_lost_beyond_the_line_has_crossed_it(beyond: float, seconds: float, told: list[str]) -> None:
    """Behind somebody who hides the feet, and so not for as long as these must else stay clear."""
    there = (0.4, 0.5 + beyond * HEIGHT)
    lost = Person(1.0, [((0.4, 0.35), 1.0, True), (there, seconds, True), (there, 3.0, False)])
    people = [lost, Person(0.0, [((0.4, 0.72), 8.0, True)])]
    assert told_at(((0.1, 0.5), (0.9, 0.5)), Detector(1, tremble=0.0), people) == told


@pytest.mark.parametrize(("beyond", "seconds", "told"), [(0.15, 0.1, ["forward"]), (0.07, 0.4, [])])
def test_who_is_beyond_the_line_when_the_view_is_lost_has_crossed_it(
    beyond: float, seconds: float, told: list[str]
) -> None:
    """As above, but everybody is gone at once."""
    walker = Person(1.0, [((0.4, 0.35), 1.0, True), ((0.4, 0.5 + beyond * HEIGHT), seconds, True)])
    people = [walker, Person(0.0, [((0.4, 0.72), walker.end, True)])]
    assert told_at(((0.1, 0.5), (0.9, 0.5)), Detector(1, tremble=0.0), people, tail=0.0) == told


@pytest.mark.parametrize(
    ("seconds", "comes_back", "told"),
    [(0.25, True, []), (1.0, True, ["forward", "backward"]), (0.25, False, ["forward"])],
)
def test_whom_the_edge_cuts_off_beyond_the_line_has_crossed_it_if_for_long_or_for_good(
    seconds: float, comes_back: bool, told: list[str]
) -> None:
    """Where feet are that are not seen is a guess, wrong for a moment now and then: it leaps there and back."""
    before, edge = (0.4, 0.94), (0.4, 0.995)
    then = (before, 2.0, True) if comes_back else (edge, 2.0, False)
    person = Person(1.0, [(before, 1.0, True), (edge, seconds, True), then], speed=5.0)
    assert told_at(((0.1, 0.96), (0.9, 0.96)), Detector(1, tremble=0.0), [person]) == told


ADULT = Person(1.0, [((0.4, 0.35), 1.0, True), ((0.4, 0.65), 2.0, True)])
AT_LINE = 2.75  # when the adult meets the line
AWAY = Person(1.0, [((0.4, 0.65), 1.0, True), ((0.4, 0.35), 2.0, True)])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("people", "crossed"),
    [
        # A child comes into sight beside the adult who has just come over the line.
        ([ADULT, Person(3.0, [((0.44, 0.54), 0.0, True), ((0.44, 0.68), 2.0, True)])], 2),
        # The child is a step ahead.
        ([ADULT, Person(AT_LINE - 0.5, [((0.46, 0.54), 0.5, True), ((0.46, 0.66), 2.0, True)])], 2),
        ([ADULT, Person(AT_LINE - 0.8, [((0.46, 0.54), 0.8, True), ((0.46, 0.66), 2.0, True)])], 1),
        # Nobody came before.
        ([Person(3.0, [((0.44, 0.54), 0.0, True), ((0.44, 0.68), 2.0, True)])], 0),
        # Too far from the line, or from the adult, or too late.
        ([ADULT, Person(3.0, [((0.44, 0.64), 0.0, True), ((0.44, 0.68), 2.0, True)])], 1),
        ([ADULT, Person(3.0, [((0.60, 0.54), 0.0, True), ((0.60, 0.68), 2.0, True)])], 1),
        ([ADULT, Person(4.5, [((0.44, 0.54), 0.0, True), ((0.44, 0.68), 2.0, True)])], 1),
        # Away from the camera it is the other way round: who is hidden comes into sight before the line.
        ([AWAY, Person(3.0, [((0.44, 0.46), 0.0, True), ((0.44, 0.36), 2.0, True)])], -1),
    ],
)
def test_who_comes_into_sight_beyond_the_line_came_with_whom_they_stand_beside(
    people: list[Person], crossed: int, turned: bool
) -> None:
    """Negative: away from the camera. Turned round, the line calls the same way by its other name."""
    ends = ((0.9, 0.5), (0.1, 0.5)) if turned else ((0.1, 0.5), (0.9, 0.5))
    direction = "forward" if (crossed > 0) != turned else "backward"
    assert told_at(ends, Detector(1), people) == [direction] * abs(crossed)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("appears", "goes", "crossed"),
    [
        # From behind somebody, on the line or a step beyond it, and on.
        (0.5, 0.6, 1),
        (0.51, 0.6, 1),
        (0.5, 0.4, -1),
        # Beside the line, and on: they may have stood there.
        (0.53, 0.6, 0),
        (0.47, 0.4, 0),
        # On the line, and hardly farther.
        (0.5, 0.51, 0),
        (0.5, 0.49, 0),
        (0.512, 0.516, 0),
        # Seen on both sides: one crossing, not two.
        (0.49, 0.6, 1),
        (0.483, 0.6, 1),
    ],
)
def test_who_comes_into_sight_on_the_line_and_walks_on_has_come_over_it(
    appears: float, goes: float, crossed: int, turned: bool
) -> None:
    """Negative: away from the camera."""
    ends = ((0.9, 0.5), (0.1, 0.5)) if turned else ((0.1, 0.5), (0.9, 0.5))
    person = Person(1.0, [((0.4, appears), 0.0, True), ((0.4, goes), 2.0, True)])
    direction = "forward" if (crossed > 0) != turned else "backward"
    assert told_at(ends, Detector(1, tremble=0.0), [person]) == [direction] * abs(crossed)


SEEN, HIDDEN = True, False


@pytest.mark.parametrize(
    ("stops", "told"),
    [
        # In the line's prolongation, not on it.
        ([((0.8, 0.5), 0.0, SEEN), ((0.8, 0.6), 2.0, SEEN)], []),
        # Beside the line from the first moment on; and over it in the end.
        ([((0.4, 0.517), 5.0, SEEN)], []),
        ([((0.4, 0.483), 3.0, SEEN), ((0.4, 0.65), 2.0, SEEN)], ["forward"]),
        ([((0.4, 0.49), 3.0, SEEN), ((0.4, 0.65), 2.0, SEEN)], ["forward"]),
        # Over it, and then now and then hidden close to it.
        (
            [((0.4, 0.35), 1.0, SEEN), ((0.4, 0.517), 2.0, SEEN)]
            + [((0.4, 0.517), 1.5, HIDDEN), ((0.4, 0.517), 2.0, SEEN)] * 3,
            ["forward"],
        ),
        (
            [
                ((0.4, 0.35), 1.0, SEEN),
                ((0.4, 0.512), 2.0, SEEN),
                ((0.4, 0.512), 1.5, HIDDEN),
                ((0.4, 0.512), 0.3, SEEN),
                ((0.4, 0.65), 2.0, SEEN),
            ],
            ["forward"],
        ),
    ],
)
def test_whoever_keeps_near_the_line_is_counted_once_if_at_all(
    stops: list[tuple[Point, float, bool]], told: list[str]
) -> None:
    assert told_at(((0.2, 0.5), (0.5, 0.5)), Detector(1, tremble=0.0), [Person(1.0, stops)]) == told


def test_who_is_seen_clearly_at_last_has_crossed_as_often_as_seen_dimly() -> None:
    line = wire.Line(id=0, name="x", points=((0.1, 0.5), (0.9, 0.5)))
    perception = Perception(wire.Scene(version=1, lines=[line]))
    person = Person(0.0, [((0.4, 0.35), 0.0, True), ((0.4, 0.65), 1.0, True), ((0.4, 0.35), 3.0, True)])
    told = []
    for at, found in Detector(1, tremble=0.0).frames([person]):
        clear = at == START or at > START + 4.5
        seen = [detection._replace(score=0.9 if clear else 0.2) for detection in found]
        told += [
            event.direction for event in perception.observe(at, seen) if isinstance(event, wire.Crossing)
        ]
    assert told == ["forward", "backward"]


class Goods(NamedTuple):
    """What is seen, now better and now worse, before somebody who walks in five seconds from one place to another (heights
    from the line): so far ahead and beside (heights of theirs), as large (of theirs), from how far before the line and until
    how far beyond it. Another one may stand so far to a side and before the line.
    """

    pusher: tuple[float, float] = (1.0, -1.0)
    way: tuple[float, float] = (1.0, -1.0)
    ahead: float = 0.5
    beside: float = 0.0
    size: float = 0.6
    score: tuple[float, ...] = (0.34,)  # evenly over time
    pusher_score: float = 0.8
    since: float = 9.0
    until: float = 9.0
    other: tuple[float, float] | None = None

    def told(self, where: Where, clear: float = 0.35) -> list[str]:
        line = wire.Line(id=0, name="x", points=where.ends)
        detect = wire.Detect(score=clear)
        perception = Perception(wire.Scene(version=1, lines=[line], detect=detect))
        events: list[wire.Event] = []
        for i in range(90):
            person, goods = (a + min(i / 75, 1.0) * (b - a) for a, b in (self.pusher, self.way))
            seen = [at_foot(where.place(0.5, person), 1.0, self.pusher_score)]
            if self.other:
                aside, before = self.other
                seen.append(at_foot(where.place(0.5 + aside * HEIGHT / where.length, before), 1.0, 0.9))
            if -self.until < goods - self.ahead < self.since:
                score = float(np.interp(i / 90, np.linspace(0, 1, len(self.score)), self.score))
                foot = where.place(0.5 + self.beside * HEIGHT / where.length, goods - self.ahead)
                seen.append(at_foot(foot, self.size, score + (0.03 if i % 2 else -0.03)))
            events += perception.observe(START + i / 15, seen)
        return [event.direction for event in events if isinstance(event, wire.Crossing)]


def at_foot(foot: Point, size: float, score: float) -> Detection:
    x, y = foot
    return shrunk(Detection("person", score, Box(x - WIDTH / 2, y - HEIGHT, x + WIDTH / 2, y)), size)


ANGLES = (0.0, 0.5, 1.2, 2.0, 2.9, math.pi, 4.0, 5.0)


@pytest.mark.parametrize(
    ("goods", "told"),
    [
        (Goods(), 1),  # in a trolley
        (Goods(until=0.1), 1),  # which is hidden beyond the line
        (Goods(until=0.1, score=(0.5,)), 2),
        (Goods(score=(0.42,)), 2),  # a child who goes first is seen clearly,
        (Goods(score=(0.37,)), 1),
        (Goods(pusher_score=0.49), 2),  # or as surely as whoever follows,
        (Goods(pusher_score=0.53), 1),
        (Goods(size=0.82), 2),  # or nearly as tall,
        (Goods(size=0.78), 1),
        (Goods(beside=0.36), 2),  # or goes beside
        (Goods(beside=0.26), 1),
        (Goods(ahead=-0.5), 2),  # or behind
        (Goods(pusher=(1.5, 0.2), way=(1.5, 0.2), ahead=1.3), 1),  # or far ahead,
        (Goods(pusher=(0.9, 0.1)), 1),  # or faster,
        (
            Goods(pusher=(1.6, 0.2), way=(1.6, 0.2), score=(0.4, 0.15, 0.15, 0.8, 0.9)),
            1,
        ),  # or is seen clearly when near,
        (Goods(pusher=(0.5, 0.45), way=(0.5, -0.5), ahead=0.2), 1),  # or leaves somebody who stands
    ],
)
def test_what_somebody_pushes_crosses_nothing(goods: Goods, told: int) -> None:
    for angle in ANGLES:
        assert goods.told(Where(angle)) == ["backward"] * told


AWAY, TOWARDS, ACROSS = (0.0, 0.5, 1.2), (2.3, math.pi, 4.0), (1.4, 4.9)
# What comes into sight on the way, and looks as high as the person.
NEW = Goods(pusher=(1.5, -0.5), way=(1.5, -0.5), since=0.4, size=0.95)
# When it crosses, the one is seen poorly on average, the other by its late score.
FADING, FLASHING = (0.9, 0.9, 0.95, 0.3) + (0.2,) * 6, (0.4,) * 5 + (0.45, 0.75) + (0.2,) * 12


@pytest.mark.parametrize(
    ("goods", "angles", "told"),
    [
        (NEW, AWAY, 1),  # goods, which somebody who walked away from the camera hid
        (NEW, TOWARDS, 2),  # somebody who comes into sight towards it
        (NEW, ACROSS, 2),  # or walks by
        (NEW._replace(since=0.8), AWAY, 2),  # or has been in sight for long
        (NEW._replace(since=0.6), AWAY, 1),
        (Goods(size=0.95), AWAY, 2),  # or came into sight with who follows
        (NEW._replace(since=9.0, size=0.6, score=(0.9,) * 3 + (0.2,) * 10), AWAY, 2),  # or was seen clearly
        (NEW._replace(size=1.05), AWAY, 2),  # or is taller than who follows
        (NEW._replace(score=(0.42,)), AWAY, 2),  # or is seen clearly, now as before
        (NEW._replace(score=FADING), AWAY, 1),
        (NEW._replace(score=FLASHING), AWAY, 1),
        (NEW._replace(score=FADING, size=0.6), TOWARDS, 2),
        (NEW._replace(pusher_score=0.49), AWAY, 2),  # or as surely as whoever follows
        (NEW._replace(pusher_score=0.53), AWAY, 1),
        (NEW._replace(beside=0.36), AWAY, 2),  # or goes beside
        (NEW._replace(other=(0.3, 0.4)), AWAY[:1], 2),  # or may have been hidden by another,
        (NEW._replace(other=(0.9, 0.4)), AWAY[:1], 1),  # but not by one far to a side
        (NEW._replace(other=(0.3, -0.9)), AWAY[:1], 1),  # or behind them
    ],
)
def test_what_comes_into_sight_before_somebody_who_walks_away_is_pushed(
    goods: Goods, angles: tuple[float, ...], told: int
) -> None:
    for angle in angles:
        assert goods.told(Where(angle)) == ["backward"] * told


@pytest.mark.parametrize("score", [0.35, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("ahead", [0.5, 0.8])
def test_of_two_in_file_who_are_seen_alike_both_count(score: float, ahead: float) -> None:
    one = Goods(size=1.0, ahead=ahead, score=(score,), pusher_score=score + 0.05)
    for angle in ANGLES:
        assert one.told(Where(angle), score) == ["backward"] * 2


def test_memory_is_bounded() -> None:
    """Ten thousand flashes at random places leave nothing behind."""
    line = wire.Line(id=0, name="x", points=((0.1, 0.5), (0.9, 0.5)))
    perception = Perception(wire.Scene(version=1, lines=[line]))
    for i in range(10_000):
        x, y = (i * 0.618) % 0.9, 0.2 + (i * 0.414) % 0.7
        flash = Detection("person", 0.9, Box(x, y - HEIGHT, x + WIDTH, y))
        list(perception.observe(START + i / 10, [flash]))
    [counter] = perception._lines
    assert len(counter._ways) < 40
