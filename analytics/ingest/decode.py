"""From the body of a request to batches, the broken ones told from their neighbours."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Final

import msgspec
import zstandard
from msgspec import Meta

from analytics.ingest import columns as c
from analytics.ingest.commit import Incoming
from analytics.ingest.directory import SensorFacts
from analytics.ingest.fold import CHANNEL_KIND
from sensorapp import wire


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


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """An upload with its batches unread."""

    batches: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=wire.MAX_BATCHES_PER_REQUEST)]


class Head(msgspec.Struct):
    """As much of a broken batch as is needed to answer it."""

    sensor: wire.SensorId
    epoch: wire.Epoch
    first_seq: wire.SequenceNumber
    events: Annotated[list[Any], Meta(min_length=1, max_length=wire.MAX_EVENTS_PER_BATCH)]


class Timed(msgspec.Struct):
    """As much of an event as tells it from others of its sensor."""

    at: wire.Milliseconds


def batches(body: bytes, media_type: str) -> list[wire.Batch | Broken]:
    """Read an upload; raises :class:`~sensorapp.wire.WireError` where not even its outline is kept."""
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
    return Broken(
        path, reason, head.sensor, head.epoch, head.first_seq, [time_of(one) for one in head.events]
    )


def time_of(event: object) -> int | None:
    """The time of an event of which little is known."""
    with suppress(msgspec.ValidationError):
        return msgspec.convert(event, Timed).at
    return None


# What the decoder quotes of a message: names of fields that it does not know, and values.
QUOTED: Final = re.compile(r"(unknown field|[Ii]nvalid (?:enum )?value) .*", re.DOTALL)


def harmless(reason: str) -> str:
    """The reason without the sender's own words: no free text of a device is kept or shown."""
    return QUOTED.sub(r"\1", reason)[:200]


def count(batch: wire.Batch | Broken) -> int:
    """How many events a batch holds."""
    return batch.count if isinstance(batch, Broken) else len(batch.events)


# --- against the fleet -----------------------------------------------------------------------------


def incoming(
    batch: wire.Batch | Broken,
    sensor: SensorFacts,
    path: str,
    now: int | None = None,
    tolerance_ms: int = 0,
) -> Incoming:
    """A batch as it will be committed, with what is wrong with it.

    Where ``now`` (Unix ms) is given, events more than ``tolerance_ms`` after it are set aside.
    """
    if isinstance(batch, Broken):
        problem = (batch.path, batch.reason)
        return Incoming(
            sensor, batch.epoch, batch.first_seq, batch.count, problem=problem, refused_at=batch.at
        )
    columns = c.encode(batch.events)
    return Incoming(
        sensor,
        batch.epoch,
        batch.first_seq,
        len(batch.events),
        batch.config,
        bytes.fromhex(batch.model),
        columns,
        unknown_scene(batch.config, sensor, path) or unknown_channel(columns, sensor, path),
        sent_at=batch.sent_at,
        trusted_until=None if now is None else now + tolerance_ms,
    )


def unknown_scene(version: int, sensor: SensorFacts, path: str) -> tuple[str, str] | None:
    if version <= sensor.scene_version:
        return None
    newest = f"the newest is {sensor.scene_version}" if sensor.scene_version else "it has none yet"
    return f"{path}.config", f"scene version {version} was never published for this sensor; {newest}"


def unknown_channel(columns: c.Columns, sensor: SensorFacts, path: str) -> tuple[str, str] | None:
    """The first event whose line, zone or slot the sensor does not have."""
    # All that may occur, found faster than what does.
    pairs = product(set(columns.kind), set(columns.channel))
    unknown = {
        (kind, number)
        for kind, number in pairs
        if CHANNEL_KIND[kind] != "device" and (CHANNEL_KIND[kind], number) not in sensor.channels
    }
    if not unknown:
        return None
    for place, (kind, number) in enumerate(zip(columns.kind, columns.channel, strict=True)):
        if (kind, number) in unknown:
            name = CHANNEL_KIND[kind]
            return f"{path}.events[{place}].{name}", f"the sensor has no {name} {number}; add it to its scene"
    return None
