"""The real clips: few events, but no rendering. They are those of ``tests/real``, counted there by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from bench.accuracy import counters, figures
from bench.accuracy.counting import Told
from bench.accuracy.figures import Compared
from bench.accuracy.recording import LEAST_SCORE, Recording, asked_for, detections
from bench.accuracy.report import table
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.rendered import Crossed, Stocked
from sensor_sim.pixels.video import VideoFile
from tests.real import test_bottles, test_people
from tests.real.clips import CARD, START, WEIGHTS, missing, scene, video


def clips(folder: Path, *, supervision: bool) -> str:
    """Counts by hand beside those of all counters, on what NanoDet-m 320 finds."""
    names = test_people.NAME, test_bottles.NAME
    if absent := next(filter(None, map(missing, names)), ""):
        return f"Not measured: {absent}.\n"
    people, bottles = (_recording(folder, name) for name in names)
    return _people(people, supervision) + "\n" + _bottles(bottles, supervision)


def _people(recording: Recording, supervision: bool) -> str:
    six = len(test_people.COME)
    rows = [["by hand", f"{six}", "0", f"{six}", "0"]]
    for name, told in counters.told(recording, supervision=supervision).items():
        rows.append([name, *_passages(told)])
    return table(["people", "in by the door", "out by the door", "out by the exit", "in by the exit"], rows)


def _passages(told: list[Told]) -> Iterator[str]:
    counts = Counter((t.what.line, t.what.direction) for t in told if isinstance(t.what, Crossed))
    for line in (test_people.DOOR, test_people.EXIT):
        yield from (f"{counts[line, direction]}" for direction in ("forward", "backward"))


def _bottles(recording: Recording, supervision: bool) -> str:
    changes = len(recording.stocked)
    rows = [["by hand", f"{changes}", ""]]
    for name, told in counters.told(recording, supervision=supervision).items():
        off = np.abs(np.diff(figures.readings(Compared(recording, told)), axis=1))
        rows.append([name, f"{sum(isinstance(t.what, Stocked) for t in told)}", f"{(off == 0).mean():.1%}"])
    return table(["bottles", "counts told", "readings exact, one a second"], rows)


def _recording(folder: Path, name: str) -> Recording:
    package = load_package(CARD, WEIGHTS)
    path = folder / f"{name}-{package.digest}.msgpack"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.msgpack.encode(_watch(name, Network(package, threads=2))))
    return msgspec.msgpack.decode(path.read_bytes(), type=Recording)


def _watch(name: str, network: Network) -> Recording:
    asked = scene(name)
    labels = asked_for(asked)
    times, found = [], []
    for frame in VideoFile(video(name), START):
        if frame:
            times.append(frame.at)
            found.append(detections(network.detect(frame.image, labels, LEAST_SCORE).detections, labels))
    stocked = [
        Stocked(START + at, slot.id, units) for slot in asked.slots for units, at in test_bottles.FORWARD
    ]
    return Recording(asked, times[-1] - START, labels, times, found, [], [], stocked)
