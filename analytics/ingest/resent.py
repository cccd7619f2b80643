"""Batches whose numbers are known already: sent again, or sent by somebody else under the same numbers.

An acknowledgement must be true. A sensor that did not hear an answer asks again with the same events; then it is
told what became of each: stored, or refused. But two outboxes may speak for one sensor, as after an old copy of
its disk was put into another device. Where the events are others than those that are known under their numbers,
nothing is acknowledged, and the answer is ``stale_epoch``: whoever sent them numbers them anew. Refused events are
not kept; they are told by their times, or by having none that can be read.

Of the sensor's present epoch, batches of the last days are looked at first, and all only where these are not what
is asked for. What retention has dropped is taken for the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from psycopg import Cursor

from analytics.ingest.packed import unpack
from sensorapp.columns import Columns
from sensorapp.wire import AckStatus

if TYPE_CHECKING:
    from analytics.ingest.commit import Incoming

# How long ago what is looked at first was received: of many partitions, three are read.
LATELY: Final = timedelta(days=2)
# What is added to the reason for which events were refused.
AGAIN: Final = " (refused under this number before; once mended, send it under a new one)"
ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)

# The batch that holds the first number, or ends before it, and those that begin after it.
STORED: Final = """
SELECT found.* FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS again (organisation_id, sensor_id, epoch, first_seq, last_seq),
LATERAL (
    (SELECT {columns} FROM {table} kept
     WHERE kept.organisation_id = again.organisation_id AND kept.sensor_id = again.sensor_id
       AND kept.epoch = again.epoch AND kept.first_seq <= again.first_seq AND kept.received_at >= %s
     ORDER BY kept.first_seq DESC LIMIT 1)
    UNION ALL
    (SELECT {columns} FROM {table} kept
     WHERE kept.organisation_id = again.organisation_id AND kept.sensor_id = again.sensor_id
       AND kept.epoch = again.epoch AND kept.first_seq > again.first_seq
       AND kept.first_seq <= again.last_seq AND kept.received_at >= %s)
) found
"""
COLUMNS: Final = "kept.sensor_id, kept.epoch, kept.first_seq, kept.first_at, kept.event_count, kept.events"
BATCHES: LiteralString = STORED.format(table="ingest_batch", columns=f"{COLUMNS}, kept.released")
SET_ASIDE: LiteralString = STORED.format(table="ingest_set_aside", columns=f"{COLUMNS}, false")
REFUSED: LiteralString = """
SELECT refused.sensor_id, refused.epoch, refused.first_seq, refused.last_seq, path, reason, coalesce(at, '{}')
FROM ingest_rejection refused
JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS again (sensor_id, epoch, first_seq, last_seq)
  ON refused.sensor_id = again.sensor_id AND refused.epoch = again.epoch
 AND refused.first_seq <= again.last_seq AND refused.last_seq >= again.first_seq
"""


Numbers = Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Known:
    """Consecutive events of which it is known what became: stored as ``columns``, or refused, without them.

    ``at`` are the times of refused ones, None for each that could not be read, empty where they were not kept.
    ``moved`` are the times of released events, which are not those that were sent.
    """

    first_seq: int
    last_seq: int
    columns: Columns | None
    problem: tuple[str, str] = ("", "")
    at: Sequence[int | None] = ()
    moved: bool = False

    def overlap(self, batch: Incoming) -> int:
        """How many of the batch's events these are."""
        return max(0, min(self.last_seq, batch.last_seq) - max(self.first_seq, batch.first_seq) + 1)


class Verdict(NamedTuple):
    """What a batch is answered; ``problem`` is the path and the reason of a refusal."""

    status: AckStatus
    acked_seq: int = -1
    problem: tuple[str, str] = ("", "")


# --- judging ---------------------------------------------------------------------------------------


def judge(batch: Incoming, known: Iterable[Known], expected: int | None) -> Verdict | None:
    """What to answer to a batch of which the first number is not the next one.

    ``expected`` is the next number in the batch's epoch, None where that is not the sensor's present one. None is
    returned where what is known of the batch is just what it says, and nothing speaks against the rest.
    """
    end = batch.last_seq + 1 if expected is None else min(batch.last_seq + 1, expected)
    alike = batch.first_seq
    for one in sorted(known, key=lambda one: one.first_seq):
        if one.last_seq < alike or one.first_seq >= end:
            continue
        if expected is None and one.first_seq > alike:
            break
        if one.columns is None:
            return known_before(batch, max(one.first_seq, alike)) or refused(batch, one, expected)
        if (other := first_difference(batch, one)) is not None:
            return known_before(batch, other) or Verdict("stale_epoch")
        alike = one.last_seq + 1
    if expected is None:
        return known_before(batch, min(alike, end)) or Verdict("stale_epoch")
    # Of a batch that is refused the sensor makes dead letters, among which nothing may be that was counted.
    return known_before(batch, expected) if batch.problem and batch.last_seq >= expected else None


