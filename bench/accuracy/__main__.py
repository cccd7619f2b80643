"""``python -m bench.accuracy``: render what is missing, count it, and print how well that went."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import get_args

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from bench.accuracy import baseline, report
from bench.accuracy.clips import clips
from bench.accuracy.counting import Counter, perceive
from bench.accuracy.error_model import error_model
from bench.accuracy.figures import Compared
from bench.accuracy.recording import RATE, Job, Place, Shelved, record_all

ROOT = Path(__file__).parents[2]
OURS = "sensorapp"
# Tuning looks at other seeds only.
HELD_OUT = range(1000, 1010)
DENSITIES: tuple[Place, ...] = tuple(place for place in get_args(Place) if place != "shelf")


def main() -> None:
    arguments = _parser().parse_args()
    seconds, seeds = arguments.minutes * 60, range(arguments.seeds[0], arguments.seeds[1] + 1)
    shelved = Shelved(arguments.folder, arguments.people, arguments.shelf)
    jobs = {place: [Job(place, seed, seconds) for seed in seeds] for place in arguments.places}
    # Seed by seed, so that whatever is done when time is up covers all places.
    _render(
        shelved,
        sorted((job for many in jobs.values() for job in many), key=itemgetter(1)),
        arguments.processes,
    )
    places = {place: _count(shelved, place, many) for place, many in jobs.items()}
    _print(places, seconds)
    print(f"\n## Real clips\n\n{clips(arguments.folder)}")
    if arguments.error_model:
        _write_error_model(arguments.error_model, places, len(seeds) * arguments.minutes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    models = ROOT / "fixtures" / "models"
    parser.add_argument("--places", nargs="+", choices=get_args(Place), default=get_args(Place))
    parser.add_argument(
        "--seeds", nargs=2, type=int, default=[HELD_OUT[0], HELD_OUT[-1]], metavar=("FIRST", "LAST")
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of each place and seed (default 2)")
    parser.add_argument("--people", type=Path, default=models / "people", help="model package for entrances")
    parser.add_argument("--shelf", type=Path, default=models / "shelf", help="model package for shelves")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "accuracy", help="where detections are kept"
    )
    parser.add_argument(
        "--error-model", type=Path, metavar="FILE", help="write sensor_sim/fleet/errors.json here"
    )
    return parser


def _render(shelved: Shelved, jobs: Sequence[Job], processes: int) -> None:
    missing = shelved.missing(jobs)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns) as progress:
        task = progress.add_task("rendering", total=len(jobs), completed=len(jobs) - len(missing))
        if missing:
            for _ in record_all(shelved, missing, processes):
                progress.advance(task)


def _counters(place: Place) -> dict[str, Counter]:
    if place == "shelf":
        return {OURS: perceive, "supervision": baseline.shelf}
    return {OURS: perceive} | {
        settings.name: lambda recording, settings=settings: baseline.people(recording, settings)
        for settings in baseline.SETTINGS
    }


def _count(shelved: Shelved, place: Place, jobs: Sequence[Job]) -> report.Counters:
    counters = _counters(place)
    found: report.Counters = {name: [] for name in counters}
    for job in track(jobs, description=f"counting {place}", transient=True):
        recording = shelved.read(job)
        for name, counter in counters.items():
            found[name].append(Compared(recording, counter(recording)))
    return found


def _print(places: dict[Place, report.Counters], seconds: float) -> None:
    entrances = {place: found for place, found in places.items() if place != "shelf"}
    if entrances:
        print(f"\n## Entries and exits, {RATE:g} frames per second\n\n{report.crossings(entrances, seconds)}")
        print(f"\n## Crossings one by one\n\n{report.single(entrances)}")
        print(f"\n## Stays in the foyer\n\n{report.stays(entrances)}")
    if "shelf" in places:
        print(f"\n## Shelf units\n\n{report.shelves(places['shelf'])}")


def _write_error_model(path: Path, places: dict[Place, report.Counters], minutes: float) -> None:
    ours = {place: found[OURS] for place, found in places.items()}
    model = error_model(
        f"python -m bench.accuracy, seeds {HELD_OUT[0]} to {HELD_OUT[-1]}, {minutes:g} minutes a density",
        {density: ours[density] for density in DENSITIES},
        ours["shelf"],
    )
    path.write_text(json.dumps(model, indent=2) + "\n")


if __name__ == "__main__":
    main()
