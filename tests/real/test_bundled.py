"""The bundled models, which have seen nothing but rendered scenes, on the real clips."""

from __future__ import annotations

import pytest

from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.video import VideoFile
from sensorapp import wire
from tests.real.clips import ROOT, Clip, missing, scene, video, with_score
from tests.real.test_people import DOOR, EXIT, TABLE, tally

pytestmark = pytest.mark.xdist_group("real")

PEOPLE, BOTTLES = "one-by-one-person-detection", "bottle-detection"


def watched(name: str, model: str, label: str) -> Clip:
    if reason := missing(name):
        pytest.skip(reason)
    network = Network(load_package(ROOT / "fixtures" / "models" / model))
    frames = [frame for frame in VideoFile(video(name), start=0.0) if frame]
    return Clip([(frame.at, network.detect(frame.image, {label}, 0.05).detections) for frame in frames])


def test_six_people() -> None:
    """Six at the table and through the exit. At the door, which cuts them off while they come in, one of them
    is counted twice."""
    counts = tally(watched(PEOPLE, "people", "person").events(with_score(scene(PEOPLE), 0.45)))
    inwards, outwards = counts["crossing", DOOR, "forward"], counts["crossing", DOOR, "backward"]
    assert (inwards, outwards) in {(6, 0), (7, 0)}
    assert (counts["crossing", EXIT, "forward"], counts["crossing", EXIT, "backward"]) == (6, 0)
    assert (counts["visit", TABLE, ""], counts["most", TABLE, ""]) == (6, 1)


def test_bottles() -> None:
    """Each change of the shelf, in its order."""
    events = watched(BOTTLES, "shelf", "bottle").events(scene(BOTTLES))
    assert [event.units for event in events if isinstance(event, wire.Shelf)] == [3, 2, 3, 1, 2, 3, 2, 3]
