"""Where in the picture people stand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from sensor_sim.detection import Box, Detection
from sensor_sim.perception import Perception
from sensor_sim.perception.geometry import cut_at_side, find_nadir, foot
from sensor_sim.pixels.rendered.camera import Camera
from sensor_sim.pixels.rendered.crowd import Leg, State, Walker
from sensor_sim.pixels.rendered.entrance import Entrance
from sensor_sim.pixels.rendered.figures import random_look
from sensor_sim.pixels.rendered.shop import BESIDE
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


@pytest.mark.parametrize("x", SIDES)
def test_whoever_is_seen_leaning_stands_farther_in(x: float) -> None:
    seen = 0
    for seed, y in itertools.product(range(4), (-0.3, 0.5, 1.2)):
        world = with_somebody(seed, x, y)
        camera, state = world.shop.camera, world.walkers[0].state
        raster = camera.raster(400, 300)
        stands = camera.project(np.array([[state.x, state.y, 0.0]]), raster)[0, 0] / raster.width
        for thing in world.view(40, 30).things:
            if thing.visible > 0.9:  # else behind the wall, or beyond the picture's edge
                known = foot(thing.box, find_nadir(mounted(camera)))[0] - stands
                unknown = foot(thing.box)[0] - stands
                assert abs(known) < 0.05
                assert abs(known) < 0.5 * abs(unknown) or not x
                seen += 1
    assert seen >= 6


def test_whoever_a_side_cuts_off_stands_no_farther_from_there_than_without_the_lean() -> None:
    wrong: dict[bool, list[float]] = {True: [], False: []}
    for seed, y, x, side in itertools.product(range(3), (0.5, 1.2), np.arange(1.3, 3.0, 0.15), (-1, 1)):
        world = with_somebody(seed, side * float(x), y)
        camera, state = world.shop.camera, world.walkers[0].state
        raster = camera.raster(400, 300)
        stands = camera.project(np.array([[state.x, state.y, 0.0]]), raster)[0, 0] / raster.width
        for thing in world.view(40, 30).things:
            if cut_at_side(thing.box):
                point = find_nadir(mounted(camera))
                wrong[True].append(abs(foot(thing.box, point)[0] - stands))
                wrong[False].append(abs(foot(thing.box)[0] - stands))
                assert thing.box.left <= foot(thing.box, point)[0] <= thing.box.right
    assert len(wrong[True]) > 20
    for share in (50, 90):
        assert np.percentile(wrong[True], share) < np.percentile(wrong[False], share)


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


@pytest.mark.parametrize(("camera", "count"), [(True, 1), (False, 0)])
def test_who_stands_within_a_zone_and_leans_out_of_it_is_in_it(camera: bool, count: int) -> None:
    world = with_somebody(3, 0.0, 0.0)
    (right, far), (_, near) = world.shop.foyer[1:3]
    world = with_somebody(3, right - 0.15, world.shop.threshold - (far + near) / 2)
    [thing] = world.view(40, 30).things
    scene = wire.convert(dict(world.scene), wire.Scene)
    if not camera:
        scene.camera = UNSET
    perception = Perception(scene)
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
    door = Entrance(3, NOON, "low").shop.door
    told = []
    perception = None
    for frame, y in enumerate(np.linspace(-0.8, 0.9, 40)):
        world = with_somebody(3, door.right - 0.12, float(y))
        if not perception:
            scene = wire.convert(dict(world.scene), wire.Scene)
            (ax, ay), (bx, by) = scene.lines[0].points
            inset = BESIDE / (door.right - door.left + 2 * BESIDE)
            x, slope = inset * (bx - ax), inset * (by - ay)
            scene.lines[0].points = (ax + x, ay + slope), (bx - x, by - slope)
            if not camera:
                scene.camera = UNSET
            perception = Perception(scene)
        found = [Detection("person", 0.9, thing.box) for thing in world.view(40, 30).things]
        told += list(perception.observe(NOON + frame / 15, found))
    assert sum(isinstance(event, wire.Crossing) for event in told) == count
