"""Counting: what a sensor's events add to the buckets.

Folding is a pure function of a sensor's events in their sequence, so that the same batches always give
the same buckets, live or rebuilt.

A gauge (people in a zone, units in a slot) is integrated over the time in which it is known: from one
sign of life to the next, a reading of its own or a heartbeat of its sensor. A heartbeat vouches for the time
that it observed. A reading vouches for all time since the last sign, if that was not longer ago than
heartbeats are apart, half as much again, and 90 s at least; else the sensor was away, and none of that time is
known. No moment counts twice: a sign that comes late adds no time, and a reading then holds from the newest
sign on.

Which gauges there are follows from the scene that the events were measured under, which each batch names:
what a scene does not name was not measured, and the first event under it ends what was known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from analytics import metrics
from analytics.ingest.table import Table, join
from analytics.metrics import BUCKET_MS
from sensorapp import columns as c

# A channel, a metric's number, and the beginning of a bucket in Unix milliseconds.
Key = tuple[int, int, int]
Deltas = dict[Key, int]

SHORTEST_HOLD_MS: Final = 90_000

# Which kind of channel an event belongs to.
CHANNEL_KIND: Final = {
    c.CROSSING: "line",
    c.VISIT: "zone",
    c.OCCUPANCY: "zone",
    c.SHELF: "slot",
    c.HEARTBEAT: "device",
    c.DEPLOYMENT: "device",
}

# The time in which a gauge was known, and its value integrated over that time.
GAUGE_METRICS: Final = {
    c.OCCUPANCY: (metrics.ZONE_TIME, metrics.PERSON_TIME),
    c.SHELF: (metrics.SLOT_TIME, metrics.UNIT_TIME),
}


@dataclass(slots=True)
class Gauge:
    """A known value, integrated up to ``at``."""

    kind: int
    value: int
    at: int


@dataclass(slots=True)
class SensorState:
    """What must be known of a sensor to count its next event.

    ``channels`` leads from a kind of channel and its number to the channel; ``gauges`` is by channel, and
    ``changed`` names those that counting changed or ended.
    """

    channels: dict[tuple[str, int], int]
    gauges: dict[int, Gauge]
    heartbeat_ms: int = 0
    changed: set[int] = field(default_factory=set)


def hold_ms(heartbeat_ms: int) -> int:
    """How long a sensor is known to observe after a sign of life, its heartbeats being so far apart."""
    return max(SHORTEST_HOLD_MS, heartbeat_ms * 3 // 2)


@dataclass(slots=True)
class Run:
    """Events of a sensor that follow each other: the state that they go on from, and where they count.

    ``scene`` holds the zones and slots that the events' scene names, as channels; None where no scene was
    ever published under its version, so that nothing speaks against any of them.
    """

    state: SensorState
    deltas: Deltas
    scene: Collection[int] | None = None


def fold(
    columns: c.Columns, state: SensorState, deltas: Deltas, scene: Collection[int] | None = None
) -> None:
    """Add what the events count to ``deltas`` and bring ``state`` up to their end; ``scene`` as in :class:`Run`."""
    fold_all(join([columns]), [Run(state, deltas, scene)])


def fold_all(table: Table, runs: Sequence[Run]) -> None:
    """The same for many batches, each a run; those of one sensor in their order.

    What counts by itself is summed over all of them at once. Only what goes on from what was before, gauges
    and the heartbeats that carry them on, is looked at one by one.
    """
    for number, line, start, crossings, forward in sums(table, c.CROSSING):
        run = runs[number]
        channel = run.state.channels["line", line]
        if forward:
            add(run.deltas, channel, metrics.FORWARD, start, forward)
        if crossings > forward:
            add(run.deltas, channel, metrics.BACKWARD, start, crossings - forward)
    for number, zone, start, visits, dwell in sums(table, c.VISIT):
        run = runs[number]
        channel = run.state.channels["zone", zone]
        add(run.deltas, channel, metrics.VISITS, start, visits)
        add(run.deltas, channel, metrics.DWELL, start, dwell)
    for run, events in zip(runs, one_by_one(table), strict=True):
        follow(events, run)


def sums(table: Table, kind: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The events of a kind, by batch, channel number and bucket: how many they are, and their values' sum.

    Buckets are named by their beginning in Unix ms.
    """
    chosen = np.flatnonzero(table.kind == kind)
    if not len(chosen):
        return
    batch, channel, value = table.batch[chosen], table.channel[chosen], table.value[chosen]
    bucket = table.at[chosen] // BUCKET_MS
    # The contract's channel numbers have 14 bits, and buckets until the year 2100 have 23.
    key = (batch << 14 | channel) << 23 | bucket
    # Mostly in order already, which this kind of sorting makes use of.
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    first = order[begins]
    groups = (
        batch[first],
        channel[first],
        bucket[first] * BUCKET_MS,
        np.diff(begins, append=len(key)),
        np.add.reduceat(value[order], begins, dtype=np.int64),
    )
    yield from zip(*(column.tolist() for column in groups), strict=True)


