"""Traffic through the API, against the list of events that the sensors sent."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from analytics.counts.closing import close_day
from analytics.counts.days import local_day, to_ms
from analytics.export.traffic import Interval, read_traffic
from sensorapp.fleet.models import Channel, Store
from tests.audit.passages import crossings
from tests.cast import Cast, make_door, make_store, open_daily
from tests.counts.site import send, utc, watching
from tests.export.conftest import Program

HOUR = timedelta(hours=1)


def period(first: str, after_last: str, step: str) -> dict[str, str]:
    return {"from": first, "to": after_last, "step": step}


def row(
    start: str, end: str, entries: int | None, exits: int | None, completeness: float | None
) -> dict[str, Any]:
    return {"start": start, "end": end, "entries": entries, "exits": exits, "completeness": completeness}


@pytest.fixture
def monday(cast: Cast) -> Store:
    """Hamburg on 4 May 2026, open from 9 to 11 o'clock: watched from 9:00 to 10:30, and nobody sent anything else."""
    store = cast.store
    open_daily(store, time(9), time(11))
    at = utc("2026-05-04T07:00:00")
    door = make_door(store)
    sent = watching(at, at + 1.5 * HOUR)
    sent += crossings([at, at + 0.25 * HOUR, at + 1.25 * HOUR]) + crossings([at + HOUR], "backward")
    send(door, sent)
    return store


def test_hours(program: Program, monday: Store) -> None:
    """Complete: what is known stands in its local hour, all else is null."""
    answer = program.json("/stores/hamburg/traffic", period("2026-05-04", "2026-05-05", "hour"))
    rows = answer.pop("rows")
    assert answer == {
        "store": "hamburg",
        "time_zone": "Europe/Berlin",
        "from": "2026-05-04",
        "to": "2026-05-05",
        "step": "hour",
    }
    known = {9: (2, 0, 1.0), 10: (1, 1, 0.5)}
    ends = [*(f"2026-05-04T{hour:02}:00:00+02:00" for hour in range(1, 24)), "2026-05-05T00:00:00+02:00"]
    assert rows == [
        row(f"2026-05-04T{hour:02}:00:00+02:00", ends[hour], *known.get(hour, (None, None, None)))
        for hour in range(24)
    ]


def test_quarters(program: Program, monday: Store) -> None:
    answer = program.json("/stores/hamburg/traffic", period("2026-05-04", "2026-05-05", "quarter"))
    assert len(answer["rows"]) == 96
    nine, eleven = 9 * 4, 11 * 4
    assert answer["rows"][nine] == row("2026-05-04T09:00:00+02:00", "2026-05-04T09:15:00+02:00", 1, 0, 1.0)
    figures = [(r["entries"], r["exits"], r["completeness"]) for r in answer["rows"]]
    assert figures == [
        *[(None, None, None)] * nine,
        (1, 0, 1.0), (1, 0, 1.0), (0, 0, 1.0), (0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0),
        (None, None, 0.0), (None, None, 0.0),
        *[(None, None, None)] * (96 - eleven),
    ]  # fmt: skip


@pytest.mark.parametrize("closed", [False, True])
def test_days(program: Program, monday: Store, closed: bool) -> None:
    """The same whether the day was closed or not; a day before anything was known is not zero."""
    if closed:
        close_day(monday, date(2026, 5, 4))
    answer = program.json("/stores/hamburg/traffic", period("2026-05-03", "2026-05-06", "day"))
    assert answer["rows"] == [
        row("2026-05-03T00:00:00+02:00", "2026-05-04T00:00:00+02:00", None, None, None),
        row("2026-05-04T00:00:00+02:00", "2026-05-05T00:00:00+02:00", 3, 1, 0.75),
        row("2026-05-05T00:00:00+02:00", "2026-05-06T00:00:00+02:00", None, None, 0.0),
    ]


