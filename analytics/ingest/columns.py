"""The events of a batch as columns of integers: what is packed to be stored, and what counting reads.

One element an event in each of ``kind``, ``at``, ``channel`` and ``value``. What only some kinds have
follows in ``extra``, in the order of the events: a shelf reading's confidence (1/10 000), a heartbeat's
frames, inferences, temperature (1/100 °C) and network time (µs).

=========== ==== ================ =====================
event       kind channel          value
=========== ==== ================ =====================
crossing    1    line             1 forward, 0 backward
visit       2    zone             dwell, ms
occupancy   3    zone             people
shelf       4    slot             units
heartbeat   5    0                observed, ms
deployment  6    rollout          state, by position
=========== ==== ================ =====================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, islice
from typing import Final, get_args

import numpy as np

from analytics.ingest.arrays import Integers
from sensorapp import wire

CROSSING: Final = 1
VISIT: Final = 2
OCCUPANCY: Final = 3
SHELF: Final = 4
HEARTBEAT: Final = 5
DEPLOYMENT: Final = 6

CONFIDENCE_SCALE: Final = 10_000
TEMPERATURE_SCALE: Final = 100
STATES: Final[tuple[wire.DeploymentState, ...]] = get_args(wire.DeploymentState)
EXTRAS: Final = {SHELF: 1, HEARTBEAT: 4}


@dataclass(slots=True)
class Columns:
    kind: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    channel: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)
    extra: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kind)

    def without_first(self, count: int) -> Columns:
        """The same events less the first ``count`` of them."""
        if not count:
            return self
        _, rest = self.cut([count, len(self)])
        return rest

    def cut(self, bounds: Sequence[int]) -> Iterator[Columns]:
        """The same events in pieces, of which each ends before the place that ``bounds`` names for it."""
        begin = extra = 0
        for end in bounds:
            next_extra = extra + sum(EXTRAS.get(kind, 0) for kind in self.kind[begin:end])
            yield Columns(
                self.kind[begin:end],
                self.at[begin:end],
                self.channel[begin:end],
                self.value[begin:end],
                self.extra[extra:next_extra],
            )
            begin, extra = end, next_extra


KINDS: Final[dict[type[wire.Event], int]] = {
    wire.Crossing: CROSSING,
    wire.Visit: VISIT,
    wire.Occupancy: OCCUPANCY,
    wire.Shelf: SHELF,
    wire.Heartbeat: HEARTBEAT,
    wire.Deployment: DEPLOYMENT,
}


def encode(events: Sequence[wire.Event]) -> Columns:
    kinds = [KINDS[type(event)] for event in events]
    columns = Columns(kinds, [event.at for event in events])
    channel, value, extra = columns.channel.append, columns.value.append, columns.extra
    # Every event comes through here, so that a call for each would take a third more time,
    # and isinstance twice as much where kinds alternate.
    for event in events:
        if type(event) is wire.Crossing:
            channel(event.line)
            value(1 if event.direction == "forward" else 0)
        elif type(event) is wire.Heartbeat:
            channel(0)
            value(event.observed_ms)
            temperature = round(event.temperature_c * TEMPERATURE_SCALE)
            extra += (event.frames, event.inferences, temperature, event.dnn_us)
        elif type(event) is wire.Visit:
            channel(event.zone)
            value(event.dwell_ms)
        elif type(event) is wire.Occupancy:
            channel(event.zone)
            value(event.count)
        elif type(event) is wire.Shelf:
            channel(event.slot)
            value(event.units)
            extra.append(round(event.confidence * CONFIDENCE_SCALE))
        elif type(event) is wire.Deployment:
            channel(event.rollout)
            value(STATES.index(event.state))
    return columns


def decode(columns: Columns) -> Iterator[wire.Event]:
    """The events again; confidences and temperatures to the scales above, all else exactly."""
    extra = iter(columns.extra)
    rows = zip(columns.kind, columns.at, columns.channel, columns.value, strict=True)
    for kind, at, channel, value in rows:
        yield decode_event(kind, at, channel, value, list(islice(extra, EXTRAS.get(kind, 0))))


def decode_event(kind: int, at: int, channel: int, value: int, extra: list[int]) -> wire.Event:
    match kind:
        case 1:
            return wire.Crossing(at=at, line=channel, direction="forward" if value else "backward")
        case 2:
            return wire.Visit(at=at, zone=channel, dwell_ms=value)
        case 3:
            return wire.Occupancy(at=at, zone=channel, count=value)
        case 4:
            return wire.Shelf(at=at, slot=channel, units=value, confidence=extra[0] / CONFIDENCE_SCALE)
        case 5:
            frames, inferences, temperature, dnn_us = extra
            return wire.Heartbeat(
                at=at,
                observed_ms=value,
                frames=frames,
                inferences=inferences,
                temperature_c=temperature / TEMPERATURE_SCALE,
                dnn_us=dnn_us,
            )
        case 6:
            return wire.Deployment(at=at, rollout=channel, state=STATES[value])
    raise ValueError(f"kind {kind} is not known")


# --- many batches at once ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """The events of many batches, one batch after the other, each column an array.

    Batch number i lies between ``bounds[i]`` and ``bounds[i + 1]``. ``batch`` tells of each event the number of its
    batch.
    """

    kind: Integers
    at: Integers
    channel: Integers
    value: Integers
    extra: Integers
    bounds: list[int]

    @property
    def batch(self) -> Integers:
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


def join(batches: Sequence[Columns]) -> Table:
    return Table(
        joined((batch.kind for batch in batches), np.int16),
        joined((batch.at for batch in batches), np.int64),
        joined((batch.channel for batch in batches), np.int32),
        joined((batch.value for batch in batches), np.int32),
        joined((batch.extra for batch in batches), np.int32),
        list(accumulate((len(batch) for batch in batches), initial=0)),
    )


def joined(lists: Iterable[list[int]], kind: type[np.signedinteger]) -> Integers:
    return np.fromiter(chain.from_iterable(lists), kind)
