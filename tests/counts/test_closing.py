"""Closed days against a ledger, and that nothing that comes late is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.counts.closing import close_day, close_ended_days
from analytics.counts.daily import DayTraffic, daily_traffic, runs
from analytics.counts.days import to_ms
from analytics.counts.models import Day
from analytics.counts.tasks import close_days
from sensorapp import wire
from sensorapp.fleet.models import Channel, OpeningHours, Store
from tests.cast import Cast, build_cast, make_door, open_daily
from tests.counts.site import MINUTE, Ledger, count, crossing, send, utc, watching

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 10, 22), date(2026, 10, 27)
HOUR = 3_600_000


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def history(store: Store, random: Random) -> Ledger:
    """Two doors over the days around the end of summer time: one of them is away for hours at random."""
    ledger = Ledger()
    zone = ZoneInfo(store.time_zone)
    begin = datetime.combine(FIRST, time(6), zone).astimezone(UTC)
    end = datetime.combine(LAST, time(22), zone).astimezone(UTC)
    open_daily(store, time(8), time(20), weekdays=range(6))
    for name, inwards in (("east", "forward"), ("west", "backward")):
        events: list[wire.Event] = []
        moment = begin
        while moment < end:
            hour = moment + timedelta(hours=1)
            if name == "east" or random.random() < 0.8:
                events += watching(moment, hour, 5 * MINUTE)
                events += [
                    crossing(
                        moment + timedelta(seconds=random.uniform(0, 3599)),
                        random.choice(["forward", "backward"]),
                    )
                    for _ in range(random.randrange(4))
                ]
            moment = hour
        door = make_door(store, name, inwards)
        ledger.note(door, events, inwards)
        send(door, events)
    return ledger


def expected_days(store: Store, ledger: Ledger, dates: Sequence[date]) -> list[DayTraffic]:
    return [expected_day(ZoneInfo(store.time_zone), ledger, day) for day in dates]


def expected_day(zone: ZoneInfo, ledger: Ledger, day: date) -> DayTraffic:
    def moment(day: date, hour: int) -> int:
        return to_ms(datetime.combine(day, time(hour), zone).astimezone(UTC))

    begin, end = moment(day, 0), moment(day + timedelta(days=1), 0)
    times = ledger.times(moment(day, 8), moment(day, 20)) if day.weekday() < 6 else (0, 0)
    return DayTraffic(day, count(ledger.entered, begin, end), count(ledger.left, begin, end), *times)


def closed_days(store: Store) -> list[DayTraffic]:
    return [
        DayTraffic(day.date, day.entries, day.exits, day.observed_ms, day.expected_ms)
        for day in Day.objects.filter(store=store).order_by("date")
    ]


def dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_days_are_closed_as_the_ledger_says(cast: Cast) -> None:
    """Three zones: one changes its clocks on the 25th, one has half an hour, one is nearly a day ahead."""
    stores = [cast.store, cast.other_store, cast.foreign_store]
    ledgers = {store: history(store, Random(store.slug)) for store in stores}
    # Hamburg's 27th ends at 23:00 UTC, Pune's and Sydney's ended before; so did Sydney's 28th, of which
    # nothing is known but that it was.
    now = utc("2026-10-27T23:10")
    wanted = {
        store: expected_days(store, ledgers[store], dates(FIRST, last))
        for store, last in zip(stores, (date(2026, 10, 26), LAST, LAST), strict=True)
    }
    assert close_ended_days(now) == 5 + 6 + 6
    assert {store: closed_days(store) for store in stores} == wanted
    assert close_ended_days(now) == 0
    assert close_ended_days(now + timedelta(minutes=4, seconds=59)) == 0
    assert close_ended_days(now + timedelta(minutes=5)) == 1
    wanted[cast.store] = expected_days(cast.store, ledgers[cast.store], dates(FIRST, LAST))
    assert {store: closed_days(store) for store in stores} == wanted
    assert Day.objects.count() == 18


def test_bounds_of_a_day_of_25_hours(cast: Cast) -> None:
    history(cast.store, Random(1))
    day = close_day(cast.store, date(2026, 10, 25))
    assert (day.begins, day.ends) == (utc("2026-10-24T22:00"), utc("2026-10-25T23:00"))


def test_a_store_nothing_was_heard_of_has_no_days(cast: Cast) -> None:
    make_door(cast.store)
    assert close_ended_days(utc("2026-10-27T23:10")) == 0


def test_a_day_nothing_was_observed_on_is_not_known(cast: Cast) -> None:
    door = make_door(cast.store)
    open_daily(cast.store, time(9), time(18))
    send(
        door, [*watching(utc("2026-10-20T08:00"), utc("2026-10-20T09:00")), crossing(utc("2026-10-20T08:30"))]
    )
    close_ended_days(utc("2026-10-22T23:00"))
    assert closed_days(cast.store) == [
        DayTraffic(date(2026, 10, 20), 1, 0, HOUR, 8 * HOUR),
        DayTraffic(date(2026, 10, 21), None, None, 0, 9 * HOUR),
        DayTraffic(date(2026, 10, 22), None, None, 0, 9 * HOUR),
    ]
    assert [day.completeness for day in closed_days(cast.store)] == [1 / 8, 0.0, 0.0]


def test_a_late_event_closes_its_day_again_and_no_other(cast: Cast) -> None:
    ledger = history(cast.store, Random(2))
    now = utc("2026-10-28T12:00")
    close_ended_days(now)
    before = closed_days(cast.store)
    late = [crossing(utc("2026-10-23T10:00")), crossing(utc("2026-10-23T10:01"), "backward")]
    door = cast.store.sensors.get(name="east")
    ledger.note(door, late)
    send(door, late)
    assert daily_traffic(cast.store, FIRST, LAST, now) == expected_days(
        cast.store, ledger, dates(FIRST, LAST)
    )
    assert closed_days(cast.store) == before
    assert close_ended_days(now) == 1
    assert closed_days(cast.store) == expected_days(cast.store, ledger, dates(FIRST, LAST))
    assert close_ended_days(now) == 0


def test_an_event_in_time_leaves_no_mark(cast: Cast) -> None:
    door = make_door(cast.store)
    now = datetime.now(UTC)
    send(door, [crossing(now)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_late_bucket")
        assert cursor.fetchone() == (0,)


def test_a_commit_that_is_open_while_days_are_closed_is_not_lost(
    other_connection: psycopg.Connection,
) -> None:
    """Its change and its mark become visible together, after the sums were made."""
    store = build_cast().store
    send(make_door(store), [crossing(utc("2026-10-23T10:00"))])
    now = utc("2026-10-24T12:00")
    assert close_ended_days(now) == 1
    other_connection.execute("UPDATE ingest_bucket SET value = value + 5 WHERE metric = 1")
    other_connection.execute("INSERT INTO ingest_late_bucket VALUES (%s, '2026-10-23T10:00Z')", [store.pk])
    assert close_ended_days(now) == 0
    other_connection.commit()
    assert close_ended_days(now) == 1
    assert closed_days(store) == [DayTraffic(date(2026, 10, 23), 6, 0, 0, 0)]


def test_closing_waits_for_another_closing_of_the_same_store(other_connection: psycopg.Connection) -> None:
    store = build_cast().store
    other_connection.execute("SELECT FROM fleet_store WHERE id = %s FOR NO KEY UPDATE", [store.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
    try:
        with pytest.raises(Exception, match="lock timeout"):
            close_ended_days(utc("2026-10-24T12:00"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


def change_direction(store: Store) -> None:
    Channel.objects.filter(sensor__store=store, kind="line").update(entry_direction=Channel.BACKWARD)


def change_hours(store: Store) -> None:
    OpeningHours.objects.filter(store=store).update(opens=time(12))


def change_time_zone(store: Store) -> None:
    Store.objects.filter(pk=store.pk).update(time_zone="Asia/Kathmandu")


def revoke_a_sensor(store: Store) -> None:
    store.sensors.filter(name="west").update(revoked_at=utc("2026-10-24T12:00"))


@pytest.mark.parametrize("change", [change_direction, change_hours, change_time_zone, revoke_a_sensor])
def test_changed_settings_close_all_days_again(cast: Cast, change: Any) -> None:
    history(cast.store, Random(3))
    now = utc("2026-10-28T12:00")
    close_ended_days(now)
    before = closed_days(cast.store)
    change(cast.store)
    cast.store.refresh_from_db()
    at_once = daily_traffic(cast.store, FIRST, LAST, now)
    assert close_ended_days(now) == 6
    assert before != closed_days(cast.store) == at_once


def test_the_series_is_the_same_closed_or_not(cast: Cast) -> None:
    ledger = history(cast.store, Random(4))
    first, last, now = date(2026, 10, 20), date(2026, 10, 29), utc("2026-10-28T12:00")
    unknown = [DayTraffic(day, None, None, 0, 0) for day in dates(first, last)]
    today = DayTraffic(date(2026, 10, 28), None, None, 0, 2 * (5 * HOUR - 450_000))
    wanted = [
        *unknown[:2],
        *expected_days(cast.store, ledger, dates(FIRST, LAST)),
        today,
        *unknown[9:],
    ]
    assert daily_traffic(cast.store, first, last, now) == wanted
    close_ended_days(now)
    assert daily_traffic(cast.store, first, last, now) == wanted


def test_a_year_of_closed_days_is_read_with_few_queries(cast: Cast) -> None:
    history(cast.store, Random(5))
    now = utc("2026-10-28T12:00")
    close_ended_days(now)
    with CaptureQueriesContext(connection) as captured:
        assert len(daily_traffic(cast.store, date(2025, 10, 28), date(2026, 10, 27), now)) == 365
    assert len(captured) == 6


def test_closing_a_day_twice_is_closing_it_once(cast: Cast) -> None:
    history(cast.store, Random(6))
    once = close_day(cast.store, FIRST)
    again = close_day(cast.store, FIRST)
    assert (once.pk, once.entries) == (again.pk, again.entries)
    assert Day.objects.count() == 1


def test_a_day_that_has_not_ended_cannot_be_closed(cast: Cast) -> None:
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    with pytest.raises(
        ValueError, match=rf"date: {today} has not ended in Europe/Berlin; close it afterwards"
    ):
        close_day(cast.store, today)


def test_the_task_closes_days(cast: Cast) -> None:
    history(cast.store, Random(7))
    close_days()
    assert Day.objects.filter(store=cast.store, date__range=(FIRST, LAST)).count() == 6


def test_days_are_seen_by_those_who_see_the_store(cast: Cast) -> None:
    for store in (cast.store, cast.other_store, cast.foreign_store):
        send(make_door(store), [crossing(utc("2026-10-23T10:00"))])
    close_ended_days(utc("2026-10-24T12:00"))
    seen = {name: {day.store for day in Day.objects.visible_to(user)} for name, user in cast.people.items()}
    assert seen == cast.visible_stores


def test_runs_are_consecutive_and_bounded() -> None:
    long = dates(date(2026, 1, 1), date(2026, 4, 15))
    assert [len(run) for run in runs([*long, date(2026, 5, 1)])] == [100, 5, 1]
    assert list(runs([])) == []
