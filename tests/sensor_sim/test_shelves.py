"""Shelf units against what hands really did, and did not do."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim.detection import Box, Detection
from sensor_sim.perception import Perception
from sensor_sim.perception.items import MOST_PLACES, Places
from sensor_sim.perception.shelves import LONGEST_DELAY, STEADY
from sensorapp import wire
from tests.sensor_sim.people import START

SLOT = wire.Slot(
    id=17, name="A-03", item="bottle", polygon=[(0.1, 0.2), (0.9, 0.2), (0.9, 0.95), (0.1, 0.95)]
)
PLACES = [0.2, 0.4, 0.6, 0.8]
WIDTH, HEIGHT, FLOOR = 0.1, 0.4, 0.9
STATED_DELAY = 1.2
CALM = 2.5  # seconds between two deeds


@dataclass
class Shelf:
    """A shelf, its deeds, and their ledger: (moment, units) whenever the number standing changes.

    A moment of an item put down is when it rests, of an item taken when it is lifted.
    """

    standing: set[int]
    at: float = 0.0
    ledger: list[tuple[float, int]] = field(default_factory=list)
    # (from, to, item, where the middle of the item is at a time, or None if hidden)
    episodes: list[tuple[float, float, int, float, float, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger.append((0.0, len(self.standing)))

    def rest(self, seconds: float) -> None:
        for item in self.standing:
            self.episodes.append((self.at, self.at + seconds, item, 0.0, 0.0, True))
        self.at += seconds

    def _move(self, items: set[int], begin: float, end: float, seconds: float) -> None:
        """Lift items from the height ``begin`` to ``end``, in units of the item."""
        for item in self.standing | items:
            moves = item in items
            self.episodes.append(
                (self.at, self.at + seconds, item, begin if moves else 0.0, end if moves else 0.0, True)
            )

    def take(self, items: set[int], seconds: float) -> None:
        items &= self.standing
        if items:
            self._move(items, 0.0, 2.5, seconds)
            self.standing -= items
            self.ledger.append((self.at, len(self.standing)))
            self.at += seconds

    def snatch(self, items: set[int], seconds: float) -> None:
        """Take items so fast that no frame shows them moving."""
        items &= self.standing
        if items:
            self.standing -= items
            self.ledger.append((self.at, len(self.standing)))
            self.rest(seconds)

    def put(self, items: set[int], seconds: float) -> None:
        items -= self.standing
        if items:
            self._move(items, 2.5, 0.0, seconds)
            self.at += seconds
            self.standing |= items
            self.ledger.append((self.at, len(self.standing)))

    def hide(self, items: set[int], seconds: float) -> None:
        for item in self.standing:
            self.episodes.append((self.at, self.at + seconds, item, 0.0, 0.0, item not in items))
        self.at += seconds

    def stand_before(self, items: set[int], seconds: float) -> None:
        """Hide more than a hand does, for long."""
        if len(items & self.standing) >= 3:
            self.hide(items, seconds)

    def nudge(self, items: set[int], seconds: float) -> None:
        """Touch items: they rock by a fifth of their width and stand again."""
        for share in (0.2, -0.2):
            for item in self.standing:
                lean = share if item in items else 0.0
                self.episodes.append((self.at, self.at + seconds / 2, item, lean / 8, lean / 8, True))
            self.at += seconds / 2

    def frames(self, rate: float, seed: int) -> list[tuple[float, list[Detection]]]:
        noise = random.Random(seed)
        frames = []
        for i in range(int(self.at * rate)):
            at = i / rate
            found = []
            for begin, end, item, low, high, visible in self.episodes:
                lift = low + (high - low) * (at - begin) / (end - begin) if begin <= at < end else None
                if lift is not None and visible:
                    found.append(_detection(PLACES[item], FLOOR - lift * HEIGHT, noise))
            frames.append((START + at, found))
        return frames


def _detection(x: float, floor: float, noise: random.Random) -> Detection:
    edges = [x - WIDTH / 2, floor - HEIGHT, x + WIDTH / 2, floor]
    sides = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    box = Box(*(edge + side * noise.uniform(-0.01, 0.01) for edge, side in zip(edges, sides, strict=True)))
    return Detection("bottle", noise.uniform(0.4, 0.6), box)


def reports(shelf: Shelf, rate: float, seed: int) -> list[wire.Event]:
    return [event for _, event in told(shelf, rate, seed)]


def told(shelf: Shelf, rate: float, seed: int) -> list[tuple[float, wire.Event]]:
    """The reports, and when they come."""
    perception = Perception(wire.Scene(version=1, slots=[SLOT]))
    return [(at, e) for at, found in shelf.frames(rate, seed) for e in perception.observe(at, found)]


items = st.sets(st.integers(0, 3), min_size=1)
handful = st.sets(st.integers(0, 3), min_size=1, max_size=2)
deeds = st.one_of(
    st.tuples(st.just("take"), handful, st.floats(0.3, 1.0)),
    st.tuples(st.just("snatch"), handful, st.floats(0.3, 1.0)),
    st.tuples(st.just("put"), items, st.floats(0.3, 1.0)),
    st.tuples(st.just("hide"), items, st.floats(0.1, 1.0)),
    st.tuples(st.just("hide"), st.just({0, 1, 2, 3}), st.floats(0.1, 1.0)),
    st.tuples(st.just("stand_before"), st.just({0, 1, 2, 3}), st.floats(1.0, 40.0)),
    st.tuples(st.just("nudge"), items, st.floats(0.2, 1.0)),
)


@given(
    st.sets(st.integers(0, 3)),
    st.lists(deeds, max_size=6),
    st.sampled_from([8.0, 15.0, 29.97]),
    st.integers(0, 2**32),
)
def test_only_real_changes_are_reported_once_and_in_time(
    standing: set[int], script: list[tuple[str, set[int], float]], rate: float, seed: int
) -> None:
    shelf = Shelf(set(standing))
    shelf.rest(CALM)
    for deed, affected, seconds in script:
        getattr(shelf, deed)(set(affected), seconds)
        shelf.rest(CALM)
    events = told(shelf, rate, seed)
    assert [e.units for _, e in events if isinstance(e, wire.Shelf)] == [units for _, units in shelf.ledger]
    for (told_at, event), (moment, _) in zip(events, shelf.ledger, strict=True):
        assert isinstance(event, wire.Shelf)
        assert event.slot == 17
        # On top come a frame or two, and items that come to rest one after the other.
        assert told_at - START - moment <= STATED_DELAY + 0.6
        assert -0.3 <= event.at / 1000 - START - moment <= STATED_DELAY - STEADY + 0.6


def test_the_stated_delay() -> None:
    assert pytest.approx(STATED_DELAY) == LONGEST_DELAY


def test_confidence_is_the_share_of_frames_that_saw_all_units() -> None:
    shelf = Shelf({0, 1})
    shelf.rest(3.0)
    [event] = reports(shelf, 20.0, 1)
    assert isinstance(event, wire.Shelf)
    assert (event.units, event.confidence) == (2, 1.0)


def test_items_of_other_slots_and_other_kinds_do_not_count() -> None:
    left = wire.Slot(id=1, name="left", item="bottle", polygon=[(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
    right = wire.Slot(id=2, name="right", item="bottle", polygon=[(0.5, 0), (1, 0), (1, 1), (0.5, 1)])
    cups = wire.Slot(id=3, name="cups", item="cup", polygon=[(0, 0), (1, 0), (1, 1), (0, 1)])
    perception = Perception(wire.Scene(version=1, slots=[left, right, cups]))
    shelf = Shelf({0, 2, 3})
    shelf.rest(3.0)
    events = [e for at, found in shelf.frames(10.0, 1) for e in perception.observe(at, found)]
    assert [(e.slot, e.units) for e in events if isinstance(e, wire.Shelf)] == [(1, 1), (2, 2), (3, 0)]


GRID = wire.Slot(
    id=1, name="A-01", item="jar", polygon=[(0.2, 0.8), (0.6, 0.8), (0.6, 0.3), (0.2, 0.3)], facings=2, deep=2
)
# Jars as they stand in it, by facing and row from the back.
JARS = {
    (facing, row): Box(left + 0.02, top, left + 0.18, top + 0.4)
    for facing, left in enumerate((0.2, 0.4))
    for row, top in enumerate((0.25, 0.45))
}
TALL = Box(0.22, 0.25, 0.38, 0.85)  # around a jar in front and what shows of the one behind it
SMALL = Box(0.44, 0.65, 0.54, 0.85)
PART = Box(0.22, 0.67, 0.38, 0.85)  # of the jar in front
MERGED = Box(0.22, 0.27, 0.38, 0.79)  # as high as the slot: one in front and the head of the one behind
CLOSE = Box(0.22, 0.33, 0.38, 0.73), Box(0.22, 0.43, 0.38, 0.83)  # behind one another, seen from little above


@pytest.mark.parametrize(
    ("seen", "units"),
    [
        ([], 0),
        ([("jar", JARS[0, 0])], 1),
        ([("jar", JARS[0, 1])], 2),
        ([("jar", JARS[0, 0]), ("jar", JARS[0, 1])], 2),
        ([("jar", TALL)], 2),
        ([("jar", MERGED)], 2),
        ([("jar", JARS[0, 1]), ("jar", JARS[1, 0])], 3),
        ([("jar", JARS[0, 1]), ("can", JARS[1, 1])], 4),
        ([("jar", JARS[0, 1]), ("can", JARS[1, 0])], 3),
        ([("jar", JARS[0, 1]), ("can", SMALL)], 3),
        ([("jar", JARS[0, 1]), ("can", PART)], 2),
        ([("jar", CLOSE[0]), ("jar", CLOSE[1])], 2),
        ([("can", JARS[0, 0])], 0),
        ([("can", JARS[0, 0]), ("can", JARS[1, 0])], 2),
    ],
    ids=[
        "empty", "behind", "in front", "both seen", "both in one box", "head and front in one box", "two facings", "called otherwise",
        "called otherwise behind", "misplaced in front", "a part called otherwise", "much hidden behind",
        "nothing but another", "all called otherwise",
    ],
)  # fmt: skip
def test_what_stands_in_front_of_a_facing_tells_of_what_is_behind(
    seen: list[tuple[str, Box]], units: int
) -> None:
    other = wire.Slot(id=2, name="B-01", item="can", polygon=[(0.8, 0.1), (0.9, 0.1), (0.9, 0.2)])
    perception = Perception(wire.Scene(version=1, slots=[GRID, other]))
    found = [Detection(label, 0.6, box) for label, box in seen]
    events = [e for i in range(30) for e in perception.observe(START + i / 10, found)]
    assert [e.units for e in events if isinstance(e, wire.Shelf) and e.slot == 1] == [units]


def test_an_item_whose_middle_is_at_the_corner_of_its_slot_counts() -> None:
    polygon = [(0.25, 0.5), (0.75, 0.25), (0.75, 0.75)]
    slot = wire.Slot(id=1, name="A-01", item="jar", polygon=polygon, facings=2, deep=2)
    perception = Perception(wire.Scene(version=1, slots=[slot]))
    found = [Detection("jar", 0.9, Box(0.1875, 0.4375, 0.3125, 0.5625))]
    events = [e for i in range(30) for e in perception.observe(START + i / 10, found)]
    assert [e.units for e in events if isinstance(e, wire.Shelf)] == [1]


def test_a_name_for_the_product_is_kept_until_its_own_is_heard_as_often() -> None:
    other = wire.Slot(id=2, name="B-01", item="can", polygon=[(0.8, 0.1), (0.9, 0.1), (0.9, 0.2)])
    perception = Perception(wire.Scene(version=1, slots=[GRID, other]))
    left, right = JARS[0, 0], JARS[1, 0]
    acts: list[tuple[int, list[tuple[str, Box]]]] = [
        (3, [("can", left), ("can", right)]),
        (3, [("can", left)]),
        (20, [("can", left), ("jar", right)]),
        (3, [("can", left)]),
    ]
    told, at = [], START
    for seconds, seen in acts:
        found = [Detection(label, 0.6, box) for label, box in seen]
        for _ in range(seconds * 10):
            at += 0.1
            told += [
                e.units for e in perception.observe(at, found) if isinstance(e, wire.Shelf) and e.slot == 1
            ]
    assert told == [2, 1, 2, 0]


def test_boxes_of_one_item_do_not_hide_one_another() -> None:
    box = Box(0.5, 0.5, 0.6, 0.9)
    boxes = [box, Box(0.54, 0.5, 0.64, 0.9), Box(0.5, 0.66, 0.6, 1.06)]
    others = [Detection("bottle", 0.6, Box(x / 10, 0.1, x / 10 + 0.08, 0.4)) for x in range(8)]
    places = Places(0.35)
    for i in range(20):
        places.observe(START + i / 10, [*others, *(Detection("bottle", 0.6, box) for box in boxes)])
    assert len(places.standing) == len(others) + len(boxes)
    for i in range(20, 30):
        places.observe(START + i / 10, others)
    assert len(places.standing) == len(others)


def test_where_an_item_stands_is_looked_at_again() -> None:
    """A hand that put it down hid a part of it at first."""
    other = wire.Slot(id=2, name="B-01", item="can", polygon=[(0.8, 0.1), (0.9, 0.1), (0.9, 0.2)])
    perception = Perception(wire.Scene(version=1, slots=[GRID, other]))
    first, then = Box(0.22, 0.3, 0.38, 0.7), Box(0.22, 0.36, 0.38, 0.76)
    told = []
    for i in range(200):
        found = [Detection("jar", 0.6, first if i < 20 else then)]
        told += [
            e.units
            for e in perception.observe(START + i / 10, found)
            if isinstance(e, wire.Shelf) and e.slot == 1
        ]
    assert told == [1, 2]


def test_what_is_behind_something_seen_hides_nothing_that_was_taken() -> None:
    behind = [Detection("jar", 0.6, Box(x, 0.2, x + 0.08, 0.5)) for x in (0.2, 0.3, 0.4)]
    before = [Detection("jar", 0.6, Box(x, 0.3, x + 0.08, 0.7)) for x in (0.2, 0.3, 0.4)]
    taken = Detection("jar", 0.6, Box(0.5, 0.3, 0.58, 0.7))
    places = Places(0.35)
    for i in range(20):
        places.observe(START + i / 10, [*behind, *before, taken])
    assert len(places.standing) == 7
    for i in range(20, 28):
        places.observe(START + i / 10, before)
    assert sorted(place.box for place in places.standing if place.seen_at == START + 2.7) == [
        d.box for d in before
    ]
    assert not any(place.box == taken.box for place in places.standing)


def test_how_deep_a_slot_is_needs_its_facings() -> None:
    deep = {"id": 1, "name": "A-01", "item": "jar", "polygon": [(0, 0), (1, 0), (1, 1)], "deep": 2}
    with pytest.raises(wire.WireError, match=r"slots\[0\]\.deep: it counts within facings"):
        wire.convert({"version": 1, "slots": [deep]}, wire.Scene)


def test_a_slot_holds_no_more_than_can_be_told() -> None:
    """The units of an event have a bound."""
    largest = {"id": 1, "name": "A-01", "item": "jar", "polygon": [(0, 0), (1, 0), (1, 1)]}
    [slot] = wire.convert(
        {"version": 1, "slots": [largest | {"facings": 100, "deep": 100}]}, wire.Scene
    ).slots
    full = wire.Shelf(at=round(START * 1000), slot=1, units=(slot.facings or 0) * slot.deep, confidence=1.0)
    assert wire.decode(wire.encode(full), wire.Shelf) == full
    for name in ("facings", "deep"):
        with pytest.raises(wire.WireError, match=rf"\$\.slots\[0\]\.{name}: .*<= 100"):
            wire.convert({"version": 1, "slots": [largest | {"facings": 100, name: 101}]}, wire.Scene)


def test_before_anything_was_seen_nobody_is_sure_that_nothing_is_there() -> None:
    """Somebody may stand before the shelf."""
    perception = Perception(wire.Scene(version=1, slots=[SLOT]))
    [event] = [e for i in range(30) for e in perception.observe(START + i / 10, [])]
    assert isinstance(event, wire.Shelf)
    assert (event.units, event.confidence) == (0, 0.5)


def test_a_hidden_shelf_is_given_up_after_a_minute() -> None:
    perception = Perception(wire.Scene(version=1, slots=[SLOT]))
    shelf = Shelf({0, 1, 2})
    shelf.rest(3.0)
    for at, found in shelf.frames(10.0, 1):
        list(perception.observe(at, found))
    [event] = [e for i in range(30, 700) for e in perception.observe(START + i / 10, [])]
    assert isinstance(event, wire.Shelf)
    assert event.units == 0
    assert 60.0 <= event.at / 1000 - START - 3.0 <= 61.0


def test_a_frame_full_of_noise_takes_little_memory_and_leaves_the_surest() -> None:
    scores = [0.4] * 2500 + [0.9] * MOST_PLACES
    found = [Detection("bottle", score, Box(i, 0.1, i + 1, 0.9)) for i, score in enumerate(scores)]
    places = Places(0.35)
    tracemalloc.start()
    places.observe(START, found)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for i in range(1, 7):
        places.observe(START + i / 10, found)
    assert most < 50_000_000
    assert sorted(place.box for place in places.standing) == [d.box for d in found[2500:]]


def test_memory_is_bounded() -> None:
    noise = random.Random(1)
    places = Places(0.35)
    for i in range(60):
        found = [
            Detection("bottle", 0.9, Box(x, y, x + 0.01, y + 0.01))
            for x, y in ((noise.random(), noise.random()) for _ in range(60))
        ]
        places.observe(START + i / 100, found)
        assert places.known <= MOST_PLACES


def test_after_the_view_was_lost_the_units_are_told_again() -> None:
    perception = Perception(wire.Scene(version=1, slots=[SLOT]))
    shelf = Shelf({1})
    shelf.rest(3.0)
    frames = shelf.frames(10.0, 1)
    first = [e for at, found in frames for e in perception.observe(at, found)]
    assert list(perception.interrupt()) == []
    again = [e for at, found in frames for e in perception.observe(at + 60, found)]
    assert [e.units for e in [*first, *again] if isinstance(e, wire.Shelf)] == [1, 1]
