"""Local days: where they begin and end in UTC, their buckets, and when the store is open in them.

All arithmetic is in Unix milliseconds. A local day has 92, 96 or 100 quarters of an hour where clocks
change by an hour, 94 or 98 on Lord Howe Island, and none at all where a country skipped it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from analytics.metrics import BUCKET_MS

Milliseconds = NDArray[np.int64]
Span = tuple[int, int]

# A time field cannot say 24:00.
END_OF_DAY: Final = time(23, 59)


class Hours(Protocol):
    """A row of :class:`sensorapp.fleet.models.OpeningHours`."""

    weekday: int
    opens: time
    closes: time


def to_ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


@dataclass(frozen=True, slots=True)
class LocalDay:
    """``begins_ms`` belongs to the day, ``ends_ms`` to the next; both are bounds of buckets."""

    date: date
    begins_ms: int
    ends_ms: int

    def __post_init__(self) -> None:
        if self.begins_ms % BUCKET_MS or self.ends_ms % BUCKET_MS or self.ends_ms < self.begins_ms:
            raise ValueError(
                f"{self.date}: {from_ms(self.begins_ms)} to {from_ms(self.ends_ms)} is no row of quarters "
                "of an hour; use a time zone whose offset is a multiple of 15 minutes"
            )

    @property
    def starts_ms(self) -> Milliseconds:
        return starts(self.begins_ms, self.ends_ms)

    def __len__(self) -> int:
        return (self.ends_ms - self.begins_ms) // BUCKET_MS


def starts(begins_ms: int, ends_ms: int) -> Milliseconds:
    """The beginnings of all buckets from ``begins_ms`` to before ``ends_ms``."""
    return np.arange(begins_ms, ends_ms, BUCKET_MS, dtype=np.int64)


def local_date(zone: tzinfo, at: datetime) -> date:
    return at.astimezone(zone).date()


@lru_cache(maxsize=4096)
def local_day(zone: tzinfo, day: date) -> LocalDay:
    return LocalDay(day, first_moment(zone, day), first_moment(zone, day + timedelta(days=1)))


def local_days(zone: tzinfo, first: date, last: date) -> list[LocalDay]:
    return [local_day(zone, first + timedelta(days=n)) for n in range((last - first).days + 1)]


def first_moment(zone: tzinfo, day: date) -> int:
    """The first moment of a local day.

    That is its midnight, the earlier one where midnight comes twice. Where clocks jump over midnight it is
    the moment of the jump, found by bisection between the two readings that Python gives for a time that
    does not exist (PEP 495).
    """
    midnight = datetime.combine(day, time(), zone)
    early, late = sorted(to_ms(midnight.replace(fold=fold).astimezone(UTC)) for fold in (0, 1))
    if from_ms(early).astimezone(zone).date() >= day:
        return early
    while late - early > 1:
        middle = (early + late) // 2
        if from_ms(middle).astimezone(zone).date() >= day:
            late = middle
        else:
            early = middle
    return late


def same_time_on(zone: tzinfo, at: datetime, day: date) -> int:
    """The moment of ``day`` at which clocks show what they show at ``at``, kept within the day."""
    local = at.astimezone(zone)
    moment = to_ms(datetime.combine(day, local.time(), zone).replace(fold=local.fold).astimezone(UTC))
    bounds = local_day(zone, day)
    return min(max(moment, bounds.begins_ms), bounds.ends_ms)


def open_spans(hours: Sequence[Hours], zone: tzinfo, days: Iterable[LocalDay]) -> list[Span]:
    """When the store is open on these days, in order and without overlaps.

    A store without any opening hours is always open. A closing time of 23:59 means the end of the day.
    """
    spans: list[Span] = []
    for day in days:
        if not hours:
            spans.append((day.begins_ms, day.ends_ms))
        weekday = day.date.weekday()
        spans += [on_day(span, zone, day) for span in hours if span.weekday == weekday]
    return joined(spans)


def on_day(hours: Hours, zone: tzinfo, day: LocalDay) -> Span:
    # Where a time comes twice, the store opens at the first and closes at the second.
    opens = to_ms(datetime.combine(day.date, hours.opens, zone).astimezone(UTC))
    closes = to_ms(datetime.combine(day.date, hours.closes, zone).replace(fold=1).astimezone(UTC))
    if hours.closes >= END_OF_DAY:
        closes = day.ends_ms
    return max(opens, day.begins_ms), min(closes, day.ends_ms)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans in order that neither overlap nor touch; empty ones are left out."""
    result: list[Span] = []
    for begin, end in sorted(spans):
        if end <= begin:
            continue
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return result


def overlap_ms(starts_ms: Milliseconds, begin: int, end: int) -> Milliseconds:
    """How much of each bucket lies between two moments, in milliseconds."""
    overlap: Milliseconds = np.minimum(starts_ms + BUCKET_MS, end) - np.maximum(starts_ms, begin)
    return np.maximum(overlap, 0)
