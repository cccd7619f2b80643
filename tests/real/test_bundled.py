"""The bundled models, which have seen nothing but rendered scenes, on the real clips."""

from __future__ import annotations

import pytest

from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.video import VideoFile
from sensorapp import wire
from tests.real.clips import ROOT, Clip, missing, scene, video
from tests.real.test_people import expected, tally

pytestmark = pytest.mark.xdist_group("real")

PEOPLE, BOTTLES = "one-by-one-person-detection", "bottle-detection"


def watched(name: str, model: str, label: str) -> Clip:
    if reason := missing(name):
        pytest.skip(reason)
    network = Network(load_package(ROOT / "fixtures" / "models" / model))
    frames = [frame for frame in VideoFile(video(name), start=0.0) if frame]
    return Clip([(frame.at, network.detect(frame.image, {label}, 0.05).detections) for frame in frames])


def test_six_people() -> None:
    events = watched(PEOPLE, "people", "person").events(scene(PEOPLE))
    assert tally(events) == expected(6, turned=False)


def test_bottles() -> None:
    """Each change of the shelf, in its order."""
    events = watched(BOTTLES, "shelf", "bottle").events(scene(BOTTLES))
    assert [event.units for event in events if isinstance(event, wire.Shelf)] == [3, 2, 3, 1, 2, 3, 2, 3]
