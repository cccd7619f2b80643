"""The ledger's counts, by hand and beside those of the code that it holds to account."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, groupby

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest.fold import Deltas, SensorState, fold
from analytics.metrics import METRICS
from sensorapp import columns, wire
from tests.faults.ledger import BUCKET_MS, Counts, Measured, counts
from tests.faults.sensor import SCENES

WITHOUT_SLOT, WHOLE = SCENES.values()
KINDS = ("device", "line", "zone", "slot")
CHANNELS = {(kind, 0): channel for channel, kind in enumerate(KINDS)}
START = 1_780_000_200_000 - 1_780_000_200_000 % BUCKET_MS
MINUTE_MS = 60_000


def heartbeat(at: int, observed_ms: int) -> wire.Heartbeat:
    return wire.Heartbeat(at, observed_ms, 0, 0, 20.0, 0)


def test_every_metric_is_counted() -> None:
    """In two buckets, with a time that is not known since readings were too far apart, and one that came late."""
    at, later = START, START + BUCKET_MS
    events: list[wire.Event] = [
        wire.Crossing(at, 0, "forward"),
        wire.Crossing(at + 1, 0, "backward"),
        wire.Visit(at + 2, 0, 8_400),
        heartbeat(at + MINUTE_MS, MINUTE_MS),
        wire.Occupancy(later - 100_000, 0, 9),
        wire.Occupancy(later - 9_999, 0, 4),
        wire.Occupancy(later - 50_000, 0, 3),
        wire.Shelf(later - 30_000, 0, 6, 1.0),
        wire.Shelf(later - 20_000, 0, 0, 1.0),
        wire.Occupancy(later + 80_001, 0, 1),
        heartbeat(later + 200_000, 210_000),
    ]
    found = counts([Measured(WHOLE, event) for event in events])
    assert {metric for _, metric, _ in found} == METRICS.keys()
    assert found == {
        ("line", 1, at): 1,
        ("line", 2, at): 1,
        ("zone", 3, at): 1,
        ("zone", 4, at): 8_400,
        ("device", 5, at): MINUTE_MS + 10_000,
        ("device", 5, later): 200_000,
        ("zone", 6, at): 3 * 9_999,
        ("zone", 6, later): 3 * 80_001 + 119_999,
        ("zone", 7, at): 9_999,
        ("zone", 7, later): 200_000,
        ("slot", 8, at): 6 * 10_000,
        ("slot", 9, at): 20_000,
        ("slot", 9, later): 200_000,
        ("slot", 10, at): 10_000,
        ("slot", 10, later): 200_000,
    }


def test_what_a_scene_does_not_name_ends_with_the_first_event_under_it() -> None:
    at = START
    measured = [
        Measured(WHOLE, wire.Shelf(at, 0, 6, 1.0)),
        Measured(WHOLE, heartbeat(at + 10, 10)),
        Measured(WITHOUT_SLOT, wire.Crossing(at + 20, 0, "forward")),
        Measured(WHOLE, heartbeat(at + 50, 50)),
        Measured(WHOLE, wire.Shelf(at + 60, 0, 2, 1.0)),
        Measured(WHOLE, heartbeat(at + 100, 50)),
    ]
    found = counts(measured)
    assert (found["slot", 9, at], found["slot", 8, at]) == (10 + 40, 6 * 10 + 2 * 40)


# Mostly one after the other, some late; readings hold or do not, and heartbeats reach across buckets.
gaps = st.integers(-30_000, 90_000) | st.sampled_from([90_001, 450_000, 450_001, BUCKET_MS])
few = st.integers(0, 2)
kinds = st.one_of(
    st.builds(wire.Crossing, gaps, st.just(0), st.sampled_from(["forward", "backward"])),
    st.builds(wire.Visit, gaps, st.just(0), few),
    st.builds(wire.Occupancy, gaps, st.just(0), few),
    st.builds(wire.Shelf, gaps, st.just(0), few, st.just(1.0)),
    st.builds(heartbeat, gaps, st.integers(0, 60_000) | st.sampled_from([300_000, BUCKET_MS])),
)
scenes = st.sampled_from([WHOLE] * 7 + [WITHOUT_SLOT])


@given(st.lists(st.builds(Measured, scenes, kinds), min_size=10, max_size=60))
def test_it_counts_what_the_backend_counts(steps: list[Measured]) -> None:
    """Of events whose times say how long they come after the one before."""
    times = accumulate((event.at for _, event in steps), initial=START)
    measured = [
        Measured(scene, msgspec.structs.replace(event, at=at))
        for (scene, event), at in zip(steps, list(times)[1:], strict=True)
    ]
    assert counts(measured) == folded(measured)


def folded(measured: list[Measured]) -> Counts:
    deltas: Deltas = {}
    state = SensorState(CHANNELS, {})
    for scene, batch in groupby(measured, key=lambda one: one.scene):
        named = {CHANNELS["zone", 0], *(CHANNELS["slot", slot.id] for slot in scene.slots)}
        fold(columns.encode([event for _, event in batch]), state, deltas, named)
    return +Counter(
        {(KINDS[channel], metric, start): value for (channel, metric, start), value in deltas.items()}
    )
