"""The command line: ``python -m sensor_sim watch …``."""

from __future__ import annotations

import argparse
import logging
import os
import sys

# Libraries that talk to the terminal on their own are told to be silent before they are loaded: every
# fault that matters comes back to us and is said in one sentence.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

from sensor_sim import watch
from sensor_sim.errors import SensorError


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m sensor_sim", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "watch",
        help="measure a scene in a video or camera and print each event as one JSON line",
        description="Measures a scene in a video or camera and prints each event as one JSON line.",
    )
    watch.add_arguments(command)
    command.set_defaults(run=watch.run)
    return root


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="sensor_sim: %(message)s")
    try:
        options.run(options)
    except SensorError as error:
        print(f"sensor_sim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the events has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
