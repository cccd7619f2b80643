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


def beyond_the_boxes(seed: int, view: View) -> int:
    """How many pixels of people lie outside all boxes."""
    changed = np.abs(view.image.astype(int) - moment(seed, people=False).image).max(axis=2) > 16
    for thing in view.things:
        left, top, right, bottom = np.array(thing.box) * (160, 120, 160, 120)
        area = np.s_[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        assert changed[area].any()
        changed[area] = False
    return int(changed.sum())


def test_boxes_hold_everybody_and_there_are_places_without_anybody() -> None:
    counts = []
    for seed in SEEDS:
        view = moment(seed)
        assert beyond_the_boxes(seed, view) < 20  # a foot, or somebody of whom less is seen than counts
        counts.append(len(view.things))
    assert min(counts) == 0 < max(counts)


def test_boxes_hold_all_of_people_seen_from_above() -> None:
    seeds = [seed for seed in range(100) if Varied(seed, NOON).camera.sees_below]
    assert len(seeds) > 10
    assert [beyond_the_boxes(seed, moment(seed)) for seed in seeds] == [0] * len(seeds)


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


def test_a_mark_is_where_a_head_is_and_only_people_have_one() -> None:
    marked = 0
    for seed in range(30):
        world = Varied(seed, NOON)
        world.advance(NOON)
        raster = world.camera.raster(160, 120)
        people = {walker.number: walker for walker in world.walkers}
        for thing in world.view(160, 120).things:
            assert (thing.mark is None) == (thing.number not in people)
            if thing.mark:
                walker = people[thing.number]
                crown = np.array([[walker.state.x, walker.state.y, 0.93 * walker.look.height]])
                x, y = (world.camera.project(crown, raster)[0] / (160, 120)).tolist()
                assert thing.mark.left < x < thing.mark.right
                assert thing.mark.top < y < thing.mark.bottom
                marked += 1
    assert marked > 40
