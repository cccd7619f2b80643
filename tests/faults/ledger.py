"""What a sensor's events must count, from its ledger alone: plain, slow, and with none of the code that counts.

It is written from what is said of buckets (docs/schema.md, docs/architecture.md and the first page of
``analytics/ingest/fold.py``), so that it can differ from them, and has every metric of ``analytics/metrics.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, dropwhile, groupby
from typing import Final, NamedTuple

from analytics import metrics
from sensorapp import wire

BUCKET_MS: Final = 900_000
SHORTEST_HOLD_MS: Final = 90_000

# Channel kind, number of the metric, start of the bucket (Unix ms), and how much.
Counts = Counter[tuple[str, int, int]]


class Measured(NamedTuple):
    """An event, and the scene that it was measured under."""

    scene: wire.Scene
    event: wire.Event


class Span(NamedTuple):
    """From ``begin`` up to ``end`` (Unix ms) a gauge was known to be ``value``."""

    begin: int
    end: int
    value: int


@dataclass(frozen=True)
class Gauge:
    """What is read now and then and true in between. ``read`` gives what an event says of it, None if nothing."""

    kind: str
    known: metrics.Metric
    integral: metrics.Metric
    empty: metrics.Metric | None
    named: Callable[[wire.Scene], bool]
    read: Callable[[wire.Event], int | None]


GAUGES: Final = (
    Gauge(
        "zone",
        metrics.ZONE_TIME,
        metrics.PERSON_TIME,
        None,
        named=lambda scene: bool(scene.zones),
        read=lambda event: event.count if isinstance(event, wire.Occupancy) else None,
    ),
    Gauge(
        "slot",
        metrics.SLOT_TIME,
        metrics.UNIT_TIME,
        metrics.EMPTY_TIME,
        named=lambda scene: bool(scene.slots),
        read=lambda event: event.units if isinstance(event, wire.Shelf) else None,
    ),
)


def counts(measured: Sequence[Measured]) -> Counts:
    """What a sensor's events count, in the order of their stamps; of a sensor with one line, zone and slot at most."""
    found: Counts = Counter()
    for _, event in measured:
        [start, *_] = starts(event.at, event.at + 1)
        match event:
            case wire.Crossing():
                metric = metrics.FORWARD if event.direction == "forward" else metrics.BACKWARD
                found["line", metric.number, start] += 1
            case wire.Visit():
                found["zone", metrics.VISITS.number, start] += 1
                found["zone", metrics.DWELL.number, start] += event.dwell_ms
            case wire.Heartbeat():
                spread(found, "device", metrics.OBSERVED, Span(event.at - event.observed_ms, event.at, 1))
    for gauge in GAUGES:
        for span in known(measured, gauge):
            spread(found, gauge.kind, gauge.known, span._replace(value=1))
            spread(found, gauge.kind, gauge.integral, span)
            if gauge.empty and not span.value:
                spread(found, gauge.kind, gauge.empty, span._replace(value=1))
    return +found


def spread(found: Counts, kind: str, metric: metrics.Metric, span: Span) -> None:
    """Add to each bucket what of the span lies in it."""
    for start in starts(span.begin, span.end):
        length = min(span.end, start + BUCKET_MS) - max(span.begin, start)
        found[kind, metric.number, start] += length * span.value


def starts(begin: int, end: int) -> range:
    """Where the buckets begin that have a part in a span of time."""
    return range(begin // BUCKET_MS * BUCKET_MS, end, BUCKET_MS)


def known(measured: Sequence[Measured], gauge: Gauge) -> Iterator[Span]:
    """When the gauge was known. Where a scene does not name it, it ends, and begins anew with a reading."""
    intervals = latest(observed_ms(event) for _, event in measured)
    together = zip(measured, intervals, strict=True)
    for named, stretch in groupby(together, key=lambda one: gauge.named(one[0].scene)):
        if named:
            yield from between([(event, interval or 0) for (_, event), interval in stretch], gauge)


def between(stretch: Iterable[tuple[wire.Event, int]], gauge: Gauge) -> Iterator[Span]:
    """From each sign of life, from the first reading on, to the next; with each event its sensor's last heartbeat.

    A heartbeat vouches for the time that it observed. A reading vouches for all time since the last sign, if
    that was not longer ago than heartbeats are apart, half as much again. No moment counts twice.
    """
    signs = [
        (event, interval)
        for event, interval in dropwhile(lambda one: gauge.read(one[0]) is None, stretch)
        if gauge.read(event) is not None or isinstance(event, wire.Heartbeat)
    ]
    values = latest(gauge.read(event) for event, _ in signs)
    known_until = accumulate((event.at for event, _ in signs), max)
    for (event, interval), value, until in zip(signs[1:], values, known_until, strict=False):
        if isinstance(event, wire.Heartbeat):
            begin = max(until, event.at - event.observed_ms)
        else:
            begin = until if event.at - until <= max(SHORTEST_HOLD_MS, 1.5 * interval) else event.at
        if begin < event.at:
            yield Span(begin, event.at, value or 0)


def observed_ms(event: wire.Event) -> int | None:
    return event.observed_ms if isinstance(event, wire.Heartbeat) else None


def latest(values: Iterable[int | None]) -> list[int | None]:
    """At each place the last value that there was; None before the first."""
    return list(accumulate(values, lambda before, now: before if now is None else now))
