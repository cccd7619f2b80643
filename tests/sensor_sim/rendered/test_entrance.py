"""What the rendered entrance shows and says is one and the same world."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from sensor_sim.detection import Box
from sensor_sim.pixels.rendered import Crossed, Happening, Occupied, Stayed
from sensor_sim.pixels.rendered.arrivals import RATES, Arrivals, Density
from sensor_sim.pixels.rendered.crowd import STEP, Leg, State, Walker, step
from sensor_sim.pixels.rendered.entrance import Entrance, daylight
from sensor_sim.pixels.rendered.figures import Look, random_look
from sensor_sim.pixels.rendered.shop import BODY, Shop, shop
from sensor_sim.pixels.rendered.truth import CLEAR, LineTruth, ZoneTruth
from sensorapp import wire

NOON = 1_772_366_400.0  # 1 March 2026, 12:00 UTC
MIDNIGHT = NOON + 43_200
SECONDS = 40


class Run(NamedTuple):
    """What happened, everybody's number and place on the floor at each tenth of a second, and who they were."""

    shop: Shop
    happenings: list[Happening]
    places: list[dict[int, tuple[float, float]]]
    people: dict[int, Walker]


@cache
def run(seed: int, density: Density) -> Run:
    """The first ``SECONDS``."""
    world = Entrance(seed, NOON, density)
    found = Run(world.shop, [], [], {})
    for tenth in range(1, 10 * SECONDS + 1):
        found.happenings.extend(world.advance(NOON + tenth / 10))
        found.places.append({one.number: (one.state.x, one.state.y) for one in world.walkers})
        found.people.update((one.number, one) for one in world.walkers)
    return found


@pytest.mark.parametrize("step", [SECONDS, 0.7, 0.04])
def test_happenings_do_not_depend_on_the_steps(step: float) -> None:
    world = Entrance(3, NOON, "normal")
    found: list[Happening] = []
    for at in np.arange(step, SECONDS, step):
        found.extend(world.advance(NOON + float(at)))
    found.extend(world.advance(NOON + SECONDS))
    assert {type(happening) for happening in found} == {Crossed, Occupied, Stayed}
    assert found == run(3, "normal").happenings


@pytest.mark.parametrize("density", ["normal", "crowd"])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_nobody_vanishes_where_the_camera_sees_them(seed: int, density: Density) -> None:
    shop, _, places, _ = run(seed, density)
    raster = shop.camera.raster(400, 300)
    gone = [at for then, now in pairwise(places) for one, at in then.items() if one not in now]
    assert gone
    for x, y in gone:
        if y > 0:  # else behind the camera
            [(column, row)] = shop.camera.project(np.array([[x, y, 0.0]]), raster)
            assert not (0 < column < raster.width and 0 < row < raster.height)


@pytest.fixture(scope="module")
def busy() -> Entrance:
    world = Entrance(5, NOON, "crowd")
    world.advance(NOON + 15)
    return world


def test_pictures_do_not_depend_on_the_steps_nor_on_earlier_pictures() -> None:
    once, often = Entrance(4, NOON, "crowd"), Entrance(4, NOON, "crowd")
    once.advance(NOON + 8.05)
    for at in np.arange(0.5, 8.0, 0.5):
        often.advance(NOON + float(at))
        often.view(32, 24)
    often.advance(NOON + 8.05)
    first, second = once.view(160, 120), often.view(160, 120)
    assert len(first.things) > 3
    assert np.array_equal(first.image, second.image)
    assert first.things == second.things


def test_a_moment_between_two_steps_of_the_simulation_is_drawn_between_them() -> None:
    world, lefts = Entrance(4, NOON, "crowd"), []
    for at in (10.0, 10.0 + 1 / 90, 10.0 + 2 / 90, 10.0 + 1 / 30):
        world.advance(NOON + at)
        lefts.append({thing.number: thing.box.left for thing in world.view(64, 48).things})
    both = [number for number in lefts[0] if all(number in one for one in lefts)]
    for number in both:
        a, b, c, d = (one[number] for one in lefts)
        assert min(a, d) - 2e-3 <= b <= max(a, d) + 2e-3
        assert min(a, d) - 2e-3 <= c <= max(a, d) + 2e-3
    assert any(lefts[0][number] != lefts[1][number] for number in both)


