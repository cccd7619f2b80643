"""Events as columns of integers: the short form of a batch, which the backend counts and stores.

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

Every number has the bounds that its field has in :mod:`sensorapp.wire`, from where they are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from typing import Any, Final, NamedTuple, get_args

import msgspec
import numpy as np
from msgspec.inspect import FloatType, IntType, LiteralType, StructType, type_info
from numpy.typing import NDArray

from sensorapp import wire

Integers = NDArray[np.signedinteger[Any]]

CROSSING: Final = 1
VISIT: Final = 2
OCCUPANCY: Final = 3
SHELF: Final = 4
HEARTBEAT: Final = 5
DEPLOYMENT: Final = 6

CONFIDENCE_SCALE: Final = 10_000
TEMPERATURE_SCALE: Final = 100
DIRECTIONS: Final[tuple[wire.Direction, ...]] = ("backward", "forward")
STATES: Final[tuple[wire.DeploymentState, ...]] = get_args(wire.DeploymentState)

# The fields behind ``channel``, ``value`` and ``extra``; a heartbeat has no channel.
FIELDS: Final[dict[type[wire.Event], tuple[str, ...]]] = {
    wire.Crossing: ("line", "direction"),
    wire.Visit: ("zone", "dwell_ms"),
    wire.Occupancy: ("zone", "count"),
    wire.Shelf: ("slot", "units", "confidence"),
    wire.Heartbeat: ("", "observed_ms", "frames", "inferences", "temperature_c", "dnn_us"),
    wire.Deployment: ("rollout", "state"),
}
KINDS: Final = {kind: number for number, kind in enumerate(FIELDS, CROSSING)}
# By kind, how many numbers ``extra`` has for an event.
EXTRAS: Final = np.array([0, *(len(fields) - 2 for fields in FIELDS.values())])


class Summary(NamedTuple):
    """What is asked of every batch: its oldest and newest times (Unix ms), and which channels of which kinds it names."""

    oldest: int
    newest: int
    channels: set[tuple[int, int]]


NOTHING: Final = Summary(0, 0, set())


@dataclass(slots=True, eq=False)
class Columns:
    kind: Integers
    at: Integers
    channel: Integers
    value: Integers
    extra: Integers
    summary: Summary

    def __len__(self) -> int:
        return len(self.kind)

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Kind, time, channel and value of each event."""
        columns = (self.kind, self.at, self.channel, self.value)
        return zip(*(column.tolist() for column in columns), strict=True)

    def moved(self, by_ms: int) -> Columns:
        """The same events at other times."""
        summary = Summary(self.summary.oldest + by_ms, self.summary.newest + by_ms, self.summary.channels)
        return replace(self, at=self.at + by_ms, summary=summary)

    def without_first(self, count: int) -> Columns:
        """The same events less the first ``count`` of them."""
        if not count:
            return self
        _, rest = self.cut([count, len(self)])
        return rest

    def cut(self, bounds: Sequence[int]) -> Iterator[Columns]:
        """The same events in pieces, of which each ends before the place that ``bounds`` names for it."""
        extras = np.concatenate([[0], np.cumsum(EXTRAS[self.kind])])[[0, *bounds]].tolist()
        begin = first = 0
        for end, last, summary in zip(bounds, extras[1:], summaries(self, bounds), strict=True):
            yield Columns(
                self.kind[begin:end],
                self.at[begin:end],
                self.channel[begin:end],
                self.value[begin:end],
                self.extra[first:last],
                summary,
            )
            begin, first = end, last


def summaries(events: Columns, bounds: Sequence[int]) -> Iterator[Summary]:
    """Of pieces of events, of which each ends before the place that ``bounds`` names for it."""
    begins = np.array([0, *bounds[:-1]])
    within = np.minimum(begins, len(events) - 1)  # of a piece without events nothing is asked
    oldest, newest = np.minimum.reduceat(events.at, within), np.maximum.reduceat(events.at, within)
    # Mostly one event after the other is of the same channel.
    first = np.zeros(len(events), np.bool_)
    first[within] = True
    first[1:] |= (events.channel[1:] != events.channel[:-1]) | (events.kind[1:] != events.kind[:-1])
    [places] = np.nonzero(first)
    names = list(zip(events.kind[places].tolist(), events.channel[places].tolist(), strict=True))
    stretches = pairwise(np.searchsorted(places, [*begins, len(events)]).tolist())
    for old, new, (begin, end) in zip(oldest.tolist(), newest.tolist(), stretches, strict=True):
        yield Summary(old, new, set(names[begin:end]))


