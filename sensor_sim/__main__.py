"""``python -m sensor_sim``: the sensor on the command line."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys

if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # while it is loaded, Ctrl-C ends it without a word
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.stderr is None:  # it was closed: else complaints would stand among the events
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")

# Libraries that talk to the terminal on their own are told to be silent before they are loaded: every
# fault that matters comes back to us and is said in one sentence.
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

from sensor_sim import deploy, report, watch
from sensor_sim.device import commands as device
from sensor_sim.fleet import commands as fleet


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(
        prog="python -m sensor_sim", description="The sensor on the command line."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    watch.add_parser(subparsers)
    report.add_parser(subparsers)
    deploy.add_parser(subparsers)
    device.add_parser(subparsers)
    fleet.add_parser(subparsers)
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:  # of a command that has nothing to bring to an end
        return deploy.INTERRUPTED


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
