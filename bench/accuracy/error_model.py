"""The error model of a simulated sensor, as measured: what ``sensor_sim fleet`` draws its errors from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from bench.accuracy import figures
from bench.accuracy.figures import Compared, Matched

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_UNITS = 5  # errors of a reading beyond so many units are counted as so many


def error_model(
    measured_with: str, entrances: dict[str, list[Compared]], shelves: list[Compared]
) -> dict[str, Any]:
    """``sensor_sim/fleet/errors.json``; ``entrances`` is keyed by density."""
    return {
        "measured_with": measured_with,
        "crossing": {density: _crossing(compared) for density, compared in entrances.items()},
        "visit": _visit(list(chain.from_iterable(entrances.values()))),
        "shelf": _shelf(shelves),
    }


def _crossing(compared: list[Compared]) -> dict[str, Any]:
    return _shares(figures.crossings(compared))


def _visit(compared: list[Compared]) -> dict[str, Any]:
    matched = figures.stays(compared)
    off = [told.what[2] - true[2] for true, told in matched.pairs]
    return _shares(matched) | {"dwell_error_ms": _quantiles(off)}


def _shelf(compared: list[Compared]) -> dict[str, Any]:
    both = np.concatenate([figures.readings(one) for one in compared])
    off = np.clip(both[:, 1] - both[:, 0], -MOST_UNITS, MOST_UNITS)
    units, times = np.unique(off, return_counts=True)
    dated = [one._replace(told=[t._replace(at=t.what.at) for t in one.told]) for one in compared]
    late, _ = figures.delays(dated, empty=False)
    return {
        "error_units": {str(unit): _share(count, len(off)) for unit, count in zip(units, times, strict=True)},
        "delay_ms": _quantiles(late),
    }


def _shares(matched: Matched) -> dict[str, Any]:
    """What is told too often is taken to be something that was told twice."""
    return {
        "missed": _share(len(matched.missed), matched.true),
        "double": _share(len(matched.extra), matched.true),
    }


def _share(count: int, of: int) -> float:
    return round(count / of, 5) if of else 0.0


def _quantiles(seconds: Sequence[float]) -> list[int]:
    """In milliseconds."""
    return [round(1000 * q) for q in np.quantile(seconds or [0.0], QUANTILES)]
