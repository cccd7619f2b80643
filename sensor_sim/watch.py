"""``python -m sensor_sim watch``: the sensor on any source of pixels.

:func:`start` gives the events as they come, with what a batch must say of them; :func:`run` prints them.
OpenCV and ONNX Runtime are imported when they are needed, so that the other commands start without them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sensor_sim.core_dumps import forbid_core_dumps
from sensor_sim.device.commands import Subparsers, add_uplink_arguments, deliver
from sensor_sim.device.outbox import OutboxError
from sensor_sim.device.slots import active_package
from sensor_sim.device.uplink import RefusedError
from sensor_sim.errors import SensorError
from sensor_sim.output import forget_output, print_line
from sensor_sim.package import Card, Package, load_package
from sensor_sim.perception import Perception
from sensor_sim.picamera import Camera, PiCamera, open_camera
from sensor_sim.scene import check_labels, check_seen, load_scene, warn_of_unseen
from sensor_sim.sources import add_source_arguments, open_source, open_world, seen, settle_options
from sensor_sim.stop import Stop, on_signals
from sensor_sim.streams import Progress, first
from sensor_sim.truth import writer
from sensorapp import wire

if TYPE_CHECKING:
    from sensor_sim.detection import Metadata
    from sensor_sim.pixels.rendered import World


class Watching(NamedTuple):
    """Everything that a taker of events must know: the events as they come, and what they rest on."""

    events: Iterator[wire.Event]
    model: str  # package digest
    config: int  # version of the scene configuration
    interval: float  # seconds between two sendings


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="measure a scene in a video, a camera or another source of pixels",
        description="Measure a scene in a source of pixels and print each event as one JSON line, "
        "or send the events to a server and print totals.",
    )
    add_source_arguments(parser)
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
        "--scene",
        type=Path,
        metavar="FILE",
        help="what to measure, and where (JSON); a rendered scene has one of its own",
    )
    add_uplink_arguments(parser, required=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the source ends or SIGINT or SIGTERM comes, 1 for a fault or a refusal."""
    stop = Stop()
    on_signals(stop.set)  # so that the last events are still given out
    try:
        watching = start(arguments, stop)
        if arguments.uplink or arguments.token_file or arguments.outbox:
            return deliver(*watching, arguments, stop)
        for event in watching.events:
            print_line(wire.encode(event))
    except (SensorError, RefusedError, OutboxError) as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the events has had enough
        forget_output()
    return 0


def start(arguments: argparse.Namespace, stop: Stop) -> Watching:
    """Get everything ready that the arguments name; raises :class:`SensorError`. ``stop`` ends the events."""
    from sensor_sim.pipeline import events

    forbid_core_dumps()
    settle_options(arguments)
    world = open_world(arguments)
    scene = _scene(arguments, world)
    model = arguments.model or active_package(arguments.slots)
    package = load_package(model, arguments.picamera or arguments.weights)
    check_labels(scene, package.card.labels)
    if arguments.picamera is None:
        read = seen(arguments)
        check_seen(scene, read)
        if arguments.scene:
            warn_of_unseen(scene, read)
    perception = Perception(scene)
    progress = Progress(sys.stderr)
    metadata = _metadata(arguments, world, package, perception, stop, progress)
    running = takewhile(lambda _: not stop.is_set(), metadata)
    told = progress.beside(events(running, perception))
    return Watching(told, package.digest, scene.version, scene.upload_interval_ms / 1000)


def _scene(arguments: argparse.Namespace, world: World | None) -> wire.Scene:
    if arguments.scene is not None:
        if arguments.truth is not None:
            raise SensorError(
                "--truth: it is of the lines, zones and slots that a rendered scene has of its own; "
                "leave it or --scene out"
            )
        return load_scene(arguments.scene)
    if world is not None:
        return wire.convert(dict(world.scene), wire.Scene)
    raise SensorError("--scene: say what to measure, and where, in a JSON file")


def _metadata(
    arguments: argparse.Namespace,
    world: World | None,
    package: Package,
    perception: Perception,
    stop: Stop,
    progress: Progress,
) -> Iterable[Metadata | None]:
    """What the chip says: a real one, or the simulated one of a source of pixels."""
    if arguments.picamera is not None:
        opener = partial(_open_camera, arguments.picamera, package.card)
        chip = PiCamera(opener, package.card, perception.labels, perception.least_score, stop)
        return chip if arguments.seconds is None else first(chip, arguments.seconds)
    from sensor_sim.chip import Chip, Thermometer
    from sensor_sim.network import Network
    from sensor_sim.pixels.imx500 import ARRAY

    source = progress.follow(open_source(arguments, world, stop, writer(arguments.truth)))
    network = Network(package, arguments.threads, arguments.region or ARRAY)
    thermometer = Thermometer(arguments.ambient)
    return Chip(network, perception.labels, perception.least_score, thermometer).watch(source)


def _open_camera(network: Path, card: Card) -> Camera:
    """What picamera2 prints meanwhile goes to stderr, as stdout is for events."""
    with redirect_stdout(sys.stderr):
        return open_camera(network, card)
