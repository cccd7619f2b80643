"""``python -m sensor_sim watch``: pixels in, events out.

:func:`events` is the whole pipeline; whatever takes events (a printer here, an outbox elsewhere) iterates
over it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import cv2

from sensor_sim.errors import SensorError
from sensor_sim.health import Pulse
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.perception import Perception
from sensor_sim.pixels import Source
from sensor_sim.pixels.camera import Camera
from sensor_sim.pixels.video import VideoFile
from sensor_sim.scene import check_labels, load_scene
from sensorapp import wire

log = logging.getLogger(__name__)

# Frames farther apart than this many seconds are an interruption: too much may have happened in between.
LONGEST_GAP_S = 2.0

Sink = Callable[[wire.Event], None]


def events(source: Source, network: Network, scene: wire.Scene) -> Iterator[wire.Event]:
    """The events of a scene as they happen.

    The last ones are those of the end: visits cut short and a final heartbeat. Raises
    :class:`SensorError` after them if the source broke off.
    """
    check_labels(scene, network.card.labels)
    perception, pulse = Perception(scene), Pulse()
    last: float | None = None
    failure: SensorError | None = None
    try:
        for frame in source:
            if last is not None and (frame is None or not 0 < frame.at - last <= LONGEST_GAP_S):
                yield from _interrupt(perception, pulse)
            last = frame.at if frame else None
            if frame:
                found, dnn_us = network.detect(frame.image, perception.labels, perception.least_score)
                yield from perception.observe(frame.at, found)
                heartbeat = pulse.beat(frame.at, dnn_us)
                if heartbeat:
                    yield heartbeat
    except SensorError as error:
        failure = error
    yield from _interrupt(perception, pulse)
    if failure:
        raise failure


def _interrupt(perception: Perception, pulse: Pulse) -> Iterator[wire.Event]:
    yield from perception.interrupt()
    heartbeat = pulse.interrupt()
    if heartbeat:
        yield heartbeat


# --- the command -----------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pixels = parser.add_mutually_exclusive_group(required=True)
    pixels.add_argument("--video", type=Path, metavar="FILE", help="a video file that FFmpeg can read")
    pixels.add_argument("--camera", metavar="DEVICE", help="a V4L2 camera: 0, 1, … or /dev/video0")
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="PACKAGE",
        help="folder or zip with model.onnx and its card model.json",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="use this ONNX file instead of the package's model.onnx, for instance "
        "--model fixtures/models/nanodet --weights nanodet.onnx",
    )
    parser.add_argument(
        "--scene", type=Path, required=True, metavar="SCENE.json", help="what to measure, and where"
    )
    parser.add_argument(
        "--start",
        type=_moment,
        metavar="TIME",
        help="when the video began, ISO 8601, UTC unless it says otherwise (default: so that it ends now)",
    )
    parser.add_argument("--threads", type=_threads, default=1, help="threads for the network (default 1)")


def run(options: argparse.Namespace, sink: Sink | None = None) -> None:
    """Watch until the source ends or SIGINT or SIGTERM comes; each event goes to ``sink`` (default: stdout).

    Raises :class:`SensorError`.
    """
    sink = sink or print_event
    scene = load_scene(options.scene)
    cv2.setNumThreads(options.threads)
    package = load_package(options.model, options.weights)
    network = Network(package, options.threads)
    log.info("model %s, %s", package.card.name, package.digest)
    stop = _stop_on_signals()
    source = takewhile(lambda _: not stop.is_set(), open_source(options, stop))
    for event in events(source, network, scene):
        sink(event)


def open_source(options: argparse.Namespace, stop: threading.Event) -> Source:
    if options.video is None:
        return Camera(options.camera, stop)
    return VideoFile(options.video, options.start)


def print_event(event: wire.Event) -> None:
    sys.stdout.buffer.write(wire.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def _stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set, so that the last events are still given out."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ISO 8601 time such as 2026-03-01T09:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; give 1 to 64")
    return int(text)
