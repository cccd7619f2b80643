"""Uploads over a WebSocket: one connection, each upload answered in its turn.

The messages are those of :mod:`sensorapp.wire`. What a sender may have without an answer is bounded by
the window that it is told, and while that is used up, or the committer's queue is full, nothing is read:
TCP then holds the sender back. Nothing that was read and not answered counts as taken, so a stream may
break at any moment; the sender sends it again on the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from analytics.ingest import monitoring
from analytics.ingest.reading import whole
from analytics.ingest.reception import Reception, Sender
from analytics.ingest.refusal import Batches, HungUpError, RefusedError
from sensorapp import wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WINDOW_BATCHES: Final = wire.MAX_BATCHES_PER_REQUEST
# While nothing is read the server hears no answer to its pings, and closes after twenty seconds.
LONGEST_HOLD_S: Final = 10.0
# 4000 to 4999 are for applications to define (RFC 6455, 7.4.2).
CLOSE_CODES: Final = 4000


@dataclass(frozen=True, slots=True)
class Taken:
    """An upload that the committer has, and the form in which its sender wants the answer."""

    batches: Batches
    answer: Future[wire.Answer]
    media_type: str


class Stream:
    """One sender's connection."""

    def __init__(self, reception: Reception, scope: Scope, receive: Receive, send: Send) -> None:
        self._reception = reception
        self._scope = scope
        self._receive = receive
        self._send = send
        headers = dict(scope["headers"])
        self._authorization = headers.get(b"authorization", b"").decode("latin-1")
        self._media_type = wire.JSON
        self._unanswered = 0
        self._room = asyncio.Event()
        # Whatever ends the reading is last in it, so that what was taken before still gets its answer.
        self._taken: asyncio.Queue[Taken | Exception] = asyncio.Queue()
        self._open: deque[Future[wire.Answer]] = deque()

    async def serve(self) -> None:
        """Answer until the sender hangs up or has to be refused."""
        await self._receive()
        try:
            if self._scope["path"] != "/ingest/v1/stream":
                raise RefusedError(404, "There is nothing at this address.", "Connect to /ingest/v1/stream.")
            await self._reception.authenticate(self._authorization)
        except RefusedError as refused:
            await self._turn_away(refused)
            return
        await self._send({"type": "websocket.accept"})
        reading = asyncio.create_task(self._read())
        monitoring.STREAMS.inc()
        try:
            await self._answer()
        except RefusedError as refused:
            await self._close(refused)
        except (HungUpError, OSError):
            pass
        finally:
            monitoring.STREAMS.dec()
            reading.cancel()

    # --- reading ---

    async def _read(self) -> None:
        try:
            await self._say(wire.Window(WINDOW_BATCHES))
            while True:
                await self._wait_for_room()
                taken = await self._take(await self._receive())
                self._open.append(taken.answer)
                self._taken.put_nowait(taken)
        except HungUpError as error:
            # What nobody has begun with will be sent again. The last is dropped first, so that none leaves a gap.
            for answer in reversed(self._open):
                answer.cancel()
            self._taken.put_nowait(error)
        except Exception as error:
            self._taken.put_nowait(error)

    async def _wait_for_room(self) -> None:
        while self._unanswered >= WINDOW_BATCHES:
            self._room.clear()
            await self._room.wait()

    async def _take(self, message: MutableMapping[str, Any]) -> Taken:
        if message["type"] != "websocket.receive":
            raise HungUpError
        text = message.get("text")
        self._media_type = wire.MSGPACK if text is None else wire.JSON
        body = message["bytes"] if text is None else text.encode()
        # With each upload: a stream may last for weeks, and a token may be revoked meanwhile.
        sender = await self._reception.authenticate(self._authorization)
        batches, answer = await self._submit(sender, body)
        self._unanswered += len(batches)
        return Taken(batches, answer, self._media_type)

    async def _submit(self, sender: Sender, body: bytes) -> tuple[Batches, Future[wire.Answer]]:
        """Hand the upload on; one that comes too early is held, and its sender told, for a while."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + LONGEST_HOLD_S
        batches: Batches = []
        while True:
            try:
                self._reception.admit(sender)
                batches = batches or await self._reception.reading.read(whole(body), self._media_type)
                return batches, self._reception.submit(sender, batches)
            except RefusedError as refused:
                if not refused.retry_after or clock() + refused.retry_after > give_up:
                    raise
                await self._say(wire.Window(WINDOW_BATCHES, refused.retry_after))
                await asyncio.sleep(refused.retry_after)

    # --- answering ---

    async def _answer(self) -> None:
        while True:
            taken = await self._taken.get()
            if isinstance(taken, Exception):
                raise taken
            answer = await self._reception.settled(taken.answer)
            self._open.popleft()
            await self._say(wire.Answered(answer.acks, answer.desired), taken.media_type)
            self._unanswered -= len(taken.batches)
            self._room.set()

    async def _say(self, message: wire.StreamMessage, media_type: str | None = None) -> None:
        media_type = media_type or self._media_type
        body = wire.encode(message, media_type)
        frame = {"bytes": body} if media_type == wire.MSGPACK else {"text": body.decode()}
        await self._send({"type": "websocket.send", **frame})

    async def _close(self, refused: RefusedError) -> None:
        monitoring.REFUSED.labels(refused.status).inc()
        title, detail = refused.problem.title, refused.problem.detail
        try:
            await self._say(wire.Refusal(refused.status, title, detail, refused.retry_after))
            await self._send({"type": "websocket.close", "code": CLOSE_CODES + refused.status})
        except OSError:
            return  # it hung up first

    async def _turn_away(self, refused: RefusedError) -> None:
        """Refuse the handshake, as an HTTP request would be."""
        monitoring.REFUSED.labels(refused.status).inc()
        status, headers, body = refused.response()
        kind = "websocket.http.response"
        await self._send({"type": f"{kind}.start", "status": status, "headers": headers})
        await self._send({"type": f"{kind}.body", "body": body})
