"""A store's stream to the backend; what it says and hears is that of a sensor's."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection, connect

from sensor_sim.device import stream
from sensorapp import wire


class Stream:
    """One WebSocket, opened when something is to be sent and kept open, with one upload at a time on its way."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket: ClientConnection | None = None

    async def post(self, token: str, body: bytes, batches: int) -> list[wire.Ack]:
        try:
            with stream.failures(self.address):
                socket = self._socket or await self._open(token)
                await socket.send(body)
                return await answer(socket, batches)
        except BaseException:
            self.close()  # the answer may still come, and would be taken for that to the next upload
            raise

    async def _open(self, token: str) -> ClientConnection:
        # Packing costs a fleet on one core more than it saves.
        how = stream.options(self.address, token)
        self._socket = await connect(self.address, compression=None, **how)
        return self._socket

    def close(self) -> None:
        if self._socket:
            self._socket.transport.abort()
        self._socket = None


async def answer(socket: ClientConnection, batches: int) -> list[wire.Ack]:
    """Wait for the answer, longer where the server asks for it."""
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(stream.ANSWER_S) as limit:
        while isinstance(said := stream.answer(await socket.recv(), batches), float):
            limit.reschedule(max(limit.when() or 0.0, clock() + said + stream.ANSWER_S))
        return said
