"""The last six weeks, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from analytics.counts.completeness import OBSERVED
from analytics.counts.daily import DayTraffic, daily_traffic
from sensorapp.fleet.models import Store

WEEKS: Final = 6
MONDAY: Final = 0


@dataclass(frozen=True, slots=True)
class TrendDay:
    """``height`` is in percent of the highest day."""

    date: date
    entries: int | None
    completeness: float | None
    height: float
    state: Literal["known", "partly", "unknown", "today"]

    @property
    def begins_week(self) -> bool:
        return self.date.weekday() == MONDAY


@dataclass(frozen=True, slots=True)
class Trend:
    days: list[TrendDay]
    most: int

    @property
    def is_empty(self) -> bool:
        return all(day.entries is None for day in self.days)


def read_trend(store: Store, at: datetime) -> Trend:
    """Whole weeks, of which the last one is the current one up to today."""
    today = at.astimezone(store.zone).date()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    return trend(daily_traffic(store, first, today, at), today)


def trend(days: Sequence[DayTraffic], today: date) -> Trend:
    most = max((day.entries or 0 for day in days), default=0)
    return Trend([trend_day(day, today, most) for day in days], most)


def trend_day(day: DayTraffic, today: date, most: int) -> TrendDay:
    height = round(100 * (day.entries or 0) / most, 1) if most else 0.0
    return TrendDay(day.date, day.entries, day.completeness, height, day_state(day, today))


def day_state(day: DayTraffic, today: date) -> Literal["known", "partly", "unknown", "today"]:
    if day.entries is None:
        return "unknown"
    if day.date == today:
        return "today"
    return "partly" if day.completeness is not None and day.completeness < OBSERVED else "known"
