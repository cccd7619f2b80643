"""Clips as detections over time, and what can be done to them.

They are public files in a folder that ``SENSORAPP_REAL`` names, by default ``shared/real`` beside the clone:
videos of github.com/intel-iot-devkit/sample-videos and, as ``nanodet.onnx``, NanoDet-m 320 as published.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sensor_sim.detection import Detection
from sensor_sim.perception import Perception
from sensor_sim.scene import load_scene
from sensorapp import wire

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("SENSORAPP_REAL") or ROOT.parent / "shared" / "real").absolute()
WEIGHTS = REAL / "nanodet.onnx"
CARD = ROOT / "fixtures" / "models" / "nanodet"
SCENES = {"one-by-one-person-detection": "table.json", "bottle-detection": "bottles.json"}

START = 1_772_355_600.0
Points = Sequence[tuple[float, float]]


def video(name: str) -> Path:
    return REAL / f"{name}.mp4"


def missing(name: str) -> str:
    """Why tests of a clip cannot run; empty where its video and the detector are there."""
    absent = [path.name for path in (video(name), WEIGHTS) if not path.is_file()]
    if not absent:
        return ""
    return (
        f"{REAL} lacks {' and '.join(absent)}: set SENSORAPP_REAL to a folder with the clips "
        f"{', '.join(f'{clip}.mp4' for clip in SCENES)} of intel-iot-devkit/sample-videos "
        f"and NanoDet-m 320 as {WEIGHTS.name}"
    )


def scene(name: str) -> wire.Scene:
    return load_scene(ROOT / "fixtures" / "scenes" / SCENES[name])


@dataclass(frozen=True)
class Clip:
    """Detections per frame; times in seconds from the beginning."""

    frames: list[tuple[float, list[Detection]]]

    @property
    def length(self) -> float:
        """Including the time for which the last frame stands."""
        return self.frames[-1][0] + self.frames[1][0] - self.frames[0][0]

    def as_it_is(self) -> Clip:
        return self

    def backwards(self) -> Clip:
        end = self.frames[-1][0]
        return Clip([(end - at, found) for at, found in reversed(self.frames)])

    def every_second(self, first: int = 0) -> Clip:
        return Clip(self.frames[first::2])

    def twice(self) -> Clip:
        return Clip(self.frames + [(at + self.length, found) for at, found in self.frames])

    def events(self, asked: wire.Scene) -> list[wire.Event]:
        perception = Perception(asked)
        events = [event for at, found in self.frames for event in perception.observe(START + at, found)]
        return events + list(perception.interrupt())


def mirrored(asked: wire.Scene) -> wire.Scene:
    """The scene for a mirror image; points keep their order, so that directions turn round."""

    def flip(points: Points) -> list[tuple[float, float]]:
        return [(1 - x, y) for x, y in points]

    plain = msgspec.to_builtins(asked)
    for line in plain["lines"]:
        line["points"] = flip(line["points"])
    for channel in (*plain["zones"], *plain["slots"]):
        channel["polygon"] = flip(channel["polygon"])
    return wire.convert(plain, wire.Scene)


def with_score(asked: wire.Scene, score: float) -> wire.Scene:
    return msgspec.structs.replace(asked, detect=msgspec.structs.replace(asked.detect, score=score))


def shifted(asked: wire.Scene, x: float, y: float) -> wire.Scene:
    """All lines and zones moved by fractions of the picture, and cut to it."""

    def move(points: Points) -> list[tuple[float, float]]:
        return [(min(max(a + x, 0.0), 1.0), min(max(b + y, 0.0), 1.0)) for a, b in points]

    plain = msgspec.to_builtins(asked)
    for line in plain["lines"]:
        line["points"] = move(line["points"])
    for zone in plain["zones"]:
        zone["polygon"] = move(zone["polygon"])
    return wire.convert(plain, wire.Scene)
