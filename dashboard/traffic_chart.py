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
    """``today`` is None where it is not known, because it was not observed or is yet to come."""

    start: int
    label: str
    today: int | None
    last_week: int | None
    state: Literal["known", "growing", "unknown", "to come"]


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
            "unknown": [index for index, quarter in enumerate(self.quarters) if quarter.state == "unknown"],
        }


def traffic_chart(snapshot: StoreSnapshot, zone: tzinfo, hours: Sequence[Span]) -> TrafficChart:
    """The part of the day in which the store is open or somebody came; the whole day where nobody did."""
    now = int(snapshot.at.timestamp())
    last_week = by_local_time(snapshot.last_week, zone)
    quarters = []
    for start, entries in zip(snapshot.today.starts, snapshot.today.entries, strict=True):
        local = datetime.fromtimestamp(start, zone)
        before = last_week.get((local.time(), local.fold), last_week.get((local.time(), 0)))
        state = quarter_state(start, entries, now)
        quarters.append(Quarter(start, f"{local:%H:%M}", entries, before, state))
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
