"""How fast one process with one thread turns raw frames into events, beside bare ONNX Runtime.

Frames of the binned mode lie in memory. In turns, over all of them, one step after the other is run alone (the
image signal processor, the network by bare ONNX Runtime, decoding, tracking and counting), and then everything
together as `watch` runs it. Times are the processor's own, so that other programs disturb little. The goal is
30 frames a second in at most 1.3 times what the network and the image signal processor need, with tracking and
counting in less than 5 % of a frame's 33 ms.

    python -m bench.pipeline [--model PACKAGE [--weights FILE]] [--video FILE --scene FILE]

With a video its pictures are what the pixel array sees; otherwise it is the rendered entrance.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sensor_sim import pipeline
from sensor_sim.chip import Chip
from sensor_sim.isp import develop
from sensor_sim.network import Network
from sensor_sim.package import Package, load_package
from sensor_sim.perception import Perception
from sensor_sim.pixels import Frame, Raw
from sensor_sim.pixels.array import PixelArray, Rendered, drawn_size
from sensor_sim.pixels.imx500 import BINNED
from sensor_sim.pixels.rendered import View
from sensor_sim.pixels.video import VideoFile
from sensor_sim.scene import load_scene
from sensorapp import wire

import onnxruntime  # isort: skip  # sensor_sim switches its telemetry off and must come first

MODELS = Path(__file__).parents[1] / "fixtures" / "models"
FRAMES, ROUNDS, WARM_UP = 24, 9, 1
FRAME_MS = 1000 / BINNED.rate
# Time between two frames as the simulated chip sees it: enough for any network, so that each has a result.
APART_S = 0.2
START = 1_780_000_000.0


def rendered() -> tuple[list[Raw], wire.Scene]:
    """From a minute after its beginning, when people are about."""
    from sensor_sim.pixels.rendered.entrance import Entrance

    world = Entrance(1, START, "normal")
    frames = Rendered(world, start=START + 60, seconds=FRAMES / BINNED.rate)
    return [frame.image for frame in frames if isinstance(frame.image, Raw)], wire.convert(
        dict(world.scene), wire.Scene
    )


def filmed(video: Path) -> list[Raw]:
    """A second from the middle of the video, as the array would have seen it."""
    array, file = PixelArray(), VideoFile(video, start=0.0)
    later = (frame for frame in file if frame and frame.at > file.duration / 2)
    pictures = (cv2.resize(frame.image, drawn_size(BINNED)) for frame in islice(later, FRAMES))
    return [array.read_out(View(np.asarray(picture, np.uint8), 1.0, [])) for picture in pictures]


def bare(package: Package) -> Callable[[Any], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(package.weights, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tensor: session.run(None, {name: tensor})


def steps(package: Package, scene: wire.Scene, raws: list[Raw]) -> dict[str, Callable[[], Any]]:
    """Everything to be measured, by name; each runs over all frames."""
    card, network, run = package.card, Network(package), bare(package)
    asked = Perception(scene)
    tensors = [develop(raw, card.input)[0] for raw in raws]
    outputs = [run(tensor) for tensor in tensors]
    found = [card.detections(output, asked.labels, asked.least_score) for output in outputs]

    def source() -> Iterator[Frame]:
        return (Frame(START + number * APART_S, raw) for number, raw in enumerate(raws))

    def count(perception: Perception) -> list[wire.Event]:
        return [
            event
            for number, detections in enumerate(found)
            for event in perception.observe(START + number * APART_S, detections)
        ]

    def everything(perception: Perception) -> list[wire.Event]:
        chip = Chip(network, perception.labels, perception.least_score)
        return list(pipeline.events(chip.watch(source()), perception))

    print(
        f"{card.name}, {card.input.width}x{card.input.height}: {sum(map(len, found)) / len(raws):.1f} objects a frame"
    )
    return {
        "image signal processor": lambda: [develop(raw, card.input) for raw in raws],
        "bare ONNX Runtime": lambda: [run(tensor) for tensor in tensors],
        "decoding": lambda: [card.detections(output, asked.labels, asked.least_score) for output in outputs],
        "tracking and counting": lambda: count(Perception(scene)),
        "everything": lambda: everything(Perception(scene)),
    }


def measure(stages: dict[str, Callable[[], Any]], frames: int) -> dict[str, float]:
    """Milliseconds of processor time a frame of each stage, median of the rounds, which take turns."""
    took: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(WARM_UP + ROUNDS):
        for name, stage in stages.items():
            begin = time.process_time()
            stage()
            took[name].append(1000 * (time.process_time() - begin) / frames)
    return {name: statistics.median(times[WARM_UP:]) for name, times in took.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=MODELS / "people")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--scene", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    package = load_package(arguments.model, arguments.weights)
    raws, scene = (filmed(arguments.video), None) if arguments.video else rendered()
    if arguments.scene:
        scene = load_scene(arguments.scene)
    if scene is None:
        parser.error("--video needs --scene")
    ms = measure(steps(package, scene, raws), len(raws))
    print(f"ms a frame, {len(raws)} frames of the binned mode, median of {ROUNDS} rounds, one thread")
    for name, value in ms.items():
        print(f"{name:>24} {value:7.2f}")
    least = ms["bare ONNX Runtime"] + ms["image signal processor"]
    print(f"frames/s {1000 / ms['everything']:.1f}")
    print(f"everything / (bare ONNX Runtime + image signal processor) {ms['everything'] / least:.3f}")
    print(f"tracking and counting {ms['tracking and counting'] / FRAME_MS:.1%} of a frame at 30 frames/s")


if __name__ == "__main__":
    main()
