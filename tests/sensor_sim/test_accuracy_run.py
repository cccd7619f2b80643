"""``python -m bench.accuracy`` on recordings written here: nothing is rendered, and no clip is watched."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import msgspec
import pytest

from bench.accuracy import __main__ as bench
from bench.accuracy import clips
from bench.accuracy.counting import perceive
from bench.accuracy.recording import START, Job, Place, Recording, Shelved, detections
from sensor_sim.detection import Box, Detection
from sensor_sim.fleet import errors
from sensor_sim.pixels.rendered import Crossed, Stayed, Stocked
from tests.real import clips as real
from tests.real import test_bottles, test_people
from tests.sensor_sim.people import Detector, Person, Point

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
SECONDS = 30.0
IN, OUT = [(0.5, 0.2), (0.5, 0.9)], [(0.5, 0.9), (0.5, 0.2)]

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with these words, on a machine without the clips; gives what it prints."""
    monkeypatch.setattr(real, "REAL", tmp_path / "nowhere")

    def run(*words: object) -> str:
        common = ["--folder", tmp_path, "--minutes", SECONDS / 60, "--processes", 1, "--without-supervision"]
        monkeypatch.setattr(sys, "argv", ["bench.accuracy", *map(str, [*common, *words])])
        bench.main()
        return capsys.readouterr().out

    return run


def recorded(*walks: list[Point]) -> Recording:
    """People, one after another, each on one way."""
    people = [Person(10.0 * i, [(place, 0.5, True) for place in way]) for i, way in enumerate(walks)]
    times, found = zip(*Detector(seed=1).frames(people), strict=True)
    scene = real.scene(test_people.NAME)
    return Recording(
        scene, times[-1], ["person"], [*times], [detections(f, ["person"]) for f in found], [], [], []
    )


def keep(folder: Path, job: Job) -> None:
    """A recording of which everything that is told is the truth, as far as the end does not cut it short."""
    shelved = Shelved(folder, MODELS / "people", MODELS / "shelf")
    recording = recorded(IN, OUT)
    if job.place == "shelf":
        recording.found[:] = [[] for _ in recording.times]
    shelved.path(job).write_bytes(msgspec.msgpack.encode(recording))
    told = [t.what for t in perceive(shelved.read(job))]
    recording.crossed += [what for what in told if isinstance(what, Crossed)]
    recording.stayed += [what for what in told if isinstance(what, Stayed)]
    shelved.path(job).write_bytes(msgspec.msgpack.encode(recording))


def test_a_run_prints_the_tables_of_its_places_and_says_which_clips_are_not_there(
    run: Run, tmp_path: Path
) -> None:
    keep(tmp_path, Job("low", 3, SECONDS))
    keep(tmp_path, Job("low", 4, SECONDS))
    printed = run("--places", "low", "--seeds", 3, 4)
    titles = [line for line in printed.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Entries and exits, 15 frames per second",
        "## Crossings one by one",
        "## Stays in the foyer of 2 seconds and more",
        "## Real clips",
    ]
    right = "+0.00% (+0.00% … +0.00%) | 0.00% (0.00% … 0.00%)"
    assert f"| low | entries | sensorapp | 2 | 2 | {right} |" in printed
    assert f"| low | exits | sensorapp | 2 | 2 | {right} |" in printed
    assert "Not measured: " in printed
    assert "nowhere lacks one-by-one-person-detection.mp4" in printed


def test_the_error_model_says_which_seeds_it_is_of(run: Run, tmp_path: Path) -> None:
    for seed in (3, 4):
        for place in get_args(Place):
            keep(tmp_path, Job(place, seed, SECONDS))
    file = tmp_path / "errors.json"
    assert "## Shelf units" in run("--seeds", 3, 4, "--error-model", file)
    assert json.loads(file.read_text()) == {
        "measured_with": "python -m bench.accuracy, 0.5 minutes of each seed: low 3 to 4, normal 3 to 4, crowd 3 to 4, "
        "shelf 3 to 4",
        "crossing": {density: {"missed": 0.0, "double": 0.0} for density in ("low", "normal", "crowd")},
        "visit": {"missed": 0.0, "double": 0.0, "dwell_error_ms": [0] * 5},
        "shelf": {"error_units": {"0": 1.0}, "delay_ms": [0] * 5},
    }
    assert msgspec.structs.replace(errors.read(file), measured_with="nothing") == errors.FAULTLESS


def test_each_place_has_seeds_of_its_own_unless_told_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "HELD_OUT", {"low": range(7, 10), "normal": range(7, 8)})
    for place, seed in (("low", 7), ("normal", 7), ("low", 8), ("low", 9)):
        keep(tmp_path, Job(place, seed, SECONDS))
    printed = run("--places", "low", "normal")
    assert "| low | entries | sensorapp | 3 | 3 |" in printed
    assert "| normal | entries | sensorapp | 1 | 1 |" in printed


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--seeds", 4, 3), "argument --seeds: 4 comes after 3; give the lower one first"),
        (
            ("--places", "low", "shelf", "--error-model", "errors.json"),
            "argument --error-model: it is of all places; leave out --places",
        ),
        (
            ("--error-model", "nowhere/errors.json"),
            "argument --error-model: there is no folder nowhere; make it first",
        ),
        (("--minutes", 0), "argument --minutes: give more than 0"),
        (("--minutes", "nan"), "argument --minutes: give more than 0"),
    ],
)
def test_what_cannot_be_measured_is_told_at_once(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"{reason}\n")
    assert [*tmp_path.iterdir()] == []


# --- clips -----------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clips that somebody else has watched."""
    monkeypatch.setattr(clips, "missing", lambda name: "")
    monkeypatch.setattr(clips, "load_package", lambda *paths: SimpleNamespace(digest="digest"))
    return tmp_path


def test_clips_are_counted_beside_what_was_counted_by_hand(watched: Path) -> None:
    through = [(0.5, 0.99), (0.5, 0.8), (0.95, 0.8)]
    person = recorded(through, through, through[::-1][:2])
    bottles = [detections([Detection("bottle", 0.9, Box(0.4, 0.3, 0.5, 0.8))], ["bottle"])] * 300
    times = [START + i / 15 for i in range(len(bottles))]
    # The bottle is found all the time, but stood only for 10 s: of the seconds from 3 to 19, seven are right.
    stocked = [Stocked(START, 1, 1), Stocked(START + 9.9, 1, 0)]
    scene = real.scene(test_bottles.NAME)
    shelf = Recording(scene, 20.0, ["bottle"], times, bottles, [], [], stocked)
    for name, recording in ((test_people.NAME, person), (test_bottles.NAME, shelf)):
        (watched / f"{name}-digest.msgpack").write_bytes(msgspec.msgpack.encode(recording))
    assert clips.clips(watched, supervision=False).splitlines() == [
        "| people | in by the door | out by the door | out by the exit | in by the exit |",
        "| --- | --- | --- | --- | --- |",
        "| by hand | 6 | 0 | 6 | 0 |",
        "| sensorapp | 2 | 0 | 2 | 1 |",
        "",
        "| bottles | counts told | readings exact, one a second |",
        "| --- | --- | --- |",
        "| by hand | 2 |  |",
        "| sensorapp | 1 | 41.2% |",
    ]
