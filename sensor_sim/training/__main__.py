"""``python -m sensor_sim.training people`` (or ``shelf``): render, train, quantise, measure, pack.

Interrupt it at any time; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Set before the libraries are loaded that read it: one thread a process, which shares a machine best.
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))


def main(words: list[str] | None = None) -> int:
    from sensor_sim.errors import SensorError
    from sensor_sim.training import course
    from sensor_sim.training.recipes import RECIPES

    parser = argparse.ArgumentParser(prog="python -m sensor_sim.training", description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES), help="which model")
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"only these of {', '.join(course.STEPS)} (default: all)"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("var/training"), help="for pictures and checkpoints"
    )
    parser.add_argument(
        "--packages", type=Path, default=Path("fixtures/models"), help="where the package goes"
    )
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="that draw")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.steps) - set(course.STEPS):
        parser.error(f"there is no step {' or '.join(unknown)}; give some of {', '.join(course.STEPS)}")
    recipe = RECIPES[arguments.recipe]
    try:
        course.run(
            course.Course(
                recipe, arguments.folder / recipe.name, arguments.packages / recipe.name, arguments.processes
            ),
            arguments.steps or course.STEPS,
        )
    except (SensorError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
