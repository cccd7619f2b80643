"""Zone visits and occupancy against what people really did."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.detection import Box, Detection
from sensor_sim.perception import Perception
from sensor_sim.perception.zones import FIRST_LOOK, SETTLE
from sensorapp import wire
from tests.sensor_sim.people import START, Detector, Person

ZONE = wire.Zone(id=3, name="table", polygon=[(0.4, 0.4), (0.6, 0.4), (0.6, 0.7), (0.4, 0.7)])
INSIDE, OUTSIDE = (0.5, 0.6), (0.8, 0.6)
# From 0.8 to 0.5 at 0.2 a second, two thirds of the way are outside.
WALK_OUT, WALK_IN = 1.0, 0.5

detectors = st.builds(
    Detector,
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([8.0, 15.0, 29.97]),
    tremble=st.floats(0, 0.01),
    dropped=st.floats(0, 0.2),
    dim=st.floats(0, 0.3),
)


def observe(
    detector: Detector, people: list[Person], tail: float = 3.0, zone: wire.Zone = ZONE
) -> list[wire.Event]:
    perception = Perception(wire.Scene(version=1, zones=[zone]))
    events = [event for at, found in detector.frames(people, tail) for event in perception.observe(at, found)]
    return events + list(perception.interrupt())


@given(detectors, st.lists(st.floats(0.7, 8.0), min_size=1, max_size=4))
def test_each_stay_is_one_visit(detector: Detector, stays: list[float]) -> None:
    stops = [(OUTSIDE, 1.5, True)]
    for stay in stays:
        stops += [(INSIDE, stay, True), (OUTSIDE, 1.5, True)]
    expected, at = [], 1.0 + 1.5
    for stay in stays:
        entered, left = at + WALK_OUT, at + WALK_OUT + 2 * WALK_IN + stay
        expected.append((entered, left))
        at = left + WALK_OUT + 1.5
    events = observe(detector, [Person(1.0, stops)])
    visits = [event for event in events if isinstance(event, wire.Visit)]
    assert len(visits) == len(expected)
    for visit, (entered, left) in zip(visits, expected, strict=True):
        assert abs(visit.at / 1000 - START - left) < 0.4
        assert abs(visit.dwell_ms / 1000 - (left - entered)) < 0.6
    counts = [event.count for event in events if isinstance(event, wire.Occupancy)]
    assert counts == [0] + [1, 0] * len(stays)
    assert len(events) == len(visits) + len(counts)


@given(detectors, st.floats(0.1, 0.8))
def test_walking_past_is_no_visit(detector: Detector, seconds: float) -> None:
    """The corner of the zone is on the way for less than a second."""
    across = 0.2 * seconds / 2
    person = Person(
        1.0, [((0.6 + 0.3, 0.6), 1.0, True), ((0.6 - across, 0.6), 0.0, True), ((0.9, 0.6), 1.0, True)]
    )
    assert [(e.zone, e.count) for e in observe(detector, [person]) if isinstance(e, wire.Occupancy)] == [
        (3, 0)
    ]


@given(detectors, st.floats(1.0, 6.0))
def test_trembling_on_the_edge_is_at_most_one_visit(detector: Detector, seconds: float) -> None:
    person = Person(1.0, [(OUTSIDE, 1.0, True), ((0.6, 0.6), seconds, True), (OUTSIDE, 1.5, True)])
    counts = [event.count for event in observe(detector, [person]) if isinstance(event, wire.Occupancy)]
    assert counts in ([0], [0, 1, 0])


def test_who_stands_beside_the_edge_and_is_seen_over_it_now_and_then_is_no_visitor() -> None:
    """Every other sighting is in the zone, their mean is not."""
    person = Person(1.0, [(OUTSIDE, 1.0, True), ((0.61, 0.6), 6.0, True), (OUTSIDE, 1.5, True)])
    perception = Perception(wire.Scene(version=1, zones=[ZONE]))
    counts = []
    for i, (at, found) in enumerate(Detector(1, tremble=0.0).frames([person])):
        over = (i % 2 - 0.5) * 0.03
        moved = [
            d._replace(box=d.box._replace(left=d.box.left + over, right=d.box.right + over)) for d in found
        ]
        counts += [e.count for e in perception.observe(at, moved) if isinstance(e, wire.Occupancy)]
    assert counts == [0]


def test_a_zone_with_a_bay_holds_whoever_stands_in_its_arms() -> None:
    """The middle of its corners is outside of it; one steps a little to and fro beside the bay."""
    bay = wire.Zone(
        id=3, name="u", polygon=[(0.2, 0.3), (0.3, 0.3), (0.3, 0.8), (0.7, 0.8), (0.7, 0.3), (0.8, 0.3), (0.8, 0.9), (0.2, 0.9)]
    )  # fmt: skip
    person = Person(1.0, [((0.299, 0.5), 8.0, True)])
    events = observe(Detector(1, tremble=0.0), [person], tail=0.0, zone=bay)
    counts = [event.count for event in events if isinstance(event, wire.Occupancy)]
    assert counts == [1]


@given(detectors, st.floats(3.0, 6.0), st.floats(0.0, 2.0))
def test_two_visitors(detector: Detector, stay: float, delay: float) -> None:
    one = Person(1.0, [((0.1, 0.5), 1.0, True), ((0.44, 0.5), stay, True), ((0.1, 0.5), 1.5, True)])
    two = Person(
        1.0 + delay, [((0.9, 0.65), 1.0, True), ((0.56, 0.65), stay, True), ((0.9, 0.65), 1.5, True)]
    )
    events = observe(detector, [one, two])
    assert sum(isinstance(event, wire.Visit) for event in events) == 2
    counts = [event.count for event in events if isinstance(event, wire.Occupancy)]
    assert counts[0] == counts[-1] == 0
    assert max(counts) == 2
    assert all(a != b for a, b in pairwise(counts))


@given(detectors, st.floats(2.0, 6.0))
def test_somebody_who_vanishes_inside_has_left_when_seen_last(detector: Detector, stay: float) -> None:
    person = Person(1.0, [(OUTSIDE, 1.0, True), (INSIDE, stay, True)])
    events = observe(detector, [person], tail=4.0)
    [visit] = [event for event in events if isinstance(event, wire.Visit)]
    assert abs(visit.at / 1000 - START - person.end) < 0.3
    occupancy = [event for event in events if isinstance(event, wire.Occupancy)]
    assert [event.count for event in occupancy] == [0, 1, 0]
    assert occupancy[2].at / 1000 - START - person.end < 2.0


@pytest.mark.parametrize(
    "box",
    [Box(0.4, 0.7, 0.6, 1.0), Box(0.4, 0.0, 0.6, 0.3), Box(0.0, 0.4, 0.1, 0.8), Box(0.9, 0.4, 1.0, 0.8)],
    ids=["bottom", "top", "left", "right"],
)
def test_a_zone_that_reaches_the_edge_holds_whom_the_edge_cuts_off(box: Box) -> None:
    whole = wire.Zone(id=1, name="all", polygon=[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    perception = Perception(wire.Scene(version=1, zones=[whole]))
    found = [Detection("person", 0.9, box)]
    events = [event for i in range(20) for event in perception.observe(START + i / 10, found)]
    assert [event.count for event in events if isinstance(event, wire.Occupancy)] == [1]


def test_when_the_view_is_lost_visits_end_and_occupancy_is_not_known() -> None:
    perception = Perception(wire.Scene(version=1, zones=[ZONE]))
    person = Person(0.0, [(INSIDE, 5.0, True)])
    frames = list(Detector(1, rate=10.0, tremble=0.0).frames([person], tail=0.0))
    before = [event for at, found in frames for event in perception.observe(at, found)]
    assert [event.count for event in before if isinstance(event, wire.Occupancy)] == [1]
    at_loss = list(perception.interrupt())
    assert at_loss == [wire.Visit(at=round(START * 1000) + 4900, zone=3, dwell_ms=4900)]
    # Seen again, the same person is new, and nobody is said to be there before they are known.
    again = [event for at, found in frames for event in perception.observe(at + 60, found)]
    assert [event.count for event in again if isinstance(event, wire.Occupancy)] == [1]
    assert again[0].at / 1000 - START - 60 <= SETTLE + 0.11


def test_that_nobody_is_there_is_told_when_it_is_known() -> None:
    perception = Perception(wire.Scene(version=1, zones=[ZONE]))
    for begin in (START, START + 60):
        told = [event for i in range(40) for event in perception.observe(begin + i / 10, [])]
        assert told == [wire.Occupancy(at=round(1000 * (begin + FIRST_LOOK)), zone=3, count=0)]
        assert list(perception.interrupt()) == []


@pytest.mark.parametrize(("clear_frames", "visits"), [(5, 0), (6, 1)])
def test_a_stay_is_somebodys_once_they_were_seen_clearly_enough(clear_frames: int, visits: int) -> None:
    """Then it counts from when they were first seen, though only dimly."""
    perception = Perception(wire.Scene(version=1, zones=[ZONE]))
    events = []
    for number, (at, found) in enumerate(
        Detector(1, tremble=0.0).frames([Person(0.0, [(INSIDE, 5.0, True)])])
    ):
        score = 0.36 if number in (0, *range(60, 59 + clear_frames)) else 0.3
        events += perception.observe(at, [detection._replace(score=score) for detection in found])
    assert [event.dwell_ms for event in events if isinstance(event, wire.Visit)] == [4933] * visits
    assert max(event.count for event in events if isinstance(event, wire.Occupancy)) == visits
