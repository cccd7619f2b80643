"""From the body of a request to batches, the broken ones told from their neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from math import isnan
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw

from analytics.ingest.commit import Incoming, runs
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import CHANNEL_KIND
from analytics.ingest.reasons import explain
from analytics.ingest.retention import DAY_MS, oldest_kept
from sensorapp import columns, wire
from sensorapp.columns import Columns

# Of broken batches that are read together, so many events without readable times are looked at one by one.
PATIENCE: Final = wire.MAX_EVENTS_PER_BATCH
# A list of JSON with more bytes than this is looked through before its items are taken apart.
OUTLINED_BYTES: Final = 2 * 1024 * 1024


# --- batches ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Batch:
    """A batch that keeps the contract, read. ``model`` is the package's digest, 8 bytes; ``sent_at`` as in the contract.

    ``short`` says that its events came as columns.
    """

    sensor: str
    epoch: int
    first_seq: int
    model: bytes
    config: int
    columns: Columns
    sent_at: int | None = None
    short: bool = False

    @property
    def count(self) -> int:
        return len(self.columns)


@dataclass(frozen=True, slots=True)
class Broken:
    """A batch that does not keep the contract. Without a usable head, ``sensor`` is empty.

    ``at`` are the times of its events, None where one cannot be read. Of events that were not looked at, ``unread``
    says how many there are, 0 if not even that is known.
    """

    path: str
    reason: str
    sensor: str = ""
    epoch: int = 1
    first_seq: int = 0
    at: Sequence[int | None] = ()
    unread: int = 0

    @property
    def count(self) -> int:
        return len(self.at) + self.unread


@dataclass(slots=True)
class Patience:
    """How many more events without readable times are looked at one by one, and remembered as such."""

    left: int = PATIENCE

    def suffices(self, events: int) -> bool:
        if events > self.left:
            return False
        self.left -= events
        return True

    def times(self, batch: wire.Columns) -> tuple[Sequence[int | None], int]:
        """Those of a batch's events and, where they are not told, how many there are."""
        events = len(batch.kind)
        if at := columns.times(batch):
            return at, 0
        return ([None] * events, 0) if self.suffices(events) else ((), events)


Item = TypeVar("Item")
Events = Annotated[list[Item], Meta(min_length=1, max_length=wire.MAX_EVENTS_PER_BATCH)]


class Envelope(msgspec.Struct, Generic[Item], forbid_unknown_fields=True):
    """An upload with as much of its batches as wanted."""

    batches: Annotated[list[Item], Meta(min_length=1, max_length=wire.MAX_BATCHES_PER_REQUEST)]


class Head(msgspec.Struct):
    """As much of a broken batch as is needed to answer it."""

    sensor: wire.SensorId
    epoch: wire.Epoch
    first_seq: wire.SequenceNumber


class Listed(msgspec.Struct):
    """A broken batch's events, unread."""

    events: Raw = Raw()


class Content(Listed):
    """What tells how many events a broken batch has, and their times."""

    columns: wire.Columns | None = None


class Timed(msgspec.Struct, gc=False):
    """As much of an event as tells it from others of its sensor."""

    at: wire.Milliseconds


class Tagged(msgspec.Struct):
    """As much of an event as says of which type it is."""

    type: str


class Object(msgspec.Struct, gc=False):
    """Anything with fields, of which nothing is kept."""


def batches(body: bytes, media_type: str) -> list[wire.Batch | Broken]:
    """The batches of an upload; raises :class:`~sensorapp.wire.WireError` where not even its outline is kept."""
    try:
        return list(wire.decode(body, wire.Upload, media_type).batches)
    except wire.WireError as error:
        if not error.path.startswith("$.batches["):
            raise wire.WireError(*explain(error, wire.Upload)) from None
    return Repair(media_type).batches(body)


