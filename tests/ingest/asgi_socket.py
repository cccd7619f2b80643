"""A stream without a network, and what is said on one."""

from __future__ import annotations

import asyncio
from typing import Any

from analytics.ingest.gateway import Gateway
from sensorapp import wire

PATH = "/ingest/v1/stream"


def read(frame: str | bytes) -> wire.StreamMessage:
    media_type = wire.JSON if isinstance(frame, str) else wire.MSGPACK
    body = frame.encode() if isinstance(frame, str) else frame
    return wire.decode(body, wire.StreamMessage, media_type)  # type: ignore[arg-type]


def text(*batches: wire.Batch) -> str:
    return wire.encode(wire.Upload(list(batches))).decode()


class Socket:
    """A sender's end of a stream in this process, which knows how much of it was read."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self.gateway = gateway
        headers = [(b"authorization", f"Bearer {token}".encode())]
        self.scope = {"type": "websocket", "path": PATH, "headers": headers}
        self.unread: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> Socket:
        self.unread.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self.gateway(self.scope, self.unread.get, self.sent.put))
        assert await self.sent.get() == {"type": "websocket.accept"}
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unread.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await self.task

    async def upload(self, *batches: wire.Batch) -> None:
        self.unread.put_nowait({"type": "websocket.receive", "text": text(*batches)})

    async def said(self) -> wire.StreamMessage:
        message = await self.sent.get()
        return read(message.get("text") or message["bytes"])

    async def closed(self) -> int:
        message = await self.sent.get()
        assert message["type"] == "websocket.close"
        return int(message["code"])
