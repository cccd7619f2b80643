"""The tables of an accuracy run, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from bench.accuracy import figures
from bench.accuracy.figures import Compared, Estimate

DIRECTIONS = {"forward": "entries", "backward": "exits"}
Counters = dict[str, list[Compared]]  # by the name of the counter


def crossings(places: dict[str, Counters], seconds: float) -> str:
    """One row a density, direction and counter."""
    rows = []
    for density, counters in places.items():
        for direction, word in DIRECTIONS.items():
            for name, compared in counters.items():
                counts = figures.counts(compared, direction)
                true, counted = counts.sum(axis=0)
                rows.append(
                    [density, word, name, f"{true}", f"{counted}", _percent(figures.bias(counts), signed=True),
                     _percent(figures.absolute_error(counts, seconds))]
                )  # fmt: skip
    head = ["density", "", "counter", "true", "counted", "signed bias", "absolute error by 15 min"]
    return table(head, rows)


def single(places: dict[str, Counters]) -> str:
    """Crossings one by one: missed and counted too often, and how late they are told."""
    rows = []
    for density, counters in places.items():
        for name, compared in counters.items():
            matched = figures.crossings(compared)
            late = [told.at - true.at for true, told in matched.pairs]
            rows.append(
                [density, name, f"{matched.true}", _share(len(matched.missed), matched.true),
                 _share(len(matched.extra), matched.true), _seconds(late)]
            )  # fmt: skip
    return table(["density", "counter", "true", "missed", "extra", "told after (median, 95 %)"], rows)


def stays(places: dict[str, Counters]) -> str:
    rows = []
    for density, counters in places.items():
        for name, compared in counters.items():
            matched = figures.stays(compared)
            off = [abs(told.what[2] - true[2]) for true, told in matched.pairs]
            rows.append(
                [density, name, f"{matched.true}", _share(len(matched.missed), matched.true),
                 _share(len(matched.extra), matched.true), _seconds(off)]
            )  # fmt: skip
    return table(["density", "counter", "true", "missed", "extra", "error of the stay (median, 95 %)"], rows)


def shelves(counters: Counters) -> str:
    rows = []
    for name, compared in counters.items():
        off = np.concatenate([np.abs(np.diff(figures.readings(one), axis=1)) for one in compared])
        changes, _ = figures.delays(compared, empty=False)
        empty, never = figures.delays(compared, empty=True)
        rows.append(
            [name, f"{len(off)}", f"{(off <= 1).mean():.2%}", f"{(off == 0).mean():.2%}", f"{off.mean():.3f}",
             _seconds(changes), f"{len(empty)} of {len(empty) + never}", _seconds(empty)]
        )  # fmt: skip
    head = ["counter", "readings", "within ±1", "exact", "mean absolute error", "change told after (median, 95 %)",
            "out of stock noticed", "after (median, 95 %)"]  # fmt: skip
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _percent(estimate: Estimate | None, *, signed: bool = False) -> str:
    if estimate is None:
        return "–"
    sign = "+" if signed else ""
    return "{:{s}.2%} ({:{s}.2%} … {:{s}.2%})".format(*estimate, s=sign)


def _share(count: int, of: int) -> str:
    return f"{count / of:.2%}" if of else "–"


def _seconds(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return "{:.2f} s, {:.2f} s".format(*np.quantile(values, (0.5, 0.95)))
