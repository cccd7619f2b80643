"""What truly happened, written down in the form of events."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensor_sim.errors import SensorError
from sensor_sim.pixels.rendered import Crossed, Occupied, Stayed, Stocked
from sensor_sim.truth import writer
from sensorapp import wire
from tests.sensor_sim.people import START


def test_happenings_are_written_as_events(tmp_path: Path) -> None:
    tell = writer(tmp_path / "truth.jsonl")
    tell(Crossed(START, 1, "backward"))
    tell(Stayed(START + 1.0004, 2, 12.3456))
    tell(Stocked(START + 2, 17, 6))
    tell(Occupied(START + 3, 2, 4))
    lines = (tmp_path / "truth.jsonl").read_bytes().splitlines()
    at = round(START * 1000)
    assert [wire.decode(line, wire.Event) for line in lines] == [  # type: ignore[arg-type]
        wire.Crossing(at, 1, "backward"),
        wire.Visit(at + 1000, 2, 12346),
        wire.Shelf(at + 2000, 17, 6, 1.0),
        wire.Occupancy(at + 3000, 2, 4),
    ]


def test_nothing_is_written_without_a_file() -> None:
    writer(None)(Crossed(START, 1, "backward"))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="gone/truth: cannot be written: No such file or directory"):
        writer(tmp_path / "gone" / "truth")


def test_a_truth_for_which_there_is_no_room() -> None:
    tell = writer(Path("/dev/full"))
    with pytest.raises(
        SensorError, match="/dev/full: cannot be written: No space left on device; free some space"
    ):
        tell(Crossed(START, 1, "backward"))