def test_things_are_the_same_in_pictures_of_every_size_of_one_shape(busy: Entrance) -> None:
    small, large = busy.view(160, 120), busy.view(640, 480)
    assert small.things
    assert [thing.number for thing in small.things] == [thing.number for thing in large.things]
    for a, b in zip(small.things, large.things, strict=True):
        assert np.allclose(a.box, b.box, atol=1e-6)
        assert a.visible == pytest.approx(b.visible, abs=0.02)


def test_other_shapes_crop_the_middle(busy: Entrance) -> None:
    whole, wide = busy.view(320, 240), busy.view(320, 180)
    assert wide.image.shape == (180, 320, 3)
    assert wide.things
    boxes = {thing.number: thing.box for thing in whole.things}
    for thing in wide.things:
        top = (boxes[thing.number].top * 240 - 30) / 180
        assert thing.box.top == pytest.approx(max(top, 0.0), abs=1e-6)


def test_the_scene_is_one_that_a_sensor_takes() -> None:
    for seed in range(6):
        scene = wire.decode(wire.encode(Entrance(seed, NOON).scene, wire.JSON), wire.Scene, wire.JSON)
        assert [(line.id, line.name) for line in scene.lines] == [(0, "door")]
        assert [(zone.id, zone.name) for zone in scene.zones] == [(1, "foyer")]
        (ax, _), (bx, _) = scene.lines[0].points
        assert ax < bx  # so that coming in, towards the camera, is "forward"