@pytest.mark.parametrize(
    ("day", "hours", "third"),
    [
        (date(2025, 3, 30), 23, "2025-03-30T03:00:00+02:00"),
        (date(2025, 10, 26), 25, "2025-10-26T02:00:00+02:00"),
        (date(2025, 10, 27), 24, "2025-10-27T02:00:00+01:00"),
    ],
)
def test_days_on_which_clocks_change(program: Program, cast: Cast, day: date, hours: int, third: str) -> None:
    """One crossing in each hour; the hour that comes twice is two rows with different offsets."""
    bounds = local_day(cast.store.zone, day)
    begins = datetime.fromtimestamp(bounds.begins_ms / 1000, UTC)
    door = make_door(cast.store)
    moments = [begins + n * HOUR + timedelta(minutes=59) for n in range(hours)]
    send(door, [*crossings(moments), *watching(begins, begins + hours * HOUR, 3_600_000)])
    after = (day + timedelta(days=1)).isoformat()
    by_hour, by_quarter, by_day = (
        program.json("/stores/hamburg/traffic", period(day.isoformat(), after, step))["rows"]
        for step in ("hour", "quarter", "day")
    )
    assert [(r["entries"], r["completeness"]) for r in by_hour] == [(1, 1.0)] * hours
    assert [r["entries"] for r in by_quarter] == [0, 0, 0, 1] * hours
    assert [(r["entries"], r["completeness"]) for r in by_day] == [(hours, 1.0)]
    assert by_hour[2]["start"] == third
    assert [r["end"] for r in by_hour[:-1]] == [r["start"] for r in by_hour[1:]]
    assert (by_hour[0]["start"], by_hour[-1]["end"]) == (by_day[0]["start"], by_day[0]["end"])


def test_hours_of_a_zone_with_half_an_hour(program: Program, cast: Cast) -> None:
    begins = utc("2026-05-03T18:30:00")
    send(make_door(cast.other_store), [*crossings([begins]), *watching(begins, begins + HOUR)])
    answer = program.json("/stores/pune/traffic", period("2026-05-04", "2026-05-05", "hour"))
    assert answer["time_zone"] == "Asia/Kolkata"
    assert answer["rows"][:2] == [
        row("2026-05-04T00:00:00+05:30", "2026-05-04T01:00:00+05:30", 1, 0, 1.0),
        row("2026-05-04T01:00:00+05:30", "2026-05-04T02:00:00+05:30", None, None, 0.0),
    ]


def test_a_change_of_clocks_by_half_an_hour_makes_half_an_hour(cast: Cast) -> None:
    island = make_store(cast.chain, "island", "Australia/Lord_Howe")
    rows = read_traffic(island, date(2025, 4, 6), date(2025, 4, 6), "hour", timezone.now())
    lengths = [(each.ends - each.begins, each.begins.strftime("%H:%M%z")) for each in rows]
    assert lengths[:4] == [
        (HOUR, "00:00+1100"),
        (HOUR, "01:00+1100"),
        (HOUR / 2, "01:30+1030"),
        (HOUR, "02:00+1030"),
    ]
    assert len(rows) == 25


def test_what_has_not_begun_is_not_known(cast: Cast) -> None:
    """Not even where a sensor's clock runs ahead."""
    door = make_door(cast.store)
    at = utc("2026-05-04T07:20:00")
    early, late = at - timedelta(minutes=10), at + timedelta(minutes=40)
    send(door, [*crossings([early, late]), *watching(at - 0.5 * HOUR, at + 2 * HOUR)])
    for step, place in (("quarter", 37), ("hour", 9)):
        rows = read_traffic(cast.store, date(2026, 5, 4), date(2026, 5, 4), step, at)  # type: ignore[arg-type]
        assert [r.entries for r in rows[place:]] == [
            1 if step == "hour" else 0,
            *[None] * (len(rows) - place - 1),
        ]


def test_a_store_without_sensors_knows_nothing(program: Program, cast: Cast) -> None:
    for step, rows in (("quarter", 96), ("hour", 24), ("day", 1)):
        answer = program.json("/stores/hamburg/traffic", period("2026-05-04", "2026-05-05", step))
        assert [(r["entries"], r["exits"], r["completeness"]) for r in answer["rows"]] == [(None,) * 3] * rows


def test_a_day_that_a_country_skipped_has_no_rows(cast: Cast) -> None:
    samoa = make_store(cast.chain, "apia", "Pacific/Apia")
    skipped = date(2011, 12, 30)
    assert read_traffic(samoa, skipped, skipped, "hour", timezone.now()) == []
    [day] = read_traffic(samoa, skipped, skipped, "day", timezone.now())
    assert (day.ends - day.begins, day.entries) == (timedelta(0), None)


