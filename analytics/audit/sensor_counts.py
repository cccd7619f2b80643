"""What the sensors counted while a person did, to the millisecond, from the archived batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, LiteralString

from django.db import connection

from analytics.audit.models import Direction, ManualCount
from analytics.counts.days import to_ms
from analytics.counts.reading import one_moment
from analytics.counts.roster import ChannelFacts, Roster, read_roster
from analytics.ingest.packed import unpack
from sensorapp.columns import CROSSING, HEARTBEAT, Columns
from sensorapp.fleet.models import Store

# Events are stamped by the sensor's clock, which may run ahead, or be set right within a batch, by so much.
CLOCK_ERROR: Final = timedelta(days=1)
# Heartbeats are not cut to the audited span by the sensor; this little may be missing at its edges.
COMPLETE_FROM: Final = 0.98

# Batches, each with the spans and lines of which it may hold events: when it came and when its first event was tell.
BATCHES: Final[LiteralString] = """
WITH span AS MATERIALIZED (
    SELECT span.*, line.number AS channel, line.sensor_id
    FROM unnest(%(numbers)s::bigint[], %(lines)s::bigint[], %(begins)s::bigint[], %(ends)s::bigint[])
         AS span (number, line, begins, ends)
    JOIN fleet_channel line ON line.id = span.line
)
SELECT its.spans, batch.first_at, batch.event_count, batch.events
FROM fleet_sensor sensor
JOIN fleet_store store ON store.id = sensor.store_id
JOIN ingest_batch batch ON batch.organisation_id = store.organisation_id
  AND batch.sensor_id = sensor.id AND batch.received_at >= %(since)s
CROSS JOIN LATERAL (
    SELECT array_agg(ARRAY[span.number, span.line, span.channel]) AS spans FROM span
    WHERE span.sensor_id = sensor.id
      AND batch.received_at >= to_timestamp((span.begins - %(margin)s) / 1000.0)
      AND batch.first_at < span.ends + %(margin)s
) its
WHERE sensor.id IN (SELECT sensor_id FROM span) AND its.spans IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Passed:
    """What one line saw in a span: crossings, and observed time in milliseconds."""

    forward: int = 0
    backward: int = 0
    observed_ms: int = 0

    def __add__(self, other: Passed) -> Passed:
        return Passed(
            self.forward + other.forward,
            self.backward + other.backward,
            self.observed_ms + other.observed_ms,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A manual count and the sensors' count of the same place and time.

    ``completeness`` is observed over audited time, 0 to 1, of the sensor that observed least; None where
    no sensor was on duty. ``sensor`` is None where nothing was observed.
    """

    manual: ManualCount
    sensor: dict[Direction, int] | None
    completeness: float | None

    @property
    def compared(self) -> bool:
        """An outage is not a counting error: only fully observed spans tell how well a sensor counts."""
        return self.completeness is not None and self.completeness >= COMPLETE_FROM


def compare(store: Store, counts: Sequence[ManualCount]) -> list[Comparison]:
    """Set each manual count of a store beside what its sensors counted."""
    with one_moment():
        roster = read_roster(store)
        lines = [lines_on_duty(roster, count) for count in counts]
        passed = read_passed(counts, lines)
    return [
        comparison(count, [(line, passed[number, line.id]) for line in its_lines])
        for number, (count, its_lines) in enumerate(zip(counts, lines, strict=True))
    ]


def lines_on_duty(roster: Roster, count: ManualCount) -> list[ChannelFacts]:
    """The lines at the audited place, less those retired before, revoked before, or not yet mounted."""
    return [line for line in lines_at(roster, count) if on_duty(roster, line, count)]


def lines_at(roster: Roster, count: ManualCount) -> list[ChannelFacts]:
    if count.line_id is not None:
        return [channel for channel in roster.channels if channel.id == count.line_id]
    if count.entrance_id is not None:
        return [line for line in roster.entrance_lines if line.entrance_id == count.entrance_id]
    return roster.entrance_lines


def on_duty(roster: Roster, line: ChannelFacts, count: ManualCount) -> bool:
    sensor = roster.sensors[line.sensor_id]
    ended = [moment for moment in (line.retired_at, sensor.revoked_at) if moment is not None]
    return (
        sensor.first_observed is not None
        and sensor.first_observed < count.ends
        and all(moment > count.begins for moment in ended)
    )


def read_passed(
    counts: Sequence[ManualCount], lines: Sequence[Sequence[ChannelFacts]]
) -> defaultdict[tuple[int, int], Passed]:
    """What each line saw in each span, by the span's place in ``counts`` and the line's id; one query."""
    passed: defaultdict[tuple[int, int], Passed] = defaultdict(Passed)
    pairs = [(number, line.id) for number, its_lines in enumerate(lines) for line in its_lines]
    if pairs:
        spans = [(to_ms(count.begins), to_ms(count.ends)) for count in counts]
        parameters: dict[str, Any] = {
            "numbers": [number for number, _ in pairs],
            "lines": [line for _, line in pairs],
            "begins": [spans[number][0] for number, _ in pairs],
            "ends": [spans[number][1] for number, _ in pairs],
            "margin": CLOCK_ERROR // timedelta(milliseconds=1),
            "since": min(count.begins for count in counts) - CLOCK_ERROR,
        }
        with connection.cursor() as cursor:
            cursor.execute(BATCHES, parameters)
            for its_spans, *packed in cursor:
                columns = unpack(*packed)
                for number, line, channel in its_spans:
                    passed[number, line] += seen(columns, channel, *spans[number])
    return passed


def seen(columns: Columns, line: int, begins: int, ends: int) -> Passed:
    """What of a batch lies in a span (Unix ms). A heartbeat's value is the observed time just before it."""
    crossed: Counter[int] = Counter()
    observed_ms = 0
    for kind, at, channel, value in columns.rows():
        if kind == CROSSING and channel == line and begins <= at < ends:
            crossed[value] += 1
        elif kind == HEARTBEAT:
            observed_ms += max(min(at, ends) - max(at - value, begins), 0)
    return Passed(crossed[1], crossed[0], observed_ms)


def comparison(count: ManualCount, passed: Sequence[tuple[ChannelFacts, Passed]]) -> Comparison:
    length_ms = to_ms(count.ends) - to_ms(count.begins)
    completeness = min((min(its.observed_ms / length_ms, 1.0) for _, its in passed), default=None)
    if not any(its != Passed() for _, its in passed):
        return Comparison(count, None, completeness)
    sensor: dict[Direction, int] = dict.fromkeys(count.counted, 0)
    for line, its in passed:
        for name in sensor:
            sensor[name] += crossings(name, line, its)
    return Comparison(count, sensor, completeness)


def crossings(direction: Direction, line: ChannelFacts, passed: Passed) -> int:
    forward = {"forward": True, "backward": False}.get(
        direction, (direction == "entries") == line.counts_entries_forward
    )
    return passed.forward if forward else passed.backward
