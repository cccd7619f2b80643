"""What ``bench/accuracy/misplaced`` takes for a misplaced item, with boxes made by hand."""

from __future__ import annotations

import pytest

from bench.accuracy.misplaced import Named, Picture, compare_misplaced, read_names
from sensor_sim.detection import Box, Detection
from sensor_sim.training.scoring import Truth
from sensorapp import wire

# Bottles in the left half of the picture, jars in the right one, nothing above.
SLOTS = [
    wire.Slot(1, "left", "bottle", ((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))),
    wire.Slot(2, "right", "jar", ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))),
]
LEFT, RIGHT, ABOVE = Box(0.1, 0.6, 0.2, 0.9), Box(0.7, 0.6, 0.8, 0.9), Box(0.1, 0.1, 0.2, 0.4)


def picture(items: list[tuple[str, Box]], found: list[tuple[str, Box]], visible: float = 1.0) -> Picture:
    return Picture(
        SLOTS,
        [Truth(label, box, visible) for label, box in items],
        [Detection(label, 0.9, box) for label, box in found],
    )


@pytest.mark.parametrize(
    ("item", "found", "told", "missed"),
    [
        (("can", LEFT), ("can", LEFT), [True], 0),
        (("can", LEFT), ("jar", LEFT), [True], 0),
        (("can", LEFT), ("bottle", LEFT), [], 1),
        (("can", LEFT), ("can", RIGHT), [False], 1),
        (("can", LEFT), ("can", ABOVE), [], 1),
        (("bottle", LEFT), ("bottle", LEFT), [], 0),
        (("bottle", LEFT), ("jar", LEFT), [False], 0),
        (("can", ABOVE), ("can", ABOVE), [], 0),
    ],
    ids=[
        "found", "called by a third name", "called as the slot's product", "found elsewhere", "found in no slot",
        "in its own slot", "in its own slot, called otherwise", "in no slot",
    ],
)  # fmt: skip
def test_what_is_told_as_misplaced(
    item: tuple[str, Box], found: tuple[str, Box], told: list[bool], missed: int
) -> None:
    scored = compare_misplaced(picture([item], [found]))
    assert [is_right for _, is_right in scored.detections] == told
    assert sum(at == 0.0 for _, at in scored.found) == missed


def test_items_in_slots_have_the_names_of_what_fits_them_best() -> None:
    beside = Box(0.12, 0.6, 0.22, 0.9)
    seen = picture(
        [("can", LEFT), ("jar", RIGHT), ("can", ABOVE)], [("bottle", LEFT), ("can", beside), ("can", ABOVE)]
    )
    assert list(read_names(seen)) == [Named("can", "bottle", True, False), Named("jar", None, False, False)]


def test_items_mostly_hidden_have_no_names() -> None:
    assert list(read_names(picture([("can", LEFT)], [("can", LEFT)], visible=0.4))) == []