@dataclass(slots=True)
class Repair:
    """Reads an upload that has broken batches."""

    media_type: str
    patience: Patience = field(default_factory=Patience)

    def batches(self, body: bytes) -> list[wire.Batch | Broken]:
        try:
            raws = self.unread(body, Envelope[Raw], Envelope[Object]).batches
        except wire.WireError as error:
            raise wire.WireError(*explain(error, wire.Upload)) from None
        return [self.batch(raw, f"$.batches[{place}]") for place, raw in enumerate(raws)]

    def batch(self, raw: Raw, path: str) -> wire.Batch | Broken:
        try:
            return self.decode(raw, wire.Batch)
        except wire.WireError as error:
            below, reason = explain(error, wire.Batch, lambda place: self.tag(raw, place))
        path += below.removeprefix("$")
        try:
            head = self.decode(raw, Head)
        except wire.WireError:
            return Broken(path, reason)
        try:
            at, unread = self.times(self.decode(raw, Content))
        except wire.WireError:
            at, unread = (), 0
        return Broken(path, reason, head.sensor, head.epoch, head.first_seq, at, unread)

    def times(self, content: Content) -> tuple[Sequence[int | None], int]:
        """Those of a batch's events and, where these are not looked at, how many there are.

        Raises :class:`~sensorapp.wire.WireError` where not even that is known.
        """
        in_columns = content.columns
        if not in_columns:
            return self.times_one_by_one(content.events)
        if bytes(content.events):
            raise wire.WireError("$", "in columns, or else one by one")
        return self.patience.times(in_columns)

    def times_one_by_one(self, events: Raw) -> tuple[Sequence[int | None], int]:
        with suppress(wire.WireError):
            return [one.at for one in self.decode(events, Events[Timed])], 0
        raws = self.unread(events, Events[Raw], Events[Object])
        return ([self.time(raw) for raw in raws], 0) if self.patience.suffices(len(raws)) else ((), len(raws))

    def time(self, event: Raw) -> int | None:
        with suppress(wire.WireError):
            return self.decode(event, Timed).at
        return None

    def tag(self, batch: Raw, place: int) -> str:
        """The type of an event; nothing where that cannot be told."""
        with suppress(wire.WireError, LookupError):
            events = self.unread(self.decode(batch, Listed).events, Events[Raw], Events[Object])
            return self.decode(events[place], Tagged).type
        return ""

    def unread(self, body: bytes | Raw, raw: Any, outline: Any) -> Any:
        """A list's items unread: as ``raw``, or ``outline`` where these are given as :class:`Object`.

        JSON's lists are read to their end before it is asked how long they are, and each item unread takes more memory
        than many another: so a long body must first have passed as one that holds objects, and not too many.
        """
        if self.media_type == wire.JSON and len(memoryview(body)) > OUTLINED_BYTES:
            self.decode(body, outline)
        return self.decode(body, raw)

    def decode(self, body: bytes | Raw, kind: type[Item]) -> Item:
        return wire.decode(body, kind, self.media_type)


def read(found: Sequence[wire.Batch | Broken], places: Iterable[int] | None = None) -> list[Batch | Broken]:
    """Batches with their events as columns, of one upload or, as ``places`` says of each batch where, of many.

    What came in columns is looked at together: so it costs least beside the database, where many uploads have met.
    """
    given = [batch.columns for batch in found if isinstance(batch, wire.Batch) and batch.columns]
    in_columns, patience = iter(columns.read(given)), Patience()
    return [
        with_events(batch, in_columns, place, patience)
        for place, batch in zip(places or count(), found, strict=False)
    ]


def with_events(
    batch: wire.Batch | Broken,
    in_columns: Iterator[Columns | columns.Problem],
    place: int,
    patience: Patience,
) -> Batch | Broken:
    if isinstance(batch, Broken):
        return batch
    try:
        events = next(in_columns) if batch.columns else columns.encode(batch.events)
    except ValueError:
        if not (found := not_a_number(batch.events)):
            raise
        path = f"$.batches[{place}].events[{found[0]}].{found[1]}"
        at = [event.at for event in batch.events]
        return Broken(path, "must be a number", batch.sensor, batch.epoch, batch.first_seq, at)
    if isinstance(events, columns.Problem):
        assert batch.columns
        path = f"$.batches[{place}].columns.{events.path}"
        head = (batch.sensor, batch.epoch, batch.first_seq)
        return Broken(path, events.reason, *head, *patience.times(batch.columns))
    model, short = bytes.fromhex(batch.model), batch.columns is not None
    return Batch(
        batch.sensor, batch.epoch, batch.first_seq, model, batch.config, events, batch.sent_at, short
    )


