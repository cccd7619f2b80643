"""A store's page against a ledger of the events that were sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.counts.days import to_ms
from analytics.counts.occupancy import Occupancy
from analytics.counts.snapshot import SensorNow, SlotNow, StoreSnapshot, Traffic, ZoneNow, store_snapshot
from analytics.ingest.models import Cursor, Gauge
from sensorapp import wire
from sensorapp.fleet.enrolment import revoke
from sensorapp.fleet.models import Channel, ChannelKind, Store
from tests.cast import Cast, build_cast, channel, make_door, make_sensor, open_daily, plan
from tests.counts.site import (
    MINUTE,
    QUARTER,
    SECOND,
    Ledger,
    count,
    crossing,
    heartbeat,
    send,
    utc,
    watching,
)

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")
# A Tuesday; Hamburg's clocks show 12:07.
NOW = utc("2026-06-16T10:07")
MIDNIGHT = utc("2026-06-15T22:00")
OPENING = utc("2026-06-16T07:00")
WEEK = timedelta(days=7)
NOT_LIVE = Occupancy(None, "not live")


@pytest.fixture
def cast() -> Cast:
    return build_cast()


@pytest.fixture
def store(cast: Cast) -> Store:
    open_daily(cast.store, time(9), time(18))
    return cast.store


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


seconds = st.integers(-WEEK // timedelta(seconds=1), 12 * 3600)
minutes = st.integers(-8 * 24 * 60, 12 * 60)
crossed = st.lists(st.tuples(seconds, st.sampled_from(["forward", "backward"])), max_size=30)
watched = st.lists(st.tuples(minutes, st.integers(1, 240)), max_size=5)


def events_of(crossed: list[tuple[int, wire.Direction]], watched: list[tuple[int, int]]) -> list[wire.Event]:
    events = [crossing(MIDNIGHT + timedelta(seconds=at), direction) for at, direction in crossed]
    done = -(10**9)
    for begin, length in sorted(watched):
        begin = max(begin, done)
        since = MIDNIGHT + timedelta(minutes=begin)
        events += watching(since, since + timedelta(minutes=length))
        done = begin + length
    return events


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(crossed, watched, crossed, watched)
def test_traffic_is_what_the_ledger_says(store: Store, c1: Any, w1: Any, c2: Any, w2: Any) -> None:
    with undone():
        ledger = Ledger()
        for name, inwards, events in (
            ("east", "forward", events_of(c1, w1)),
            ("west", "backward", events_of(c2, w2)),
        ):
            door = make_door(store, name, inwards)
            events = [event for event in events if event.at < to_ms(NOW)]
            ledger.note(door, events, inwards)
            if events:
                send(door, events, NOW)
        found = store_snapshot(store, NOW)
        assert traffic_of(found.today) == expected_today(ledger)
        assert traffic_of(found.last_week) == expected_last_week(ledger)


def traffic_of(traffic: Traffic) -> dict[str, Any]:
    return {name: getattr(traffic, name) for name in Traffic.__slots__}


def expected_today(ledger: Ledger) -> dict[str, Any]:
    begin, now = to_ms(MIDNIGHT), to_ms(NOW)
    entries, exits = (count(moments, begin, now) for moments in (ledger.entered, ledger.left))
    return expected_day(ledger, begin, date(2026, 6, 16), now - 90 * SECOND) | {
        "entries_so_far": entries,
        "exits_so_far": exits,
        "entries_total": entries,
        "completeness": share(ledger.times(to_ms(OPENING), now - 90 * SECOND)),
    }


def expected_last_week(ledger: Ledger) -> dict[str, Any]:
    begin = to_ms(MIDNIGHT - WEEK)
    quarter, end = to_ms(NOW - WEEK) - 7 * MINUTE, begin + 96 * QUARTER

    def so_far(moments: list[int]) -> int:
        """Seven minutes of the quarter under way are seven fifteenths of it, rounded half up."""
        whole, part = count(moments, begin, quarter), count(moments, quarter, quarter + QUARTER)
        return whole + (part * 7 * 2 + 15) // 30

    return expected_day(ledger, begin, date(2026, 6, 9), end) | {
        "entries_so_far": so_far(ledger.entered),
        "exits_so_far": so_far(ledger.left),
        "entries_total": count(ledger.entered, begin, end),
        "completeness": share(ledger.times(to_ms(OPENING - WEEK), to_ms(NOW - WEEK))),
    }


def expected_day(ledger: Ledger, begin: int, day: date, until: int) -> dict[str, Any]:
    starts = [(begin + place * QUARTER) // 1000 for place in range(96)]
    opens, closes = begin + 9 * 4 * QUARTER, min(until, begin + 18 * 4 * QUARTER)
    return {
        "date": day,
        "starts": starts,
        "entries": ledger.by_quarter(ledger.entered, starts),
        "exits": ledger.by_quarter(ledger.left, starts),
        "completeness_by_bucket": [
            share(ledger.times(max(at * 1000, opens), min(at * 1000 + QUARTER, closes))) for at in starts
        ],
    }


def share(times: tuple[int, int]) -> float | None:
    observed, expected = times
    return observed / expected if expected else None


def test_a_store_without_sensors_knows_nothing(store: Store) -> None:
    def nothing(day: date, begin: datetime) -> Traffic:
        starts = [to_ms(begin) // 1000 + place * 900 for place in range(96)]
        blank: list[None] = [None] * 96
        return Traffic(day, starts, [*blank], [*blank], [*blank], 0, 0, 0, None)

    assert store_snapshot(store, NOW) == StoreSnapshot(
        version=0,
        at=NOW,
        is_open=True,
        occupancy=Occupancy(None, "not watched"),
        today=nothing(date(2026, 6, 16), MIDNIGHT),
        last_week=nothing(date(2026, 6, 9), MIDNIGHT - WEEK),
        zones=[],
        slots=[],
        sensors=[],
        ever_heard=False,
    )


def test_a_store_was_heard_also_by_sensors_that_are_revoked(store: Store) -> None:
    door = make_door(store)
    found = store_snapshot(store, NOW)
    assert (found.ever_heard, found.occupancy.doubt) == (False, "not watched")
    send(door, watching(OPENING, NOW), NOW)
    assert store_snapshot(store, NOW).ever_heard
    revoke(door)
    found = store_snapshot(store, NOW)
    assert (found.sensors, found.ever_heard, found.occupancy.doubt) == ([], True, "not watched")


def test_zones_slots_and_sensors(store: Store) -> None:
    eye, _ = make_sensor(store, "eye", zones=["aisle", "till"], slots=["A-1", "A-2", "A-3", "A-4"])
    away, _ = make_sensor(store, "away", zones=["cellar"])
    new, _ = make_sensor(store, "new", slots=["B-1"])
    old, _ = make_sensor(store, "old", zones=["gone"])
    revoke(old)
    for number, (facings, capacity) in enumerate([(2, 10), (2, 10), (3, 10)]):
        plan(channel(eye, ChannelKind.SLOT, number), f"Cola {number}", facings, capacity)
    since = utc("2026-06-16T10:00")
    send(
        eye,
        [
            heartbeat(to_ms(since)),
            wire.Occupancy(to_ms(since), 0, 4),
            *(wire.Shelf(to_ms(since), slot, units, 0.9) for slot, units in enumerate([6, 0, 2, 1])),
            *watching(since, since + timedelta(minutes=3)),
            wire.Shelf(to_ms(since) + 3 * MINUTE + 1, 1, 5, 0.9),
            wire.Visit(to_ms(since) + 4 * MINUTE, 0, 20_000),
            wire.Visit(to_ms(since) + 5 * MINUTE, 0, 41_000),
            *watching(since + timedelta(minutes=3), since + timedelta(minutes=7)),
        ],
        NOW,
    )
    send(away, [wire.Occupancy(to_ms(since), 0, 2)], NOW - timedelta(minutes=5, seconds=1))
    found = store_snapshot(store, NOW)

    def ident(sensor: Any, kind: ChannelKind, number: int = 0) -> int:
        return channel(sensor, kind, number).pk

    empty_part = (3 * MINUTE + 1) / (7 * MINUTE)
    assert found.zones == [
        ZoneNow(ident(eye, ChannelKind.ZONE, 0), "aisle", 4, 2, 30.5),
        ZoneNow(ident(away, ChannelKind.ZONE), "cellar", None, 0, None),
        ZoneNow(ident(eye, ChannelKind.ZONE, 1), "till", None, 0, None),
    ]
    slot = ChannelKind.SLOT
    assert found.slots == [
        SlotNow(ident(eye, slot, 0), "A-1", "Cola 0", "cola-0", 2, 10, 6, "ok", 1.0, eye.pk),
        SlotNow(
            ident(eye, slot, 1),
            "A-2",
            "Cola 1",
            "cola-1",
            2,
            10,
            5,
            "ok",
            pytest.approx(1 - empty_part),
            eye.pk,
        ),
        SlotNow(ident(eye, slot, 2), "A-3", "Cola 2", "cola-2", 3, 10, 2, "low", 1.0, eye.pk),
        SlotNow(ident(eye, slot, 3), "A-4", "", "", 0, 0, 1, "ok", 1.0, eye.pk),
        SlotNow(ident(new, slot), "B-1", "", "", 0, 0, None, "unknown", None, new.pk),
    ]
    heard = NOW - timedelta(minutes=5, seconds=1)
    assert found.sensors == [
        SensorNow(away.pk, away.public_id, "away", "silent", heard, since, None, None, None),
        SensorNow(eye.pk, eye.public_id, "eye", "live", NOW, NOW, None, None, None),
        SensorNow(new.pk, new.public_id, "new", "never heard", None, None, None, None, None),
    ]


COPY_ASIDE = """
INSERT INTO ingest_set_aside (organisation_id, sensor_id, epoch, first_seq, received_at, first_at, config,
                              event_count, model, events)
