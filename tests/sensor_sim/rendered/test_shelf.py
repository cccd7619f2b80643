"""The rendered shelf: what it says happened is what stands there, and what it draws is what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.perception.facings import find_spot
from sensor_sim.perception.geometry import inside
from sensor_sim.pixels.rendered import Stocked, Thing, View, World
from sensor_sim.pixels.rendered.products import LABELS
from sensor_sim.pixels.rendered.shelf import PERSON, Shelf
from sensor_sim.pixels.rendered.shelf_still import GAP
from sensorapp import wire

START = 1_772_355_600.0
SEEDS = st.integers(0, 10_000)
SHOPS = st.tuples(SEEDS, st.booleans())
WIDTH, HEIGHT = 320, 240
few = settings(max_examples=6)


def happenings(shelf: World, times: Sequence[float]) -> list[object]:
    return [happening for at in times for happening in shelf.advance(START + at)]


def moments(shelf: Shelf, until: float, step: float) -> Sequence[View]:
    views = []
    for at in np.arange(0.0, until, step):
        shelf.advance(START + float(at))
        views.append(shelf.view(WIDTH, HEIGHT))
    return views


def pixels_of(box: Box) -> tuple[slice, slice]:
    return (
        slice(int(box.top * HEIGHT), int(np.ceil(box.bottom * HEIGHT))),
        slice(int(box.left * WIDTH), int(np.ceil(box.right * WIDTH))),
    )


@few
@given(SHOPS, st.lists(st.floats(0, 600), max_size=20))
def test_neither_steps_nor_looking_change_anything(shop: tuple[int, bool], steps: list[float]) -> None:
    once, often = (Shelf(shop[0], START, 5.0, shop[1]) for _ in range(2))
    seen: list[object] = []
    for at in sorted(steps):
        seen += often.advance(START + at)
        often.view(80, 60)
    assert seen + happenings(often, [600.0]) == happenings(once, [600.0])
    a, b = once.view(WIDTH, HEIGHT), often.view(WIDTH, HEIGHT)
    assert a.things == b.things
    np.testing.assert_array_equal(a.image, b.image)


@few
@given(SEEDS)
def test_the_same_things_are_seen_at_every_size(seed: int) -> None:
    shelf = Shelf(seed, START, 5.0, varied=True)
    shelf.advance(START + 40.0)
    assert shelf.view(160, 120).things == shelf.view(480, 360).things


@few
@given(SHOPS, st.lists(st.floats(0, 900), min_size=1, max_size=10))
def test_units_are_the_own_items_that_stand_in_the_slot(shop: tuple[int, bool], times: list[float]) -> None:
    shelf = Shelf(shop[0], START, 8.0, shop[1])
    units: dict[int, int] = {}
    for at in sorted(times):
        for happening in shelf.advance(START + at):
            assert START <= happening.at <= START + at
            assert units.get(happening.slot) != happening.units
            units[happening.slot] = happening.units
        standing = {slot["id"]: 0 for slot in shelf.scene["slots"]}
        for spot, item in shelf.story.stock.standing():
            if spot.slot in standing:
                standing[spot.slot] += item.product is shelf.bay.slot(spot.slot).product
        assert units == standing


def test_every_slot_is_told_of_at_the_beginning() -> None:
    shelf = Shelf(1, START)
    told = shelf.advance(START)
    assert [(t.at, t.slot) for t in told] == [(START, slot["id"]) for slot in shelf.scene["slots"]]
    assert shelf.advance(START) == []


def test_slots_run_empty_and_are_filled_again() -> None:
    told = Shelf(3, START).advance(START + 4 * 3600)
    assert all(isinstance(t, Stocked) for t in told)
    empty = {t.slot for t in told if t.units == 0}
    filled = {
        t.slot
        for i, t in enumerate(told)
        if t.units > 1 and t.slot in {u.slot for u in told[:i] if u.units == 0}
    }
    assert len(empty) >= 3
    assert len(filled) >= 3


@few
@given(SEEDS)
def test_what_stands_in_a_slot_has_its_middle_there(seed: int) -> None:
    """By that a slot decides that an item stands in it. A misplaced one may be too tall or too low for that."""
    shelf = Shelf(seed, START, 8.0)
    shelf.advance(START + 900.0)
    boxes = {thing.number: thing.box for thing in shelf.view(WIDTH, HEIGHT).things}
    polygons = {slot["id"]: [tuple(p) for p in slot["polygon"]] for slot in shelf.scene["slots"]}
    for spot, item in shelf.story.stock.standing():
        middle = boxes[item.number].centre
        found = {slot for slot, polygon in polygons.items() if inside(middle, polygon)}
        own = item.product is shelf.bay.slot(spot.slot).product
        assert found == {spot.slot} or (not own and found == set())


@few
@given(SEEDS)
def test_an_item_is_found_at_the_spot_where_it_stands(seed: int) -> None:
    shelf = Shelf(seed, START)
    slots = {slot.id: slot for slot in wire.convert(dict(shelf.scene), wire.Scene).slots}
    shelf.advance(START)
    boxes = {thing.number: thing.box for thing in shelf.view(WIDTH, HEIGHT).things}
    for spot, item in shelf.story.stock.standing():
        assert find_spot(slots[spot.slot], boxes[item.number]) == (spot.column, spot.row)


def test_some_items_are_misplaced_and_never_counted() -> None:
    shelf, seen = Shelf(5, START, 8.0), 0
    for at in range(0, 3600, 10):
        shelf.advance(START + at)
        for spot, item in shelf.story.stock.standing():
            own = shelf.bay.slot(spot.slot).product
            if item.product is not own:
                seen += 1
                assert item.product.label != own.label
    assert seen > 0


@few
@given(SHOPS)
def test_things_lie_in_the_picture_and_are_hidden_only_by_others(shop: tuple[int, bool]) -> None:
    shelf = Shelf(shop[0], START, 5.0, shop[1])
    for view in moments(shelf, 60.0, 15.0):
        assert view.image.shape == (HEIGHT, WIDTH, 3)
        numbers = [thing.number for thing in view.things]
        assert len(set(numbers)) == len(numbers)
        for thing in view.things:
            assert thing.label in {*LABELS, GAP, PERSON}
            assert 0.0 <= thing.box.left < thing.box.right <= 1.0
            assert 0.0 <= thing.box.top < thing.box.bottom <= 1.0
            assert 0.0 <= thing.visible <= 1.0


def test_a_person_before_the_shelf_hides_what_is_behind() -> None:
    shelf = Shelf(4, START, 6.0)
    hidden = 0
    for view in moments(shelf, 120.0, 3.0):
        people = [thing.box for thing in view.things if thing.label == PERSON]
        for thing in view.things:
            if thing.label in LABELS and thing.visible == 0.0:
                hidden += 1
                assert any(covers(person, thing.box) for person in people)
    assert hidden > 10


def covers(a: Box, b: Box) -> bool:
    return a.left <= b.left and a.top <= b.top and a.right >= b.right and a.bottom >= b.bottom


@few
@given(SHOPS)
def test_an_item_is_drawn_within_its_box(shop: tuple[int, bool]) -> None:
    """Take one away behind which none stands: pixels in its box change, outside only those of its shadow."""
    shelf = Shelf(shop[0], START, 1.0, shop[1])
    shelf.advance(START)
    before = shelf.view(WIDTH, HEIGHT)
    spot = next((spot for spot in shelf.story.stock.in_front(own=True) if spot.row == 0), None)
    item = shelf.story.stock.take(spot) if spot else None
    after = shelf.view(WIDTH, HEIGHT)
    changed = (before.image != after.image).any(axis=2)
    thing = next((t for t in before.things if item and t.number == item.number), None)
    if thing is None:  # the picture's edge or others leave next to nothing of it
        assert changed.mean() < 0.005
    else:
        assert_within(np.argwhere(changed), thing.box)
        rows, columns = pixels_of(thing.box)
        assert changed[rows, columns].mean() >= 0.4 * thing.visible - 0.1


def assert_within(pixels: NDArray[np.int64], box: Box) -> None:
    """The shadow and the lens's blur reach a little farther than the item."""
    reach = 6 + 0.4 * max(box.width * WIDTH, box.height * HEIGHT)
    assert (pixels[:, 1] >= box.left * WIDTH - reach).all()
    assert (pixels[:, 1] <= box.right * WIDTH + reach).all()
    assert (pixels[:, 0] >= box.top * HEIGHT - reach).all()
    assert (pixels[:, 0] <= box.bottom * HEIGHT + reach).all()


