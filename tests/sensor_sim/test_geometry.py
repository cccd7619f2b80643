"""Where in the picture people stand."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from sensor_sim.detection import Box, Detection
from sensor_sim.perception import Perception
from sensor_sim.perception.geometry import cut_at_side, find_nadir, foot
from sensor_sim.pixels.rendered import Thing
from sensor_sim.pixels.rendered.camera import Camera
from sensor_sim.pixels.rendered.crowd import Leg, State, Walker
from sensor_sim.pixels.rendered.entrance import Entrance
from sensor_sim.pixels.rendered.figures import random_look
from sensor_sim.pixels.rendered.shop import Shop, shop
from sensorapp import wire

NOON = 1_772_366_400.0
SIDES = [-1.3, -0.8, 0.0, 0.8, 1.3]  # metres


def mounted(camera: Camera) -> wire.Camera:
    return wire.Camera(camera.pitch, camera.view)


def with_somebody(seed: int, x: float, y: float) -> Entrance:
    """An entrance in which one person stands at (x, y), ``y`` metres before the door."""
    world = Entrance(seed, NOON, "low")
    place = State(x, world.shop.threshold - y, 0.5)
    look = random_look(np.random.default_rng(seed))
    world.walkers = [Walker(1, look, 1.0, [Leg(place.x, place.y, 60.0)], place)]
    return world


@given(st.floats(5, 80), st.floats(0.4, 1.5))
def test_the_nadir_is_where_the_floor_straight_below_the_camera_is(tilt: float, focal: float) -> None:
    camera = Camera(3.0, tilt, focal)
    raster = camera.raster(400, 300)
    (below,) = camera.project(np.array([[0.0, 0.0, 0.0]]), raster)
    assert find_nadir(mounted(camera)) == pytest.approx((below[0] / 400, below[1] / 300))


class Leaning(NamedTuple):
    """Somebody in view: how far to the right of where they stand the foot is, with and without the nadir."""

    thing: Thing
    foot: float
    known: float
    unknown: float


def leaning(seeds: Iterable[int], xs: Iterable[float], ys: Iterable[float]) -> Iterator[Leaning]:
    """One after the other at each of these places."""
    for seed, x, y in itertools.product(seeds, xs, ys):
        world = with_somebody(seed, x, y)
        camera, state = world.shop.camera, world.walkers[0].state
        raster, below = camera.raster(400, 300), find_nadir(mounted(camera))
        stands = camera.project(np.array([[state.x, state.y, 0.0]]), raster)[0, 0] / raster.width
        for thing in world.view(40, 30).things:
            known = foot(thing.box, below)[0]
            yield Leaning(thing, known, known - stands, foot(thing.box)[0] - stands)


@pytest.mark.parametrize("x", SIDES)
def test_whoever_is_seen_leaning_stands_farther_in(x: float) -> None:
    # Else behind the wall, or beyond the picture's edge.
    seen = [one for one in leaning(range(4), [x], (-0.3, 0.5, 1.2)) if one.thing.visible > 0.9]
    assert len(seen) >= 6
    for one in seen:
        assert abs(one.known) < 0.05
        assert abs(one.known) < 0.5 * abs(one.unknown) or not x


def test_whoever_a_side_cuts_off_stands_no_farther_from_there_than_without_the_lean() -> None:
    xs = [side * x for x in np.arange(1.3, 3.0, 0.15).tolist() for side in (-1, 1)]
    cut = [one for one in leaning(range(3), xs, (0.5, 1.2)) if cut_at_side(one.thing.box)]
    assert len(cut) > 20
    assert all(one.thing.box.left <= one.foot <= one.thing.box.right for one in cut)
    known, unknown = (np.abs([(one.known, one.unknown) for one in cut])).T
    for share in (50, 90):
        assert np.percentile(known, share) < np.percentile(unknown, share)


BOXES = st.tuples(st.floats(-1, 2), st.floats(-1, 2), st.floats(0, 1), st.floats(0, 1))


@given(BOXES, st.floats(0, 1), st.floats(1.001, 5))
def test_nobody_leans_beyond_the_nadir(place: tuple[float, float, float, float], x: float, y: float) -> None:
    left, top, width, height = place
    box = Box(left, top, left + width, top + height)
    (known, bottom), (unknown, same) = foot(box, (x, y)), foot(box)
    assert bottom == same
    moved = known - unknown
    assert abs(moved) <= min(abs(box.centre[0] - x), box.width / 2) + 1e-9
    assert moved * (x - box.centre[0]) >= 0


def perception_at(place: Shop, camera: bool) -> Perception:
    scene = wire.convert(place.scene(), wire.Scene)
    if not camera:
        scene.camera = UNSET
    return Perception(scene)


@pytest.mark.parametrize(("camera", "count"), [(True, 1), (False, 0)])
def test_who_stands_within_a_zone_and_leans_out_of_it_is_in_it(camera: bool, count: int) -> None:
    place = shop(3)
    (right, far), (_, near) = place.foyer[1:3]
    [thing] = with_somebody(3, right - 0.15, place.threshold - (far + near) / 2).view(40, 30).things
    perception = perception_at(place, camera)
    told = [
        event.count
        for frame in range(40)
        for event in perception.observe(NOON + frame / 10, [Detection("person", 0.9, thing.box)])
        if isinstance(event, wire.Occupancy)
    ]
    assert told[-1] == count


@pytest.mark.parametrize(("camera", "count"), [(True, 1), (False, 0)])
def test_who_crosses_a_line_near_its_end_leans_beyond_it(camera: bool, count: int) -> None:
    """The line is as wide as the door on the floor; 12 cm from the jamb somebody comes in."""
    place = shop(3)
    (left, right), y = (place.door.left, place.door.right), place.threshold
    perception = perception_at(place._replace(line=((left, y), (right, y))), camera)
    told: list[wire.Event] = []
    for frame, before in enumerate(np.linspace(-0.8, 0.9, 40).tolist()):
        things = with_somebody(3, right - 0.12, before).view(40, 30).things
        found = [Detection("person", 0.9, thing.box) for thing in things]
        told += perception.observe(NOON + frame / 15, found)
    assert sum(isinstance(event, wire.Crossing) for event in told) == count
