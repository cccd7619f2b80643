"""Places of every kind, for training, are what they say."""

from __future__ import annotations

import numpy as np

from sensor_sim.pixels.rendered import View
from sensor_sim.pixels.rendered.varied import Varied

SEEDS = range(10)
NOON = 1_772_366_400.0


def moment(seed: int, people: bool = True) -> View:
    world = Varied(seed, NOON)
    world.advance(NOON + 0.5)
    # Shadows fall, and motion smears, beyond the boxes.
    world._stage.look = world._stage.look._replace(shadow=0.0)
    world._shutter = 0.0
    if not people:
        world.walkers = []
    return world.view(160, 120)


def test_boxes_hold_everybody_and_there_are_places_without_anybody() -> None:
    counts = []
    for seed in SEEDS:
        view = moment(seed)
        changed = np.abs(view.image.astype(int) - moment(seed, people=False).image).max(axis=2) > 16
        for thing in view.things:
            left, top, right, bottom = np.array(thing.box) * (160, 120, 160, 120)
            area = np.s_[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            assert changed[area].any()
            changed[area] = False
        assert changed.sum() < 20  # somebody of whom less is seen than counts
        counts.append(len(view.things))
    assert min(counts) == 0 < max(counts)


def test_a_seed_is_a_place_whatever_the_steps() -> None:
    once, often, other = Varied(3, NOON), Varied(3, NOON), Varied(4, NOON)
    for at in np.arange(0.1, 1.0, 0.1):
        often.advance(NOON + float(at))
    for world in (once, often, other):
        assert world.advance(NOON + 1.0) == []
    first, second = once.view(160, 120), often.view(160, 120)
    assert np.array_equal(first.image, second.image)
    assert first.things == second.things
    assert not np.array_equal(first.image, other.view(160, 120).image)