@few
@given(SEEDS)
def test_pixels_change_only_where_something_came_or_went(seed: int) -> None:
    shelf = Shelf(seed, START, 6.0)
    views = moments(shelf, 40.0, 2.0)
    for before, after in pairwise(views):
        same = np.ones((HEIGHT, WIDTH), np.uint8)
        for box in boxes_changed(before.things, after.things):
            rows, columns = pixels_of(box)
            same[rows, columns] = 0
        reach = 2 * round(0.05 * WIDTH) + 1
        same = cv2.erode(same, np.ones((reach, reach), np.uint8))
        differs = (before.image != after.image).any(axis=2)
        assert not (differs & (same > 0)).any()


def boxes_changed(before: Sequence[Thing], after: Sequence[Thing]) -> list[Box]:
    """Of people, and of whatever is not in both at the same place."""
    places = Counter((thing.number, thing.box) for thing in (*before, *after))
    people = {thing.box for thing in (*before, *after) if thing.label == PERSON}
    return [box for (_, box), count in places.items() if count == 1] + list(people)


def test_other_shapes_crop_the_middle() -> None:
    shelf = Shelf(2, START)
    shelf.advance(START)
    whole, wide, tall = shelf.view(320, 240), shelf.view(320, 180), shelf.view(240, 240)
    np.testing.assert_array_equal(wide.image, whole.image[30:210])
    np.testing.assert_array_equal(tall.image, whole.image[:, 40:280])
    item = whole.things[0]
    shown = next(thing for thing in wide.things if thing.number == item.number)
    assert shown.box.left == pytest.approx(item.box.left)
    assert shown.box.top == pytest.approx((item.box.top * 240 - 30) / 180)


@settings(max_examples=60)
@given(SHOPS)
def test_the_scene_is_one_that_a_sensor_accepts(shop: tuple[int, bool]) -> None:
    shelf = Shelf(shop[0], START, 1.0, shop[1])
    scene = wire.convert(dict(shelf.scene), wire.Scene)
    assert [slot.id for slot in scene.slots] == [told.slot for told in shelf.advance(START)]
    assert set(scene.detect.labels) == {slot.product.label for slot in shelf.bay.slots}


@few
@given(SEEDS)
def test_a_shop_has_all_its_slots_in_view(seed: int) -> None:
    shelf = Shelf(seed, START)
    assert [slot["id"] for slot in shelf.scene["slots"]] == [slot.id for slot in shelf.bay.slots]
    items = {slot.product.label for slot in shelf.bay.slots}
    assert set(shelf.scene["detect"]["labels"]) == items
    assert items <= set(LABELS)


def test_the_full_array_can_be_drawn() -> None:
    shelf = Shelf(1, START)
    shelf.advance(START)
    assert shelf.view(4056, 3040).image.shape == (3040, 4056, 3)
