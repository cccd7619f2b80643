"""Six people come in over the lower edge, stand at a table and leave over the right edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from sensor_sim.perception import Perception
from sensor_sim.perception.zones import SETTLE
from sensorapp import wire
from tests.real.clips import START, Clip, mirrored, scene, shifted, with_score

pytestmark = pytest.mark.xdist_group("real")

NAME = "one-by-one-person-detection"
DOOR, EXIT, TABLE = 0, 1, 1
# By hand: frames, at ten a second, in which each person is first visible, and has gone.
COME = [60, 228, 502, 747, 923, 1236]
GONE = [200, 450, 698, 870, 1203, 1360]

Source = Callable[[str, bool], Clip]

CHANGES: dict[str, Callable[[Clip], Clip]] = {
    "as it is": Clip.as_it_is,
    "backwards": Clip.backwards,
    "even frames": Clip.every_second,
    "odd frames": lambda clip: clip.every_second(1),
    "twice": Clip.twice,
    "backwards, every second frame": lambda clip: clip.backwards().every_second(),
}


def tally(events: list[wire.Event]) -> Counter[tuple[str, int, str]]:
    """Crossings by line and direction, visits, and the most people at once."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for event in events:
        if isinstance(event, wire.Crossing):
            counts["crossing", event.line, event.direction] += 1
        elif isinstance(event, wire.Visit):
            counts["visit", event.zone, ""] += 1
        else:
            assert isinstance(event, wire.Occupancy)
            counts["most", event.zone, ""] = max(counts["most", event.zone, ""], event.count)
    return counts


def expected(people: int, turned: bool) -> Counter[tuple[str, int, str]]:
    direction = "backward" if turned else "forward"
    return Counter(
        {
            ("crossing", DOOR, direction): people,
            ("crossing", EXIT, direction): people,
            ("visit", TABLE, ""): people,
            ("most", TABLE, ""): 1,
        }
    )


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("change", CHANGES)
def test_six_people(clip: Source, change: str, mirror: bool) -> None:
    """Backwards, and in the mirror, everyone goes the other way; both together, the same way again."""
    asked = mirrored(scene(NAME)) if mirror else scene(NAME)
    events = CHANGES[change](clip(NAME, mirror)).events(asked)
    turned = mirror != change.startswith("backwards")
    assert tally(events) == expected(12 if change == "twice" else 6, turned)


@pytest.mark.parametrize("score", [0.3, 0.4, 0.45])
@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
def test_other_scores(clip: Source, score: float, mirror: bool) -> None:
    asked = with_score(mirrored(scene(NAME)) if mirror else scene(NAME), score)
    for name, change in CHANGES.items():
        turned = mirror != name.startswith("backwards")
        events = change(clip(NAME, mirror)).events(asked)
        assert tally(events) == expected(12 if name == "twice" else 6, turned), name


@pytest.mark.parametrize("x", [-0.04, -0.02, 0.0, 0.02, 0.04])
@pytest.mark.parametrize("y", [-0.02, -0.01, 0.0, 0.01, 0.02])
def test_other_places(clip: Source, x: float, y: float) -> None:
    """Nobody's feet come higher than 0.93 of the picture while some walk on below 0.94."""
    events = clip(NAME, False).events(shifted(scene(NAME), x, y))
    assert tally(events) == expected(6, False)


def test_moments(clip: Source) -> None:
    """Each person is counted at the door while coming in, at the exit while leaving, and stays in between."""
    events = clip(NAME, False).events(scene(NAME))
    seconds = {
        line: [e.at / 1000 - START for e in events if isinstance(e, wire.Crossing) and e.line == line]
        for line in (DOOR, EXIT)
    }
    for i, (come, gone) in enumerate(zip(COME, GONE, strict=True)):
        assert come / 10 <= seconds[DOOR][i] <= come / 10 + 3
        assert gone / 10 - 3 <= seconds[EXIT][i] <= gone / 10
    visits = [e for e in events if isinstance(e, wire.Visit)]
    for visit, entered, left in zip(visits, seconds[DOOR], seconds[EXIT], strict=True):
        assert entered - 1 <= (visit.at - visit.dwell_ms) / 1000 - START <= entered + 1
        assert left - 1.5 <= visit.at / 1000 - START <= left + 0.5
        assert visit.dwell_ms >= SETTLE * 1000


def test_crossings_are_told_soon(clip: Source) -> None:
    perception = Perception(scene(NAME))
    delays = [
        START + at - event.at / 1000
        for at, found in clip(NAME, False).frames
        for event in perception.observe(START + at, found)
        if isinstance(event, wire.Crossing)
    ]
    assert len(delays) == 12
    assert max(delays) < 1.5
