"""A load generator that costs little: uploads are encoded beforehand, and answers read as they come.

All its connections are in one process with one thread. Every answer is looked at: whatever is not stored ends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import httptools

from sensorapp import wire
from sensorapp.columns import shortened

HOST: Final = "127.0.0.1"


def request(
    token: str, batches: Sequence[wire.Batch], media_type: str = wire.MSGPACK, short: bool = False
) -> bytes:
    """An upload over HTTP, as it goes on the wire; events are in columns where ``short`` is wanted."""
    body = wire.encode(wire.Upload(list(map(shortened, batches) if short else batches)), media_type)
    head = (
        f"POST /ingest/v1/batches HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def groups(batches: Sequence[wire.Batch], together: int) -> Iterator[Sequence[wire.Batch]]:
    """So many batches at a time: what goes into an upload each."""
    for place in range(0, len(batches), together):
        yield batches[place : place + together]


def message(batches: Sequence[wire.Batch]) -> bytes:
    """An upload on a stream: a binary frame (RFC 6455, 5.2), masked with zeros, which leave it as it is."""
    return frame(2, wire.encode(wire.Upload(list(batches)), wire.MSGPACK))


def frame(opcode: int, body: bytes) -> bytes:
    head = bytes([0x80 | opcode])
    if len(body) < 126:
        head += bytes([0x80 | len(body)])
    elif len(body) < 2**16:
        head += bytes([0x80 | 126]) + len(body).to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + len(body).to_bytes(8, "big")
    return head + bytes(4) + body


def stored(answer: wire.Answer) -> int:
    """How many batches are; raises where any is not."""
    if refused := [ack for ack in answer.acks if ack.status != "stored"]:
        raise AssertionError(f"not stored: {refused[0]}")
    return len(answer.acks)


@dataclass(slots=True)
class Totals:
    """What was answered: batches, and the seconds from when each upload was due to its answer."""

    batches: int = 0
    seconds: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Sends uploads and notes their answers, which come in their order."""

    def __init__(self, totals: Totals, port: int) -> None:
        self.totals, self.port = totals, port
        self.loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self.loop.create_future()
        self.due: deque[float] = deque()
        self.idle = asyncio.Event()
        self.idle.set()

    async def open(self) -> None:
        self.transport, _ = await self.loop.create_connection(lambda: self, HOST, self.port)

    def send(self, upload: bytes, due: float) -> None:
        """``due`` is the moment, by the event loop's clock, from which on its time is counted."""
        self.due.append(due)
        self.idle.clear()
        self.transport.write(upload)

    def answered(self, batches: int) -> None:
        """Note the answer to the oldest upload that has none, which stored so many batches."""
        self.totals.batches += batches
        self.totals.seconds.append(self.loop.time() - self.due.popleft())
        if not self.due:
            self.idle.set()

    def data_received(self, data: bytes) -> None:
        try:
            self.read(data)
        except Exception as error:
            self.fail(error)

    def read(self, data: bytes) -> None:
        raise NotImplementedError

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(error or ConnectionError("the server hung up"))

    def fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # whoever waits for it is told, and nobody else
        self.idle.set()

    async def finished(self) -> None:
        """Wait until everything is answered."""
        await self.idle.wait()
        if self.failed.done():
            await self.failed

    def close(self) -> None:
        self.connection_lost = lambda error: None  # type: ignore[method-assign]
        self.transport.close()


class Http(Connection):
    """One request at a time over a connection that is kept."""

    def __init__(self, totals: Totals, port: int) -> None:
        super().__init__(totals, port)
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.waiting: deque[bytes] = deque()

    def send(self, upload: bytes, due: float) -> None:
        if self.due:
            self.due.append(due)
            self.waiting.append(upload)
        else:
            super().send(upload, due)

    def read(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        status, body, self.body = self.parser.get_status_code(), self.body, b""
        self.answered(self.stored(status, body))
        if self.waiting:
            self.transport.write(self.waiting.popleft())

    def stored(self, status: int, body: bytes) -> int:
        """How many batches an answer says are stored."""
        if status != 200:
            raise AssertionError(f"{status}: {body!r}")
        return stored(wire.decode(body, wire.Answer, wire.JSON if body[:1] == b"{" else wire.MSGPACK))


class Stream(Connection):
    """A WebSocket, on which uploads need not wait for each other's answers."""

    def __init__(self, totals: Totals, port: int, token: str) -> None:
        super().__init__(totals, port)
        self.token, self.rest, self.ready = token, b"", asyncio.Event()

    async def open(self) -> None:
        await super().open()
        self.transport.write(
            f"GET /ingest/v1/stream HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.token}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await self.ready.wait()

    def read(self, data: bytes) -> None:
        self.rest += data
        if not self.ready.is_set():
            head, found, rest = self.rest.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise AssertionError(head.decode())
            self.rest = rest
            self.ready.set()
        while (end := self.frame_end()) is not None:
            self.rest = self.rest[end:]

    def frame_end(self) -> int | None:
        """Take the first frame, if it is whole; returns where the next begins."""
        if len(self.rest) < 2:
            return None
        begin, length = 2, self.rest[1]
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(self.rest[2:begin], "big")
        if len(self.rest) < begin + length:
            return None
        self.take(self.rest[0] & 15, self.rest[begin : begin + length])
        return begin + length

    def take(self, opcode: int, body: bytes) -> None:
        if opcode == 2:
            self.answered(stored(wire.decode(body, wire.Answered, wire.MSGPACK)))
        elif opcode == 9:
            self.transport.write(frame(10, body))
        elif opcode != 1:  # the window, which nothing here uses up
            raise AssertionError(f"opcode {opcode}: {body!r}")


async def at_once(connections: Sequence[Connection], uploads: Iterable[Sequence[bytes]]) -> float:
    """Send each connection's uploads as fast as they are answered; returns the seconds until all are."""
    begin = asyncio.get_running_loop().time()
    for connection, its_uploads in zip(connections, uploads, strict=True):
        for upload in its_uploads:
            connection.send(upload, begin)
    for connection in connections:
        await connection.finished()
    return asyncio.get_running_loop().time() - begin


async def feed(connections: Sequence[Connection], uploads: Iterable[Sequence[bytes]]) -> float:
    """:func:`at_once` over connections that are opened for it, and closed."""
    for connection in connections:
        await connection.open()
    took = await at_once(connections, uploads)
    for connection in connections:
        connection.close()
    return took


async def on_time(uploads: Sequence[tuple[float, Callable[[float], None]]]) -> float:
    """Call each at its time (s from now), in order, with that time by the loop's clock; returns how late the last was."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    for after, send in uploads:
        while (wait := begin + after - clock()) > 0:
            await asyncio.sleep(wait)
        send(begin + after)
    return clock() - begin - uploads[-1][0]