@pytest.mark.parametrize(("seed", "density"), [(3, "normal"), (1, "crowd")])
def test_crossings_account_for_where_people_came_from_and_went(seed: int, density: Density) -> None:
    shop, happenings, places, _ = run(seed, density)
    threshold = shop.threshold
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for moment in places:
        clear = {
            number: 1 if y < threshold else -1
            for number, (_, y) in moment.items()
            if abs(threshold - y) > CLEAR
        }
        last |= clear
        first = clear | first
    assert len(first) > 10
    ways = Counter(one.direction for one in happenings if isinstance(one, Crossed))
    assert ways["forward"] - ways["backward"] == sum((last[number] - first[number]) // 2 for number in first)


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
    found = [one.direction for one in walked(LineTruth(0, *LEFT_TO_RIGHT), way) if isinstance(one, Crossed)]
    assert found == expected
    mirrored = walked(LineTruth(0, *RIGHT_TO_LEFT), way)
    turned = {"forward": "backward", "backward": "forward"}
    assert [one.direction for one in mirrored if isinstance(one, Crossed)] == [
        turned[way] for way in expected
    ]


def test_a_crossing_is_at_the_moment_of_passing_the_line() -> None:
    assert walked(LineTruth(0, *LEFT_TO_RIGHT), [(0, 4), (0, 2)]) == [
        Crossed(pytest.approx(0.5), 0, "forward")
    ]


def test_a_stay_lasts_a_second_at_least_and_bridges_a_step_out() -> None:
    truth = ZoneTruth(1, ((-1, 2), (1, 2), (1, 1), (-1, 1)))
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


def test_occupancy_is_told_when_it_changes_and_open_stays_end_with_the_last_look() -> None:
    """Number 1 comes at 1 s and leaves at 4 s, number 2 comes at 3 s and stays, number 3 comes too late."""
    truth = ZoneTruth(1, ((-1, 2), (1, 2), (1, 1), (-1, 1)))
    found: list[Happening] = []
    for at in np.arange(0.0, 6.5, 0.5).tolist():
        inside = {1: 1.0 <= at <= 4.0, 2: at >= 3.0, 3: at >= 5.5}
        for who, is_inside in inside.items():
            found.extend(truth.observe(at, who, (0.0, 1.5 if is_inside else 3.0)))
        found.extend(truth.settle(at))
    assert found == [
        Occupied(0.0, 1, 0),
        Occupied(2.0, 1, 1),
        Occupied(4.0, 1, 2),
        Stayed(4.0, 1, 3.0),
        Occupied(5.0, 1, 1),
    ]
    assert [*truth.end(5.8)] == [Stayed(5.8, 1, pytest.approx(2.8))]
    assert [*truth.end(5.8)] == []


def test_occupancy_and_stays_are_of_the_same_people() -> None:
    world, found = Entrance(1, NOON, "crowd"), list[Happening]()
    for second in range(1, SECONDS + 1):
        found.extend(world.advance(NOON + second))
    counts = [0, *(one.people for one in found if isinstance(one, Occupied))]
    ended = sum(isinstance(one, Stayed) for one in found)
    assert ended >= 5
    assert sum(max(before - after, 0) for before, after in itertools.pairwise(counts)) == ended
    cut_short = world.end()
    assert len(cut_short) == counts[-1] > 0
    for stay in cut_short:
        assert isinstance(stay, Stayed)
        assert stay.at <= NOON + SECONDS


@pytest.mark.parametrize(("density", "seconds"), [("low", 7200), ("normal", 1200), ("crowd", 360)])
def test_as_many_go_through_as_the_density_says(density: Density, seconds: int) -> None:
    place = shop(11)
    through = sum(
        (walker.state.y > place.threshold) != (walker.plan[-1].y > place.threshold)
        for walker in Arrivals(np.random.default_rng(11), place, density).until(seconds)
    )
    expected = RATES[density].people * seconds / 3600
    # Three deviations of a Poisson process of parties with up to four people.
    assert through == pytest.approx(expected, abs=3 * (2.5 * expected) ** 0.5)


def test_nobody_stands_in_anybody_for_long() -> None:
    together: Counter[tuple[int, int]] = Counter()
    for moment in run(1, "crowd").places:
        spots = np.array([*moment.values()]).reshape(-1, 2)
        near = np.hypot(*(spots[:, None] - spots[None]).T) < 0.2
        numbers = [*moment]
        pairs = {(numbers[i], numbers[j]) for i, j in np.argwhere(np.triu(near, 1)).tolist()}
        together = Counter({pair: together[pair] + 1 for pair in pairs})
        assert max(together.values(), default=0) < 10  # a second


@pytest.mark.parametrize("side", [-1, 1])  # inside, outside
def test_who_was_pushed_back_beside_the_door_goes_through_it_after_all(side: int) -> None:
    place = shop(1)
    x, y = place.door.left - 2.0, place.threshold
    walker = standing(1, x, y + side * BODY)
    walker.plan = [Leg(x, y - side * 1.5)]
    ways = [walker.state]
    while not walker.done and len(ways) < 15 / STEP:
        step([walker], place)
        ways.append(walker.state)
    assert walker.done
    passing = [b.x for a, b in itertools.pairwise(ways) if (a.y > y) != (b.y > y)]
    assert [place.door.left < x < place.door.right for x in passing] == [True]


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


def standing(number: int, x: float, y: float, look: Look | None = None, heading: float = 0.0) -> Walker:
    look = look or random_look(np.random.default_rng(1))
    return Walker(number, look, 1.0, [Leg(x, y, 60.0)], State(x, y, heading))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("heading", [-1.6, 0.0, 1.6])
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
def test_a_box_ends_on_the_line_when_the_person_is_over_it(seed: int, heading: float, phase: float) -> None:
    """Whichever foot is foremost then, and wherever it is."""
    world = Entrance(seed, NOON, "low")
    [line] = world.scene["lines"]
    world.walkers = [standing(1, 0.0, world.shop.threshold)]
    state = State(0.0, world.shop.threshold, heading, phase=phase * 2 * np.pi, pace=1.4)
    world.walkers[0].state = world.walkers[0].before = state
    [thing] = world.view(320, 240).things
    (ax, ay), (bx, by) = line["points"]
    middle = (thing.box.left + thing.box.right) / 2
    assert thing.box.bottom == pytest.approx(ay + (by - ay) * (middle - ax) / (bx - ax), abs=2e-3)


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


def test_who_stands_inside_far_to_a_side_is_not_behind_the_front() -> None:
    world = Entrance(1, NOON, "low")
    threshold = world.shop.threshold
    aside, outside = standing(1, -2.2, threshold - 0.5), standing(3, 0.0, threshold + 0.3)
    world.walkers = [aside]
    alone = world.view(320, 240)
    world.walkers = [aside, outside]
    both = world.view(320, 240)
    assert alone.things == [thing for thing in both.things if thing.number == 1]
    left, top, right, bottom = np.rint(np.array(alone.things[0].box) * (320, 240, 320, 240)).astype(int)
    body = np.s_[top:bottom, left:right]
    assert np.abs(alone.image[body].astype(int) - both.image[body]).max() <= 3  # but for shadows


def test_who_is_behind_the_wall_is_not_there_to_be_seen() -> None:
    world = Entrance(1, NOON, "low")
    assert not world.shop.room.furniture
    world.walkers = [standing(1, -2.0, world.shop.threshold + 0.6)]
    assert world.view(320, 240).things == []


# --- what belongs to an entrance --------------------------------------------------------------------


def within(box: Box) -> tuple[slice, slice]:
    """The box's rows and columns in a picture of 160 x 120 pixels."""
    left, top, right, bottom = np.rint(np.array(box) * (160, 120, 160, 120)).astype(int)
    return slice(top, bottom), slice(left, right)


def crowds() -> list[Walker]:
    """Everybody who comes to one of three entrances."""
    return [one for seed in (3, 4, 5) for one in run(seed, "crowd").people.values()]


def test_a_crowd_pushes_trolleys_and_prams() -> None:
    assert {one.cart.label for one in crowds() if one.cart} == {"trolley", "pram"}


@pytest.mark.parametrize("label", ["trolley", "pram"])
def test_what_somebody_pushes_is_seen(label: str) -> None:
    cart = next(one.cart for one in crowds() if one.cart and one.cart.label == label)
    world = Entrance(9, NOON, "low")
    pushing = standing(1, 0.4, world.shop.threshold - 0.6, heading=np.pi / 2)
    world.walkers = [pushing]
    without = world.view(160, 120)
    pushing.cart = cart
    view = world.view(160, 120)
    assert [(thing.number, thing.label) for thing in without.things] == [(1, "person")]
    [thing] = [thing for thing in view.things if thing.number == 2]
    assert (thing.label, thing.visible) == (label, pytest.approx(1.0, abs=0.03))
    changed = np.abs(view.image.astype(int) - without.image).max(axis=2) > 12
    assert changed[within(thing.box)].mean() > 0.4


def test_children_come_with_somebody_who_is_none() -> None:
    children = [one for one in crowds() if one.look.height < 1.45]
    together = [one for one in children if one.group]
    assert 0 < len(together) <= len(children) < len(crowds()) / 2
    for child in together:
        assert max(one.look.height for one in child.group) > 1.45


def test_a_child_is_seen_as_the_smaller_person() -> None:
    child = next(one.look for one in crowds() if one.look.height < 1.45)
    world = Entrance(9, NOON, "low")
    inside = world.shop.threshold - 0.6
    world.walkers = [standing(1, -0.5, inside, child), standing(3, 0.5, inside)]
    heights = {thing.number: thing.box.height for thing in world.view(160, 120).things}
    assert heights[1] < 0.85 * heights[3]


def test_staff_and_nobody_else_wear_the_uniform() -> None:
    assert any(one.staff for one in crowds())
    for seed in (3, 4, 5):
        shop, _, _, people = run(seed, "crowd")
        for one in people.values():
            assert (one.look.top.colour == shop.uniform) == one.staff


@pytest.mark.parametrize("seed", [3, 4])
def test_the_uniform_is_seen(seed: int) -> None:
    """A good part of somebody in it has its colour, however lit, and nothing of others."""
    world = Entrance(seed, NOON, "low")
    empty = world.view(160, 120).image
    uniform = np.array(world.shop.uniform) / np.linalg.norm(world.shop.uniform)
    shares = []
    for colour in (world.shop.uniform, None):
        look = random_look(np.random.default_rng(1), uniform=colour)
        world.walkers = [standing(1, 0.0, world.shop.threshold - 0.6, look)]
        view = world.view(160, 120)
        area = within(view.things[0].box)
        pixels = view.image[area][(view.image != empty)[area].any(axis=2)].astype(float)
        shares.append((pixels @ uniform / np.linalg.norm(pixels, axis=1) > 0.97).mean())
    assert shares[0] > 0.1
    assert shares[1] < 0.02


@pytest.mark.parametrize("seed", [4, 6, 7])
def test_the_doors_leaves_open_for_somebody_and_close_again(seed: int) -> None:
    world = Entrance(seed, NOON, "low")
    assert world.shop.doors
    door, threshold = world.shop.door, world.shop.threshold
    ends = np.array([[door.left, threshold, 1.5], [door.right, threshold, 0.0]])
    corners = world.shop.camera.project(ends, world.shop.camera.raster(160, 120))
    (left, top), (right, bottom) = np.maximum(corners, 0).astype(int)

    def doorway(seconds: float, walkers: list[Walker]) -> NDArray[np.int_]:
        """What is seen in it then, without anybody, if these walkers have been there in the meantime."""
        world.walkers = walkers
        world.advance(NOON + seconds)
        world.walkers = []
        return world.view(160, 120).image[top:bottom, left:right].astype(int)

    somebody = standing(1, 0.0, threshold - 0.5)
    closed = doorway(1.0, [])
    opening, opened = doorway(1.5, [somebody]), doorway(3.0, [somebody])
    for a, b in itertools.combinations([closed, opening, opened], 2):
        assert (np.abs(a - b).max(axis=2) > 8).mean() > 0.1
    assert np.array_equal(closed, doorway(4.5, []))


@pytest.mark.parametrize("seed", [2, 3, 9])
def test_the_floor_is_darker_where_a_shadow_falls(seed: int) -> None:
    """Beside somebody, away from the light; on the other side it stays as it is."""
    world = Entrance(seed, NOON, "low")
    shop, (towards_x, towards_y, _) = world.shop, world.shop.look.sun
    floor = world.view(160, 120).image.astype(float)
    x, y, high = 0.0, shop.threshold - 0.6, 1.0
    world.walkers = [standing(1, x, y)]
    view = world.view(160, 120)
    kept = []
    for sign in (-1, 1):
        spot = np.array([[x + sign * high * towards_x, y + sign * high * towards_y, 0.0]])
        [(column, row)] = shop.camera.project(spot, shop.camera.raster(160, 120)).astype(int)
        rows, columns = within(view.things[0].box)
        assert not (rows.start <= row < rows.stop and columns.start <= column < columns.stop)
        around = np.s_[row - 1 : row + 2, column - 1 : column + 2]
        kept.append(view.image[around].sum() / floor[around].sum())
    assert kept == [pytest.approx(1 - shop.look.shadow, abs=0.05), pytest.approx(1.0, abs=0.02)]


def test_night_is_dark_and_noon_is_light() -> None:
    assert daylight(NOON) == 1.0
    assert 0.0 < daylight(MIDNIGHT) < 0.1
    by_day, by_night = Entrance(8, NOON), Entrance(8, MIDNIGHT)
    day, night = by_day.view(160, 120), by_night.view(160, 120)
    assert (day.light, night.light) == (daylight(NOON), daylight(MIDNIGHT))
    assert night.image[:40].mean() < day.image[:40].mean()  # the street, at the picture's top
