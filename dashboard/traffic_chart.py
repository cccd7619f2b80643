"""Entries per quarter of an hour, today beside the same weekday last week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Any, Literal

from analytics.counts.snapshot import StoreSnapshot, Traffic

QUARTER_S = 15 * 60

Span = tuple[time, time]


@dataclass(frozen=True, slots=True)
class Quarter:
    """``today`` is None where it is not known, because it was not observed or is yet to come.

    ``observed`` is the share of the expected time that was observed today; None where none was expected.
    """

    start: int
    label: str
    today: int | None
    last_week: int | None
    observed: float | None
    state: Literal["known", "growing", "unknown", "to come"]

    @property
    def missing(self) -> float:
        """The share of a quarter gone by that is not known."""
        if self.state == "known":
            return 0 if self.observed is None else 1 - self.observed
        return 1 if self.state == "unknown" else 0


@dataclass(frozen=True, slots=True)
class Bar:
    day: Literal["today", "last-week"]
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Spark:
    """The chart in small, an hour a bar, in units of its own."""

    width: int
    height: int
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class TrafficChart:
    """``quarters`` follow each other without a gap; they begin and end with an hour."""

    at: datetime
    quarters: list[Quarter]

    @property
    def is_empty(self) -> bool:
        return all(quarter.today is None and quarter.last_week is None for quarter in self.quarters)

    @property
    def data(self) -> dict[str, Any]:
        """What chart.js draws; it needs no time zone, as each quarter carries its label."""
        return {
            "start": self.quarters[0].start,
            "step": QUARTER_S,
            "labels": [quarter.label for quarter in self.quarters],
            "today": [quarter.today for quarter in self.quarters],
            "lastWeek": [quarter.last_week for quarter in self.quarters],
            "missing": [round(quarter.missing, 3) for quarter in self.quarters],
        }

    @property
    def spark(self) -> Spark:
        hours = [self.quarters[i : i + 4] for i in range(0, len(self.quarters), 4)]
        last_week = [sum(quarter.last_week or 0 for quarter in hour) for hour in hours]
        today = [sum(quarter.today or 0 for quarter in hour) for hour in hours]
        most = max(*last_week, *today, 1)
        bars = [
            *(Bar("last-week", 10.0 * i, 100.0 - h, 10.0, h) for i, h in heights(last_week, most)),
            *(Bar("today", 10.0 * i + 2, 100.0 - h, 6.0, h) for i, h in heights(today, most)),
        ]
        return Spark(10 * len(hours), 100, bars)


def heights(values: Sequence[int], most: int) -> list[tuple[int, float]]:
    return [(index, round(100 * value / most, 1)) for index, value in enumerate(values) if value]


def traffic_chart(snapshot: StoreSnapshot, zone: tzinfo, hours: Sequence[Span]) -> TrafficChart:
    """The part of the day in which the store is open or somebody came; the whole day where nobody did."""
    now = int(snapshot.at.timestamp())
    last_week = by_local_time(snapshot.last_week, zone)
    quarters = []
    today = snapshot.today
    for start, entries, observed in zip(
        today.starts, today.entries, today.completeness_by_bucket, strict=True
    ):
        local = datetime.fromtimestamp(start, zone)
        before = last_week.get((local.time(), local.fold), last_week.get((local.time(), 0)))
        state = quarter_state(start, entries, now)
        quarters.append(Quarter(start, f"{local:%H:%M}", entries, before, observed, state))
    return TrafficChart(snapshot.at, shown(quarters, hours))


def by_local_time(day: Traffic, zone: tzinfo) -> dict[tuple[time, int], int | None]:
    """Days of 23 and 25 hours are compared by what the clock showed, the repeated hour by its turn."""
    values = {}
    for start, entries in zip(day.starts, day.entries, strict=True):
        local = datetime.fromtimestamp(start, zone)
        values[local.time(), local.fold] = entries
    return values


def quarter_state(
    start: int, entries: int | None, now: int
) -> Literal["known", "growing", "unknown", "to come"]:
    if start > now:
        return "to come"
    if start + QUARTER_S > now:
        return "growing"
    return "unknown" if entries is None else "known"


def shown(quarters: list[Quarter], hours: Sequence[Span]) -> list[Quarter]:
    indices = [
        index
        for index, quarter in enumerate(quarters)
        if quarter.today
        or quarter.last_week
        or any(f"{opens:%H:%M}" <= quarter.label < f"{closes:%H:%M}" for opens, closes in hours)
    ]
    if not indices:
        return quarters
    first, last = indices[0], indices[-1]
    while first > 0 and not quarters[first].label.endswith(":00"):
        first -= 1
    while last < len(quarters) - 1 and not quarters[last + 1].label.endswith(":00"):
        last += 1
    return quarters[first : last + 1]
