"""The counters of ``bench/accuracy``, on recordings written here."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.accuracy import counters
from bench.accuracy.counting import perceive
from bench.accuracy.recording import START, Job, Recording, Shelved, detections
from sensor_sim.pixels.rendered import Crossed
from sensor_sim.pixels.rendered.entrance import Entrance
from sensorapp import wire
from tests.sensor_sim.people import Detector, Person

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
SCENE = wire.Scene(version=1, lines=[wire.Line(0, "middle", ((0.1, 0.5), (0.9, 0.5)))])


def walks(number: int) -> Recording:
    """So many people, one after another, each once over the line."""
    people = [Person(10.0 * i, [((0.5, 0.2), 0.5, True), ((0.5, 0.9), 0.5, True)]) for i in range(number)]
    times, found = zip(*Detector(seed=number).frames(people), strict=True)
    numbers = [detections(some, ["person"]) for some in found]
    return Recording(SCENE, times[-1], ["person"], list(times), numbers, [], [], [])


@pytest.fixture
def shelved(tmp_path: Path) -> Shelved:
    return Shelved(tmp_path, MODELS / "people", MODELS / "shelf")


def test_recordings_are_counted_in_their_order_and_without_supervision(shelved: Shelved) -> None:
    """Where the tests run it is not even installed."""
    jobs = [Job("normal", seed, 30.0) for seed in (3, 1, 2)]
    for job in jobs:
        shelved.path(job).write_bytes(msgspec.msgpack.encode(walks(job.seed)))
    counted = list(counters.count_all(shelved, jobs, 2, supervision=False))
    assert counted == [{counters.OURS: perceive(shelved.read(job))} for job in jobs]
    crossed = [[t for t in told[counters.OURS] if isinstance(t.what, Crossed)] for told in counted]
    assert [len(crossings) for crossings in crossed] == [3, 1, 2]


def test_a_recording_is_read_with_the_scene_as_the_world_has_it_now(shelved: Shelved) -> None:
    job = Job("normal", 3, 30.0)
    shelved.path(job).write_bytes(msgspec.msgpack.encode(walks(3)))
    now = wire.convert(dict(Entrance(3, START, "normal").scene), wire.Scene)
    assert shelved.read(job).scene == now != SCENE


def test_supervision_counts_with_its_defaults_and_each_threshold() -> None:
    pytest.importorskip("trackers", reason="only bench-accuracy needs it")
    told = counters.told(walks(3), supervision=True)
    thresholds = [f"supervision, threshold {frames}" for frames in (1, 2, 3, 5, 7, 10)]
    assert list(told) == [counters.OURS, "supervision, defaults", *thresholds]
    for name, happened in told.items():
        crossed = [(t.what.line, t.what.direction) for t in happened if isinstance(t.what, Crossed)]
        assert crossed == [(0, "forward")] * 3, name
