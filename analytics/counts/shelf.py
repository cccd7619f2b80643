"""What stands in the slots of a shelf."""

from __future__ import annotations

from typing import Literal

from analytics.counts.buckets import Key
from analytics.metrics import EMPTY_TIME, SLOT_TIME

Status = Literal["ok", "low", "empty", "unknown"]

METRICS = (SLOT_TIME, EMPTY_TIME)


def slot_status(units: int | None, facings: int, capacity: int) -> Status:
    """``low`` where the front shows a gap (fewer units than facings) or at most a quarter is left.

    A slot without a planogram has no facings and no capacity: it is ``ok`` or ``empty``.
    """
    if units is None:
        return "unknown"
    if units == 0:
        return "empty"
    return "low" if units < facings or units * 4 <= capacity else "ok"


def availability(sums: dict[Key, int], channel: int) -> float | None:
    """On-shelf availability: the share of the known time in which a slot was not empty, 0 to 1."""
    known = sums.get((channel, SLOT_TIME.number), 0)
    return 1 - sums.get((channel, EMPTY_TIME.number), 0) / known if known else None
