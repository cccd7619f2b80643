"""A store's local days, one number each: from closed days where there are, from buckets where not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

from analytics.counts.buckets import first_start
from analytics.counts.completeness import ratio
from analytics.counts.days import Hours, LocalDay, local_date, local_days, open_spans
from analytics.counts.models import Day
from analytics.counts.reading import one_moment
from analytics.counts.roster import Roster, read_roster
from analytics.counts.visits import Passage, read_passage
from analytics.ingest.late import late_starts
from analytics.metrics import BACKWARD, FORWARD, OBSERVED
from sensorapp.fleet.models import Store

# So many days are read from buckets at once: about 100 000 rows at ten entrance sensors.
DAYS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class DayTraffic:
    """A local day at the entrances. ``entries`` and ``exits`` are None where nothing was observed."""

    date: date
    entries: int | None
    exits: int | None
    observed_ms: int
    expected_ms: int

    @property
    def completeness(self) -> float | None:
        """Observed over expected time, 0 to 1; None where nothing was expected."""
        return ratio(self.observed_ms, self.expected_ms)


@dataclass(frozen=True, slots=True)
class Settings:
    """What days are summed under, besides their buckets."""

    roster: Roster
    hours: Sequence[Hours]
    basis: str


def daily_traffic(store: Store, first: date, last: date, at: datetime | None = None) -> list[DayTraffic]:
    """One entry for each local day from ``first`` to ``last``, both included; the store is narrowed already.

    Days that are closed come from their rows, the others (today, late counts, changed settings) from the
    buckets, so that the answer is the same whether or not day closing has run.
    """
    at = at or timezone.now()
    with one_moment():
        settings = read_settings(store)
        closed = {
            day.date: DayTraffic(day.date, day.entries, day.exits, day.observed_ms, day.expected_ms)
            for day in Day.objects.filter(store=store, date__range=(first, last), basis=settings.basis)
        }
        for late in late_dates(store):
            closed.pop(late, None)
        begin = first_date(store, settings.roster)
        end = local_date(store.zone, at)
        dates = (first + timedelta(days=n) for n in range((last - first).days + 1))
        nothing = {day: DayTraffic(day, None, None, 0, 0) for day in dates}
        missing = [day for day in nothing if day not in closed and begin and begin <= day <= end]
        computed = {day.date: day for day in sum_dates(store, settings, missing, at)}
    return [*(nothing | closed | computed).values()]


def read_settings(store: Store) -> Settings:
    roster, hours = read_roster(store), list(store.opening_hours.all())
    return Settings(roster, hours, basis(store, roster, hours))


def basis(store: Store, roster: Roster, hours: Sequence[Hours]) -> str:
    """A digest of the settings: a closed day that carries another one was summed under other settings."""
    parts = [
        store.time_zone,
        sorted((span.weekday, str(span.opens), str(span.closes)) for span in hours),
        sorted((line.id, line.entry_direction, str(line.retired_at)) for line in roster.entrance_lines),
        sorted(
            (sensor.id, str(sensor.first_observed), str(sensor.revoked_at))
            for sensor in (roster.sensors[line.sensor_id] for line in roster.entrance_lines)
        ),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def first_date(store: Store, roster: Roster) -> date | None:
    """The first local day of which anything is known; None where nothing ever was."""
    lines = roster.entrance_lines
    channels = {line.id for line in lines} | {roster.sensors[line.sensor_id].device for line in lines}
    first = first_start(store, channels, (FORWARD, BACKWARD, OBSERVED))
    return local_date(store.zone, first) if first else None


def late_dates(store: Store) -> set[date]:
    """The local days in which buckets changed since they were closed."""
    with connection.cursor() as cursor:
        return {local_date(store.zone, start) for start in late_starts(cursor, store.pk)}


def sum_dates(store: Store, settings: Settings, dates: Sequence[date], at: datetime) -> Iterator[DayTraffic]:
    """Sum local days from the buckets; one query for each run of up to :data:`DAYS_AT_ONCE` days."""
    for run in runs(sorted(dates)):
        days = local_days(store.zone, run[0], run[-1])
        passage = read_passage(store, settings.roster, days, at)
        for day in days:
            yield sum_day(passage.of_day(day), day, store, settings)


def sum_day(passage: Passage, day: LocalDay, store: Store, settings: Settings) -> DayTraffic:
    spans = open_spans(settings.hours, store.zone, [day])
    known = bool(passage.known.any())
    return DayTraffic(
        day.date,
        int(passage.entries.sum()) if known else None,
        int(passage.exits.sum()) if known else None,
        *passage.times(spans, day.ends_ms),
    )


def runs(dates: Sequence[date]) -> Iterator[list[date]]:
    """Cut sorted dates into runs without a gap, none longer than :data:`DAYS_AT_ONCE`."""
    run: list[date] = []
    for day in dates:
        if run and (day - run[-1] != timedelta(days=1) or len(run) == DAYS_AT_ONCE):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
