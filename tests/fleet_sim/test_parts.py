"""However time is sliced, a sensor's events are the same, and no more is held than a slice."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.fleet import layout
from sensor_sim.fleet.plan import Store
from sensor_sim.fleet.schedule import Feed, Schedule
from sensorapp import wire
from tests.fleet_sim.plans import ORIGIN, milliseconds, night_store, plan, store

HOUR = 3_600_000
BEGIN = milliseconds(ORIGIN, hour=9)
SINCE = BEGIN + 1_234


def laid_out(sensors: int) -> Store:
    return store("UTC", sensors=layout.sensors([f"s-test{n:04}" for n in range(sensors)]))


STORES = laid_out(5), night_store("UTC")


def feeds(of: Store = STORES[0], heartbeat_ms: int = 60_000) -> list[Feed]:
    """The sensors of a store that has been there since nine o'clock of the first day."""
    whole = msgspec.structs.replace(plan(of, live_from=BEGIN), heartbeat_ms=heartbeat_ms, since=SINCE)
    schedule = Schedule(whole, of)
    return [Feed(schedule, sensor) for sensor in of.sensors]


@settings(max_examples=20)
@given(
    st.sampled_from(STORES),
    st.integers(0, 4),
    st.integers(0, 1),
    st.lists(st.integers(0, 86_400_000), max_size=6),
)
def test_a_day_in_pieces_is_the_day(of: Store, sensor: int, number: int, edges: list[int]) -> None:
    feed = feeds(of)[sensor]
    date = ORIGIN + timedelta(days=number)
    whole = feed.schedule.sensor_day(feed.sensor, date)
    day = feed.schedule.day(date)
    moments = [day.begins, *sorted(day.begins + edge for edge in edges), day.ends]
    pieces = [whole.cut(begin, end) for begin, end in pairwise(moments)]
    assert [piece.first for piece in pieces] == [0, *(piece.stop for piece in pieces[:-1])]
    assert [event for piece in pieces for event in piece.events] == whole.events
    assert [piece.ends_day for piece in pieces] == [piece.stop == whole.stop for piece in pieces]
    for number in (whole.first, len(whole) // 2, whole.stop - 1):
        assert whole.at(number) == whole.events[number].at


STEPS = st.lists(
    st.tuples(st.integers(1, 3 * HOUR), st.integers(1, 5_000), st.sampled_from(["keep", "rest", "seek", ""])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20)
@given(st.sampled_from(STORES), st.integers(0, 4), STEPS)
def test_whatever_is_kept_ready_the_same_events_are_taken(
    of: Store, sensor: int, steps: list[tuple[int, int, str]]
) -> None:
    feed, undisturbed = feeds(of)[sensor], feeds(of)[sensor]
    taken: list[wire.Event] = []
    until = BEGIN
    for duration, limit, then in steps:
        until += duration
        if batch := feed.take(until, limit):
            assert batch.first_seq == len(taken)
            taken += batch.events
        match then:
            case "keep":
                feed.keep(feed.next_at + duration)
            case "rest":
                feed.rest()
                feed.schedule.forget()
            case "seek":
                feed.seek(feed.seq, until)
    expected = undisturbed.take(until, 1_000_000)
    assert taken == (expected.events if expected else [])[: len(taken)]
    assert feed.seq == len(taken)


def test_what_is_kept_over_midnight_has_the_same_numbers() -> None:
    midnight = milliseconds(ORIGIN, hour=48)
    for feed, undisturbed in zip(feeds(STORES[1]), feeds(STORES[1]), strict=True):
        assert feed.take(midnight - HOUR, 1_000_000)
        assert undisturbed.take(midnight - HOUR, 1_000_000)
        feed.keep(midnight + 60_000)
        assert feed.take(midnight + HOUR, 1_000_000) == undisturbed.take(midnight + HOUR, 1_000_000)


def test_each_sensor_has_a_batch_a_second_with_one_heartbeat() -> None:
    for feed in feeds(heartbeat_ms=1_000):
        first = feed.take(SINCE + HOUR, 1_000_000)
        assert first is not None
        assert first.events[0].at >= SINCE
        feed.keep(SINCE + 2 * HOUR)
        for second in range(1, 120):
            batch = feed.take(SINCE + HOUR + second * 1_000, 1_000)
            assert batch is not None
            assert sum(isinstance(event, wire.Heartbeat) for event in batch.events) == 1


def test_days_before_the_first_event_are_passed() -> None:
    feed = feeds()[0]
    later = msgspec.structs.replace(feed.schedule.plan, since=SINCE + 50 * HOUR)
    late = Feed(Schedule(later, feed.schedule.store), feed.sensor)
    assert late.take(SINCE + 50 * HOUR - 1, 10) is None
    assert SINCE + 50 * HOUR <= late.next_at < SINCE + 50 * HOUR + 60_000


def test_memory_is_flat_over_days() -> None:
    """What is kept at the same hour of three days, while each sensor has two hours ready."""
    every = feeds(laid_out(2))
    tracemalloc.start()
    try:
        kept = []
        for hours in range(16, 16 + 72, 2):
            until = milliseconds(ORIGIN, hour=hours)
            for feed in every:
                feed.keep(until + 2 * HOUR)
                feed.take(until, 1_000_000)
            every[0].schedule.forget()
            if hours % 24 == 4:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(kept) == 3
    # Of one day, the events alone would take ten times as much.
    assert max(kept) < 80_000
