"""``python -m sensor_sim watch``: the sensor on a video or camera.

:func:`start` gives the events as they come, with what a batch must say of them; :func:`run` prints them.
OpenCV and ONNX Runtime are imported when they are needed, so that the other commands start without them.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sensor_sim.device.commands import Subparsers, add_uplink_arguments, deliver
from sensor_sim.device.outbox import OutboxError
from sensor_sim.device.slots import active_package
from sensor_sim.device.uplink import RefusedError
from sensor_sim.errors import SensorError
from sensor_sim.package import load_package
from sensor_sim.perception import Perception
from sensor_sim.scene import check_labels, load_scene
from sensorapp import wire

if TYPE_CHECKING:
    from sensor_sim.pixels import Source


class Watching(NamedTuple):
    """Everything that a taker of events must know: the events as they come, and what they rest on."""

    events: Iterator[wire.Event]
    model: str  # package digest
    config: int  # version of the scene configuration
    interval: float  # seconds between two sendings


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="measure a scene in a video or camera",
        description="Measure a scene in a video or camera and print each event as one JSON line, "
        "or send the events to a server and print totals.",
    )
    pixels = parser.add_mutually_exclusive_group(required=True)
    pixels.add_argument("--video", type=Path, metavar="FILE", help="a video file that FFmpeg can read")
    pixels.add_argument("--camera", metavar="DEVICE", help="a V4L2 camera: 0, 1, … or /dev/video0")
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--model", type=Path, metavar="PACKAGE", help="folder or zip with model.onnx and its card model.json"
    )
    model.add_argument(
        "--slots",
        type=Path,
        metavar="DIR",
        help="run the active model of the slots that deploy installs into",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="an ONNX file that stands in for the package's model.onnx, as in "
        "--model fixtures/models/nanodet --weights nanodet.onnx",
    )
    parser.add_argument(
        "--scene", type=Path, required=True, metavar="FILE", help="what to measure, and where (JSON)"
    )
    parser.add_argument(
        "--start",
        type=_moment,
        metavar="TIME",
        help="when the video began, ISO 8601, UTC unless it says otherwise (default: so that it ends now)",
    )
    parser.add_argument("--threads", type=_threads, default=1, help="threads for the network (default 1)")
    parser.add_argument(
        "--ambient",
        type=_celsius,
        default=25.0,
        metavar="CELSIUS",
        help="temperature around the simulated chip, which stops at 80 degrees of its own (default 25)",
    )
    add_uplink_arguments(parser, required=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the source ends or SIGINT or SIGTERM comes, 1 for a fault or a refusal."""
    stop = _stop_on_signals()
    try:
        watching = start(arguments, stop)
        if arguments.uplink or arguments.token_file or arguments.outbox:
            return deliver(*watching, arguments, stop)
        for event in watching.events:
            print_event(event)
    except (SensorError, RefusedError, OutboxError) as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the events has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def start(arguments: argparse.Namespace, stop: threading.Event) -> Watching:
    """Get everything ready that the arguments name; raises :class:`SensorError`. ``stop`` ends the events."""
    from sensor_sim.chip import Chip, Thermometer
    from sensor_sim.network import Network
    from sensor_sim.pipeline import events

    scene = load_scene(arguments.scene)
    package = load_package(arguments.model or active_package(arguments.slots), arguments.weights)
    check_labels(scene, package.card.labels)
    source = open_source(arguments, stop)
    network = Network(package, arguments.threads)
    running = takewhile(lambda _: not stop.is_set(), source)
    perception = Perception(scene)
    thermometer = Thermometer(arguments.ambient)
    metadata = Chip(network, perception.labels, perception.least_score, thermometer).watch(running)
    return Watching(
        events(metadata, perception), package.digest, scene.version, scene.upload_interval_ms / 1000
    )


def open_source(arguments: argparse.Namespace, stop: threading.Event) -> Source:
    import cv2

    from sensor_sim.pixels.camera import Camera
    from sensor_sim.pixels.video import VideoFile

    cv2.setNumThreads(arguments.threads)
    if arguments.video is None:
        return Camera(arguments.camera, stop)
    return VideoFile(arguments.video, arguments.start)


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


def _celsius(text: str) -> float:
    try:
        celsius = float(text)
    except ValueError:
        celsius = math.nan
    if not -60.0 <= celsius <= 120.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no temperature; give -60 to 120 degrees Celsius")
    return celsius


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; give 1 to 64")
    return int(text)
