"""What the page says about a snapshot: comparisons, sentences, and the day's chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from analytics.counts.occupancy import Occupancy
from analytics.counts.snapshot import SensorNow, SlotNow, StoreSnapshot, Traffic, ZoneNow
from dashboard.store_page import Comparison, Notice, not_observed_words, notices, opening_words, store_page
from dashboard.traffic_chart import QUARTER_S, Span, TrafficChart, traffic_chart
from sensorapp.fleet.health import Status
from sensorapp.fleet.models import OpeningHours, Store
from tests.cast import open_daily
from tests.dashboard.site import figures, words

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 10, 10, 0, tzinfo=UTC)  # in Berlin


def sensor(status: Status, number: int = 1) -> SensorNow:
    heard = None if status == "never heard" else NOON - timedelta(minutes=42)
    return SensorNow(number, f"s-{number}", f"Sensor {number}", status, heard, heard, None, None, None)


def fleet(**states: int) -> list[SensorNow]:
    names: list[Any] = [name.replace("_", " ") for name, number in states.items() for _ in range(number)]
    return [sensor(name, number) for number, name in enumerate(names)]


def day(when: date, zone: ZoneInfo, values: dict[str, int], **fields: Any) -> Traffic:
    """A day in which only the quarters named by their local time were observed."""
    begin = int(datetime.combine(when, time(), zone).timestamp())
    end = int(datetime.combine(when + timedelta(days=1), time(), zone).timestamp())
    starts = list(range(begin, end, QUARTER_S))
    labels = [f"{datetime.fromtimestamp(start, zone):%H:%M}" for start in starts]
    entries = [values.get(label) for label in labels]
    total = sum(entry or 0 for entry in entries)
    observed = [None if entry is None else 1.0 for entry in entries]
    return Traffic(
        **{
            "date": when,
            "starts": starts,
            "entries": entries,
            "exits": entries,
            "completeness_by_bucket": observed,
            "entries_so_far": total,
            "exits_so_far": 0,
            "entries_total": total,
            "completeness": 1.0 if values else 0.0,
            **fields,
        }
    )


def snapshot_of(today: Traffic, last_week: Traffic, at: datetime = NOON, **fields: Any) -> StoreSnapshot:
    parts: dict[str, Any] = {
        "version": 7,
        "at": at,
        "is_open": True,
        "occupancy": Occupancy(3, None),
        "today": today,
        "last_week": last_week,
        "zones": [],
        "slots": [],
        "sensors": [],
        "ever_heard": True,
    }
    return StoreSnapshot(**parts | fields)


def chart(today: dict[str, int], last_week: dict[str, int], hours: Sequence[Span] = ()) -> TrafficChart:
    wednesday = date(2026, 6, 10)
    days = day(wednesday, BERLIN, today), day(wednesday - timedelta(days=7), BERLIN, last_week)
    return traffic_chart(snapshot_of(*days), BERLIN, hours)


# --- comparisons ---


@pytest.mark.parametrize(
    ("count", "before", "difference", "ratio", "trend"),
    [
        (120, 100, 20, 0.2, "up"),
        (80, 100, -20, -0.2, "down"),
        (1001, 1000, 1, 0.001, "same"),
        (4, 0, 4, None, "up"),
        (0, 0, 0, None, "same"),
        (None, 100, None, None, "same"),
        (100, None, None, None, "same"),
    ],
)
def test_comparison(
    count: int | None, before: int | None, difference: int | None, ratio: float | None, trend: str
) -> None:
    found = Comparison(count, date(2026, 6, 3), before, 1.0)
    assert (found.difference, found.ratio, found.trend) == (difference, ratio, trend)


@pytest.mark.parametrize(("completeness", "warns"), [(1.0, False), (0.96, False), (0.9, True), (None, False)])
def test_a_comparison_with_a_day_of_gaps_says_so(completeness: float | None, warns: bool) -> None:
    assert Comparison(5, date(2026, 6, 3), 4, completeness).partly_observed is warns


# --- notices ---


@pytest.mark.parametrize(
    ("sensors", "said"),
    [
        (fleet(live=3), []),
        (
            [],
            [Notice("info", "This store has no sensors any more. Its figures go on with the next one.")],
        ),
        (
            fleet(never_heard=2),
            [
                Notice(
                    "info",
                    "No sensor in use has been heard yet. Figures go on as soon as the first one delivers.",
                )
            ],
        ),
        (
            fleet(live=12, catching_up=7, silent=1),
            [
                Notice("info", "7 of 20 sensors are still catching up; the figures of today will grow."),
                Notice("warning", "1 of 20 sensors is silent; what they would have counted is not known."),
            ],
        ),
        (
            fleet(live=1, never_heard=1),
            [
                Notice(
                    "info",
                    "1 of 2 sensors has been enrolled and never heard; "
                    "once installed, check power, network and token.",
                )
            ],
        ),
    ],
)
def test_notices(sensors: list[SensorNow], said: list[Notice]) -> None:
    assert notices(sensors) == said


# --- opening hours ---

SPLIT = [
    OpeningHours(weekday=2, opens=time(9), closes=time(13)),
    OpeningHours(weekday=2, opens=time(15), closes=time(20)),
]


@pytest.mark.parametrize(
    ("hours", "clock", "is_open", "said"),
    [
        ([], time(12), True, ""),
        (SPLIT, time(8), False, "Closed, opens at 09:00"),
        (SPLIT, time(12), True, "Open until 13:00"),
        (SPLIT, time(14), False, "Closed, opens at 15:00"),
        (SPLIT, time(21), False, "Closed for today"),
        ([OpeningHours(weekday=5, opens=time(9), closes=time(13))], time(12), False, "Closed today"),
    ],
)
def test_opening_words(hours: list[OpeningHours], clock: time, is_open: bool, said: str) -> None:
    assert opening_words(hours, datetime.combine(date(2026, 6, 10), clock, BERLIN), is_open) == said


# --- the chart ---


def test_the_chart_shows_whole_hours_around_opening_and_whoever_came() -> None:
    found = chart({"10:15": 3, "11:00": 0}, {"21:15": 1}, [(time(10, 30), time(20))])
    assert found.quarters[0].label == "10:00"
    assert found.quarters[-1].label == "21:45"
    assert len(found.quarters) == 48


def test_where_nothing_is_known_the_whole_day_is_shown_as_such() -> None:
    found = chart({}, {})
    assert found.is_empty
    assert (found.quarters[0].label, found.quarters[-1].label) == ("00:00", "23:45")


def test_unknown_is_not_zero_and_the_future_is_neither() -> None:
    found = chart({"10:00": 0, "10:30": 4, "12:00": 1}, {}, [(time(10), time(13))])
    assert {quarter.label: (quarter.today, quarter.state, quarter.missing) for quarter in found.quarters} == {
        "10:00": (0, "known", 0),
        "10:15": (None, "unknown", 1),
        "10:30": (4, "known", 0),
        **{f"{label}": (None, "unknown", 1) for label in ("10:45", "11:00", "11:15", "11:30", "11:45")},
        "12:00": (1, "growing", 0),
        **{f"{label}": (None, "to come", 0) for label in ("12:15", "12:30", "12:45")},
    }


def test_a_quarter_observed_in_part_tells_how_much_is_missing() -> None:
    today = day(date(2026, 6, 10), BERLIN, {"10:00": 3})
    share = [0.75 if entries == 3 else None for entries in today.entries]
    partly = day(date(2026, 6, 10), BERLIN, {"10:00": 3}, completeness_by_bucket=share)
    found = traffic_chart(snapshot_of(partly, day(date(2026, 6, 3), BERLIN, {})), BERLIN, [])
    assert found.quarters[0].missing == 0.25
    assert found.data["missing"] == [0.25, 1, 1, 1]


@pytest.mark.parametrize(
    ("today", "zone", "quarters"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 92),  # two o'clock does not exist
        (date(2026, 4, 5), "Europe/Berlin", 96),  # a week later last week has no two o'clock
        (date(2026, 10, 25), "Europe/Berlin", 100),  # two o'clock comes twice
        (date(2026, 4, 5), "Australia/Lord_Howe", 98),  # the half hour before two comes twice
        (date(2026, 6, 10), "Asia/Kolkata", 96),
    ],
)
def test_days_are_compared_by_what_the_clock_showed(today: date, zone: str, quarters: int) -> None:
    place = ZoneInfo(zone)
    # As many people as the clock shows minutes since midnight.
    minutes = {f"{h:02}:{m:02}": h * 60 + m for h in range(24) for m in (0, 15, 30, 45)}
    days = day(today, place, minutes), day(today - timedelta(days=7), place, minutes)
    end_of_day = datetime.combine(today, time(23, 59), place)
    found = traffic_chart(snapshot_of(*days, at=end_of_day), place, [(time(0), time(23, 59))])
    assert len(found.quarters) == quarters
    existed = {f"{datetime.fromtimestamp(start, place):%H:%M}" for start in days[1].starts}
    for quarter in found.quarters:
        expected = minutes[quarter.label]
        assert quarter.today == expected
        assert quarter.last_week == (expected if quarter.label in existed else None)


# --- the whole of it ---


@pytest.fixture
def store(db: None) -> Store:
    from tests.cast import build_cast

    return build_cast().store


def rendered(store: Store, snapshot: StoreSnapshot) -> str:
    with timezone.override(store.zone):
        return render_to_string("dashboard/_store.html", {"page": store_page(store, snapshot)})


WEDNESDAY, LAST_WEEK = date(2026, 6, 10), date(2026, 6, 3)


def test_a_store_that_was_never_observed_shows_no_number_at_all(store: Store) -> None:
    nothing = snapshot_of(
        day(WEDNESDAY, BERLIN, {}),
        day(LAST_WEEK, BERLIN, {}),
        occupancy=Occupancy(None, "not live"),
        sensors=[sensor("never heard")],
        zones=[ZoneNow(1, "Aisle", None, 0, None)],
        slots=[SlotNow(2, "A-01", "Cola", "cola", 2, 6, None, "unknown", None, 1)],
    )
    html = rendered(store, nothing)
    dash = "\N{EN DASH} not known"
    assert figures(html) == {
        "entries": dash,
        "occupancy": dash,
        "exits": dash,
        "completeness": "0 %",
    }
    assert "Nothing to compare with: Wed 3 Jun was not observed" in words(html)
    assert "Neither today nor Wednesday 3 June has been observed yet." in words(html)
    assert 'id="traffic-data"' not in html
    assert "Cola not known units of 6 A-01 Sensor 1" in words(html)


WHY = (
    "Entries less exits, but the entrances were watched for 83 % of the day so far, "
    "and whoever passed in the rest of it is missing."
)
NONE_LEFT = "No more people were seen to come than to leave, so how many are inside is not known."


@pytest.mark.parametrize(
    ("occupancy", "figure", "note"),
    [
        (Occupancy(3, None), "3", "entries less exits"),
        (Occupancy(3, "partly observed"), "≈ about 3", f"Estimate {WHY}"),
        (Occupancy(None, "partly observed"), "\N{EN DASH} not known", f"Not known {WHY} {NONE_LEFT}"),
        (Occupancy(None, "not live"), "\N{EN DASH} not known", "an entrance is not live"),
        (Occupancy(None, "not watched"), "\N{EN DASH} not known", "no entrance is watched"),
    ],
)
def test_how_many_are_inside_comes_with_its_doubt(
    store: Store, occupancy: Occupancy, figure: str, note: str
) -> None:
    days = day(WEDNESDAY, BERLIN, {"10:00": 9}, completeness=0.83), day(LAST_WEEK, BERLIN, {"10:00": 9})
    snapshot = snapshot_of(*days, occupancy=occupancy)
    html = rendered(store, snapshot)
    assert figures(html)["occupancy"] == figure
    assert f"Inside now {figure} {note} Exits today" in words(html)
    card = render_to_string("dashboard/_card.html", {"page": store_page(store, snapshot)})
    assert f"Inside now {figure} Observed 83 %" in words(card)


MORNING = [OpeningHours(weekday=2, opens=time(9), closes=time(20))]


@pytest.mark.parametrize(
    ("hours", "clock", "doubt", "said"),
    [
        (MORNING, time(8), None, "before opening"),
        (MORNING, time(8), "not live", "before opening"),
        (MORNING, time(8), "not watched", "no entrance is watched"),
        (MORNING, time(9), None, "just begun"),
        (MORNING, time(21), None, "after closing"),
        ([OpeningHours(weekday=5, opens=time(9), closes=time(13))], time(12), None, "closed today"),
        ([], time(9, 40), None, "just begun"),
        ([], time(9, 40), "not watched", "no entrance is watched"),
    ],
)
def test_why_nothing_was_to_be_observed_is_said_in_true_words(
    hours: list[OpeningHours], clock: time, doubt: Any, said: str
) -> None:
    local = datetime.combine(WEDNESDAY, clock, BERLIN)
    nothing = day(WEDNESDAY, BERLIN, {}, completeness=None)
    is_open = not hours or any(one.weekday == 2 and one.opens <= clock < one.closes for one in hours)
    snapshot = snapshot_of(nothing, nothing, occupancy=Occupancy(None, doubt), is_open=is_open)
    assert not_observed_words(snapshot, hours, local) == said
    observed = replace(snapshot, today=replace(nothing, completeness=0.0))
    assert not_observed_words(observed, hours, local) == ""


def test_without_opening_hours_the_whole_day_is_said_to_count(store: Store) -> None:
    days = day(WEDNESDAY, BERLIN, {"10:00": 9}), day(LAST_WEEK, BERLIN, {"10:00": 9})
    whole_day = "The share of today’s time, as no opening hours are known, in which the sensors"
    assert whole_day in words(rendered(store, snapshot_of(*days)))
    open_daily(store, time(9), time(20))
    opening_time = "The share of today’s opening time in which the sensors"
    assert opening_time in words(rendered(store, snapshot_of(*days)))


@pytest.mark.parametrize(
    ("completeness", "status", "entries", "exits"),
    [
        (1.0, "live", "9", "4"),
        (0.96, "live", "9", "4"),
        (0.91, "live", "9 + at least", "4 + at least"),
        (0.03, "live", "9 + at least", "4 + at least"),
        (1.0, "catching up", "9 + at least", "4 + at least"),
        (None, "live", "9", "4"),
    ],
)
def test_a_count_of_a_day_with_gaps_is_a_lower_bound_on_page_and_card(
    store: Store, completeness: float | None, status: Status, entries: str, exits: str
) -> None:
    today = day(WEDNESDAY, BERLIN, {"10:00": 9}, completeness=completeness, exits_so_far=4)
    snapshot = snapshot_of(today, day(LAST_WEEK, BERLIN, {}), sensors=[sensor(status)])
    html = rendered(store, snapshot)
    assert (figures(html)["entries"], figures(html)["exits"]) == (entries, exits)
    assert ('data-summary="At least 9 entries, ' in html) == ("+" in entries)
    card = words(render_to_string("dashboard/_card.html", {"page": store_page(store, snapshot)}))
    assert f" {entries} entries today " in card


@pytest.mark.parametrize(
    ("sensors", "said", "left_out"),
    [
        (
            [],
            [
                "This store has no sensors yet",
                'enrol_sensor nordlicht/hamburg "Main door"',
                "publish_scene SENSOR fixtures/scenes/table.json",
                'assign_line SENSOR 0 "Main entrance"',
            ],
            ["heard yet", "never heard"],
        ),
        (
            [sensor("never heard")],
            [
                "No sensor of this store has been heard yet",
                "publish_scene s-1 fixtures/scenes/table.json",
                'assign_line s-1 0 "Main entrance"',
                "Sensor 1 never heard",
            ],
            ["no sensors yet", "enrol_sensor"],
        ),
    ],
)
def test_a_store_that_was_never_heard_says_so_once_and_what_to_do(
    store: Store, sensors: list[SensorNow], said: list[str], left_out: list[str]
) -> None:
    nothing = day(WEDNESDAY, BERLIN, {}, completeness=None)
    snapshot = snapshot_of(
        nothing, nothing, sensors=sensors, occupancy=Occupancy(None, "not watched"), ever_heard=False
    )
    html = rendered(store, snapshot)
    for text in said:
        assert words(html).count(text) == 1
    for text in [*left_out, "Entries", "Shelves", "Zones", "before opening", "is not live"]:
        assert text not in words(html)
    card = words(render_to_string("dashboard/_card.html", {"page": store_page(store, snapshot)}))
    assert "entries today No sensor has been heard yet Sensors " in card


def test_while_sensors_catch_up_the_count_is_a_lower_bound(store: Store) -> None:
    partial = snapshot_of(
        day(WEDNESDAY, BERLIN, {"10:00": 1200}),
        day(LAST_WEEK, BERLIN, {"10:00": 1000}, completeness=0.62),
        sensors=[sensor("catching up", 1), sensor("live", 2)],
    )
    html = rendered(store, partial)
    assert figures(html)["entries"] == "1,200 + at least"
    assert "+20 % against 1,000 on Wed 3 Jun by 12:00, of which 62 % was observed" in words(html)
    assert "1 of 2 sensors is still catching up; the figures of today will grow." in words(html)
    assert "Sensor 1 catching up, data 42 min old" in words(html)


def test_sensors_in_trouble_come_first_and_say_since_when(store: Store) -> None:
    html = rendered(
        store,
        snapshot_of(
            day(WEDNESDAY, BERLIN, {"10:00": 1}),
            day(LAST_WEEK, BERLIN, {}),
            sensors=[sensor("live", 1), sensor("silent", 2), sensor("never heard", 3)],
        ),
    )
    listed = words(html[html.index('id="sensors-title"') :])
    assert "1 never heard 1 silent 1 live" in listed
    assert "Sensor 3 never heard Sensor 2 silent since 11:18 1 live Sensor 1 live" in listed


def test_a_wrong_clock_and_what_waits_for_it_are_named(store: Store) -> None:
    ahead = replace(sensor("live", 1), clock_error=timedelta(minutes=12), set_aside=1_200)
    behind = replace(sensor("live", 2), clock_error=-timedelta(hours=3), set_aside=1)
    html = rendered(
        store,
        snapshot_of(
            day(WEDNESDAY, BERLIN, {"10:00": 1}),
            day(LAST_WEEK, BERLIN, {}),
            sensors=[ahead, behind, sensor("live", 3)],
        ),
    )
    listed = words(html[html.index('id="sensors-title"') :])
    assert "2 wrong clock 1 live" in listed
    assert "Sensor 1 live, clock 12 min ahead , 1,200 events set aside" in listed
    assert "Sensor 2 live, clock 3 h behind , 1 event set aside 1 live Sensor 3 live" in listed
    assert html.count('class="dot wrong-clock"') == 2


def test_names_from_people_are_text_and_nothing_else(store: Store) -> None:
    evil = "<script>alert(1)</script>"
    html = rendered(
        store,
        snapshot_of(
            day(WEDNESDAY, BERLIN, {"10:00": 1}),
            day(LAST_WEEK, BERLIN, {}),
            zones=[ZoneNow(1, evil, 1, 1, 1.0)],
            slots=[SlotNow(2, evil, evil, evil, 1, 1, 1, "ok", 1.0, 1)],
        ),
    )
    assert evil not in html
