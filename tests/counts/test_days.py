"""Local days in every zone of the world."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.counts.days import (
    LocalDay,
    first_moment,
    from_ms,
    joined,
    local_date,
    local_day,
    local_days,
    open_spans,
    overlap_ms,
    same_time_on,
    starts,
    to_ms,
)
from analytics.metrics import BUCKET_MS

HOUR = 3_600_000

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
zones = st.sampled_from(ZONES).map(ZoneInfo)
dates = st.dates(date(2000, 1, 2), date(2099, 12, 30))


@dataclass
class Hours:
    weekday: int
    opens: time
    closes: time


@given(zones, dates)
def test_days_follow_each_other_and_consist_of_whole_buckets(zone: ZoneInfo, day: date) -> None:
    today, tomorrow = local_day(zone, day), local_day(zone, day + timedelta(days=1))
    assert today.ends_ms == tomorrow.begins_ms
    assert today.starts_ms.tolist() == list(range(today.begins_ms, today.ends_ms, BUCKET_MS))
    assert len(today) == len(today.starts_ms)


def test_every_change_of_clocks_anywhere() -> None:
    """The days around each change of these years, in all zones, add up; most of them by an hour."""
    lengths = set()
    for name in ZONES:
        zone = ZoneInfo(name)
        noons = [datetime(2025, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(3 * 365)]
        offsets = [noon.astimezone(zone).utcoffset() for noon in noons]
        for noon, before, after in zip(noons[1:], offsets, offsets[1:], strict=False):
            if before != after:
                date = local_date(zone, noon)
                days = local_days(zone, date - timedelta(days=2), date + timedelta(days=2))
                assert before is not None
                assert after is not None
                assert sum(map(len, days)) * BUCKET_MS == 5 * 24 * HOUR - (after - before) / timedelta(
                    milliseconds=1
                )
                lengths |= {len(day) for day in days}
    assert lengths == {92, 94, 96, 98, 100} | ({88, 104} & lengths)


@given(zones, dates)
def test_a_day_begins_with_the_first_moment_of_its_date(zone: ZoneInfo, day: date) -> None:
    begins = first_moment(zone, day)
    assert local_date(zone, from_ms(begins)) >= day
    assert local_date(zone, from_ms(begins - 1)) < day


@given(zones, st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)))
def test_a_moment_lies_in_the_day_of_its_date(zone: ZoneInfo, naive: datetime) -> None:
    """Also where clocks are set back over midnight: the hour that comes again belongs to the day begun."""
    at = naive.replace(tzinfo=UTC)
    day = local_date(zone, at)
    containing = [
        one.date
        for one in local_days(zone, day - timedelta(days=1), day + timedelta(days=1))
        if one.begins_ms <= to_ms(at) < one.ends_ms
    ]
    assert containing in ([day], [day + timedelta(days=1)])
    if containing != [day]:
        assert first_moment(zone, day + timedelta(days=1)) <= to_ms(at)


@pytest.mark.parametrize(
    ("zone", "day", "begins", "buckets"),
    [
        ("Europe/Berlin", "2026-06-15", "2026-06-14T22:00", 96),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 92),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 100),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", 94),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", 98),
        ("Asia/Kathmandu", "2026-06-15", "2026-06-14T18:15", 96),
        ("Asia/Kolkata", "2026-06-15", "2026-06-14T18:30", 96),
        ("Pacific/Chatham", "2026-09-27", "2026-09-26T11:15", 92),
        # Clocks jump from midnight to one o'clock: the day begins at one.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 92),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00", 92),
        # Samoa crossed the date line and left out a whole day.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00", 96),
    ],
)
def test_known_days(zone: str, day: str, begins: str, buckets: int) -> None:
    expected = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    found = local_day(ZoneInfo(zone), date.fromisoformat(day))
    assert (from_ms(found.begins_ms), len(found)) == (expected, buckets)


def test_bounds_must_be_those_of_buckets() -> None:
    with pytest.raises(ValueError, match=r"2026-01-01: .* is no row of quarters of an hour; use a time zone"):
        LocalDay(date(2026, 1, 1), 7 * 60_000, 24 * HOUR)


@given(zones, st.datetimes(datetime(2000, 1, 10), datetime(2099, 12, 30)), st.integers(-7, 7))
def test_same_time_on_another_day(zone: ZoneInfo, naive: datetime, days: int) -> None:
    at = naive.replace(tzinfo=UTC)
    day = local_day(zone, local_date(zone, at) + timedelta(days=days))
    found = same_time_on(zone, at, day.date)
    assert day.begins_ms <= found <= day.ends_ms
    shown = from_ms(found).astimezone(zone).replace(tzinfo=None)
    wanted = datetime.combine(day.date, at.astimezone(zone).time().replace(microsecond=shown.microsecond))
    exists = wanted.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wanted
    if exists and day.begins_ms < found < day.ends_ms:
        assert shown == wanted


def test_the_same_time_across_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 31, 10, 7, tzinfo=berlin)
    then = same_time_on(berlin, at, date(2026, 3, 24))
    assert from_ms(then) == datetime(2026, 3, 24, 9, 7, tzinfo=UTC)
    assert (to_ms(at) - then) == 7 * 24 * HOUR - HOUR


def test_opening_hours_become_moments() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    [day] = local_days(berlin, date(2026, 10, 25), date(2026, 10, 25))  # a Sunday of 25 hours
    hours = [
        Hours(6, time(2, 30), time(2, 30, 30)),
        Hours(6, time(14), time(18)),
        Hours(6, time(12), time(15)),
        Hours(0, time(8), time(20)),
        Hours(6, time(23), time(23, 59)),
    ]
    assert [(str(from_ms(a)), str(from_ms(b))) for a, b in open_spans(hours, berlin, [day])] == [
        # Half past two comes twice: open from the first to the second.
        ("2026-10-25 00:30:00+00:00", "2026-10-25 01:30:30+00:00"),
        ("2026-10-25 11:00:00+00:00", "2026-10-25 17:00:00+00:00"),
        ("2026-10-25 22:00:00+00:00", "2026-10-25 23:00:00+00:00"),
    ]


def test_a_store_without_opening_hours_is_always_open() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    days = local_days(berlin, date(2026, 3, 28), date(2026, 3, 30))
    assert open_spans([], berlin, days) == [(days[0].begins_ms, days[-1].ends_ms)]


def test_a_store_with_hours_on_other_weekdays_is_closed() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    sunday = local_days(berlin, date(2026, 6, 14), date(2026, 6, 14))
    assert open_spans([Hours(0, time(8), time(20))], berlin, sunday) == []


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(spans)
def test_joined_spans_cover_the_same_time_once(parts: list[tuple[int, int]]) -> None:
    result = joined(parts)
    assert {at for a, b in result for at in range(a, b)} == {at for a, b in parts for at in range(a, b)}
    bounds = [bound for span in result for bound in span]
    assert bounds == sorted(set(bounds))


@given(st.integers(-2, 8), st.integers(0, 7 * BUCKET_MS), st.integers(0, 7 * BUCKET_MS))
def test_overlap_sums_to_the_span(first: int, begin: int, length: int) -> None:
    row = starts(first * BUCKET_MS, (first + 20) * BUCKET_MS)
    end = begin + length
    found = overlap_ms(row, begin, end)
    assert found.min() >= 0
    assert found.max() <= BUCKET_MS
    assert found.sum() == max(0, end - max(begin, first * BUCKET_MS))
