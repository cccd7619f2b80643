"""``python -m bench.accuracy``: render what is missing, count it, and print how well that went."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import get_args

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track

from bench.accuracy import report
from bench.accuracy.clips import clips
from bench.accuracy.counters import OURS, count_all
from bench.accuracy.error_model import error_model
from bench.accuracy.figures import SURE_STAY_S, Compared
from bench.accuracy.recording import RATE, Job, Place, Shelved, record_all

ROOT = Path(__file__).parents[2]
# Tuning looks at other seeds only. At each density there are more than a thousand people each way: of a few hundred, two are
# more than the half percent of bias that is to be told. At low density least is wrong, and so it takes twice as many.
HELD_OUT: dict[Place, range] = {
    "low": range(3000, 3720),
    "normal": range(3000, 3080),
    "crowd": range(3000, 3034),
    "shelf": range(3000, 3020),
}
DENSITIES: tuple[Place, ...] = tuple(place for place in get_args(Place) if place != "shelf")


def main() -> None:
    arguments = _arguments()
    seconds = arguments.minutes * 60
    seeds = {place: _seeds(arguments.seeds, place) for place in arguments.places}
    shelved = Shelved(arguments.folder, arguments.people, arguments.shelf)
    # Seed by seed, so that whatever is done when time is up covers all places.
    every = sorted(set().union(*seeds.values()))
    jobs = [Job(place, seed, seconds) for seed in every for place in seeds if seed in seeds[place]]
    _render(shelved, jobs, arguments.processes)
    places = _count(shelved, jobs, arguments.processes, arguments.supervision)
    _print(places, seconds)
    print(f"\n## Real clips\n\n{clips(arguments.folder, supervision=arguments.supervision)}")
    if arguments.error_model:
        of = ", ".join(f"{place} {some[0]} to {some[-1]}" for place, some in seeds.items())
        measured_with = f"python -m bench.accuracy, {arguments.minutes:g} minutes of each seed: {of}"
        _write_error_model(arguments.error_model, measured_with, places)


def _seeds(ends: tuple[int, int] | None, place: Place) -> range:
    return range(ends[0], ends[1] + 1) if ends else HELD_OUT[place]


def _arguments() -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.seeds and arguments.seeds[0] > arguments.seeds[1]:
        first, last = arguments.seeds
        parser.error(f"argument --seeds: {first} comes after {last}; give the lower one first")
    if not 0 < arguments.minutes < inf:
        parser.error("argument --minutes: give more than 0")
    if arguments.error_model and set(arguments.places) != set(get_args(Place)):
        parser.error("argument --error-model: it is of all places; leave out --places")
    if arguments.error_model and not arguments.error_model.parent.is_dir():
        parser.error(
            f"argument --error-model: there is no folder {arguments.error_model.parent}; make it first"
        )
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    models = ROOT / "fixtures" / "models"
    parser.add_argument("--places", nargs="+", choices=get_args(Place), default=get_args(Place))
    parser.add_argument(
        "--seeds",
        nargs=2,
        type=int,
        metavar=("FIRST", "LAST"),
        help="the same ones at all places (default: those held out, from 3000 on)",
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of each place and seed (default 2)")
    parser.add_argument("--people", type=Path, default=models / "people", help="model package for entrances")
    parser.add_argument("--shelf", type=Path, default=models / "shelf", help="model package for shelves")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--without-supervision",
        dest="supervision",
        action="store_false",
        help="count with sensorapp alone, which takes a third of the time",
    )
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


def _count(
    shelved: Shelved, jobs: Sequence[Job], processes: int, supervision: bool
) -> dict[Place, report.Counters]:
    places: dict[Place, report.Counters] = {job.place: {} for job in jobs}
    counted = count_all(shelved, jobs, processes, supervision=supervision)
    for job, told in zip(jobs, track(counted, "counting", len(jobs), transient=True), strict=True):
        recording = shelved.read(job)
        for name, happened in told.items():
            places[job.place].setdefault(name, []).append(Compared(recording, happened))
    return places


def _print(places: dict[Place, report.Counters], seconds: float) -> None:
    entrances = {place: found for place, found in places.items() if place != "shelf"}
    if entrances:
        print(f"\n## Entries and exits, {RATE:g} frames per second\n\n{report.crossings(entrances, seconds)}")
        print(f"\n## Crossings one by one\n\n{report.single(entrances)}")
        print(f"\n## Stays in the foyer of {SURE_STAY_S:g} seconds and more\n\n{report.stays(entrances)}")
    if "shelf" in places:
        print(f"\n## Shelf units\n\n{report.shelves(places['shelf'])}")


def _write_error_model(path: Path, measured_with: str, places: dict[Place, report.Counters]) -> None:
    ours = {place: found[OURS] for place, found in places.items()}
    model = error_model(measured_with, {density: ours[density] for density in DENSITIES}, ours["shelf"])
    path.write_text(json.dumps(model, indent=2) + "\n")


if __name__ == "__main__":
    main()
