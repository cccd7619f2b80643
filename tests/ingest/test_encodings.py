"""Packed bodies: however many parts a body is packed in, it is the same body, and nothing else may stand behind it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest.encodings import CHUNK_BYTES, MOST_PARTS, TooLargeError, decompress
from sensorapp import wire

PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
# One that needs no checksum and does not say how large it is, and one that a reader skips.
PLAIN_ZSTD = zstandard.ZstdCompressor(write_content_size=False).compress
SKIPPED = b"\x50\x2a\x4d\x18\x02\0\0\0ab"
packed = pytest.mark.parametrize("encoding", PACKS)


@packed
@given(
    body=st.binary(max_size=200) | st.integers(0, 3 * CHUNK_BYTES).map(os.urandom),
    cuts=st.lists(st.floats(0, 1), max_size=6),
)
def test_any_split_of_a_body_is_the_same_body(encoding: str, body: bytes, cuts: list[float]) -> None:
    bounds = [0, *sorted(round(cut * len(body)) for cut in cuts), len(body)]
    parts = [PACKS[encoding](body[begin:end]) for begin, end in pairwise(bounds)]
    assert decompress(b"".join(parts), encoding) == body


def test_frames_of_any_kind() -> None:
    body = SKIPPED + PLAIN_ZSTD(b"one ") + SKIPPED + PACKS["zstd"](b"two") + SKIPPED
    assert decompress(body, "zstd") == b"one two"


@packed
@pytest.mark.parametrize("rubbish", [b"\0", b"r", b"rubbish" * 10_000])
def test_rubbish_behind_is_no_part_of_a_body(encoding: str, rubbish: bytes) -> None:
    with pytest.raises(wire.WireError) as caught:
        decompress(PACKS[encoding](b"{}") + rubbish, encoding)
    assert caught.value.path == "$"
    assert caught.value.reason.startswith(f"not readable as {encoding}: ")


@packed
def test_what_ends_too_early_is_not_taken(encoding: str) -> None:
    for body in (b"", b"a", b"abc" * 10, os.urandom(2 * CHUNK_BYTES)):
        whole = PACKS[encoding](body)
        for end in {1, 3, len(whole) // 2, len(whole) - 1}:
            for cut in (whole[:end], whole + whole[:end]):
                with pytest.raises(wire.WireError) as caught:
                    decompress(cut, encoding)
                assert str(caught.value) == f"$: not readable as {encoding}: it ends too early"


@packed
def test_too_much_in_parts_that_are_not(encoding: str) -> None:
    half = PACKS[encoding](bytes(wire.MAX_BODY_BYTES // 2))
    assert len(decompress(half * 2, encoding)) == wire.MAX_BODY_BYTES
    with pytest.raises(TooLargeError):
        decompress(half * 2 + PACKS[encoding](b"\0"), encoding)


@packed
def test_parts_without_number_are_refused(encoding: str) -> None:
    nothing = PACKS[encoding](b"")
    assert decompress(nothing * MOST_PARTS, encoding) == b""
    with pytest.raises(wire.WireError) as caught:
        decompress(nothing * (MOST_PARTS + 1), encoding)
    assert str(caught.value) == f"$: not readable as {encoding}: it has more than 1000 parts; pack it as one"