SELECT organisation_id, sensor_id, epoch + 1, first_seq, received_at, first_at, config,
       event_count, model, events FROM ingest_batch
"""


def test_a_wrong_clock_and_what_is_set_aside(store: Store) -> None:
    wrong, right = make_door(store, "a", "forward"), make_door(store, "b", "forward")
    for door in (wrong, right):
        send(door, [crossing(NOW), crossing(NOW)], NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_cursor SET skew_ms = 3600000 WHERE sensor_id = %s", [wrong.pk])
        cursor.execute(COPY_ASIDE + " WHERE sensor_id = %s", [wrong.pk])
    found = store_snapshot(store, NOW).sensors
    assert [(one.clock_error, one.set_aside) for one in found] == [(timedelta(hours=1), 2), (None, 0)]


def test_a_silent_door_is_not_known_and_never_zero(store: Store) -> None:
    door = make_door(store)
    fell_silent = utc("2026-06-16T08:00")
    send(door, [*watching(OPENING, fell_silent), crossing(OPENING)], fell_silent)
    found = store_snapshot(store, NOW)
    assert found.today.entries == [None] * 36 + [1, 0, 0, 0] + [None] * 56
    assert found.today.completeness_by_bucket == [None] * 36 + [1.0] * 4 + [0.0] * 9 + [None] * 47
    expected = (NOW - timedelta(seconds=90) - OPENING).total_seconds()
    assert found.today.completeness == pytest.approx(3600 / expected)
    assert found.occupancy == NOT_LIVE


def test_a_second_door_that_is_silent_makes_counts_incomplete(store: Store) -> None:
    east, west = make_door(store, "east"), make_door(store, "west")
    make_door(store, "not mounted yet")
    send(east, [*watching(OPENING, NOW), crossing(OPENING), crossing(NOW, "backward")], NOW)
    send(west, watching(OPENING, utc("2026-06-16T08:00")), utc("2026-06-16T08:00"))
    found = store_snapshot(store, NOW)
    assert found.today.entries[36:50] == [1, *[0] * 12, None]
    assert found.today.completeness_by_bucket[36:50] == [1.0] * 4 + [0.5] * 9 + [None]
    assert found.occupancy == NOT_LIVE


def test_occupancy_while_every_mounted_door_is_live(store: Store) -> None:
    door = make_door(store)
    make_door(store, "not mounted yet")
    moments = [OPENING + timedelta(minutes=part) for part in (1, 2, 3)]
    send(door, [*watching(OPENING, NOW), *map(crossing, moments), crossing(NOW, "backward")], NOW)
    assert store_snapshot(store, NOW).occupancy == Occupancy(2, None)
    Cursor.objects.update(received_at=NOW - timedelta(minutes=6))
    assert store_snapshot(store, NOW).occupancy == NOT_LIVE


def test_occupancy_is_never_below_zero(store: Store) -> None:
    door = make_door(store)
    send(door, [*watching(OPENING, NOW), crossing(NOW, "backward")], NOW)
    assert store_snapshot(store, NOW).occupancy == Occupancy(0, None)


@pytest.mark.parametrize(
    ("entered", "left", "cut_minutes", "expected"),
    [
        (5, 2, 60, Occupancy(3, "partly observed")),
        (5, 5, 60, Occupancy(None, "partly observed")),
        (1, 4, 60, Occupancy(None, "partly observed")),
        (5, 2, 1, Occupancy(3, None)),
        (1, 4, 1, Occupancy(0, None)),
    ],
)
def test_after_a_power_cut_occupancy_is_an_estimate_or_not_known(
    store: Store, entered: int, left: int, cut_minutes: int, expected: Occupancy
) -> None:
    """Whoever came during the cut is inside and was not counted."""
    door, cut = make_door(store), utc("2026-06-16T09:00")
    send(door, [*watching(OPENING, cut), *[crossing(OPENING)] * entered], cut)
    back = cut + timedelta(minutes=cut_minutes)
    send(door, [*watching(back, NOW), *[crossing(NOW, "backward")] * left], NOW)
    assert store_snapshot(store, NOW).occupancy == expected


def test_what_was_not_observed_before_opening_leaves_no_doubt(store: Store) -> None:
    door = make_door(store)
    closed = OPENING - timedelta(hours=10)
    send(door, watching(closed - timedelta(hours=1), closed), closed)
    send(door, [*watching(OPENING, NOW), crossing(OPENING)], NOW)
    assert store_snapshot(store, NOW).occupancy == Occupancy(1, None)


def test_a_revoked_door_counts_in_the_past_and_is_not_missed_afterwards(store: Store) -> None:
    east, west = make_door(store, "east"), make_door(store, "west")
    send(east, watching(OPENING, NOW), NOW)
    half = utc("2026-06-16T08:00")
    send(west, [*watching(OPENING, half), crossing(OPENING)], half)
    type(west).objects.filter(pk=west.pk).update(revoked_at=half)
    found = store_snapshot(store, NOW)
    assert (found.today.entries_so_far, found.today.completeness, found.occupancy.people) == (1, 1.0, 1)


def test_correcting_the_direction_corrects_the_past(store: Store) -> None:
    door = make_door(store)
    send(
        door, [*watching(OPENING - WEEK, NOW, 10 * MINUTE), crossing(OPENING), crossing(OPENING - WEEK)], NOW
    )
    before = store_snapshot(store, NOW)
    Channel.objects.filter(sensor=door).update(entry_direction=Channel.BACKWARD)
    after = store_snapshot(store, NOW)
    for then, now in ((before.today, after.today), (before.last_week, after.last_week)):
        assert then.entries_so_far == now.exits_so_far == 1
        assert then.exits_so_far == now.entries_so_far == 0
        assert (then.entries, then.exits) == (now.exits, now.entries)


def test_a_crossing_is_shown_before_the_heartbeat_that_covers_it(store: Store) -> None:
    door = make_door(store)
    send(door, [crossing(NOW)], NOW)
    today = store_snapshot(store, NOW).today
    assert today.entries == [None] * 48 + [1] + [None] * 47
    assert today.entries_so_far == 1


def test_a_clock_that_runs_ahead_fills_no_future(store: Store) -> None:
    door = make_door(store)
    send(door, [crossing(NOW), crossing(NOW + timedelta(minutes=30))], NOW)
    today = store_snapshot(store, NOW).today
    assert today.entries == [None] * 48 + [1] + [None] * 47
    assert (today.entries_so_far, today.entries_total) == (1, 1)


@pytest.mark.parametrize(("at", "is_open", "completeness"), [("06:59", False, None), ("07:30", True, 1.0)])
def test_completeness_begins_with_opening(
    store: Store, at: str, is_open: bool, completeness: float | None
) -> None:
    door, now = make_door(store), utc(f"2026-06-16T{at}")
    send(door, watching(MIDNIGHT, now), now)
    found = store_snapshot(store, now)
    assert (found.is_open, found.today.completeness) == (is_open, completeness)


@pytest.mark.parametrize(
    ("time_zone", "at", "today", "last_week"),
    [
        ("Europe/Berlin", "2026-03-29T10:00", 92, 96),
        ("Europe/Berlin", "2026-11-01T10:00", 96, 100),
        ("Australia/Lord_Howe", "2026-10-04T10:00", 94, 96),
        ("Asia/Kathmandu", "2026-10-04T10:00", 96, 96),
    ],
)
def test_days_that_are_longer_or_shorter(
    store: Store, time_zone: str, at: str, today: int, last_week: int
) -> None:
    Store.objects.filter(pk=store.pk).update(time_zone=time_zone)
    store.refresh_from_db()
    found = store_snapshot(store, utc(at))
    for traffic, quarters in ((found.today, today), (found.last_week, last_week)):
        assert [len(traffic.starts), len(traffic.entries), len(traffic.exits)] == [quarters] * 3
        first = datetime.fromtimestamp(traffic.starts[0], UTC).astimezone(ZoneInfo(time_zone))
        assert (first.date(), first.time()) == (traffic.date, time())


@pytest.mark.parametrize(("crossings", "so_far"), [(1, 0), (2, 1), (8, 4), (15, 7), (16, 7), (17, 8)])
def test_last_week_counts_the_quarter_under_way_in_proportion(
    store: Store, crossings: int, so_far: int
) -> None:
    """Seven of its fifteen minutes have passed, whenever in it people came."""
    door = make_door(store)
    quarter = NOW - WEEK - timedelta(minutes=7)
    send(door, [crossing(quarter + timedelta(seconds=50 * place)) for place in range(crossings)], NOW)
    found = store_snapshot(store, NOW).last_week
    assert (found.entries_so_far, found.exits_so_far, found.entries_total) == (so_far, 0, crossings)


def test_last_week_reaches_the_same_time_on_the_clock(store: Store) -> None:
    """Clocks changed on Sunday: 12:00 in Berlin is 10:00 UTC on this Tuesday and was 11:00 last week."""
    door, now = make_door(store), utc("2026-03-31T10:00")
    moments = [utc(f"2026-03-24T{clock}") for clock in ("10:30", "10:59", "11:00", "11:30")]
    send(door, map(crossing, moments), now)
    found = store_snapshot(store, now).last_week
    assert (found.entries_so_far, found.entries_total) == (2, 4)


def test_a_retired_line_counts_in_the_past_and_is_not_missed_afterwards(store: Store) -> None:
    door, half = make_door(store), utc("2026-06-16T08:00")
    send(door, [*watching(OPENING, half), crossing(OPENING)], half)
    door.channels.filter(kind=ChannelKind.LINE).update(retired_at=half)
    found = store_snapshot(store, NOW)
    assert (found.today.entries_so_far, found.today.completeness, found.occupancy.people) == (1, 1.0, None)


def test_a_gauge_that_its_sensor_carried_on_no_further_is_not_known(store: Store) -> None:
    """Its sensor is live, but its newest events no longer speak of this zone."""
    eye, _ = make_sensor(store, "eye", zones=["aisle"])
    send(eye, [wire.Occupancy(to_ms(NOW), 0, 4)], NOW)
    assert [zone.occupancy for zone in store_snapshot(store, NOW).zones] == [4]
    Gauge.objects.update(at=to_ms(NOW) - 90 * SECOND)
    assert [zone.occupancy for zone in store_snapshot(store, NOW).zones] == [4]
    Gauge.objects.update(at=to_ms(NOW) - 90 * SECOND - 1)
    assert [zone.occupancy for zone in store_snapshot(store, NOW).zones] == [None]


def test_a_sensor_that_catches_up_has_no_gauges_of_now(store: Store) -> None:
    eye, _ = make_sensor(store, "eye", zones=["aisle"])
    send(eye, [wire.Occupancy(to_ms(NOW - timedelta(minutes=30)), 0, 4)], NOW)
    found = store_snapshot(store, NOW)
    assert (found.sensors[0].status, found.zones[0].occupancy) == ("catching up", None)


def test_a_snapshot_of_each_store_that_a_person_sees(cast: Cast) -> None:
    """Counts of one store never show up in another's."""
    for number, store in enumerate((cast.store, cast.other_store, cast.foreign_store), 1):
        send(make_door(store), [crossing(NOW)] * number, NOW)
    seen = {
        name: {
            store: store_snapshot(store, NOW).today.entries_so_far for store in Store.objects.visible_to(user)
        }
        for name, user in cast.people.items()
    }
    counted = {cast.store: 1, cast.other_store: 2, cast.foreign_store: 3}
    assert seen == {
        name: {store: counted[store] for store in stores} for name, stores in cast.visible_stores.items()
    }


