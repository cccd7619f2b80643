"""What the schedule promises: the same days every time, and days that hold together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.fleet import plan as p
from sensor_sim.fleet.demand import weather
from sensor_sim.fleet.plan import PlanError
from sensor_sim.fleet.schedule import Feed, Schedule
from sensorapp import wire
from tests.fleet_sim.plans import FAR_AHEAD, MODEL, ORIGIN, milliseconds, night_store, plan, sensors, store

# Ordinary days, both changes of the clock, a half-hour offset, and a day line away.
DAYS = [
    ("Europe/Berlin", date(2026, 9, 7)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("Europe/Berlin", date(2027, 3, 28)),
    ("America/Los_Angeles", date(2026, 11, 1)),
    ("Asia/Kolkata", date(2026, 9, 8)),
    ("Pacific/Chatham", date(2026, 9, 27)),
]
EVERY_DAY = pytest.mark.parametrize(
    ("of", "day"),
    [
        pytest.param(make(time_zone), day, id=f"{make.__name__} {time_zone} {day}")
        for make in (store, night_store)
        for time_zone, day in DAYS
    ],
)
Kind = TypeVar("Kind")


def report(of: p.Store, day: date, **parts: int) -> dict[str, list[wire.Event]]:
    """What each sensor of the store reports on a day."""
    whole = plan(of, **parts)
    schedule = Schedule(whole, of)
    return {sensor.name: schedule.sensor_day(sensor, day).events for sensor in of.sensors}


def truth(of: p.Store, day: date, **parts: int) -> dict[str, list[wire.Event]]:
    """What each sensor of the store would report if it made no mistake."""
    whole = plan(of, **parts)
    schedule = Schedule(whole, of)
    return {sensor.name: schedule.truth(sensor, day).events for sensor in of.sensors}


def only(kind: type[Kind], events: Iterable[object]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]


def entering(of: p.Store, events: dict[str, list[wire.Event]]) -> list[tuple[int, int]]:
    """All crossings as (moment, +1 for in and -1 for out)."""
    ways = {sensor.name: line.entry_direction for sensor, line in of.lines}
    return sorted(
        (crossing.at, 1 if crossing.direction == way else -1)
        for name, way in ways.items()
        for crossing in only(wire.Crossing, events[name])
    )


@EVERY_DAY
def test_the_same_day_comes_out_the_same_every_time(of: p.Store, day: date) -> None:
    first, second = report(of, day), report(of, day)
    assert first == second
    assert report(of, day, seed=2)["front"] != first["front"]


@EVERY_DAY
def test_events_lie_within_the_day_in_the_order_of_time_and_keep_the_contract(of: p.Store, day: date) -> None:
    bounds = Schedule(plan(of), of).day(day)
    assert bounds.ends - bounds.begins in (23 * 3_600_000, 24 * 3_600_000, 25 * 3_600_000)
    for events in report(of, day).values():
        moments = [event.at for event in events]
        assert moments == sorted(moments)
        assert bounds.begins <= moments[0] <= moments[-1] < bounds.ends
        batch = wire.Batch("s-test", 1, 0, MODEL, 1, events)
        assert wire.decode(wire.encode(batch, wire.MSGPACK), wire.Batch, wire.MSGPACK) == batch


@EVERY_DAY
def test_whoever_comes_in_goes_out_and_nobody_goes_out_first(of: p.Store, day: date) -> None:
    steps = [step for _, step in entering(of, truth(of, day))]
    inside = np.cumsum(steps)
    assert len(steps) > 300
    assert inside.min() >= 0
    assert inside[-1] == 0


@EVERY_DAY
def test_people_come_while_the_store_is_open_and_leave_soon_after(of: p.Store, day: date) -> None:
    opening = Schedule(plan(of), of).day(day).opening
    assert opening is not None
    moments = [at for at, _ in entering(of, report(of, day))]
    assert opening[0] <= moments[0]
    assert moments[-1] <= opening[1] + 15 * 60_000


@pytest.mark.parametrize(("time_zone", "day"), DAYS)
def test_people_come_by_the_clock_of_the_store(time_zone: str, day: date) -> None:
    """Also after it has been changed while the store is open."""
    noon = [0.0] * 11 + [1.0, 1.0] + [0.0] * 11
    of = night_store(time_zone, demand=p.Demand(1_000.0, [1.0] * 7, noon, noon))
    came = [at for at, step in entering(of, truth(of, day)) if step > 0]
    shown = [datetime.fromtimestamp(at / 1000, ZoneInfo(time_zone)) for at in came]
    assert {moment.date() for moment in shown} == {day}
    hours = [moment.hour + moment.minute / 60 for moment in shown]
    assert 10.4 < min(hours) <= max(hours) < 13.6
    assert np.mean(hours) == pytest.approx(12.0, abs=0.1)


@EVERY_DAY
def test_a_zones_occupancy_is_what_its_visits_say(of: p.Store, day: date) -> None:
    events = report(of, day)
    for name, zone in (("hall", 1), ("hall", 2), ("tills", 1)):
        visits = [visit for visit in only(wire.Visit, events[name]) if visit.zone == zone]
        counts = [one for one in only(wire.Occupancy, events[name]) if one.zone == zone]
        assert len(visits) > 50
        assert counts[-1].count == 0
        assert len({one.at for one in counts}) == len(counts)
        person_ms = sum(before.count * (after.at - before.at) for before, after in pairwise(counts))
        assert person_ms == sum(visit.dwell_ms for visit in visits)


@EVERY_DAY
def test_units_fall_one_by_one_and_are_filled_up(of: p.Store, day: date) -> None:
    events = only(wire.Shelf, truth(of, day)["cooler"])
    for slot, capacity in ((17, 12), (18, 6)):
        units = [event.units for event in events if event.slot == slot]
        assert len(units) > 5
        assert all(after in (before - 1, capacity) for before, after in pairwise(units))
        assert set(units) <= set(range(capacity + 1))


def test_slots_run_empty_now_and_then() -> None:
    of = store()
    days = [ORIGIN + timedelta(days=number) for number in range(20)]
    units = [event.units for day in days for event in only(wire.Shelf, report(of, day)["cooler"])]
    assert 0 < units.count(0) < len(units) / 5


@EVERY_DAY
def test_heartbeats_cover_the_day_without_gap_or_overlap(of: p.Store, day: date) -> None:
    bounds = Schedule(plan(of), of).day(day)
    live_from = bounds.begins + 10 * 3_600_000
    beats = only(wire.Heartbeat, report(of, day, live_from=live_from)["front"])
    assert all(after.at - after.observed_ms == before.at for before, after in pairwise(beats))
    assert Counter(beat.observed_ms for beat in beats) == {
        15 * 60_000: 10 * 4 + 1,
        60_000: (bounds.ends - live_from) // 60_000 - 1,
    }
    assert beats[0].at - beats[0].observed_ms < bounds.begins + 60_000
    assert bounds.ends - beats[-1].at <= 60_000


def test_heartbeats_go_on_over_midnight() -> None:
    of = store()
    beats = [
        beat
        for number in range(3)
        for beat in only(wire.Heartbeat, report(of, date(2026, 10, 24) + timedelta(days=number))["hall"])
    ]
    assert len(beats) == (24 + 25 + 24) * 4
    assert {after.at - before.at for before, after in pairwise(beats)} == {15 * 60_000}


def test_without_power_there_is_nothing_and_then_the_sensors_say_what_they_see() -> None:
    day = ORIGIN + timedelta(days=6)
    of = store("Asia/Kolkata", power_cuts=[p.PowerCut(6, time(13, 10), time(17, 40))])
    dark = Schedule(plan(of), of).day(day).dark
    assert dark is not None
    cut, whole = report(of, day), report(store("Asia/Kolkata"), day)
    for name, events in cut.items():
        assert not [event for event in events if dark[0] <= event.at < dark[1]]
        first = min(only(wire.Heartbeat, events), key=lambda beat: (beat.at < dark[1], beat.at))
        assert first.observed_ms == first.at - dark[1] < 15 * 60_000
        # What happened in the light is the same as on the same day without a cut.
        light = [e for e in only(wire.Crossing, whole[name]) if not dark[0] <= e.at < dark[1]]
        assert only(wire.Crossing, events) == light
    now_seen = {e.zone: e.count for e in only(wire.Occupancy, cut["hall"]) if e.at == dark[1]}
    true_now: dict[int, int] = {}
    for event in only(wire.Occupancy, whole["hall"]):
        if event.at <= dark[1]:
            true_now[event.zone] = event.count
    assert now_seen == true_now
    assert {e.slot for e in only(wire.Shelf, cut["cooler"]) if e.at == dark[1]} == {17, 18}
    assert len(only(wire.Visit, cut["hall"])) < len(only(wire.Visit, whole["hall"]))


def test_power_cuts_in_an_hour_that_the_clocks_skip_or_before_midnight_double_nothing() -> None:
    day = date(2027, 3, 28)
    number = (day - ORIGIN).days
    for begins, ends in (
        (time(2, 30), time(3, 10)),
        (time(2, 10), time(2, 50)),
        (time(22), time(23, 59, 59, 999_999)),
    ):
        of = night_store(power_cuts=[p.PowerCut(number, begins, ends)])
        bounds = Schedule(plan(of), of).day(day)
        for events in report(of, day).values():
            moments = [event.at for event in events]
            assert bounds.begins <= moments[0] <= moments[-1] < bounds.ends
            beats = [beat.at for beat in only(wire.Heartbeat, events)]
            assert beats == sorted(set(beats))


def test_a_drifting_sensor_loses_more_and_more() -> None:
    drift = p.Drift(begins=10, per_day=0.01, at_most=0.3)
    good, bad = store(), store(sensors=sensors(drift=drift))

    def lost(first_day: int) -> float:
        days = [ORIGIN + timedelta(days=first_day + number) for number in range(6)]
        counts = [[len(only(wire.Crossing, report(of, day)["front"])) for day in days] for of in (good, bad)]
        return 1 - sum(counts[1]) / sum(counts[0])

    assert lost(0) == 0.0
    assert lost(22) == pytest.approx(0.145, abs=0.04)
    assert lost(80) == pytest.approx(0.3, abs=0.04)
    assert (
        report(good, ORIGIN + timedelta(days=30))["back"] == report(bad, ORIGIN + timedelta(days=30))["back"]
    )


def test_a_closed_day_has_heartbeats_only() -> None:
    holiday = p.Holiday("closed", ["09-05"], 0.0)
    of = store(holidays=[holiday])
    for events in report(of, date(2026, 9, 5)).values():
        assert len(events) == len(only(wire.Heartbeat, events)) == 96


NIGHT = [1.0, *[0.0] * 22, 1.0]


@pytest.mark.parametrize(
    "parts",
    [
        {"opening_hours": [(time(9), time(9, 4))] * 7},
        {"demand": p.Demand(300.0, [1.0] * 7, [0.0] * 24, [0.0] * 24)},
        {"demand": p.Demand(300.0, [1.0] * 7, NIGHT, NIGHT)},
    ],
    ids=["four minutes", "no hours", "the closed hours only"],
)
def test_to_a_store_that_opens_for_nobody_nobody_comes(parts: dict[str, Any]) -> None:
    of = store(**parts)
    found = report(of, ORIGIN)
    assert [len(only(wire.Heartbeat, events)) for events in found.values()] == [96] * 5
    others = [event for events in found.values() for event in events if not isinstance(event, wire.Heartbeat)]
    assert {type(event) for event in others} == {wire.Shelf}  # filled in the morning


def without(of: p.Store, missing: str) -> p.Store:
    sensors = [msgspec.structs.replace(one, **{missing: []}) for one in of.sensors]
    return msgspec.structs.replace(of, sensors=sensors)


def test_where_no_sensor_looks_at_a_door_the_others_see_the_same() -> None:
    of = store()
    whole, part = report(of, ORIGIN), report(without(of, "lines"), ORIGIN)
    for door in ("front", "back"):
        assert {type(event) for event in part[door]} == {wire.Heartbeat}
    assert part | {door: whole[door] for door in ("front", "back")} == whole


def test_where_no_sensor_looks_at_a_zone_people_come_and_go_all_the_same() -> None:
    of = store()
    part = without(of, "zones")
    assert len(entering(part, truth(part, ORIGIN))) == len(entering(of, truth(of, ORIGIN))) > 300


def test_campaigns_and_holidays_change_the_number_of_visitors() -> None:
    campaign = p.Campaign("sale", begins=3, days=2, factor=2.0)
    holiday = p.Holiday("quiet", ["2026-09-20"], 0.5)
    changed, plain = (
        store(visitors=2_000.0, campaigns=[campaign], holidays=[holiday]),
        store(visitors=2_000.0),
    )

    def ratio(day: date) -> float:
        return len(entering(changed, report(changed, day))) / len(entering(plain, report(plain, day)))

    assert ratio(ORIGIN + timedelta(days=2)) == 1.0
    assert ratio(ORIGIN + timedelta(days=3)) == pytest.approx(2.0, rel=0.1)
    assert ratio(ORIGIN + timedelta(days=4)) == pytest.approx(2.0, rel=0.1)
    assert ratio(ORIGIN + timedelta(days=5)) == 1.0
    assert ratio(date(2026, 9, 20)) == pytest.approx(0.5, rel=0.1)


def test_the_weather_wanders() -> None:
    days = [weather(1, "test", ORIGIN + timedelta(days=number)) for number in range(1_500)]
    assert np.mean(days) == pytest.approx(1.0, abs=0.03)
    assert np.std(days) == pytest.approx(0.11, abs=0.02)
    assert np.corrcoef(days[1:], days[:-1])[0, 1] == pytest.approx(0.65, abs=0.08)


# --- feeds -----------------------------------------------------------------------------------------


def feed(name: str = "hall", **parts: int) -> Feed:
    of = store("Asia/Kolkata", visitors=40.0)
    return Feed(Schedule(plan(of, **parts), of), next(sensor for sensor in of.sensors if sensor.name == name))


NOW = milliseconds(ORIGIN + timedelta(days=4), hour=10)


def everything(until: int = NOW) -> list[wire.Event]:
    batch = feed().take(until, 1_000_000)
    assert batch is not None
    return batch.events


def test_a_feed_is_the_days_one_after_the_other() -> None:
    one = feed()
    days = [
        one.schedule.sensor_day(one.sensor, ORIGIN + timedelta(days=number)).events for number in range(5)
    ]
    assert everything() == [event for day in days for event in day if event.at <= NOW]
    assert len(days[4]) > len([event for event in days[4] if event.at <= NOW]) > 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(1, 400)), min_size=1, max_size=12))
def test_batches_of_any_size_up_to_any_time_are_consecutive(steps: list[tuple[int, int]]) -> None:
    one, events = feed(), everything(milliseconds(ORIGIN, hour=120))
    taken: list[wire.Event] = []
    for hours, limit in steps:
        until = milliseconds(ORIGIN, hour=hours)
        before = one.seq
        batch = one.take(until, limit)
        due = [event for event in events if event.at <= until]
        if batch is None:
            assert len(due) <= before
            continue
        assert (batch.epoch, batch.first_seq) == (1, before)
        assert len(batch.events) == min(limit, len(due) - before)
        taken += batch.events
    assert taken == events[: len(taken)]
    assert one.seq == len(taken)


@settings(max_examples=30)
@given(st.integers(0, 1_000_000))
def test_seeking_finds_the_event_of_that_number(number: int) -> None:
    events = everything()
    seq = number % len(events)
    one = feed()
    one.seek(seq, NOW)
    assert (one.seq, one.next_at, one.waiting(NOW)) == (seq, events[seq].at, len(events) - seq)
    batch = one.take(NOW, 1_000_000)
    assert batch is not None
    assert (batch.first_seq, batch.events) == (seq, events[seq:])


def test_where_another_fleet_is_ahead_nothing_waits() -> None:
    one = feed()
    assert one.take(NOW + 3_600_000, 1_000_000)
    assert one.waiting(NOW) == 0


def test_all_of_the_past_taken_leaves_nothing_waiting() -> None:
    one = feed()
    assert one.waiting(NOW) == len(everything())
    one.take(NOW, 1_000_000)
    assert one.waiting(NOW) == 0
    assert one.next_at > NOW
    assert one.take(NOW, 10) is None


def test_a_number_beyond_tomorrow_is_from_another_plan() -> None:
    with pytest.raises(
        PlanError, match="s-testzone1: the backend has 1000000 events of it, more than the plan has"
    ):
        feed().seek(1_000_000, NOW)


def test_a_stopped_feed_has_nothing() -> None:
    one = feed()
    one.stop()
    assert one.take(NOW, 10) is None


def test_heartbeats_become_frequent_where_the_history_ends() -> None:
    change = milliseconds(ORIGIN + timedelta(days=2))
    early, late = feed(live_from=FAR_AHEAD), feed(live_from=change)
    assert late.waiting(change) == early.waiting(change)
    assert late.waiting(NOW) > early.waiting(NOW) + 2 * 24 * 50
