"""From the body of a request to batches, the broken ones told from their neighbours."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from math import isnan
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import zstandard
from msgspec import Meta

from analytics.ingest.commit import Incoming
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import CHANNEL_KIND
from analytics.ingest.retention import DAY_MS, oldest_kept
from sensorapp import columns, wire
from sensorapp.columns import Columns


class TooLargeError(ValueError):
    """A body that unpacks to more than the contract allows."""


# --- the body --------------------------------------------------------------------------------------


def decompress(body: bytes, encoding: str) -> bytes:
    """Unpack a body; raises :class:`TooLargeError` before more than the limit is in memory."""
    match encoding:
        case "" | "identity":
            return body
        case "gzip":
            return gunzip(body)
        case "zstd":
            return unzstd(body)
    raise LookupError(encoding)


def gunzip(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, wire.MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise wire.WireError("$", f"not readable as gzip: {error}") from None
    if len(unpacked) > wire.MAX_BODY_BYTES:
        raise TooLargeError
    if not unpacker.eof:
        raise wire.WireError("$", "not readable as gzip: it ends too early")
    return unpacked


def unzstd(body: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**24).stream_reader(io.BytesIO(body)) as reader:
            unpacked = reader.read(wire.MAX_BODY_BYTES + 1)
    except zstandard.ZstdError as error:
        raise wire.WireError("$", f"not readable as zstd: {error}") from None
    if len(unpacked) > wire.MAX_BODY_BYTES:
        raise TooLargeError
    return unpacked


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

    ``at`` are the times of its events as far as they can be read.
    """

    path: str
    reason: str
    sensor: str = ""
    epoch: int = 1
    first_seq: int = 0
    at: Sequence[int | None] = ()

    @property
    def count(self) -> int:
        return len(self.at)


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """An upload with its batches unread."""

    batches: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=wire.MAX_BATCHES_PER_REQUEST)]


class Head(msgspec.Struct):
    """As much of a broken batch as is needed to answer it."""

    sensor: wire.SensorId
    epoch: wire.Epoch
    first_seq: wire.SequenceNumber
    events: Annotated[list[Any], Meta(min_length=1, max_length=wire.MAX_EVENTS_PER_BATCH)] = []
    columns: wire.Columns | None = None

    @property
    def at(self) -> list[int | None]:
        return columns.times(self.columns) if self.columns else [time_of(one) for one in self.events]


class Timed(msgspec.Struct):
    """As much of an event as tells it from others of its sensor."""

    at: wire.Milliseconds


def batches(body: bytes, media_type: str) -> list[wire.Batch | Broken]:
    """The batches of an upload; raises :class:`~sensorapp.wire.WireError` where not even its outline is kept."""
    try:
        return list(wire.decode(body, wire.Upload, media_type).batches)
    except wire.WireError as error:
        if not error.path.startswith("$.batches["):
            raise
    raws = wire.decode(body, Envelope, media_type).batches
    return [one_batch(bytes(raw), media_type, f"$.batches[{place}]") for place, raw in enumerate(raws)]


def one_batch(raw: bytes, media_type: str, path: str) -> wire.Batch | Broken:
    try:
        return wire.decode(raw, wire.Batch, media_type)
    except wire.WireError as error:
        path, reason = path + error.path.removeprefix("$"), harmless(error.reason)
    try:
        head = wire.decode(raw, Head, media_type)
    except wire.WireError:
        return Broken(path, reason)
    at = head.at
    return Broken(path, reason, head.sensor, head.epoch, head.first_seq, at) if at else Broken(path, reason)


def time_of(event: object) -> int | None:
    """The time of an event of which little is known."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(event, Timed).at
    return None


def read(found: Sequence[wire.Batch | Broken], places: Iterable[int] | None = None) -> list[Batch | Broken]:
    """Batches with their events as columns, of one upload or, as ``places`` says of each batch where, of many.

    What came in columns is looked at together: so it costs least beside the database, where many uploads have met.
    """
    given = [batch.columns for batch in found if isinstance(batch, wire.Batch) and batch.columns]
    in_columns = iter(columns.read(given))
    return [
        with_events(batch, in_columns, place) for place, batch in zip(places or count(), found, strict=False)
    ]


def with_events(
    batch: wire.Batch | Broken, in_columns: Iterator[Columns | columns.Problem], place: int
) -> Batch | Broken:
    if isinstance(batch, Broken):
        return batch
    if batch.columns:
        events = next(in_columns)
    elif found := not_a_number(batch.events):
        path = f"$.batches[{place}].events[{found[0]}].{found[1]}"
        at = [event.at for event in batch.events]
        return Broken(path, "must be a number", batch.sensor, batch.epoch, batch.first_seq, at)
    else:
        events = columns.encode(batch.events)
    if isinstance(events, columns.Problem):
        path = f"$.batches[{place}].columns.{events.path}"
        return Broken(path, events.reason, batch.sensor, batch.epoch, batch.first_seq, events.at)
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


# What the decoder quotes of a message: names of fields that it does not know, and values.
QUOTED: Final = re.compile(r"(unknown field|[Ii]nvalid (?:enum )?value) .*", re.DOTALL)


def harmless(reason: str) -> str:
    """The reason without the sender's own words: no free text of a device is kept or shown."""
    return QUOTED.sub(r"\1", reason)[:200]


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
    expired = judged.columns.at < oldest
    [turns] = np.nonzero(expired != expired[0])
    count = int(turns[0]) if len(turns) else judged.count
    problem = None
    if expired[0]:
        days = (now - int(judged.columns.at[0])) // DAY_MS
        reason = f"lies {days} days back, beyond the {keep_days} that are kept; if the clock is wrong, set it"
        problem = (path_of(path, batch, 0, "at", "at"), reason)
    part, _ = judged.columns.cut([count, judged.count])
    return replace(judged, count=count, columns=part, problem=problem, fault="clock")


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