def encode(events: Sequence[wire.Event]) -> Columns:
    """Confidences and temperatures to the scales above, all else exactly."""
    channels: list[int] = []
    values: list[int] = []
    extra: list[int] = []
    channel, value = channels.append, values.append
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
    return columns(
        [KINDS[type(event)] for event in events], [event.at for event in events], channels, values, extra
    )


def columns(
    kind: Sequence[int], at: Sequence[int], channel: Sequence[int], value: Sequence[int], extra: Sequence[int]
) -> Columns:
    channels = set(zip(kind, channel, strict=True))
    return Columns(
        np.fromiter(kind, np.int16, len(kind)),
        np.fromiter(at, np.int64, len(at)),
        np.fromiter(channel, np.int32, len(channel)),
        np.fromiter(value, np.int32, len(value)),
        np.fromiter(extra, np.int32, len(extra)),
        Summary(min(at, default=0), max(at, default=0), channels),
    )


def decode(events: Columns) -> Iterator[wire.Event]:
    """The events again."""
    extra = iter(events.extra.tolist())
    for kind, at, channel, value in events.rows():
        yield decode_event(kind, at, channel, value, list(islice(extra, int(EXTRAS[kind]))))


def decode_event(kind: int, at: int, channel: int, value: int, extra: list[int]) -> wire.Event:
    match kind:
        case 1:
            return wire.Crossing(at=at, line=channel, direction=DIRECTIONS[value])
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


# --- on the wire -------------------------------------------------------------------------------------

TYPES: Final = {"kind": "u1", "at": "<i8", "channel": "<i4", "value": "<i4", "extra": "<i4"}
SIZES: Final = {name: np.dtype(type_).itemsize for name, type_ in TYPES.items()}
WITH_EXTRAS: Final = [(kind, number) for kind, number in enumerate(EXTRAS.tolist()) if number]
KIND_BYTES: Final = bytes(KINDS.values())
SCALES: Final = {"confidence": CONFIDENCE_SCALE, "temperature_c": TEMPERATURE_SCALE}


class Bounds(NamedTuple):
    """The least and the most that a column may hold: of ``channel`` and ``value`` by kind, of ``extra`` by kind and place."""

    least: Integers
    most: Integers


def field_bounds(type_: Any, scale: int) -> tuple[int, int]:
    """The least and the most that a field's type allows, as columns hold it."""
    match type_:
        case IntType(ge=int(least), lt=int(end)):
            return least, end - 1
        case IntType(ge=int(least), le=int(most)):
            return least, most
        case FloatType(ge=float(lowest), le=float(highest)):
            return round(lowest * scale), round(highest * scale)
        case LiteralType(values=words):
            return 0, len(words) - 1
    raise TypeError(f"{type_} has no bounds")


def kind_bounds(kind: type[wire.Event]) -> list[tuple[int, int]]:
    """Those of an event's ``at``, then of its fields in the order of :data:`FIELDS`; (0, 0) where it has none."""
    info = type_info(kind)
    assert isinstance(info, StructType)
    found = {one.name: field_bounds(one.type, SCALES.get(one.name, 1)) for one in info.fields}
    return [found.get(name, (0, 0)) for name in ("at", *FIELDS[kind])]


def tables() -> Iterator[Bounds]:
    """Of each place in :func:`kind_bounds` what it holds for all kinds; none is of kind 0."""
    rows = [[(0, 0)], *map(kind_bounds, FIELDS)]
    for place in range(max(map(len, rows))):
        bounds = [row[place] if place < len(row) else (0, 0) for row in rows]
        yield Bounds(*np.array(bounds, np.int64).T)


