"""Entries and exits at a store's entrances.

Which crossings are entries is decided here, at reading, by each line's ``entry_direction``: correcting
the setting corrects the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.counts.buckets import Series, read_series
from analytics.counts.completeness import Duty, expected_ms, ratio, ratios, within
from analytics.counts.days import LocalDay, Milliseconds, Span, overlap_ms, to_ms
from analytics.counts.roster import ChannelFacts, Roster
from analytics.metrics import BACKWARD, BUCKET_MS, FORWARD, OBSERVED
from sensorapp.fleet.models import Store

NEVER_MS: Final = 2**53


@dataclass(frozen=True, slots=True)
class Passage:
    """What happened at the entrances in a row of buckets; one column a bucket, one row a sensor on duty.

    ``known`` says where anything was observed at all: a sensor reported time, or somebody crossed.
    """

    starts_ms: Milliseconds
    entries: Milliseconds
    exits: Milliseconds
    known: NDArray[np.bool_]
    observed: Milliseconds
    duties: Sequence[Duty]

    def of_day(self, day: LocalDay) -> Passage:
        """The part that lies in one of the local days that were read."""
        begin, end = np.searchsorted(self.starts_ms, [day.begins_ms, day.ends_ms])
        return Passage(
            self.starts_ms[begin:end],
            self.entries[begin:end],
            self.exits[begin:end],
            self.known[begin:end],
            self.observed[:, begin:end],
            self.duties,
        )

    def times(self, spans: Sequence[Span], until_ms: int) -> tuple[int, int]:
        """Observed and expected time in milliseconds, summed, up to a moment."""
        expected = expected_ms(self.starts_ms, spans, self.duties, until_ms)
        return int(within(self.observed, expected).sum()), int(expected.sum())

    def completeness(self, spans: Sequence[Span], until_ms: int) -> float | None:
        return ratio(*self.times(spans, until_ms))

    def completeness_by_bucket(self, spans: Sequence[Span], until_ms: int) -> list[float | None]:
        expected = expected_ms(self.starts_ms, spans, self.duties, until_ms)
        return ratios(within(self.observed, expected).sum(axis=0), expected.sum(axis=0))

    def sum_until(self, counts: Milliseconds, until_ms: int) -> int:
        """A sum up to a moment; the bucket around it counts in proportion, rounded to the nearest."""
        share = overlap_ms(self.starts_ms, 0, until_ms)
        return (int((counts * share).sum()) + BUCKET_MS // 2) // BUCKET_MS


def read_passage(store: Store, roster: Roster, days: Sequence[LocalDay], at: datetime) -> Passage:
    """Read consecutive local days as of ``at``, in one query."""
    lines = roster.entrance_lines
    duties = duties_at_entrances(roster, at)
    starts = np.concatenate([day.starts_ms for day in days]) if days else np.zeros(0, np.int64)
    devices = {roster.sensors[line.sensor_id].device for line in lines}
    channels = sorted(devices | {line.id for line in lines})
    return passage(
        read_series(store, channels, (FORWARD, BACKWARD, OBSERVED), starts), starts, roster, duties
    )


def passage(series: Series, starts_ms: Milliseconds, roster: Roster, duties: Sequence[Duty]) -> Passage:
    entries, exits = (np.zeros(len(starts_ms), np.int64) for _ in range(2))
    for line in roster.entrance_lines:
        inward, outward = (FORWARD, BACKWARD) if line.counts_entries_forward else (BACKWARD, FORWARD)
        entries = entries + series.get(line.id, inward)
        exits = exits + series.get(line.id, outward)
    observed = np.zeros((len(duties), len(starts_ms)), np.int64)
    for row, duty in zip(observed, duties, strict=True):
        row[:] = series.get(duty.device, OBSERVED)
    # A crossing is on the page before the heartbeat that covers its time.
    known = (observed.sum(axis=0) > 0) | (entries > 0) | (exits > 0)
    return Passage(starts_ms, entries, exits, known, observed, duties)


def duties_at_entrances(roster: Roster, at: datetime) -> list[Duty]:
    """The sensors with lines across entrances, as :mod:`analytics.counts.completeness` counts them."""
    lines: dict[int, list[ChannelFacts]] = {}
    for line in roster.entrance_lines:
        lines.setdefault(line.sensor_id, []).append(line)
    duties = []
    for sensor_id, its_lines in lines.items():
        sensor = roster.sensors[sensor_id]
        if sensor.first_observed is None:
            continue
        ends = [to_ms(at) - sensor.hold_ms, ends_ms(sensor.revoked_at)]
        ends.append(max(ends_ms(line.retired_at) for line in its_lines))
        duties.append(Duty(sensor_id, sensor.device, to_ms(sensor.first_observed), min(ends)))
    return duties


def ends_ms(moment: datetime | None) -> int:
    return to_ms(moment) if moment else NEVER_MS
