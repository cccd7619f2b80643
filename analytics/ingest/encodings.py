"""Unpacking a body: ``Content-Encoding``."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any, Final

import zstandard

from sensorapp import wire

# What is unpacked at once; of gzip, this gives at most a thousand times as much.
CHUNK_BYTES: Final = 16 * 1024
# Each costs time to begin with, whatever is in it.
MOST_PARTS: Final = 1_000
# What a sender may ask a zstd unpacker to remember, bytes.
MOST_WINDOW: Final = 2**24


class TooLargeError(ValueError):
    """A body that unpacks to more than the contract allows."""


def decompress(body: bytes, encoding: str) -> bytes:
    """Unpack a body; raises :class:`TooLargeError` before much more than the limit is in memory.

    It may consist of several gzip members (RFC 1952, 2.2) or zstd frames (RFC 8878, 3.1), which are one body.
    """
    match encoding:
        case "" | "identity":
            return body
        case "gzip":
            return unpack(body, encoding, lambda: zlib.decompressobj(wbits=31))
        case "zstd":
            return unzstd(body)
    raise LookupError(encoding)


def unzstd(body: bytes) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW)
    try:
        # This reader can be bounded, but takes what ends too early, or rubbish of a few bytes, for the end.
        with unpacker.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
            if len(reader.read(wire.MAX_BODY_BYTES + 1)) > wire.MAX_BODY_BYTES:
                raise TooLargeError
    except zstandard.ZstdError as error:
        raise unreadable("zstd", error) from None
    return unpack(body, "zstd", unpacker.decompressobj)


def unpack(body: bytes, encoding: str, unpacker: Callable[[], Any]) -> bytes:
    """All parts of a body, one after the other; ``unpacker`` makes one, with zlib's methods, for each."""
    view, begin, parts, unpacked = memoryview(body), 0, 1, bytearray()
    part = unpacker()
    while begin < len(body):
        if part.eof:
            part, parts = unpacker(), parts + 1
        if parts > MOST_PARTS:
            raise unreadable(encoding, f"it has more than {MOST_PARTS} parts; pack it as one")
        chunk = view[begin : begin + CHUNK_BYTES]
        try:
            unpacked += part.decompress(chunk)
        except (zlib.error, zstandard.ZstdError) as error:
            raise unreadable(encoding, error) from None
        if len(unpacked) > wire.MAX_BODY_BYTES:
            raise TooLargeError
        begin += len(chunk) - len(part.unused_data)
    if not part.eof:
        raise unreadable(encoding, "it ends too early")
    return bytes(unpacked)


def unreadable(encoding: str, why: object) -> wire.WireError:
    return wire.WireError("$", f"not readable as {encoding}: {why}")