def test_the_number_of_queries_does_not_grow(store: Store) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            store_snapshot(store, NOW)
        return len(captured)

    before = queries()
    for number in range(3):
        send(make_door(store, f"door {number}"), watching(OPENING, NOW), NOW)
        sensor, _ = make_sensor(store, f"shelf {number}", zones=["a", "b"], slots=["c", "d"])
        send(sensor, [wire.Shelf(to_ms(NOW), 0, 3, 0.9)], NOW)
    # One less where no entrance is watched at all: there are no series to read, twice.
    assert (before, queries()) == (5, 7)


def test_a_commit_in_between_is_not_seen(other_connection: psycopg.Connection) -> None:
    """The version and the counts are those of one moment, also while ingest goes on."""
    store = build_cast().store
    door = make_door(store)
    send(door, [*watching(OPENING, NOW), crossing(OPENING)], NOW)
    committed = []

    def commit_meanwhile(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "ingest_store_version" in sql and not committed:
            other_connection.execute("UPDATE ingest_bucket SET value = value + 100")
            other_connection.execute("UPDATE ingest_store_version SET version = version + 1")
            other_connection.commit()
            committed.append(True)
        return result

    with connection.execute_wrapper(commit_meanwhile):
        during = store_snapshot(store, NOW)
    afterwards = store_snapshot(store, NOW)
    assert committed
    assert (during.version, during.today.entries_so_far) == (1, 1)
    assert (afterwards.version, afterwards.today.entries_so_far) == (2, 101)


@pytest.mark.django_db(transaction=True)
def test_a_snapshot_writes_nothing() -> None:
    store = build_cast().store
    with CaptureQueriesContext(connection) as captured:
        store_snapshot(store, NOW)
    assert captured[1]["sql"] == "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