ZONES = st.sampled_from(
    ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"]
)
DATES = st.dates(date(2025, 1, 2), date(2025, 12, 20))
PLACES = st.lists(st.tuples(st.integers(0, 4 * 86_400 - 1), st.booleans()), max_size=30)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ZONES,
    st.sampled_from([date(2025, 3, 29), date(2025, 10, 4), date(2025, 10, 25)]) | DATES,
    PLACES,
    st.data(),
)
def test_steps_add_up(
    cast: Cast, zone: str, first: date, passed: list[tuple[int, bool]], data: st.DataObject
) -> None:
    """Quarters, hours and days hold the same people, and each the interval in which they passed."""
    store = make_store(cast.chain, f"store-{uuid4().hex}", zone)
    last = first + timedelta(days=3)
    begins = datetime.combine(first, time(), zoneinfo.ZoneInfo(zone)).astimezone(UTC)
    entered = [begins + timedelta(seconds=at) for at, is_entry in passed if is_entry]
    left = [begins + timedelta(seconds=at) for at, is_entry in passed if not is_entry]
    watched = begins + timedelta(hours=data.draw(st.integers(0, 96)))
    events = [*crossings(entered, "backward"), *crossings(left), *watching(begins, watched, 900_000)]
    if events:
        send(make_door(store, entry_direction=Channel.BACKWARD), events)
    now = timezone.now()
    quarters, hours, days = (
        read_traffic(store, first, last, step, now) for step in ("quarter", "hour", "day")
    )  # type: ignore[arg-type]
    for rows in (quarters, hours, days):
        assert [r.ends for r in rows[:-1]] == [r.begins for r in rows[1:]]
        for r in rows:
            assert within(entered, r) == (r.entries or 0)
            assert within(left, r) == (r.exits or 0)
            covered = begins < watched and r.begins < watched and r.ends > begins
            assert (r.entries is not None) == (covered or within(entered + left, r) > 0)
    assert (quarters[0].begins, quarters[-1].ends) == (days[0].begins, days[-1].ends)
    assert to_ms(hours[0].begins) == to_ms(days[0].begins)


def within(moments: list[datetime], interval: Interval) -> int:
    return sum(interval.begins <= moment < interval.ends for moment in moments)


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ({}, {"from": "Field required", "to": "Field required", "step": "Field required"}),
        (period("2026-05-04", "2026-05-04", "day"), {"to": "must lie after from; for one day, give the day after it"}),
        (period("2026-05-04", "2026-05-03", "day"), {"to": "must lie after from; for one day, give the day after it"}),
        (period("2026-01-01", "2026-04-12", "quarter"), {"to": "must lie at most 100 days after from; ask in parts"}),
        (period("2025-01-01", "2026-02-06", "hour"), {"to": "must lie at most 400 days after from; ask in parts"}),
        (period("2000-01-01", "2030-01-01", "day"), {"to": "must lie at most 10000 days after from; ask in parts"}),
        (period("2026-05-04", "2026-05-05", "minute"), {"step": "Input should be 'quarter', 'hour' or 'day'"}),
        (period("1999-12-31", "2026-05-05", "day"), {"from": "Input should be greater than or equal to 2000-01-01"}),
        (period("2026-05-04", "9999-12-31", "day"), {"to": "Input should be less than or equal to 2100-01-01"}),
        (
            period("yesterday", "2026-05-05", "day"),
            {"from": "Input should be a valid date or datetime, input is too short"},
        ),
        (
            period("2026-05-04", "2026-05-05", "day") | {"format": "xml"},
            {"format": "Input should be 'json' or 'csv'"},
        ),
    ],
)  # fmt: skip
def test_what_is_refused_is_named(program: Program, query: dict[str, str], errors: dict[str, str]) -> None:
    response = program.get("/stores/hamburg/traffic", query)
    assert (response.status_code, response["Content-Type"]) == (422, "application/problem+json")
    assert response.json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "; ".join(f"{field}: {detail}" for field, detail in errors.items()),
        "errors": [{"field": field, "detail": detail} for field, detail in errors.items()],
    }


@pytest.mark.parametrize(
    ("step", "days", "queries"),
    [("quarter", 1, 6), ("quarter", 100, 7), ("hour", 400, 13), ("day", 1, 9), ("day", 9_000, 9)],
)
def test_queries(
    program: Program,
    monday: Store,
    django_assert_num_queries: DjangoAssertNumQueries,
    step: str,
    days: int,
    queries: int,
) -> None:
    close_day(monday, date(2026, 5, 4))
    first = date(2026, 5, 5) - timedelta(days=days)
    with django_assert_num_queries(queries):
        program.json("/stores/hamburg/traffic", period(first.isoformat(), "2026-05-05", step))
