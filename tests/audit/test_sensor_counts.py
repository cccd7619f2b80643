"""What sensors counted in audited spans, against the list of events that they sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from analytics.audit.accuracy import Accuracy, accuracy_statement
from analytics.audit.models import ManualCount
from analytics.audit.recording import record_manual_count
from analytics.audit.sensor_counts import Comparison, compare
from analytics.counts.days import to_ms
from sensorapp import wire
from sensorapp.fleet.enrolment import revoke
from sensorapp.fleet.models import Channel, ChannelKind, Sensor, Store
from tests.audit.passages import crossings
from tests.cast import Cast, build_cast, channel, make_door, make_sensor
from tests.counts.site import heartbeat, send, utc, watching

pytestmark = pytest.mark.django_db

BEGIN, END = utc("2026-05-04T08:07:30"), utc("2026-05-04T08:47:30")
HOUR = timedelta(hours=1)


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def count(
    store: Store, place: Any = None, begins: datetime = BEGIN, ends: datetime = END, **counted: int
) -> ManualCount:
    return record_manual_count(store, place, begins, ends, counted or {"entries": 0, "exits": 0}, "Ada")


def watch(
    sensor: Sensor, *events: wire.Event, begin: datetime = BEGIN - HOUR, end: datetime = END + HOUR
) -> None:
    """The sensor observes without a break; its events are sent in batches of fifty, in the order of time."""
    sent = sorted([*watching(begin, end), *events], key=lambda event: event.at)
    for place in range(0, len(sent), 50):
        send(sensor, sent[place : place + 50])


def compared(store: Store, *counts: ManualCount) -> list[tuple[dict[str, int] | None, float | None, bool]]:
    return [(c.sensor, c.completeness, c.compared) for c in compare(store, counts)]


def test_the_span_holds_its_beginning_and_not_its_end(cast: Cast) -> None:
    """To the millisecond, within quarters of an hour that hold more."""
    tick = timedelta(milliseconds=1)
    door = make_door(cast.store)
    inside = [BEGIN, BEGIN + tick, END - tick]
    outside = [BEGIN - tick, END, END + tick]
    watch(door, *crossings([*inside, *outside]), *crossings([BEGIN, END], "backward"))
    assert compared(cast.store, count(cast.store)) == [({"entries": 3, "exits": 1}, 1.0, True)]


def test_each_place_has_its_own_lines(cast: Cast) -> None:
    """Two entrances, one of them with its camera the other way round; and a line across no entrance."""
    front = make_door(cast.store, "front")
    back = make_door(cast.store, "back", Channel.BACKWARD)
    aisle, _ = make_sensor(cast.store, "aisle", lines=["left", "right"])
    entrance = cast.store.entrances.create(name="Back entrance")
    back.channels.filter(kind=ChannelKind.LINE).update(entrance=entrance)
    at = [BEGIN + timedelta(minutes=n) for n in range(1, 30)]
    watch(front, *crossings(at[:5]), *crossings(at[:2], "backward"))
    watch(back, *crossings(at[:3]), *crossings(at[:7], "backward"))
    watch(aisle, *crossings(at[:11], line=0), *crossings(at[:13], "backward", line=1))
    watch(make_door(cast.other_store), *crossings(at))
    counts = [
        count(cast.store),
        count(cast.store, entrance),
        count(cast.store, cast.store.entrances.get(name="Main entrance"), entries=5),
        count(cast.store, channel(back, ChannelKind.LINE), forward=0, backward=0),
        count(cast.store, channel(aisle, ChannelKind.LINE, 0), forward=0, backward=0),
        count(cast.store, channel(aisle, ChannelKind.LINE, 1), backward=0),
    ]
    assert compared(cast.store, *counts) == [
        ({"entries": 12, "exits": 5}, 1.0, True),
        ({"entries": 7, "exits": 3}, 1.0, True),
        ({"entries": 5}, 1.0, True),
        ({"forward": 3, "backward": 7}, 1.0, True),
        ({"forward": 11, "backward": 0}, 1.0, True),
        ({"backward": 13}, 1.0, True),
    ]


def test_an_outage_is_not_known_rather_than_zero(cast: Cast) -> None:
    door = make_door(cast.store)
    watch(door, *crossings([BEGIN]), end=BEGIN + timedelta(minutes=30))
    later = count(cast.store, None, END, END + HOUR, entries=4)
    assert compared(cast.store, count(cast.store), later) == [
        ({"entries": 1, "exits": 0}, 0.75, False),
        (None, 0.0, False),
    ]


def test_the_least_watched_entrance_decides(cast: Cast) -> None:
    watch(make_door(cast.store, "front"), *crossings([BEGIN]))
    watch(make_door(cast.store, "back"), end=BEGIN + timedelta(minutes=10))
    assert compared(cast.store, count(cast.store)) == [({"entries": 1, "exits": 0}, 0.25, False)]


def test_sensors_that_were_not_there_are_not_missed(cast: Cast) -> None:
    """One never heard, one that came later, one revoked and one line retired before."""
    door = make_door(cast.store, "door")
    make_door(cast.store, "in its box")
    watch(make_door(cast.store, "new"), begin=END + HOUR, end=END + 2 * HOUR)
    old = make_door(cast.store, "old")
    watch(old, end=BEGIN - timedelta(minutes=30))
    revoke(old)
    Sensor.objects.filter(pk=old.pk).update(revoked_at=BEGIN)
    moved = make_door(cast.store, "moved")
    watch(moved, end=BEGIN - timedelta(minutes=30))
    moved.channels.update(retired_at=BEGIN)
    watch(door, *crossings([BEGIN]))
    assert compared(cast.store, count(cast.store)) == [({"entries": 1, "exits": 0}, 1.0, True)]


def test_a_store_without_sensors_compares_nothing(cast: Cast) -> None:
    assert compared(cast.store, count(cast.store)) == [(None, None, False)]
    assert compare(cast.store, []) == []


def test_many_counts_are_three_queries(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    watch(make_door(cast.store))
    counts = [count(cast.store, None, BEGIN, END - timedelta(minutes=n)) for n in range(5)]
    with django_assert_num_queries(3):
        compare(cast.store, counts)


def test_the_statement_uses_what_was_observed_fully(cast: Cast) -> None:
    door = make_door(cast.store)
    at = [BEGIN + timedelta(minutes=n) for n in range(40)]
    watch(door, *crossings(at[:19]), *crossings(at[:11], "backward"))
    counts = [
        count(cast.store, entries=20, exits=10),
        count(cast.store, channel(door, ChannelKind.LINE), forward=20),
        count(cast.store, None, END + 3 * HOUR, END + 4 * HOUR, entries=500),
    ]
    found = {
        statement.direction: statement.accuracy
        for statement in accuracy_statement(compare(cast.store, counts))
    }
    figures = {
        name: (its.spans, its.manual, its.sensor, its.bias, its.absolute_error) for name, its in found.items()
    }
    assert figures == {
        "entries": (1, 20, 19, -0.05, 0.05),
        "exits": (1, 10, 11, 0.1, 0.1),
        "forward": (1, 20, 19, -0.05, 0.05),
        "all": (3, 50, 49, -0.02, 0.06),
    }


def test_nothing_compared_states_nothing() -> None:
    [statement] = accuracy_statement([Comparison(ManualCount(entries=3), {"entries": 3}, 0.9)])
    assert (statement.direction, statement.accuracy) == ("all", Accuracy(0, 0, 0, None, None, None, None))


MOMENTS = st.integers(-3_600_000, 2 * 3_600_000)
EVENTS = st.lists(
    st.tuples(MOMENTS, st.integers(0, 1), st.sampled_from(["forward", "backward"])), max_size=40
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.lists(st.tuples(MOMENTS, MOMENTS), min_size=1, max_size=4), st.integers(0, 59_999))
def test_any_span_holds_what_was_sent(
    cast: Cast, sent: list[tuple[int, int, wire.Direction]], spans: list[tuple[int, int]], beat: int
) -> None:
    """Crossings and spans at random, batches of seven, and a heartbeat that covers them all."""
    sensor, _ = make_sensor(cast.store, "aisle", lines=["left", "right"])
    start = to_ms(BEGIN)
    events: list[wire.Event] = [wire.Crossing(start + at, line, direction) for at, line, direction in sent]
    events += [heartbeat(start + beat + n * 3_600_000, 3_600_000) for n in range(-2, 6)]
    for place in range(0, len(events), 7):
        send(sensor, events[place : place + 7])
    lines = [channel(sensor, ChannelKind.LINE, number) for number in (0, 1)]
    counts = [
        ManualCount(
            store=cast.store,
            line=line,
            begins=BEGIN + timedelta(milliseconds=low),
            ends=BEGIN + timedelta(milliseconds=low + abs(high - low) + 1),
            forward=0,
            backward=0,
        )
        for low, high in spans
        for line in lines
    ]
    expected = []
    for audited in counts:
        begins, ends = to_ms(audited.begins) - start, to_ms(audited.ends) - start
        of_line = [d for at, line, d in sent if begins <= at < ends and lines[line] == audited.line]
        expected.append({"forward": of_line.count("forward"), "backward": of_line.count("backward")})
    assert [(c.sensor, c.completeness) for c in compare(cast.store, counts)] == [
        (each, 1.0) for each in expected
    ]
