"""A backend that acknowledges everything: the contract's answers and nothing behind them.

``GET /`` tells what came so far, as JSON: batches, events, requests, sensors, and batches whose sequence
numbers did not go on where the sensor's last batch ended.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass

import httptools
import msgspec
import uvloop
from msgspec import Struct

from sensorapp import wire

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\ncontent-length: %d\r\n\r\n"


class Columns(Struct):
    kind: bytes


class Batch(Struct):
    """As much of a batch as an acknowledgement needs; its events stay unread."""

    sensor: str
    epoch: int
    first_seq: int
    events: list[msgspec.Raw] = []
    columns: Columns | None = None

    @property
    def count(self) -> int:
        return len(self.columns.kind) if self.columns else len(self.events)


class Upload(Struct):
    batches: list[Batch]


UPLOADS = msgspec.msgpack.Decoder(Upload)
ANSWERS = msgspec.msgpack.Encoder()


@dataclass(slots=True)
class Totals:
    batches: int = 0
    events: int = 0
    requests: int = 0
    sensors: int = 0
    broken: int = 0


class Ledger:
    def __init__(self) -> None:
        self.totals = Totals()
        self.next_seq: dict[str, int] = {}

    def receive(self, body: bytes) -> bytes:
        batches = UPLOADS.decode(body).batches
        self.totals.requests += 1
        return ANSWERS.encode(wire.Answer([self.ack(batch) for batch in batches]))

    def ack(self, batch: Batch) -> wire.Ack:
        totals, stop = self.totals, batch.first_seq + batch.count
        totals.batches += 1
        totals.events += batch.count
        totals.broken += self.next_seq.get(batch.sensor, 0) != batch.first_seq
        self.next_seq[batch.sensor] = stop
        totals.sensors = len(self.next_seq)
        return wire.Ack(batch.sensor, batch.epoch, stop - 1, "stored")


class Door(asyncio.Protocol):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.parser.get_method() == b"GET":
            answer = msgspec.json.encode(asdict(self.ledger.totals))
        else:
            answer = self.ledger.receive(self.body)
        self.body = b""
        self.transport.write(HEAD % len(answer) + answer)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    ledger = Ledger()
    server = await asyncio.get_running_loop().create_server(lambda: Door(ledger), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
