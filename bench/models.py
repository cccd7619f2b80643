"""How fast the bundled models are, and what they find and count, beside NanoDet-m 320.

    python -m bench.models

Times are of one thread: the network alone, with its suppression; NanoDet's, which lies outside of its network,
is in its time too. All networks take turns on the same pictures. People are looked for in rendered pictures of
unseen worlds, and counted in the real people clip. Clip and NanoDet's weights are looked for as in tests/real;
without them only the bundled models are timed.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from sensor_sim.detection import Detection, overlap
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.perception import Perception
from sensor_sim.pixels.rendered import View
from sensor_sim.pixels.video import VideoFile
from sensor_sim.scene import load_scene
from sensor_sim.training import worlds
from sensor_sim.training.scoring import Scored, Truth, average_precision, compare, precision, recall
from sensorapp import wire

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
REAL = Path(os.environ.get("SENSORAPP_REAL") or ROOT.parent / "shared" / "real").absolute()
CLIP, WEIGHTS = REAL / "one-by-one-person-detection.mp4", REAL / "nanodet.onnx"
ROUNDS = 60
START = 1_772_355_600.0  # a sensor's clock, not 0: times are that coarse
FIRST_SEED, WORLDS, MOMENTS = 4_000_000, 25, 4
SCORE, SURE, SAME = 0.35, 0.5, 0.5
SCORES = (SCORE, 0.45)
Frames = Sequence[tuple[float, list[Detection]]]


def load() -> dict[str, Network]:
    networks = {name: Network(load_package(MODELS / name)) for name in ("people", "shelf")}
    if WEIGHTS.is_file():
        networks["nanodet"] = Network(load_package(MODELS / "nanodet", WEIGHTS))
    return networks


def time_all(networks: dict[str, Network]) -> dict[str, float]:
    """Median milliseconds a picture, decoding included."""
    picture = np.random.default_rng(0).integers(0, 256, (720, 960, 3)).astype(np.uint8)
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            before = time.process_time()
            network.detect(picture, network.card.labels, SCORE)
            times[name].append((time.process_time() - before) * 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}


def find(networks: dict[str, Network], draw: Callable[[int], Iterator[View]]) -> dict[str, list[Scored]]:
    """People in pictures of worlds of which no model has seen any."""
    scored: dict[str, list[Scored]] = {name: [] for name in networks}
    for seed in range(FIRST_SEED, FIRST_SEED + WORLDS):
        for view in islice(draw(seed), MOMENTS):
            truths = [Truth(thing.label, thing.box, thing.visible) for thing in view.things]
            for name, network in networks.items():
                detections = network.detect(view.image, {"person"}, 0.05).detections
                scored[name].append(compare(detections, truths, "person"))
    return scored


def print_found(networks: dict[str, Network]) -> None:
    for draw in (worlds.varied, worlds.entrance):
        for name, scored in find(networks, draw).items():
            found = [pair for picture in scored for pair in picture.found]
            print(
                f"{name}, {draw.__name__}: average precision {average_precision(scored):.3f}, "
                f"recall {recall(found, SCORE):.3f}, precision {precision(scored, SCORE):.3f} at {SCORE}"
            )


def watch(network: Network) -> Frames:
    frames = (frame for frame in VideoFile(CLIP, start=START) if frame)
    return [(frame.at, network.detect(frame.image, {"person"}, 0.05).detections) for frame in frames]


def counts(frames: Frames, score: float) -> Counter[str]:
    """Events of the scene by kind, channel and direction."""
    scene = load_scene(ROOT / "fixtures" / "scenes" / "table.json")
    perception = Perception(replace(scene, detect=replace(scene.detect, score=score)))
    seen: Counter[str] = Counter()
    events = [event for at, found in frames for event in perception.observe(at, found)]
    for event in (*events, *perception.interrupt()):
        if isinstance(event, wire.Crossing):
            seen[f"line {event.line} {event.direction}"] += 1
        elif isinstance(event, wire.Visit):
            seen[f"zone {event.zone} visits"] += 1
    return seen


def shared(sure: Frames, tried: Frames) -> float:
    """The share of the one's sure detections that the other has too."""
    found = [
        any(overlap(one.box, other.box) >= SAME for other in others if other.score >= SCORE)
        for (_, ones), (_, others) in zip(sure, tried, strict=True)
        for one in ones
        if one.score >= SURE
    ]
    return sum(found) / len(found)


def main() -> None:
    networks = load()
    taken = time_all(networks)
    for name, milliseconds in taken.items():
        beside = f", {milliseconds / taken['nanodet']:.2f} of NanoDet's" if "nanodet" in taken else ""
        print(f"{name}: {milliseconds:.2f} ms of one core a picture{beside}")
    if not (CLIP.is_file() and "nanodet" in networks):
        print(f"{REAL} lacks {CLIP.name} or {WEIGHTS.name}: nothing is counted")
        return
    networks.pop("shelf")
    print_found(networks)
    clips = {name: watch(network) for name, network in networks.items()}
    for name, frames in clips.items():
        for score in SCORES:
            print(f"{name} at {score}: {dict(sorted(counts(frames, score).items()))}")
    print(
        f"people, at {SCORE}, has {shared(clips['nanodet'], clips['people']):.1%} of what NanoDet is sure of "
        f"(at {SURE}); NanoDet has {shared(clips['people'], clips['nanodet']):.1%} of the other way round"
    )


if __name__ == "__main__":
    main()
