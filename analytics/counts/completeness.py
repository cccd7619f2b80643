"""How much of what should have been observed was observed.

Completeness is observed over expected time, summed over sensors. Expected is the time in which the store
is open and the sensor is on duty:

- from the first quarter of an hour in which it observed anything. A sensor that is enrolled and was
  never heard is not mounted yet: it is listed as never heard, and does not make counts incomplete.
- until it is revoked, or its last channel in question is retired. A sensor that breaks down stays on
  duty: its silence is missing time, for as long as it takes until somebody revokes it.
- until now, less the time in which its next heartbeat may still be on its way (a heartbeat and a half,
  90 seconds at least).

Observed time counts for each sensor and quarter of an hour up to what is expected, so that what one
sensor sees before opening or twice cannot stand in for another's silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.counts.days import Milliseconds, Span, overlap_ms

# From here on a time counts as observed; the rest is a sensor's start or a short cut.
OBSERVED: Final = 0.95


@dataclass(frozen=True, slots=True)
class Duty:
    """When a sensor is expected to observe, whatever the opening hours, in Unix milliseconds."""

    sensor_id: int
    device: int
    from_ms: int
    until_ms: int


def expected_ms(
    starts_ms: Milliseconds, spans: Sequence[Span], duties: Sequence[Duty], until_ms: int
) -> Milliseconds:
    """Expected time of each sensor (rows) in each bucket (columns) up to ``until_ms``."""
    expected = np.zeros((len(duties), len(starts_ms)), np.int64)
    for row, duty in zip(expected, duties, strict=True):
        end = min(duty.until_ms, until_ms)
        for opens, closes in spans:
            row += overlap_ms(starts_ms, max(opens, duty.from_ms), min(closes, end))
    return expected


def within(observed: Milliseconds, expected: Milliseconds) -> Milliseconds:
    """Observed time that was expected."""
    return np.minimum(observed, expected)


def ratio(observed_ms: int, expected_ms: int) -> float | None:
    """None where nothing was expected."""
    return observed_ms / expected_ms if expected_ms else None


def ratios(observed: NDArray[np.int64], expected: NDArray[np.int64]) -> list[float | None]:
    return [ratio(*pair) for pair in zip(observed.tolist(), expected.tolist(), strict=True)]