def not_a_number(events: Sequence[wire.Event]) -> tuple[int, str] | None:
    """The place and the field of the first NaN, which lies within no bounds and which no bounds keep out."""
    for place, event in enumerate(events):
        if type(event) is wire.Shelf and isnan(event.confidence):
            return place, "confidence"
        if type(event) is wire.Heartbeat and isnan(event.temperature_c):
            return place, "temperature_c"
    return None


# --- against the fleet -----------------------------------------------------------------------------


def incoming(
    batch: Batch | Broken,
    sensor: SensorFacts,
    path: str,
    now: int | None = None,
    tolerance_ms: int = 0,
    keep_days: int | None = None,
) -> Incoming:
    """A batch as it will be committed, with what is wrong with it.

    Where ``now`` (Unix ms) is given, events more than ``tolerance_ms`` after it are set aside, and those more than
    ``keep_days`` before it are refused.
    """
    if isinstance(batch, Broken):
        problem = (batch.path, batch.reason)
        return Incoming(
            sensor, batch.epoch, batch.first_seq, batch.count, problem=problem, refused_at=batch.at
        )
    scene = unknown_scene(batch.config, sensor, path)
    judged = Incoming(
        sensor,
        batch.epoch,
        batch.first_seq,
        batch.count,
        batch.config,
        batch.model,
        batch.columns,
        scene or unknown_channel(batch, sensor, path),
        "scene" if scene else "channel",
        sent_at=batch.sent_at,
        trusted_until=None if now is None else now + tolerance_ms,
    )
    if judged.problem is None and now is not None and keep_days is not None:
        return without_expired(judged, batch, path, now, keep_days)
    return judged


def without_expired(judged: Incoming, batch: Batch, path: str, now: int, keep_days: int) -> Incoming:
    """A batch up to its first event older than batches are kept, or, if it begins with such, just these as invalid.

    The days that they would change are long settled, and could not be computed again. What comes behind is answered
    when it comes again.
    """
    oldest = oldest_kept(now, keep_days)
    if judged.columns.summary.oldest >= oldest:
        return judged
    events, are_expired = next(runs(judged.columns, judged.columns.at < oldest))
    part = judged.with_events(judged.first_seq, events)
    if are_expired:
        days = (now - int(events.at[0])) // DAY_MS
        reason = f"lies {days} days back, beyond the {keep_days} that are kept; if the clock is wrong, set it"
        part.problem, part.fault = (path_of(path, batch, 0, "at", "at"), reason), "clock"
    return part


def unknown_scene(version: int, sensor: SensorFacts, path: str) -> tuple[str, str] | None:
    if version <= sensor.scene_version:
        return None
    newest = f"the newest is {sensor.scene_version}" if sensor.scene_version else "it has none yet"
    return f"{path}.config", f"scene version {version} was never published for this sensor; {newest}"


def unknown_channel(batch: Batch, sensor: SensorFacts, path: str) -> tuple[str, str] | None:
    """The first event whose line, zone or slot the sensor does not have."""
    unknown = {
        (kind, number)
        for kind, number in batch.columns.summary.channels
        if CHANNEL_KIND[kind] != "device" and (CHANNEL_KIND[kind], number) not in sensor.channels
    }
    if not unknown:
        return None
    for place, (kind, _, number, _) in enumerate(batch.columns.rows()):
        if (kind, number) in unknown:
            name = CHANNEL_KIND[kind]
            reason = f"the sensor has no {name} {number}; add it to its scene"
            return path_of(path, batch, place, name, "channel"), reason
    return None


def path_of(path: str, batch: Batch, place: int, field: str, column: str) -> str:
    """Where an event's field is, which in columns has another name, in the batch at ``path``."""
    if batch.short:
        return f"{path}.columns.{column}[{place}]"
    return f"{path}.events[{place}].{field}"
