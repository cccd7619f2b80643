"""Connections to the backend, each of which carries one upload after the other.

A fleet of ten thousand sensors in five hundred stores makes five hundred requests a second, for each of which
a general HTTP client needs more than a millisecond of one core. Here, one has a connection of its own until
it has its answer, the answer is parsed by httptools, and nothing else happens. Speaks HTTP/1.1 to the server
directly, without a proxy.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import chain
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import httptools
import httpx

from sensor_sim.device import stream, uplink
from sensor_sim.device.uplink import UnavailableError
from sensor_sim.fleet.stream import Stream
from sensorapp import wire

CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0
TOO_LONG: Final = f"the server's answer has more than {wire.MAX_BODY_BYTES} bytes; check the address"


@cache
def head(address: str, token: str) -> bytes:
    """The beginning of a request under ``token``, to be followed by the body's length and the body."""
    parts = urlsplit(address)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in uplink.headers(token).items()]
    return "\r\n".join([*lines, "Content-Length: "]).encode("ascii")


class Connection(asyncio.Protocol):
    """One connection to ``address``, which is opened when something is to be sent and stays open."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._start_answer()

    async def post(self, token: str, body: bytes, batches: int) -> list[wire.Ack]:
        request = head(self.address, token) + b"%d\r\n\r\n" % len(body) + body
        try:
            answer = await self._exchange(request)
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            raise UnavailableError(f"{self.address}: {uplink.explain(error, self.address)}") from None
        except asyncio.CancelledError:
            self.close()  # the answer may still come, and would be taken for that to the next request
            raise
        return uplink.read_answer(answer, batches).acks

    async def _exchange(self, request: bytes) -> httpx.Response:
        if self._transport is None:
            async with asyncio.timeout(CONNECT_S):
                await self._open()
        assert self._transport
        self._start_answer()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(ANSWER_S):
            return await self._answer

    async def _open(self) -> None:
        where = urlsplit(self.address)
        secure = where.scheme == "https"
        port = where.port or (443 if secure else 80)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, where.hostname or "", port, ssl=secure or None)

    def close(self) -> None:
        if self._transport:
            self._transport.abort()
        self._transport = None

    def _start_answer(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > wire.MAX_BODY_BYTES:
            self._fail(ConnectionError(TOO_LONG))
            return self.close()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(error or ConnectionResetError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)

    # --- called by the parser ---

    def on_header(self, name: bytes, value: bytes) -> None:
        # Nobody asked for a packed answer, and unpacked it could be of any length.
        if name.lower() != b"content-encoding":
            self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer and not self._answer.done():
            self._answer.set_result(httpx.Response(status, headers=self._headers, content=bytes(self._body)))


class Lane(Protocol):
    """A way to the backend for one upload after the other."""

    async def post(self, token: str, body: bytes, batches: int) -> list[wire.Ack]:
        """Send an upload; raises :class:`RefusedError` or :class:`UnavailableError`."""

    def close(self) -> None: ...


class Lanes:
    """As many uploads at once as ``count`` says, over requests or, for ``ws://`` and ``wss://``, over streams.

    Requests under any token share connections; a stream belongs to its token. What was last used is used next.
    """

    def __init__(self, url: str, count: int) -> None:
        self._streams = url.startswith(("ws://", "wss://"))
        self._address = stream.address(url) if self._streams else uplink.address(url)
        self._free: defaultdict[str, list[Lane]] = defaultdict(list)
        self._some_free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def lane(self, token: str) -> AsyncIterator[Lane]:
        """A lane of one's own for uploads under ``token``, in the order of asking."""
        async with self._some_free:
            free = self._free[token if self._streams else ""]
            lane = free.pop() if free else self._new()
            try:
                yield lane
            finally:
                free.append(lane)

    def _new(self) -> Lane:
        return Stream(self._address) if self._streams else Connection(self._address)

    def close(self) -> None:
        for lane in chain.from_iterable(self._free.values()):
            lane.close()
