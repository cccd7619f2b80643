"""What is reported beside what truly happened: the difference is the error model's."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import msgspec
import pytest

from sensor_sim.fleet import errors
from sensor_sim.fleet.errors import FAULTLESS, Crossing, Crossings, ErrorModel, Shelf, Visit
from sensor_sim.fleet.schedule import Schedule
from sensorapp import wire
from tests.fleet_sim.plans import ORIGIN, plan, store

MODEL = ErrorModel(
    "a test",
    Crossings(Crossing(0.05, 0.02), Crossing(0.1, 0.04), Crossing(0.3, 0.1)),
    Visit(0.08, 0.03, (-800.0, -400.0, 0.0, 400.0, 800.0)),
    Shelf({-1: 0.05, 0: 0.9, 1: 0.05}, (1_000.0,) * 5),
)
DAYS = [ORIGIN + timedelta(days=number) for number in range(10)]


def days(sensor: str, model: ErrorModel) -> Iterator[tuple[list[wire.Event], list[wire.Event]]]:
    """A sensor's days: what it reports of each, and the truth."""
    of = store(visitors=2_500.0)
    schedule = Schedule(plan(of), of, model)
    one = next(one for one in of.sensors if one.name == sensor)
    for day in DAYS:
        yield schedule.sensor_day(one, day).events, schedule.truth(one, day).events


@pytest.mark.parametrize("sensor", ["front", "back", "hall", "tills", "cooler"])
def test_without_errors_the_truth_is_reported(sensor: str) -> None:
    for reported, truth in islice(days(sensor, FAULTLESS), 2):
        assert without_confidence(reported) == without_confidence(truth)


def without_confidence(events: list[wire.Event]) -> list[wire.Event]:
    """What a sensor says of itself is no error."""
    return [
        msgspec.structs.replace(event, confidence=1.0) if isinstance(event, wire.Shelf) else event
        for event in events
    ]


def test_crossings_are_lost_and_doubled_by_the_density_of_the_door() -> None:
    counted, passed = Counter[str](), Counter[str]()
    for reported, truth in days("front", MODEL):
        true, seen = by_minute(truth), by_minute(reported)
        for minute, people in true.items():
            density = "low" if people < errors.NORMAL_FROM else "normal"
            passed[density] += people
            counted[density] += seen[minute]
    assert min(passed.values()) > 1_000
    assert counted["low"] / passed["low"] == pytest.approx(1 - 0.05 + 0.02, abs=0.03)
    assert counted["normal"] / passed["normal"] == pytest.approx(1 - 0.1 + 0.04, abs=0.03)


def test_a_crossing_has_the_time_at_which_it_happened_and_its_second_count_a_later_one() -> None:
    reported: list[int] = []
    passed: list[int] = []
    for events, true in days("front", MODEL):
        reported += [event.at for event in events if isinstance(event, wire.Crossing)]
        passed += [event.at for event in true if isinstance(event, wire.Crossing)]
    again = [*(Counter(reported) - Counter(passed)).elements()]
    assert 0.02 < len(again) / len(passed) < 0.04
    since = [at - passed[bisect_right(passed, at) - 1] for at in again]
    assert max(since) < errors.SECOND_COUNT_MS[1]


def by_minute(events: list[wire.Event]) -> Counter[int]:
    return Counter(event.at // errors.MINUTE for event in events if isinstance(event, wire.Crossing))


def test_stays_are_overlooked_and_told_twice_and_their_length_is_off_by_no_more_than_measured() -> None:
    seen = true = dwell = true_dwell = 0
    for reported, truth in days("hall", MODEL):
        visits, true_visits = (
            [event.dwell_ms for event in events if isinstance(event, wire.Visit)]
            for events in (reported, truth)
        )
        seen, true = seen + len(visits), true + len(true_visits)
        dwell, true_dwell = dwell + sum(visits), true_dwell + sum(true_visits)
    assert true > 10_000
    assert seen / true == pytest.approx(1 - 0.08 + 0.03, abs=0.01)
    assert dwell / seen == pytest.approx(true_dwell / true, rel=0.03)


def test_a_shelf_is_read_a_second_late_and_now_and_then_a_unit_off() -> None:
    off: list[int] = []
    for reported, truth in days("cooler", MODEL):
        for slot in (17, 18):
            true = [event for event in truth if isinstance(event, wire.Shelf) and event.slot == slot]
            moments = [event.at for event in true]
            readings = [event for event in reported if isinstance(event, wire.Shelf) and event.slot == slot]
            assert len(readings) == len(true)
            off += [one.units - true[bisect_right(moments, one.at - 1_000) - 1].units for one in readings]
    assert len(off) > 300
    assert off.count(0) / len(off) == pytest.approx(0.9, abs=0.06)
    assert set(off) <= {-1, 0, 1}
