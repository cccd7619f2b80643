"""Traffic at a store's entrances, by quarter of an hour, local hour or local day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from analytics.counts.completeness import expected_ms, ratios, within
from analytics.counts.daily import Settings, daily_traffic, read_settings
from analytics.counts.days import LocalDay, Milliseconds, from_ms, local_day, local_days, open_spans, to_ms
from analytics.counts.reading import one_moment
from analytics.counts.visits import Passage, read_passage
from sensorapp.fleet.models import Store

Step = Literal["quarter", "hour", "day"]

# About ten thousand rows each.
MAX_DAYS: Final[dict[Step, int]] = {"quarter": 100, "hour": 400, "day": 10_000}
DAYS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Interval:
    """``entries`` and ``exits`` are None where nothing was observed; ``completeness`` is 0 to 1, or None.

    ``begins`` and ``ends`` are local times of fixed offset, so that their difference is the time between.
    """

    begins: datetime
    ends: datetime
    entries: int | None
    exits: int | None
    completeness: float | None


def read_traffic(store: Store, first: date, last: date, step: Step, at: datetime) -> list[Interval]:
    """The local days from ``first`` to ``last``, both included, as known at ``at``, without gaps.

    Where clocks change by half an hour, a local hour may last so long.
    """
    if step == "day":
        return [
            interval(store.zone, bounds.begins_ms, bounds.ends_ms, day.entries, day.exits, day.completeness)
            for day in daily_traffic(store, first, last, at)
            for bounds in [local_day(store.zone, day.date)]
        ]
    with one_moment():
        settings = read_settings(store)
        days = [day for day in local_days(store.zone, first, last) if len(day)]
        runs = [days[begin : begin + DAYS_AT_ONCE] for begin in range(0, len(days), DAYS_AT_ONCE)]
        return [row for run in runs for row in read_run(store, settings, run, step, at)]


def read_run(
    store: Store, settings: Settings, days: Sequence[LocalDay], step: Step, at: datetime
) -> Iterator[Interval]:
    passage = read_passage(store, settings.roster, days, at)
    starts = passage.starts_ms
    firsts = np.arange(len(starts)) if step == "quarter" else first_quarters(starts, store.zone)
    # A sensor whose clock runs ahead may have filled buckets that nobody can know yet.
    begun = starts <= to_ms(at)
    known = np.logical_or.reduceat(passage.known & begun, firsts).tolist()
    entries, exits = (
        np.add.reduceat(counts * begun, firsts).tolist() for counts in (passage.entries, passage.exits)
    )
    completeness = completeness_by_group(passage, store, settings, days, firsts)
    edges = [*starts[firsts].tolist(), days[-1].ends_ms]
    for place, is_known in enumerate(known):
        yield interval(
            store.zone,
            edges[place],
            edges[place + 1],
            entries[place] if is_known else None,
            exits[place] if is_known else None,
            completeness[place],
        )


def interval(
    zone: tzinfo,
    begins_ms: int,
    ends_ms: int,
    entries: int | None,
    exits: int | None,
    completeness: float | None,
) -> Interval:
    return Interval(local(begins_ms, zone), local(ends_ms, zone), entries, exits, completeness)


def local(moment_ms: int, zone: tzinfo) -> datetime:
    shown = from_ms(moment_ms).astimezone(zone)
    return shown.replace(tzinfo=timezone(shown.utcoffset() or timedelta()))


def first_quarters(starts_ms: Milliseconds, zone: tzinfo) -> NDArray[np.int64]:
    """The places of the quarters in which a local hour begins, or goes on after a change of clocks."""
    hours = [hour_of(local(start, zone)) for start in starts_ms.tolist()]
    return np.array([n for n in range(len(hours)) if n == 0 or hours[n] != hours[n - 1]], np.int64)


def hour_of(moment: datetime) -> tuple[date, int, timedelta | None]:
    return moment.date(), moment.hour, moment.utcoffset()


def completeness_by_group(
    passage: Passage, store: Store, settings: Settings, days: Sequence[LocalDay], firsts: NDArray[np.int64]
) -> list[float | None]:
    spans = open_spans(settings.hours, store.zone, days)
    expected = expected_ms(passage.starts_ms, spans, passage.duties, days[-1].ends_ms)
    observed = within(passage.observed, expected)
    return ratios(*(np.add.reduceat(times.sum(axis=0), firsts) for times in (observed, expected)))
