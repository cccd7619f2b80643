"""How far what was counted is from what happened.

Errors of crossings are those of sums over a quarter of an hour, as a shop looks at them. Recordings are shorter:
a quarter of an hour is put together of as many different recordings of one density, drawn at random. Confidence
intervals come from drawing whole recordings with replacement (the bootstrap; Efron and Tibshirani 1993), because
what happens within one recording hangs together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.accuracy.counting import Told
from bench.accuracy.recording import Recording
from sensor_sim.pixels.rendered import Crossed, Happening, Stayed, Stocked

QUARTER_S = 900.0
DRAWS = 1000
SETTLE_S = 2.0  # what happens so shortly before a recording's end cannot be told any more, and is left out
# People who walk through a zone are in it for about the shortest stay that counts, a second.
SURE_STAY_S = 2.0
WITHIN_S = 3.0  # a counted crossing, or the end of a stay, so many seconds from a true one may be the same

T = TypeVar("T")
Counts = NDArray[np.int64]  # recordings x (true, counted)


class Estimate(NamedTuple):
    """A figure with the 95 % confidence interval of the bootstrap."""

    value: float
    low: float
    high: float


class Compared(NamedTuple):
    """A recording with what one counter made of it."""

    recording: Recording
    told: Sequence[Told]

    def crossed(self) -> list[Crossed]:
        return [true for true in self.recording.crossed if true.at < self._settled]

    def told_crossed(self) -> list[Told]:
        return [t for t in self.told if isinstance(t.what, Crossed) and t.what.at < self._settled]

    @property
    def _settled(self) -> float:
        return self.recording.times[-1] - SETTLE_S


# --- crossings -------------------------------------------------------------------------------------


def counts(compared: Iterable[Compared], direction: str) -> Counts:
    return np.array(
        [
            (
                sum(true.direction == direction for true in one.crossed()),
                sum(told.what[2] == direction for told in one.told_crossed()),
            )
            for one in compared
        ]
    )


def bias(counted: Counts) -> Estimate | None:
    """What was counted too much (positive) or too little, as a share of what happened."""
    return _bootstrap(counted, lambda sample: float((sample[:, 1] - sample[:, 0]).sum() / sample[:, 0].sum()))


def absolute_error(counted: Counts, seconds: float) -> Estimate | None:
    """By a quarter of an hour, as a share of what happened in it, mean of all quarters of an hour."""
    many = min(math.ceil(QUARTER_S / seconds), len(counted))
    rng = np.random.default_rng(0)
    quarters = np.array([rng.permutation(len(counted))[:many] for _ in range(200)])

    def mean_error(sample: Counts) -> float:
        sums = sample[quarters].sum(axis=1)
        return float((np.abs(sums[:, 1] - sums[:, 0]) / np.maximum(sums[:, 0], 1)).mean())

    return _bootstrap(counted, mean_error)


def _bootstrap(counted: Counts, figure: Callable[[Counts], float]) -> Estimate | None:
    """Of samples in which something happened; None if there can be no such sample."""
    if not counted[:, 0].any():
        return None
    rng = np.random.default_rng(1)
    samples = (counted[rng.integers(len(counted), size=len(counted))] for _ in range(DRAWS))
    low, high = np.quantile([figure(sample) for sample in samples if sample[:, 0].any()], (0.025, 0.975))
    return Estimate(figure(counted), float(low), float(high))


# --- which is which --------------------------------------------------------------------------------


class Matched(NamedTuple):
    """Pairs of (true, told) that are the same happening, and those of either side that have no other."""

    pairs: list[tuple[Happening, Told]]
    missed: list[Happening]
    extra: list[Told]

    @property
    def true(self) -> int:
        return len(self.pairs) + len(self.missed)


def match(
    true: Sequence[Happening], told: Sequence[Told], alike: Callable[[Happening, Happening], bool]
) -> Matched:
    """Those most alike in time first, within ``WITHIN_S``."""
    near = sorted(
        (_apart(happening, t.what), i, j)
        for i, happening in enumerate(true)
        for j, t in enumerate(told)
        if abs(t.what.at - happening.at) <= WITHIN_S and alike(happening, t.what)
    )
    pair_of: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in near:
        if i not in pair_of and j not in taken:
            pair_of[i] = j
            taken.add(j)
    return Matched(
        [(true[i], told[j]) for i, j in sorted(pair_of.items())],
        [happening for i, happening in enumerate(true) if i not in pair_of],
        [t for j, t in enumerate(told) if j not in taken],
    )


def _apart(a: Happening, b: Happening) -> float:
    """Seconds from the one to the other; of stays those between their ends and between their beginnings, so that a step
    through the zone is not taken for the long stay of somebody else that ended with it."""
    apart = abs(a.at - b.at)
    if isinstance(a, Stayed) and isinstance(b, Stayed):
        apart += abs(a.at - a.dwell - (b.at - b.dwell))
    return apart


def crossings(compared: Iterable[Compared]) -> Matched:
    def alike(a: Happening, b: Happening) -> bool:
        return isinstance(a, Crossed) and isinstance(b, Crossed) and a[1:] == b[1:]

    return _together(match(one.crossed(), one.told_crossed(), alike) for one in compared)


def stays(compared: Iterable[Compared]) -> Matched:
    """Stays, of which only those of at least ``SURE_STAY_S`` can be missed, or told too many.

    Stays that the end of a recording cut short are left out: neither side knows their length.
    """

    def alike(a: Happening, b: Happening) -> bool:
        return isinstance(a, Stayed) and isinstance(b, Stayed) and a.zone == b.zone

    def sure(happening: Happening) -> bool:
        return isinstance(happening, Stayed) and happening.dwell >= SURE_STAY_S

    found = []
    for one in compared:
        end = one.recording.times[-1] - WITHIN_S
        true = [stay for stay in one.recording.stayed if stay.at < end]
        told = [t for t in one.told if isinstance(t.what, Stayed) and t.what.at < end]
        pairs, missed, extra = match(true, told, alike)
        found.append(
            Matched(
                [(happening, t) for happening, t in pairs if sure(happening)],
                [happening for happening in missed if sure(happening)],
                [t for t in extra if sure(t.what)],
            )
        )
    return _together(found)


def _together(parts: Iterable[Matched]) -> Matched:
    pairs, missed, extra = [], [], []
    for part in parts:
        pairs += part.pairs
        missed += part.missed
        extra += part.extra
    return Matched(pairs, missed, extra)


# --- shelves ---------------------------------------------------------------------------------------

SETTLING_S = 3.0  # at first nothing has had the time to come to rest; no reading is taken before


def readings(compared: Compared) -> Counts:
    """(true, read) units of every slot once a second, as is known of that moment in the end: how late it was told is a
    figure of its own. A slot that was not told yet is read as empty."""
    rows = []
    first, last = compared.recording.times[0] + SETTLING_S, compared.recording.times[-1]
    for slot in compared.recording.scene.slots:
        true = [(s.at, s.units) for s in compared.recording.stocked if s.slot == slot.id]
        read = [
            (t.what.at, t.what.units)
            for t in compared.told
            if isinstance(t.what, Stocked) and t.what.slot == slot.id
        ]
        seconds = np.arange(first, last)
        rows.append(np.stack([_at(true, seconds), _at(read, seconds)], axis=1))
    return np.concatenate(rows)


def _at(steps: Sequence[tuple[float, int]], seconds: NDArray[np.float64]) -> Counts:
    """The value of a step function at these times; 0 before its first step."""
    places = np.searchsorted([at for at, _ in steps], seconds, side="right")
    return np.array([0, *(units for _, units in steps)])[places]


def delays(compared: Iterable[Compared], empty: bool) -> tuple[list[float], int]:
    """Seconds until a true change was told, and how many never were before the next change.

    With ``empty`` only of slots that ran out of stock.
    """
    seconds, never = [], 0
    for one in compared:
        for slot in one.recording.scene.slots:
            true = [s for s in one.recording.stocked if s.slot == slot.id]
            ends = [*(s.at for s in true[1:]), one.recording.times[-1]]
            for (before, now), until in zip(pairwise(true), ends[1:], strict=True):
                if empty and not (before.units and not now.units):
                    continue
                if (delay := _delay(one.told, now, until)) is None:
                    never += 1
                else:
                    seconds.append(delay)
    return seconds, never


def _delay(told: Sequence[Told], now: Stocked, until: float) -> float | None:
    """When the slot was known to hold these units; at once if it already was said to."""
    said = [t for t in told if isinstance(t.what, Stocked) and t.what.slot == now.slot]
    before = [t for t in said if t.at <= now.at]
    if before and before[-1].what[2] == now.units:
        return 0.0
    return next((t.at - now.at for t in said if now.at < t.at <= until and t.what[2] == now.units), None)
