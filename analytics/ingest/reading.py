"""Reading uploads, and how much of the process all of them together may take for that.

What is small and not packed is decoded at once. All else is decoded by threads of their own beside the event loop, so
that requests, look-ups and pages wait neither for a large body nor for a small one that unpacks to a large one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from analytics.ingest import decode, encodings
from analytics.ingest.refusal import Batches, RefusedError, later
from sensorapp import wire

DECODED_AT_ONCE_BYTES: Final = 64 * 1024
THREADS: Final = 2
# Of all bodies that are being received or wait to be decoded.
MOST_BYTES: Final = 8 * wire.MAX_BODY_BYTES


class Reading:
    """The uploads that a process is reading."""

    def __init__(self) -> None:
        self._held = 0
        self._threads = ThreadPoolExecutor(THREADS, "reading")

    async def read(self, pieces: AsyncIterable[bytes], media_type: str, encoding: str = "") -> Batches:
        """The batches of an upload, the broken ones told from their neighbours.

        Raises :class:`RefusedError`, with the status 503 where other uploads leave it no room.
        """
        body: list[bytes] = []
        try:
            async for piece in pieces:
                body.append(piece)
                self._held += len(piece)
                if self._held > MOST_BYTES:
                    raise later("Too much is being read.")
            return await self._decode(b"".join(body), media_type, encoding)
        finally:
            self._held -= sum(map(len, body))

    async def _decode(self, body: bytes, media_type: str, encoding: str) -> Batches:
        if len(body) <= DECODED_AT_ONCE_BYTES and encoding in ("", "identity"):
            return batches(body, media_type, encoding)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, batches, body, media_type, encoding)


async def whole(body: bytes) -> AsyncIterator[bytes]:
    """A body that has come already."""
    yield body


def batches(body: bytes, media_type: str, encoding: str) -> Batches:
    try:
        return decode.batches(encodings.decompress(body, encoding), media_type)
    except LookupError:
        raise RefusedError(415, f"Content-Encoding {encoding} is not known.", "Use gzip or zstd.") from None
    except encodings.TooLargeError:
        detail = f"Send at most {wire.MAX_BODY_BYTES} bytes, unpacked."
        raise RefusedError(413, "The body unpacks to too much.", detail) from None
    except wire.WireError as error:
        raise RefusedError(400, "The upload does not keep the contract.", str(error)) from None
