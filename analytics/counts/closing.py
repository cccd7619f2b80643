"""Closing local days: their sums are kept, so that years can be read at once.

A day is closed a quarter of an hour after its end, and again when one of its buckets changed late or the
settings it was summed under changed. Nobody needs to tell: late commits leave marks
(:mod:`analytics.ingest.late`), and each closed day carries a digest of its settings.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Final, cast

from django.db import connection, transaction

from analytics.counts.daily import DayTraffic, Settings, first_date, read_settings, sum_dates
from analytics.counts.days import from_ms, local_date, local_day, local_days
from analytics.counts.models import Day
from analytics.ingest.late import take_late
from sensorapp.fleet.models import Store

CLOSE_AFTER: Final = timedelta(minutes=15)


@transaction.atomic
def close_day(store: Store, day: date) -> Day:
    """Sum an ended local day and keep it; closing it again replaces it. Raises ValueError before its end."""
    now = database_now()
    if day > last_ended(store, now):
        raise ValueError(f"date: {day} has not ended in {store.time_zone}; close it afterwards")
    lock(store)
    keep(store, read_settings(store), [day], now)
    return Day.objects.get(store=store, date=day)


def database_now() -> datetime:
    """The clock that late buckets are judged by, too, whatever the worker's own says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (now,) = cursor.fetchone()
    return cast(datetime, now)


def close_ended_days(now: datetime) -> int:
    """Close each store's ended days that are missing or outdated; returns how many.

    Each store has a transaction of its own, so that what is done stays done.
    """
    return sum(close_days_of_store(store, now) for store in Store.objects.order_by("pk"))


@transaction.atomic
def close_days_of_store(store: Store, now: datetime) -> int:
    lock(store)
    # The marks go first: what a commit marks after this it has not shown to the sums below either.
    late = take_late_dates(store)
    settings = read_settings(store)
    dates = outdated(store, settings, late, last_ended(store, now))
    keep(store, settings, dates, now)
    return len(dates)


def lock(store: Store) -> None:
    """Let one closing at a time work on a store, for an older sum must not replace a newer one."""
    Store.objects.select_for_update(no_key=True).get(pk=store.pk)


def take_late_dates(store: Store) -> set[date]:
    with connection.cursor() as cursor:
        return {local_date(store.zone, start) for start in take_late(cursor, store.pk)}


def last_ended(store: Store, now: datetime) -> date:
    return local_date(store.zone, now - CLOSE_AFTER) - timedelta(days=1)


def outdated(store: Store, settings: Settings, late: Collection[date], last: date) -> list[date]:
    first = first_date(store, settings.roster)
    if first is None:
        return []
    closed = set(Day.objects.filter(store=store, basis=settings.basis).values_list("date", flat=True))
    return [day.date for day in local_days(store.zone, first, last) if day.date not in closed - set(late)]


def keep(store: Store, settings: Settings, dates: Collection[date], now: datetime) -> None:
    rows = [row(store, settings, day, now) for day in sum_dates(store, settings, sorted(dates), now)]
    Day.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["store", "date"],
        update_fields=[
            "begins", "ends", "entries", "exits", "observed_ms", "expected_ms", "closed_at", "basis",
        ],
    )  # fmt: skip


def row(store: Store, settings: Settings, day: DayTraffic, now: datetime) -> Day:
    bounds = local_day(store.zone, day.date)
    return Day(
        store=store,
        date=day.date,
        begins=from_ms(bounds.begins_ms),
        ends=from_ms(bounds.ends_ms),
        entries=day.entries,
        exits=day.exits,
        observed_ms=day.observed_ms,
        expected_ms=day.expected_ms,
        closed_at=now,
        basis=settings.basis,
    )
