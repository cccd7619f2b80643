"""``python -m sensor_sim.training people`` (or ``shelf``): render, train, quantise, measure, pack.

Interrupt it at any time; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sensor_sim.errors import SensorError
from sensor_sim.training import NAMES, STEPS

CORES = len(os.sched_getaffinity(0))


def main(words: list[str] | None = None) -> int:
    """Exit status 0 when all is done, 1 for a fault, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sensor_sim.training", description=__doc__)
    parser.add_argument("recipe", choices=NAMES, help="which model")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="only these (default: all)")
    parser.add_argument(
        "--folder", type=Path, default=Path("var/training"), help="for pictures and checkpoints"
    )
    parser.add_argument(
        "--packages", type=Path, default=Path("fixtures/models"), help="where the package goes"
    )
    parser.add_argument("--processes", type=int, default=CORES, help=f"that draw (default {CORES})")
    arguments = parser.parse_args(words)
    try:
        from sensor_sim.training import course, recipes
    except ModuleNotFoundError as error:
        print(f"training: {error.name} is missing; install the dependency group training", file=sys.stderr)
        return 1
    recipe = recipes.RECIPES[arguments.recipe]
    folder, package = arguments.folder / recipe.name, arguments.packages / recipe.name
    try:
        course.run(course.Course(recipe, folder, package, arguments.processes), arguments.steps)
    except (SensorError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
