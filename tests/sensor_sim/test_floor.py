"""Distances on the floor, beside those of the camera that sees it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sensor_sim.detection import Box
from sensor_sim.perception.floor import PERSON, LineOnFloor
from sensor_sim.perception.geometry import Point
from sensor_sim.pixels.rendered.camera import Camera
from sensor_sim.pixels.rendered.shop import shop
from sensorapp import wire

UPRIGHT = Box(0.4, 0.3, 0.5, 0.6)
SMALL = Box(0.4, 0.5, 0.41, 0.52)
cameras = st.builds(Camera, st.floats(2, 6), st.floats(30, 60), st.floats(0.65, 1.2)).filter(
    lambda camera: not camera.sees_below
)
places = st.tuples(st.floats(-3, 3), st.floats(0.3, 8))


def seen(camera: Camera, place: Point) -> Point:
    """Where in the picture a place on the floor is, which is x metres to the right and y away."""
    [(x, y)] = camera.project(np.array([[*place, 0.0]]), camera.raster(400, 300))
    return float(x / 400), float(y / 300)


def mounted(camera: Camera) -> wire.Camera:
    return wire.Camera(camera.pitch, camera.view, camera.height)


@given(cameras, places, places, places)
def test_with_the_camera_s_height_it_is_metres(camera: Camera, a: Point, b: Point, place: Point) -> None:
    (ax, ay), (bx, by), (x, y) = a, b, place
    length = np.hypot(bx - ax, by - ay)
    assume(length > 0.5)
    # Positive on the right hand, as y grows away from the camera.
    truth = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
    line = LineOnFloor((seen(camera, a), seen(camera, b)), mounted(camera))
    assert line.distance(seen(camera, place), SMALL) == pytest.approx(truth, abs=1e-6 * max(1, abs(truth)))


@given(st.floats(0, 1), st.floats(0, 0.15))
def test_what_is_seen_above_the_horizon_is_far_away_and_no_more(x: float, y: float) -> None:
    line = LineOnFloor(((0.2, 0.6), (0.8, 0.6)), wire.Camera(20, 52, 3))
    assert -100 < line.distance((x, y), SMALL) < -20


def test_far_away_metres_are_too_small_to_be_told_apart_and_the_person_is_the_measure() -> None:
    """A camera 3 metres up looks along the floor: 9 metres away, 15 centimetres are a fiftieth of a person."""
    camera = Camera(3.0, 20.0, 0.77)
    line = LineOnFloor((seen(camera, (-1.0, 9.0)), seen(camera, (1.0, 9.0))), mounted(camera))
    (x, foot), [head] = (
        seen(camera, (0.0, 8.85)),
        camera.project(np.array([[0.0, 8.85, 1.7]]), camera.raster(400, 300)),
    )
    box = Box(x - 0.02, float(head[1] / 300), x + 0.02, foot)
    guess = LineOnFloor((seen(camera, (-1.0, 9.0)), seen(camera, (1.0, 9.0))), None).distance((x, foot), box)
    assert line.distance((x, foot), box) == pytest.approx(1.5 * guess)
    assert 0 < guess < 0.05
    assert line.distance((x, foot), SMALL) == pytest.approx(0.15)


@pytest.mark.parametrize("camera", [None, wire.Camera(50, 52)])
def test_without_the_height_a_person_is_the_measure(camera: wire.Camera | None) -> None:
    across = LineOnFloor(((0.1, 0.5), (0.9, 0.5)), camera)
    assert across.distance((0.4, 0.53), UPRIGHT) == pytest.approx(0.1 * PERSON)
    assert across.distance((0.4, 0.47), UPRIGHT) == pytest.approx(-0.1 * PERSON)
    upright = LineOnFloor(((0.5, 0.1), (0.5, 0.9)), camera)
    assert upright.distance((0.48, 0.7), UPRIGHT) == pytest.approx(0.2 * PERSON)


@pytest.mark.parametrize("seed", range(12))
def test_to_the_half_that_is_metres_too_as_cameras_over_doors_see_people(seed: int) -> None:
    """Somebody of 1.7 metres who has just crossed the line."""
    place = shop(seed)
    camera, y = place.camera, place.threshold
    foot, *ends = (seen(camera, spot) for spot in ((0.0, y - 0.15), (-0.5, y), (0.5, y)))
    [head] = camera.project(np.array([[0.0, y - 0.15, 1.7]]), camera.raster(400, 300))
    box = Box(0.4, float(head[1] / 300), 0.6, foot[1])
    assert LineOnFloor((ends[0], ends[1]), None).distance(foot, box) == pytest.approx(0.15, rel=0.5)
