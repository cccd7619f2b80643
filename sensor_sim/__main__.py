"""``python -m sensor_sim``: the sensor on the command line."""

from __future__ import annotations

import argparse
import logging
import sys

from sensor_sim.device import commands as device


def main(words: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m sensor_sim", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    device.add_parser(subparsers)
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
