"""Counting, against a ledger that knows the state at every single millisecond."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import metrics
from analytics.ingest.fold import Deltas, Run, SensorState, fold, fold_all, split
from analytics.ingest.table import join
from analytics.metrics import BUCKET_MS
from sensorapp import columns, wire
from tests.ingest import strategies

# Just before a bucket's bound, so that small spans cross it.
START = 1_780_000_200_000 - 1_780_000_200_000 % BUCKET_MS + BUCKET_MS - 20
DEVICE, LINE, ZONE, SLOT = 1, 2, 3, 4
CHANNELS = {("device", 0): DEVICE, ("line", 0): LINE, ("zone", 0): ZONE, ("slot", 0): SLOT}
OTHERS = {("line", 1): 12, ("zone", 1): 13, ("slot", 1): 14}
# On both sides of the bound, and on two lines, zones and slots.
near = strategies.events(st.integers(START, START + 40), st.integers(0, 1))


def bucket(at: int) -> int:
    return at - at % BUCKET_MS


def heartbeat(at: int, observed_ms: int) -> wire.Heartbeat:
    return wire.Heartbeat(at, observed_ms, 0, 0, 20.0, 0)


def folded(*batches: list[wire.Event]) -> Deltas:
    deltas: Deltas = {}
    state = SensorState(CHANNELS | OTHERS, {})
    for events in batches:
        fold(columns.encode(events), state, deltas)
    return {key: value for key, value in deltas.items() if value}


def test_each_kind_of_event_counts_what_it_says() -> None:
    at = bucket(START)
    events: list[wire.Event] = [
        wire.Crossing(at, 0, "forward"),
        wire.Crossing(at + 1, 0, "backward"),
        wire.Crossing(at + 2, 0, "forward"),
        wire.Visit(at + 3, 0, 8_400),
        wire.Occupancy(at + 10, 0, 4),
        wire.Shelf(at + 10, 0, 6, 0.93),
        wire.Shelf(at + 30, 0, 0, 0.93),
        heartbeat(at + 60, 60),
        wire.Deployment(at + 60, 1, "done"),
    ]
    assert folded(events) == {
        (LINE, metrics.FORWARD.number, at): 2,
        (LINE, metrics.BACKWARD.number, at): 1,
        (ZONE, metrics.VISITS.number, at): 1,
        (ZONE, metrics.DWELL.number, at): 8_400,
        (DEVICE, metrics.OBSERVED.number, at): 60,
        (ZONE, metrics.ZONE_TIME.number, at): 50,
        (ZONE, metrics.PERSON_TIME.number, at): 200,
        (SLOT, metrics.SLOT_TIME.number, at): 50,
        (SLOT, metrics.UNIT_TIME.number, at): 120,
        (SLOT, metrics.EMPTY_TIME.number, at): 30,
    }


@given(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 3), st.booleans()), max_size=12))
def test_a_gauge_is_integrated_over_every_observed_millisecond(
    steps: list[tuple[int, int, bool]],
) -> None:
    """An awake sensor: each step is some time, then a reading or a heartbeat that covers all of it."""
    events: list[wire.Event] = []
    ledger: Counter[tuple[int, int, int]] = Counter()
    now, heard, units = START, START, None
    for duration, value, is_heartbeat in steps:
        for millisecond in range(now, now + duration):
            start = bucket(millisecond)
            if units is not None:
                ledger[SLOT, metrics.SLOT_TIME.number, start] += 1
                ledger[SLOT, metrics.UNIT_TIME.number, start] += units
                ledger[SLOT, metrics.EMPTY_TIME.number, start] += units == 0
        now += duration
        if is_heartbeat:
            for millisecond in range(heard, now):
                ledger[DEVICE, metrics.OBSERVED.number, bucket(millisecond)] += 1
            events.append(heartbeat(now, now - heard))
            heard = now
        else:
            events.append(wire.Shelf(now, 0, value, 1.0))
            units = value
    # What follows the last sign of life is not known yet, and the ledger never reaches beyond it.
    assert folded(events) == {key: value for key, value in ledger.items() if value}


@given(st.lists(st.tuples(st.integers(1, 25), st.integers(0, 3), st.booleans()), max_size=12), st.data())
def test_it_does_not_matter_how_events_are_batched(
    steps: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    events: list[wire.Event] = []
    now = START
    for duration, value, is_heartbeat in steps:
        now += duration
        events.append(heartbeat(now, duration) if is_heartbeat else wire.Occupancy(now, 0, value))
    cut = data.draw(st.integers(0, len(events)))
    assert folded(events[:cut], events[cut:]) == folded(events)


@given(st.lists(st.tuples(st.booleans(), st.lists(near, min_size=1, max_size=8)), max_size=8))
def test_many_batches_at_once_count_what_each_does_in_its_turn(
    batches: list[tuple[bool, list[wire.Event]]],
) -> None:
    """Of two sensors, one of which has a scene without the slot."""
    alone, together = sensors(), sensors()
    for which, events in batches:
        run = alone[which]
        fold(columns.encode(events), run.state, run.deltas, run.scene)
    encoded = [columns.encode(events) for _, events in batches]
    fold_all(join(encoded), [together[which] for which, _ in batches])
    assert together == alone


def sensors() -> list[Run]:
    return [Run(SensorState(CHANNELS | OTHERS, {}), {}, scene) for scene in (None, {ZONE})]


@given(st.lists(near, max_size=30))
def test_crossings_and_visits_count_where_and_when_they_were(sent: list[wire.Event]) -> None:
    ledger: Counter[tuple[int, int, int]] = Counter()
    for event in sent:
        if isinstance(event, wire.Crossing):
            metric = metrics.FORWARD if event.direction == "forward" else metrics.BACKWARD
            ledger[[LINE, 12][event.line], metric.number, bucket(event.at)] += 1
        elif isinstance(event, wire.Visit):
            ledger[[ZONE, 13][event.zone], metrics.VISITS.number, bucket(event.at)] += 1
            ledger[[ZONE, 13][event.zone], metrics.DWELL.number, bucket(event.at)] += event.dwell_ms
    counted = {key: value for key, value in folded(sent).items() if key[1] <= metrics.DWELL.number}
    assert counted == {key: value for key, value in ledger.items() if value}


@pytest.mark.parametrize("interval", [60_000, 900_000])
def test_silence_is_not_known(interval: int) -> None:
    """After the last sign of life nothing is counted, however full the shelf was."""
    at = bucket(START)
    away = at + interval + 4 * 3_600_000
    events: list[wire.Event] = [
        wire.Shelf(at, 0, 5, 1.0),
        heartbeat(at + interval, interval),
        wire.Shelf(away, 0, 0, 1.0),
        heartbeat(away + 1_000, 1_000),
    ]
    deltas = folded(events)
    known = sum(value for (_, metric, _), value in deltas.items() if metric == metrics.SLOT_TIME.number)
    assert known == interval + 1_000


def test_a_clock_set_back_counts_no_moment_twice() -> None:
    at = bucket(START)
    deltas = folded(
        [
            wire.Occupancy(at, 0, 1),
            heartbeat(at + 60_000, 60_000),
            wire.Occupancy(at + 30_000, 0, 2),
            heartbeat(at + 90_000, 60_000),
        ]
    )
    assert deltas[ZONE, metrics.ZONE_TIME.number, at] == 90_000
    assert deltas[ZONE, metrics.PERSON_TIME.number, at] == 60_000 + 2 * 30_000


@given(st.integers(0, 10 * BUCKET_MS), st.integers(0, 3 * BUCKET_MS))
def test_split_covers_the_span_and_keeps_to_buckets(begin: int, length: int) -> None:
    pieces = list(split(begin, begin + length))
    assert sum(piece for _, piece in pieces) == length
    expected = begin
    for at, piece in pieces:
        assert at == expected
        assert at // BUCKET_MS == (at + piece - 1) // BUCKET_MS
        expected = at + piece
