"""When a slot is low, and how available its product was."""

from __future__ import annotations

import pytest

from analytics.counts.shelf import Status, availability, slot_status
from analytics.metrics import EMPTY_TIME, SLOT_TIME


@pytest.mark.parametrize(
    ("units", "facings", "capacity", "status"),
    [
        (None, 3, 12, "unknown"),
        (0, 3, 12, "empty"),
        (1, 3, 12, "low"),
        (3, 3, 12, "low"),  # a quarter is left
        (4, 3, 12, "ok"),
        (4, 5, 12, "low"),  # the front shows a gap
        (5, 5, 12, "ok"),
        (1, 1, 3, "ok"),
        (1, 0, 0, "ok"),
        (0, 0, 0, "empty"),
    ],
)
def test_status(units: int | None, facings: int, capacity: int, status: Status) -> None:
    assert slot_status(units, facings, capacity) == status


def test_availability_is_a_share_of_the_known_time() -> None:
    sums = {(7, SLOT_TIME.number): 4000, (7, EMPTY_TIME.number): 1000, (8, SLOT_TIME.number): 4000}
    assert [availability(sums, channel) for channel in (7, 8, 9)] == [0.75, 1.0, None]
