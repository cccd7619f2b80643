"""A sign of progress on a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

from sensor_sim.streams import ERASE, Progress
from tests.sensor_sim.people import START


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Still(NamedTuple):
    at: float


class Slow:
    """Five frames of a tenth of a second, and one that is lost, each of which takes 0.25 s."""

    now = 0.0

    def __iter__(self) -> Iterator[Still | None]:
        for number in range(5):
            self.now += 0.25
            yield Still(START + number / 10)
            if number == 1:
                yield None


class Counted(Slow):
    def __length_hint__(self) -> int:
        return 5


def shown(source: Slow, terminal: io.StringIO) -> list[str]:
    progress = Progress(terminal, lambda: source.now)
    assert list(progress.beside(progress.follow(source))) == [*Slow()]
    return [line for line in terminal.getvalue().split(ERASE) if line]


def test_frames_of_how_many_and_how_that_relates_to_real_time() -> None:
    """At first, and then every half second."""
    assert shown(Counted(), Terminal()) == [
        "1 of 5 frames in 0 s, 0.00 x real time",
        "3 of 5 frames in 1 s, 0.27 x real time",
        "5 of 5 frames in 1 s, 0.32 x real time",
    ]


def test_where_nobody_knows_how_many() -> None:
    assert shown(Slow(), Terminal())[-1] == "5 frames in 1 s, 0.32 x real time"


def test_what_is_no_terminal_is_left_alone() -> None:
    assert shown(Slow(), io.StringIO()) == []