def one_by_one(table: Table) -> Iterator[list[tuple[int, int, int, int]]]:
    """By batch, its readings and heartbeats: kind, time, channel number and value of each."""
    chosen = np.flatnonzero((table.kind >= c.OCCUPANCY) & (table.kind <= c.HEARTBEAT))
    columns = (table.kind, table.at, table.channel, table.value)
    events = list(zip(*(column[chosen].tolist() for column in columns), strict=True))
    for begin, end in pairwise(np.searchsorted(chosen, table.bounds).tolist()):
        yield events[begin:end]


def follow(events: Iterable[tuple[int, int, int, int]], run: Run) -> None:
    """Go on from reading to reading."""
    state, deltas, scene = run.state, run.deltas, run.scene
    if scene is not None:
        forget(state, state.gauges.keys() - scene)
    for kind, at, number, value in events:
        if kind == c.HEARTBEAT:
            heartbeat(state, deltas, at, value)
            continue
        channel = state.channels[CHANNEL_KIND[kind], number]
        if scene is None or channel in scene:
            reading(state, deltas, channel, Gauge(kind, value, at))


def fold_alone(columns: c.Columns, channels: dict[tuple[str, int], int], deltas: Deltas) -> None:
    """Add what the events of a released batch count.

    They come out of their sequence, so they neither go on from the readings known now nor leave theirs: a
    zone's or slot's reading holds within its batch only.
    """
    fold(columns, SensorState(channels, {}), deltas)


def forget(state: SensorState, channels: Collection[int]) -> None:
    for channel in channels:
        del state.gauges[channel]
    state.changed.update(channels)


def heartbeat(state: SensorState, deltas: Deltas, at: int, observed_ms: int) -> None:
    begin = at - observed_ms
    for piece, length in split(begin, at):
        add(deltas, state.channels["device", 0], metrics.OBSERVED, piece, length)
    state.heartbeat_ms = observed_ms
    for channel, gauge in state.gauges.items():
        integrate(deltas, channel, gauge, max(gauge.at, begin), at)
        gauge.at = max(gauge.at, at)
    state.changed.update(state.gauges)


def reading(state: SensorState, deltas: Deltas, channel: int, new: Gauge) -> None:
    old = state.gauges.get(channel)
    if old:
        if new.at - old.at <= hold_ms(state.heartbeat_ms):
            integrate(deltas, channel, old, old.at, new.at)
        new.at = max(new.at, old.at)
    state.gauges[channel] = new
    state.changed.add(channel)


def integrate(deltas: Deltas, channel: int, gauge: Gauge, begin: int, end: int) -> None:
    """Count the gauge's value as true from ``begin`` to ``end``; nothing where that is no time at all."""
    known, integral = GAUGE_METRICS[gauge.kind]
    for at, length in split(begin, end):
        add(deltas, channel, known, at, length)
        if gauge.value:
            add(deltas, channel, integral, at, length * gauge.value)
        elif gauge.kind == c.SHELF:
            add(deltas, channel, metrics.EMPTY_TIME, at, length)


def add(deltas: Deltas, channel: int, metric: metrics.Metric, at: int, value: int) -> None:
    key = (channel, metric.number, at - at % BUCKET_MS)
    deltas[key] = deltas.get(key, 0) + value


def split(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a span of time at the bounds of buckets: where each piece begins and how long it is, in ms."""
    while begin < end:
        bound = min(begin - begin % BUCKET_MS + BUCKET_MS, end)
        yield begin, bound - begin
        begin = bound