AT, CHANNEL, VALUE, *EXTRA = tables()
EXTRA_TABLE: Final = Bounds(
    np.stack([one.least for one in EXTRA], 1), np.stack([one.most for one in EXTRA], 1)
)


class Problem(NamedTuple):
    """Why columns are no events that the contract allows: in which of them, and what is wanted there."""

    path: str
    reason: str


def shortened(batch: wire.Batch) -> wire.Batch:
    """The same batch with its events as columns."""
    events = encode(batch.events)
    held = {name: getattr(events, name).astype(type_).tobytes() for name, type_ in TYPES.items()}
    return msgspec.structs.replace(batch, events=[], columns=wire.Columns(**held))


def read(batches: Sequence[wire.Columns]) -> list[Columns | Problem]:
    """Of each batch its events, or what is wrong with them."""
    found: list[Columns | Problem | None] = [misfit(batch) for batch in batches]
    sound = [batch for batch, problem in zip(batches, found, strict=True) if problem is None]
    events = iter(within_bounds(sound))
    return [problem or next(events) for problem in found]


def misfit(batch: wire.Columns) -> Problem | None:
    """What keeps columns from being read at all."""
    kind, count = batch.kind, len(batch.kind)
    extras = sum(number * kind.count(one) for one, number in WITH_EXTRAS)
    for name, numbers in (("at", count), ("channel", count), ("value", count), ("extra", extras)):
        if len(getattr(batch, name)) != SIZES[name] * numbers:
            reason = f"must have {SIZES[name]} bytes for each of {numbers} numbers, as many as the kinds say"
            return Problem(name, reason)
    if unknown := kind.translate(None, KIND_BYTES):
        place = kind.index(unknown[0])
        return Problem(f"kind[{place}]", f"must be from {KIND_BYTES[0]} to {KIND_BYTES[-1]}")
    return None


def times(batch: wire.Columns) -> list[int | None]:
    """Of its events, None where one cannot be read; nothing where none can."""
    if len(batch.at) != len(batch.kind) * SIZES["at"]:
        return []
    least, most = int(AT.least[CROSSING]), int(AT.most[CROSSING])
    found = [at if least <= at <= most else None for at in np.frombuffer(batch.at, TYPES["at"]).tolist()]
    return found if any(found) else []


def within_bounds(batches: Sequence[wire.Columns]) -> Iterator[Columns | Problem]:
    """Of each batch its events, or the first number that is out of bounds; all are looked at together."""
    if not batches:
        return
    kind, at, channel, value, extra = (
        np.frombuffer(b"".join([getattr(batch, name) for batch in batches]), type_)
        for name, type_ in TYPES.items()
    )
    whole = Columns(kind.astype(np.int16), at, channel, value, extra, NOTHING)
    sound = not any(len(places) for _, places, _ in out_of_bounds(whole))
    bounds = list(accumulate(len(batch.kind) for batch in batches))
    for batch, events in zip(batches, whole.cut(bounds), strict=True):
        yield events if sound else (first_out_of_bounds(batch, events) or events)


def first_out_of_bounds(batch: wire.Columns, events: Columns) -> Problem | None:
    for name, places, (least, most) in out_of_bounds(events):
        if len(places):
            place = places[0]
            reason = f"must be from {least[place]} to {most[place]} in an event of its kind"
            return Problem(f"{name}[{place}]", reason)
    return None


def out_of_bounds(events: Columns) -> Iterator[tuple[str, Integers, Bounds]]:
    """By column, the places of numbers that are out of bounds, and the bounds at each place."""
    counts = EXTRAS[events.kind]
    place = np.arange(len(events.extra)) - np.repeat(np.cumsum(counts) - counts, counts)
    owner = np.repeat(events.kind, counts)
    for name, table, index in (
        ("at", AT, events.kind),
        ("channel", CHANNEL, events.kind),
        ("value", VALUE, events.kind),
        ("extra", EXTRA_TABLE, (owner, place)),
    ):
        numbers = getattr(events, name)
        bounds = Bounds(table.least[index], table.most[index])
        [places] = np.nonzero((numbers < bounds.least) | (numbers > bounds.most))
        yield name, places, bounds
