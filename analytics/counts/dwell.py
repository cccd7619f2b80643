"""How often and for how long people stayed in zones."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.counts.buckets import Key
from analytics.metrics import DWELL, VISITS


@dataclass(frozen=True, slots=True)
class Stay:
    """Visits that ended in a span of time, and the time spent by them in seconds."""

    visits: int
    dwell_s: float

    @property
    def mean_s(self) -> float | None:
        """None without visits."""
        return self.dwell_s / self.visits if self.visits else None


METRICS = (VISITS, DWELL)


def stay(sums: dict[Key, int], channel: int) -> Stay:
    """What :func:`analytics.counts.buckets.read_sums` found for a zone."""
    return Stay(sums.get((channel, VISITS.number), 0), sums.get((channel, DWELL.number), 0) / 1000)
