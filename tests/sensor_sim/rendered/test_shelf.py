"""The rendered shelf: what it says happened is what stands there, and what it draws is what it says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.pixels.rendered import Stocked
from sensor_sim.pixels.rendered.shelf import FIRST_GAP, FIRST_PERSON, Shelf
from sensorapp import wire

START = 1_772_355_600.0
SEEDS = st.integers(0, 10_000)


def happenings(shelf: Shelf, times: list[float]) -> list[Stocked]:
    return [happening for at in times for happening in shelf.advance(START + at)]


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.lists(st.floats(0, 600), max_size=20))
def test_the_steps_change_nothing(seed: int, steps: list[float]) -> None:
    once, often = Shelf(seed, START, pace=5.0), Shelf(seed, START, pace=5.0)
    for _ in steps[:2]:
        often.view(160, 120)
    assert happenings(often, sorted(steps) + [600.0]) == happenings(once, [600.0])
    assert pixels_of(often) == pixels_of(once)


def pixels_of(shelf: Shelf) -> tuple[bytes, object]:
    view = shelf.view(160, 120)
    return bytes(view.image), view.things


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.lists(st.floats(0, 900), min_size=1, max_size=10))
def test_units_are_the_own_items_that_stand_in_the_slot(seed: int, times: list[float]) -> None:
    shelf = Shelf(seed, START, pace=8.0)
    units: dict[int, int] = {}
    for at in sorted(times):
        units |= {happening.slot: happening.units for happening in shelf.advance(START + at)}
        standing = Counter({slot.id: 0 for slot in shelf.bay.slots})
        for spot, item in shelf.story.stock.standing():
            standing[spot.slot] += item.product is shelf.bay.slot(spot.slot).product
        assert units == dict(standing)
