"""The chip's limits of time and temperature, on frames whose times are the only clock."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor_sim import pipeline
from sensor_sim.chip import Chip, Thermometer
from sensor_sim.cost import Cost
from sensor_sim.detection import Metadata
from sensor_sim.network import Network
from sensor_sim.perception import Perception
from sensor_sim.pixels import Frame
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.people import START

BLACK = np.zeros((8, 8, 3), np.uint8)
LINE = {"version": 1, "lines": [{"id": 0, "name": "door", "points": [[0, 0.5], [1, 0.5]]}]}


@cache
def network() -> Network:
    return Network(networks.package(networks.SPOT_CARD, networks.bright_spot_model()))


def chip(milliseconds: float, ambient_c: float = 25.0) -> Chip:
    """A chip whose network takes that long for a frame."""
    network().cost = Cost(macs=round(milliseconds * 1000 / 13.55e-6), values=0)
    return Chip(network(), {"person"}, 0.5, Thermometer(ambient_c))


def frames(seconds: float, rate: float = 30.0) -> Iterator[Frame]:
    return (Frame(START + i / rate, BLACK) for i in range(round(seconds * rate)))


def results(stream: Iterator[Metadata | None]) -> list[bool]:
    """For each frame whether it carries a result."""
    return [metadata is not None and metadata.detections is not None for metadata in stream]


@pytest.mark.parametrize(
    ("milliseconds", "pattern"),
    [(12, [True]), (33, [True]), (40, [True, False]), (66.6, [True, False]), (75, [True, False, False])],
)
def test_a_frame_whose_network_is_not_finished_carries_no_result(
    milliseconds: float, pattern: list[bool]
) -> None:
    assert results(chip(milliseconds).watch(frames(1.0))) == (pattern * 30)[:30]


def test_the_times_are_those_of_the_frame_with_the_result() -> None:
    told = [metadata for metadata in chip(40).watch(frames(0.2)) if metadata]
    assert [(metadata.dnn_us, metadata.dsp_us) for metadata in told] == [(40_000, 0), (0, 0)] * 3


@given(st.floats(0.1, 200), st.lists(st.floats(0.001, 0.5), max_size=40))
def test_no_two_results_are_closer_than_the_network_needs(milliseconds: float, gaps: list[float]) -> None:
    moments = [START + sum(gaps[:i]) for i in range(len(gaps))]
    told = chip(milliseconds).watch(Frame(at, BLACK) for at in moments)
    done = [metadata.at for metadata in told if metadata and metadata.detections is not None]
    assert done[:1] == moments[:1]
    assert all(b - a >= milliseconds / 1000 - 1e-5 for a, b in pairwise(done))


def test_a_clock_set_back_keeps_nothing_waiting() -> None:
    times = [START + 100, START, START + 0.01]
    assert results(chip(40).watch(Frame(at, BLACK) for at in times)) == [True, True, False]


def test_two_frames_of_one_moment_are_not_both_looked_at() -> None:
    assert results(chip(40).watch(Frame(START, BLACK) for _ in range(3))) == [True, False, False]


# --- temperature -----------------------------------------------------------------------------------


def last(stream: Iterator[Metadata | None]) -> Metadata:
    *_, metadata = stream
    assert metadata
    return metadata


def test_work_warms_the_chip() -> None:
    """Twenty degrees at full load, half as much at half of it; 63 % of that after four minutes."""
    assert last(chip(500).watch(frames(2400, 1))).temperature_c == pytest.approx(35.0, abs=0.1)
    assert last(chip(500).watch(frames(240, 1))).temperature_c == pytest.approx(31.3, abs=0.1)
    assert last(chip(0).watch(frames(240, 1))).temperature_c == 25.0


@pytest.mark.parametrize(("ambient_c", "register"), [(-40, -20.0), (-20, -20.0), (79.5, 79.5)])
def test_the_register_ends_at_20_below(ambient_c: float, register: float) -> None:
    assert last(chip(0).watch(frames(1))).temperature_c == 25.0
    assert last(chip(0, ambient_c).watch(frames(1))).temperature_c == register


def test_too_hot_it_stops_and_cooled_down_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """At full load in 65 degrees it would reach 85: it stops at 80 and goes on at 75, again and again."""
    told = list(chip(990, ambient_c=65).watch(frames(3600, 1)))
    assert 79.9 < max(metadata.temperature_c for metadata in told if metadata) < 80.0
    stops = [i for i, (a, b) in enumerate(pairwise(told)) if a and not b]
    starts = [i for i, (a, b) in enumerate(pairwise(told)) if not a and b]
    assert len(stops) >= 5
    assert stops[0] < starts[0]
    assert [record.getMessage() for record in caplog.records[:3]] == [
        "the chip is too hot and stands still until it has cooled down; nothing is observed",
        "the chip has cooled down and looks again",
        "the chip is too hot and stands still until it has cooled down; nothing is observed",
    ]
    assert len(caplog.records) == len(stops) + len(starts)
    resumed = [metadata.temperature_c for i in starts if (metadata := told[i + 1])]
    assert resumed == pytest.approx([75.0] * len(starts), abs=0.1)


def test_in_surroundings_hotter_than_it_may_be_it_never_looks() -> None:
    assert results(chip(1, ambient_c=90).watch(frames(10))) == [False] * 300


def test_what_was_too_hot_to_be_seen_is_not_observed() -> None:
    perception = Perception(wire.convert(LINE, wire.Scene))
    told = list(chip(990, ambient_c=65).watch(frames(3600, 1)))
    beats = [event for event in pipeline.events(told, perception) if isinstance(event, wire.Heartbeat)]
    observed = sum(beat.observed_ms for beat in beats) / 1000
    seen = sum(metadata is not None for metadata in told)
    assert observed == pytest.approx(seen, rel=0.02)
    assert observed < 2600


@pytest.mark.parametrize(("around", "goes_on"), [(74.9, True), (75.0, False)])
def test_whether_a_chip_that_stopped_ever_goes_on(around: float, goes_on: bool) -> None:
    thermometer = Thermometer(around)
    thermometer.advance(3600, load=1.0)
    assert thermometer.stopped
    thermometer.advance(3600, load=0.0)
    assert thermometer.stopped is not goes_on