def known_before(batch: Incoming, seq: int) -> Verdict | None:
    return Verdict("duplicate", seq - 1) if seq > batch.first_seq else None


def refused(batch: Incoming, known: Known, expected: int | None) -> Verdict:
    """As at first; where that is about the whole batch, the answer says how far the sensor is."""
    other = first_difference(batch, known)
    last = known.last_seq if other is None else other - 1
    if last < batch.first_seq:
        return Verdict("stale_epoch")
    path, reason = known.problem
    problem = (path, reason + AGAIN)
    if last < batch.last_seq:
        return Verdict("invalid", last, problem)
    return Verdict("invalid", batch.last_seq if expected is None else expected - 1, problem)


def first_difference(batch: Incoming, known: Known) -> int | None:
    """The first number under which something else is known than the batch says."""
    first, last = max(batch.first_seq, known.first_seq), min(batch.last_seq, known.last_seq)
    ours, theirs = first - batch.first_seq, first - known.first_seq
    pairs = [(sent, then) for sent, then in compared(batch, known) if sent and then]
    return next(
        (
            first + place
            for place in range(last - first + 1)
            if any(sent[ours + place] != then[theirs + place] for sent, then in pairs)
        ),
        None,
    )


def compared(batch: Incoming, known: Known) -> Iterator[tuple[Numbers, Numbers]]:
    """What of both must agree, event by event; of refused ones only the times, where they were kept."""
    sent, then = batch.columns, known.columns
    if then is None:
        yield batch.at, known.at
        return
    for name in ("kind", "channel", "value") if known.moved else ("kind", "channel", "value", "at"):
        yield getattr(sent, name).tolist(), getattr(then, name).tolist()


# --- reading ---------------------------------------------------------------------------------------

# By sensor and epoch.
Past = dict[tuple[int, int], list[Known]]


def read(cursor: Cursor, asked: Sequence[tuple[Incoming, int]], lately: datetime | None = None) -> Past:
    """What is known under the numbers of batches, of each of which so many events, from the first on, may be.

    Where ``lately`` is given, what was received since then is looked at first.
    """
    past: Past = defaultdict(list)

    def missing() -> list[Incoming]:
        return [batch for batch, count in asked if covered(batch, past) < count]

    for since in (lately, ALWAYS) if lately else (ALWAYS,):
        if batches := missing():
            read_stored(cursor, BATCHES, batches, since, past)
            read_stored(cursor, SET_ASIDE, batches, since, past)
        if batches := missing():
            read_refused(cursor, batches, past)
    return past


def read_stored(
    cursor: Cursor, query: LiteralString, batches: Sequence[Incoming], since: datetime, past: Past
) -> None:
    numbers = {(b.sensor.organisation_id, b.sensor.id, b.epoch, b.first_seq, b.last_seq) for b in batches}
    rows = cursor.execute(query, [*map(list, zip(*numbers, strict=True)), since, since]).fetchall()
    for sensor, epoch, first_seq, *packed, released in rows:
        columns = unpack(*packed)
        known = Known(first_seq, first_seq + len(columns) - 1, columns, moved=released)
        past[sensor, epoch].append(known)


def covered(batch: Incoming, past: Past) -> int:
    """Of how many of the batch's events it is known what became."""
    runs = {one.first_seq: one for one in past[batch.sensor.id, batch.epoch]}
    return sum(one.overlap(batch) for one in runs.values())


def read_refused(cursor: Cursor, batches: Sequence[Incoming], past: Past) -> None:
    numbers = {(b.sensor.id, b.epoch, b.first_seq, b.last_seq) for b in batches}
    rows = cursor.execute(REFUSED, [*map(list, zip(*numbers, strict=True))]).fetchall()
    for sensor, epoch, first_seq, last_seq, path, reason, at in rows:
        past[sensor, epoch].append(Known(first_seq, last_seq, None, (path, reason), at))
