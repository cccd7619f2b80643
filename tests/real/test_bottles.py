"""A hand takes bottles from a shelf and puts them back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from sensorapp import wire
from tests.real.clips import START, Clip, mirrored, scene, with_score

pytestmark = pytest.mark.xdist_group("real")

NAME = "bottle-detection"
FRAMES_PER_SECOND = 29.8333
# By hand: units, and the frame, good to a second, from which on so many stood.
LEDGER = [(3, 0), (2, 200), (3, 400), (1, 530), (2, 730), (3, 860), (2, 940), (3, 1095)]
LENGTH = 1189
MOST_S = 2.0
# A bottle that a hand holds still stands neither before nor after: played backwards, the hand is there for
# the other half of each moment, and what was put down when it let go is taken when it lifts.
MOST_BACKWARDS_S = 3.0

Source = Callable[[str, bool], Clip]
Ledger = list[tuple[int, float]]

FORWARD: Ledger = [(units, frame / FRAMES_PER_SECOND) for units, frame in LEDGER]
TWICE: Ledger = FORWARD + [(units, at + LENGTH / FRAMES_PER_SECOND) for units, at in FORWARD[1:]]
# Played backwards, what stood until a change stands from then on.
BACKWARDS: Ledger = [(3, 0.0)] + [
    (units, (LENGTH - frame) / FRAMES_PER_SECOND)
    for (units, _), (_, frame) in reversed(list(pairwise(LEDGER)))
]


def compare(events: list[wire.Event], ledger: Ledger, most: float) -> None:
    shelf = [event for event in events if isinstance(event, wire.Shelf)]
    assert shelf == events
    assert [event.units for event in shelf] == [units for units, _ in ledger]
    late = [event.at / 1000 - START - at for event, (_, at) in zip(shelf, ledger, strict=True)]
    assert max(map(abs, late)) <= most, late
    assert all(event.slot == 1 and 0.5 <= event.confidence <= 1.0 for event in shelf)


CHANGES: dict[str, tuple[Callable[[Clip], Clip], Ledger, float]] = {
    "as it is": (Clip.as_it_is, FORWARD, MOST_S),
    "backwards": (Clip.backwards, BACKWARDS, MOST_BACKWARDS_S),
    "even frames": (Clip.every_second, FORWARD, MOST_S),
    "odd frames": (lambda clip: clip.every_second(1), FORWARD, MOST_S),
    "twice": (Clip.twice, TWICE, MOST_S),
    "backwards, every second frame": (
        lambda clip: clip.backwards().every_second(),
        BACKWARDS,
        MOST_BACKWARDS_S,
    ),
}


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("change", CHANGES)
def test_units(clip: Source, change: str, mirror: bool) -> None:
    asked = mirrored(scene(NAME)) if mirror else scene(NAME)
    make, ledger, most = CHANGES[change]
    compare(make(clip(NAME, mirror)).events(asked), ledger, most)


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("score", [0.3, 0.4, 0.45])
@pytest.mark.parametrize("change", ["as it is", "even frames", "odd frames", "twice"])
def test_other_scores(clip: Source, change: str, score: float, mirror: bool) -> None:
    asked = with_score(mirrored(scene(NAME)) if mirror else scene(NAME), score)
    make, ledger, most = CHANGES[change]
    compare(make(clip(NAME, mirror)).events(asked), ledger, most)
