"""The sources of pixels on the command line, and the options that only some of them know.

OpenCV is imported when it is needed, so that the other commands start without it.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensor_sim.detection import Box
from sensor_sim.errors import SensorError
from sensor_sim.pixels import Rectangle
from sensor_sim.stop import Stop
from sensor_sim.streams import first

if TYPE_CHECKING:
    from sensor_sim.pixels import Source
    from sensor_sim.pixels.rendered import Happening, World

# Images farther apart than two seconds would each be an interruption of their own (see ``pipeline``).
LEAST_RATE, MOST_RATE = 0.5, 240.0
# How many people, compared with a usual day.
DENSITIES = {"low": 0.3, "normal": 1.0, "crowd": 3.0}
# What the contract takes as an event's time, but for the century's last year, so that there is time to watch.
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2000, 2099))
WORLD_S = 60.0  # how long a rendered scene is watched if nobody says it
BANDS = 3  # parts of a rendered frame that the rolling shutter exposes one after the other

SOURCES = ("video", "camera", "images", "world", "picamera")
PIXELS = ("video", "camera", "images", "world")
# The sources for which an option has a meaning, and what it is where it is not given.
OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "start": (("video", "images", "world"), None),
    "rate": (("images",), 1.0),
    "region": (PIXELS, None),
    "threads": (PIXELS, 1),
    "ambient": (PIXELS, 25.0),
    "weights": (PIXELS, None),
    "seed": (("world",), 0),
    "density": (("world",), "normal"),
    "mode": (("world",), "binned"),
    "truth": (("world",), None),
}


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """One of the sources must be named; ``--picamera`` is no source of pixels, see ``picamera``."""
    pixels = parser.add_mutually_exclusive_group(required=True)
    pixels.add_argument("--video", type=Path, metavar="FILE", help="a video file that FFmpeg can read")
    pixels.add_argument("--camera", metavar="DEVICE", help="a V4L2 camera: 0, 1, … or /dev/video0")
    pixels.add_argument(
        "--images", type=Path, metavar="DIR", help="a folder of images, in order of name or number"
    )
    pixels.add_argument("--world", choices=("entrance", "shelf"), help="a rendered scene")
    pixels.add_argument(
        "--picamera",
        type=Path,
        metavar="RPK",
        help="a Raspberry Pi AI Camera that runs this network; --model needs only its card",
    )
    parser.add_argument(
        "--start",
        type=_moment,
        metavar="TIME",
        help="when the video, the images or the world began, ISO 8601, UTC unless it says otherwise "
        "(default: so that they end now)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        help=f"how long (default: to the source's end; {WORLD_S:g} of a rendered scene)",
    )
    parser.add_argument("--rate", type=_rate, metavar="FPS", help="images a second of --images (default 1)")
    parser.add_argument(
        "--region",
        type=_region,
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        help="what the network sees, in pixels of the whole 4056x3040 (default: all that is read)",
    )
    parser.add_argument("--threads", type=_threads, help="threads for the network (default 1)")
    parser.add_argument(
        "--ambient",
        type=_celsius,
        metavar="CELSIUS",
        help="temperature around the simulated chip, which stops at 80 degrees of its own and goes on below 75; more "
        "than -20 (default 25)",
    )
    _add_world_arguments(parser)


def _add_world_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rendered scenes")
    group.add_argument(
        "--seed", type=_seed, metavar="NUMBER", help="another seed is another shop (default 0)"
    )
    group.add_argument("--density", choices=DENSITIES, help="how many people come (default normal)")
    group.add_argument(
        "--mode",
        choices=("full", "binned", "video"),
        help="readout mode: 4056x3040 at 10 frames a second, 2028x1520 at 30, 3840x2160 at 60 (default binned)",
    )
    group.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="write what truly happened, as events are printed; not with --scene",
    )


def settle_options(arguments: argparse.Namespace) -> None:
    """Fill in what is not given; raises :class:`SensorError` for what means nothing to the source."""
    source = next(name for name in SOURCES if getattr(arguments, name) is not None)
    for option, (sources, default) in OPTIONS.items():
        if getattr(arguments, option) is None:
            setattr(arguments, option, default)
        elif source not in sources:
            others = " or ".join(f"--{name}" for name in sources)
            raise SensorError(f"--{option}: it means nothing to --{source}; leave it out or give {others}")


def open_world(arguments: argparse.Namespace) -> World | None:
    """The rendered world, if the arguments name one."""
    if arguments.world is None:
        return None
    if arguments.seconds is None:
        arguments.seconds = WORLD_S
    if arguments.start is None:
        arguments.start = time.time() - arguments.seconds
    if arguments.world == "shelf":
        from sensor_sim.pixels.rendered.shelf import Shelf

        return Shelf(arguments.seed, arguments.start, DENSITIES[arguments.density])
    from sensor_sim.pixels.rendered.entrance import Entrance

    return Entrance(arguments.seed, arguments.start, arguments.density)


def seen(arguments: argparse.Namespace) -> Box:
    """What is read of the picture and looked at, in fractions of it; raises :class:`SensorError` if that is nothing."""
    from sensor_sim.pixels.imx500 import ARRAY, MODES

    read = MODES[arguments.mode].window if arguments.world else ARRAY
    parts = (read, arguments.region or ARRAY)
    box = Box(
        max(part.left for part in parts) / ARRAY.width,
        max(part.top for part in parts) / ARRAY.height,
        min(part.left + part.width for part in parts) / ARRAY.width,
        min(part.top + part.height for part in parts) / ARRAY.height,
    )
    if box.width <= 0 or box.height <= 0:
        raise SensorError(
            f"--region: --mode {arguments.mode} reads nothing there; choose another region or mode"
        )
    return box


def open_source(
    arguments: argparse.Namespace,
    world: World | None,
    stop: Stop,
    tell: Callable[[Happening], None],
) -> Source:
    """The frames of what the arguments name; raises :class:`SensorError`."""
    import cv2

    from sensor_sim.pixels.array import Rendered
    from sensor_sim.pixels.camera import Camera
    from sensor_sim.pixels.folder import ImageFolder
    from sensor_sim.pixels.imx500 import MODES
    from sensor_sim.pixels.video import VideoFile

    cv2.setNumThreads(arguments.threads)
    if world is not None:
        return Rendered(
            world,
            MODES[arguments.mode],
            start=arguments.start,
            seconds=arguments.seconds,
            seed=arguments.seed,
            bands=BANDS,
            tell=tell,
        )
    source: Source
    if arguments.images is not None:
        source = ImageFolder(arguments.images, arguments.rate, arguments.start)
    elif arguments.video is not None:
        source = video = VideoFile(arguments.video, arguments.start)
        if not EARLIEST <= video.start < LATEST:
            raise SensorError(
                f"{video.path}: the file states a length of {video.duration:.0f} s, so it cannot have begun in time to "
                "end now; say with --start when it began"
            )
    else:
        source = Camera(arguments.camera, stop)
    return source if arguments.seconds is None else first(source, arguments.seconds)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ISO 8601 time such as 2026-03-01T09:00:00Z"
        ) from None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not EARLIEST <= seconds < LATEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time that an event can have; give one from 2000 to 2098"
        )
    return seconds


def _region(text: str) -> Rectangle:
    try:
        region = Rectangle(*map(int, text.split(",")))
    except (ValueError, TypeError):
        region = Rectangle(0, 0, 0, 0)
    left, top, width, height = region
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > 4056 or top + height > 3040:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no part of the picture; give LEFT,TOP,WIDTH,HEIGHT within 4056x3040, as which any picture's size "
            "counts: its middle is 1014,760,2028,1520"
        )
    return region


def _rate(text: str) -> float:
    return _number(text, LEAST_RATE, MOST_RATE, "rate")


def _seconds(text: str) -> float:
    return _number(text, 0.1, 1e6, "time in seconds")


def _number(text: str, least: float, most: float, what: str) -> float:
    number = _float(text)
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}; give {least:.9g} to {most:.9g}")
    return number


def _float(text: str) -> float:
    """What is no number is within no bounds."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _celsius(text: str) -> float:
    """A temperature in which a chip works, and one that is too hot cools down far enough to go on."""
    from sensor_sim.chip import Thermometer

    celsius = _float(text)
    if not Thermometer.LOWEST_C < celsius < Thermometer.RESUME_C:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no temperature to work in; give more than {Thermometer.LOWEST_C:g} degrees Celsius, at which "
            f"a chip stands still, and less than {Thermometer.RESUME_C:g}, below which one that was too hot goes on"
        )
    return celsius


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no seed; give a number from 0 on, of at most 18 digits"
        )
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; give 1 to 64")
    return int(text)
