"""What the rendered entrance shows and says is one and the same world."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pytest

from sensor_sim.pixels.rendered import Crossed, Happening, Stayed
from sensor_sim.pixels.rendered.arrivals import RATES, Density
from sensor_sim.pixels.rendered.crowd import Leg, State, Walker
from sensor_sim.pixels.rendered.entrance import Entrance, daylight
from sensor_sim.pixels.rendered.figures import random_look
from sensor_sim.pixels.rendered.truth import CLEAR, LineTruth, ZoneTruth
from sensorapp import wire

NOON = 1_772_366_400.0  # 1 March 2026, 12:00 UTC
MIDNIGHT = NOON + 43_200


def happenings(world: Entrance, seconds: float, step: float) -> list[Happening]:
    found: list[Happening] = []
    for at in np.arange(step, seconds + step / 2, step):
        found.extend(world.advance(NOON + float(at)))
    return found


@pytest.mark.parametrize("step", [0.04, 0.7])
def test_happenings_do_not_depend_on_the_steps(step: float) -> None:
    once = Entrance(3, NOON, "normal")
    expected = [*once.advance(NOON + 60.0)]
    assert {type(happening) for happening in expected} == {Crossed, Stayed}
    stepped = Entrance(3, NOON, "normal")
    assert [*happenings(stepped, 60.0, step), *stepped.advance(NOON + 60.0)] == expected


def test_pictures_do_not_depend_on_the_steps_nor_on_earlier_pictures() -> None:
    once, often = Entrance(4, NOON, "crowd"), Entrance(4, NOON, "crowd")
    once.advance(NOON + 20.05)
    for at in np.arange(0.5, 20.0, 0.5):
        often.advance(NOON + float(at))
        often.view(32, 24)
    often.advance(NOON + 20.05)
    first, second = once.view(160, 120), often.view(160, 120)
    assert np.array_equal(first.image, second.image)
    assert first.things == second.things


def test_a_moment_between_two_steps_of_the_simulation_is_drawn_between_them() -> None:
    lefts = []
    for at in (30.0, 30.0 + 1 / 90, 30.0 + 2 / 90, 30.0 + 1 / 30):
        world = Entrance(4, NOON, "crowd")
        world.advance(NOON + at)
        lefts.append({thing.number: thing.box.left for thing in world.view(64, 48).things})
    both = [number for number in lefts[0] if all(number in one for one in lefts)]
    for number in both:
        a, b, c, d = (one[number] for one in lefts)
        assert min(a, d) - 2e-3 <= b <= max(a, d) + 2e-3
        assert min(a, d) - 2e-3 <= c <= max(a, d) + 2e-3
    assert any(lefts[0][number] != lefts[1][number] for number in both)


def test_things_are_the_same_in_pictures_of_every_size_of_one_shape() -> None:
    world = Entrance(5, NOON, "crowd")
    world.advance(NOON + 25)
    small, large = world.view(160, 120), world.view(1280, 960)
    assert [thing.number for thing in small.things] == [thing.number for thing in large.things]
    for a, b in zip(small.things, large.things, strict=True):
        assert np.allclose(a.box, b.box, atol=1e-6)
        assert a.visible == pytest.approx(b.visible, abs=0.02)


def test_other_shapes_crop_the_middle() -> None:
    world = Entrance(5, NOON, "crowd")
    world.advance(NOON + 25)
    whole, wide = world.view(320, 240), world.view(320, 180)
    assert wide.image.shape == (180, 320, 3)
    boxes = {thing.number: thing.box for thing in whole.things}
    for thing in wide.things:
        top = (boxes[thing.number].top * 240 - 30) / 180
        assert thing.box.top == pytest.approx(max(top, 0.0), abs=1e-6)


def test_the_scene_is_one_that_a_sensor_takes() -> None:
    for seed in range(20):
        scene = wire.decode(wire.encode(Entrance(seed, NOON).scene, wire.JSON), wire.Scene, wire.JSON)
        assert [(line.id, line.name) for line in scene.lines] == [(0, "door")]
        assert [(zone.id, zone.name) for zone in scene.zones] == [(1, "foyer")]
        (ax, _), (bx, _) = scene.lines[0].points
        assert ax < bx  # so that coming in, towards the camera, is "forward"


def sides(world: Entrance) -> dict[int, int]:
    """1 inside, -1 outside, of those who are clear of the line."""
    away = {walker.number: world.shop.threshold - walker.state.y for walker in world.walkers}
    return {number: 1 if y > 0 else -1 for number, y in away.items() if abs(y) > CLEAR}


@pytest.mark.parametrize(("seed", "density"), [(0, "normal"), (1, "crowd")])
def test_crossings_account_for_where_people_came_from_and_went(seed: int, density: Density) -> None:
    world = Entrance(seed, NOON, density)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    net = 0
    for at in np.arange(0.1, 90, 0.1):
        for happening in world.advance(NOON + float(at)):
            if isinstance(happening, Crossed):
                net += 1 if happening.direction == "forward" else -1
        now = sides(world)
        last |= now
        first = now | first
    assert len(first) > 20
    assert net == sum((last[number] - first[number]) // 2 for number in first)


def walked(truth: LineTruth, way: list[tuple[float, float]]) -> list[Happening]:
    """Along corners, one second each."""
    found: list[Happening] = []
    spots = [
        (ax + (bx - ax) * share, ay + (by - ay) * share)
        for (ax, ay), (bx, by) in itertools.pairwise(way)
        for share in np.arange(0, 1, 0.1)
    ]
    for i, spot in enumerate([*spots, way[-1]]):
        found.extend(truth.observe(i / 10, 7, spot))
    return found


LEFT_TO_RIGHT = ((-1.0, 3.0), (1.0, 3.0))
RIGHT_TO_LEFT = ((1.0, 3.0), (-1.0, 3.0))


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ([(0, 4), (0, 2)], ["forward"]),  # in, towards the camera
        ([(0, 2), (0, 4)], ["backward"]),
        ([(0, 4), (0, 2.9), (0, 4)], []),  # turned round too soon after the line
        ([(0, 4), (0, 2.8), (0, 4)], ["forward", "backward"]),
        ([(0, 4), (0, 3.05), (0, 2.95), (0, 3.05), (0, 2)], ["forward"]),
        ([(2, 4), (2, 2), (0, 2), (0, 4)], ["backward"]),  # round the line's end, then through
    ],
)
def test_who_crosses_for_good_counts_once_and_mirrored_lines_turn_the_direction(
    way: list[tuple[float, float]], expected: list[str]
) -> None:
    found = [
        one.direction for one in walked(LineTruth(0, *LEFT_TO_RIGHT, {}), way) if isinstance(one, Crossed)
    ]
    assert found == expected
    mirrored = walked(LineTruth(0, *RIGHT_TO_LEFT, {}), way)
    turned = {"forward": "backward", "backward": "forward"}
    assert [one.direction for one in mirrored if isinstance(one, Crossed)] == [
        turned[way] for way in expected
    ]


def test_a_crossing_is_at_the_moment_of_passing_the_line() -> None:
    assert walked(LineTruth(0, *LEFT_TO_RIGHT, {}), [(0, 4), (0, 2)]) == [
        Crossed(pytest.approx(0.5), 0, "forward")
    ]


def test_a_stay_lasts_a_second_at_least_and_bridges_a_step_out() -> None:
    truth = ZoneTruth(1, ((-1, 2), (1, 2), (1, 1), (-1, 1)), {})
    inside, outside = (0.0, 1.5), (0.0, 3.0)

    def stays(spells: list[tuple[float, tuple[float, float]]]) -> Iterator[Happening]:
        at = 0.0
        for seconds, spot in spells:
            for _ in range(round(seconds * 10)):
                yield from truth.observe(at, 7, spot)
                at = round(at + 0.1, 1)

    assert [*stays([(0.8, inside), (3, outside)])] == []
    assert [*stays([(2, outside), (2.1, inside), (0.5, outside), (2.1, inside), (3, outside)])] == [
        Stayed(pytest.approx(6.6), 1, pytest.approx(4.6))
    ]


@pytest.mark.parametrize("density", ["low", "normal", "crowd"])
def test_as_many_go_through_as_the_density_says(density: Density) -> None:
    seconds = {"low": 1800, "normal": 600, "crowd": 150}[density]
    happened = Entrance(11, NOON, density).advance(NOON + seconds)
    crossed = sum(isinstance(one, Crossed) for one in happened)
    expected = RATES[density].people * seconds / 3600
    # Parties come at random: three deviations of their Poisson process, whose parties are up to four people.
    assert crossed == pytest.approx(expected, abs=3 * (2 * expected) ** 0.5 + 10)


def test_nobody_stands_in_anybody_for_long() -> None:
    world = Entrance(6, NOON, "crowd")
    together: Counter[tuple[int, int]] = Counter()
    longest: dict[tuple[int, int], int] = defaultdict(int)
    for at in np.arange(0.1, 60, 0.1):
        world.advance(NOON + float(at))
        for a, b in itertools.combinations(world.walkers, 2):
            pair = a.number, b.number
            near = np.hypot(a.state.x - b.state.x, a.state.y - b.state.y) < 0.2
            together[pair] = together[pair] + 1 if near else 0
            longest[pair] = max(longest[pair], together[pair])
    assert max(longest.values()) < 10  # a second


def test_boxes_hold_what_was_drawn() -> None:
    """Whatever differs from the empty place, but for shadows, lies in a box."""
    world = Entrance(7, NOON, "normal")
    world.advance(NOON + 40)
    world._stage.look = world._stage.look._replace(shadow=0.0)
    view = world.view(320, 240)
    assert view.things
    world.walkers = []
    empty = world.view(320, 240).image
    changed = np.abs(view.image.astype(int) - empty).max(axis=2) > 12
    for thing in view.things:
        left, top, right, bottom = np.array(thing.box) * (320, 240, 320, 240)
        area = np.s_[int(np.floor(top)) : int(np.ceil(bottom)), int(np.floor(left)) : int(np.ceil(right))]
        assert changed[area].any()
        changed[area] = False
    assert changed.sum() < 20


def standing(number: int, x: float, y: float) -> Walker:
    look = random_look(np.random.default_rng(1))
    return Walker(number, look, 1.0, [Leg(x, y, 60.0)], State(x, y, 0.0))


def test_who_stands_behind_somebody_is_seen_in_part() -> None:
    world = Entrance(9, NOON, "low")
    inside = world.shop.threshold - 0.5
    visible = {}
    for name, walkers in {
        "alone": [standing(1, 0.0, inside)],
        "beside": [standing(1, 0.0, inside), standing(3, 0.9, inside)],
        "behind": [standing(1, 0.0, inside), standing(3, 0.0, inside - 0.6)],
    }.items():
        world.walkers = walkers
        visible[name] = {thing.number: thing.visible for thing in world.view(320, 240).things}
    assert visible["alone"] == {1: pytest.approx(1.0, abs=0.03)}
    assert visible["beside"] == {number: pytest.approx(1.0, abs=0.03) for number in (1, 3)}
    assert 0.02 < visible["behind"][1] < 0.8
    assert visible["behind"][3] > 0.6  # cut off by the picture's lower edge


def test_night_is_dark_and_noon_is_light() -> None:
    assert daylight(NOON) == 1.0
    assert 0.0 < daylight(MIDNIGHT) < 0.1
    by_day, by_night = Entrance(8, NOON), Entrance(8, MIDNIGHT)
    day, night = by_day.view(160, 120), by_night.view(160, 120)
    assert (day.light, night.light) == (daylight(NOON), daylight(MIDNIGHT))
    assert night.image[:40].mean() < day.image[:40].mean()  # the street, at the picture's top
