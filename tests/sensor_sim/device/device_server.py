"""A backend for the device side: the contract's answers over a ledger in memory, and real HTTP around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from sensorapp import columns, wire

BROKEN = 9_999  # units that the ledger calls invalid


@dataclass
class Ledger:
    """What a correct backend holds for one sensor: each event under its epoch and sequence number.

    ``refused`` are the numbers of those that it never will, each with its time and the last number of its run.
    """

    events: dict[tuple[int, int], wire.Event] = field(default_factory=dict)
    refused: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    epoch: int = 0
    next_seq: int = 0
    rejected: set[int] = field(default_factory=set)
    # A batch of which the first part is known: store the rest, or change nothing and say how far one is.
    stores_rest: bool = True

    def receive(self, batch: wire.Batch) -> wire.Ack:
        if batch.epoch < self.epoch or (batch.epoch == self.epoch and batch.first_seq < self.next_seq):
            return self.receive_again(batch)
        if batch.epoch > self.epoch:
            if batch.first_seq > 0:
                return self.answer(batch, "gap")
            self.epoch, self.next_seq = batch.epoch, 0
        if batch.first_seq > self.next_seq:
            return self.answer(batch, "gap")
        return self.take(batch)

    def take(self, batch: wire.Batch) -> wire.Ack:
        """What is new in a batch."""
        numbers = range(self.next_seq, batch.last_seq + 1)
        self.next_seq = batch.last_seq + 1
        if is_invalid(batch):
            self.rejected.update(event.at for event in batch.events)
            self.refused |= {
                (batch.epoch, seq): (batch.events[seq - batch.first_seq].at, batch.last_seq)
                for seq in numbers
            }
            return self.answer(batch, "invalid")
        self.events |= {(batch.epoch, seq): batch.events[seq - batch.first_seq] for seq in numbers}
        return self.answer(batch, "stored")

    def receive_again(self, batch: wire.Batch) -> wire.Ack:
        """A batch that begins with a number in use: tell what became of its beginning, or that it is another's."""
        present = batch.epoch == self.epoch
        alike = 0
        while alike < len(batch.events) and self.holds(batch, alike):
            alike += 1
        first_new = batch.first_seq + alike
        if (last := self.last_refused(batch)) is not None:
            position = self.next_seq - 1 if present and last == batch.last_seq else last
            return self.answer(batch, "invalid", batch.epoch, position)
        if not alike:
            return self.answer(batch, "stale_epoch")
        if (
            not present
            or first_new < self.next_seq <= batch.last_seq
            or first_new <= batch.last_seq < self.next_seq
        ):
            return self.answer(batch, "duplicate", batch.epoch, first_new - 1)
        if batch.last_seq < self.next_seq or is_invalid(batch) or not self.stores_rest:
            return self.answer(batch, "duplicate")
        return self.take(batch)

    def last_refused(self, batch: wire.Batch) -> int | None:
        """Up to which number the batch is one that was refused, if its beginning is."""
        end = None
        for seq, event in enumerate(batch.events, batch.first_seq):
            at, last = self.refused.get((batch.epoch, seq), (None, None))
            if at != event.at or end not in (None, last):
                return seq - 1 if seq > batch.first_seq else None
            end = last
        return batch.last_seq

    def holds(self, batch: wire.Batch, place: int) -> bool:
        return self.events.get((batch.epoch, batch.first_seq + place)) == batch.events[place]

    def answer(
        self, batch: wire.Batch, status: wire.AckStatus, epoch: int = 0, acked_seq: int | None = None
    ) -> wire.Ack:
        path, reason = ("$.events[0].units", "too many") if status == "invalid" else ("", "")
        acked_seq = self.next_seq - 1 if acked_seq is None else acked_seq
        return wire.Ack(batch.sensor, epoch or self.epoch or batch.epoch, acked_seq, status, path, reason)

    def moments(self) -> list[int]:
        return [event.at for event in self.events.values()]


def read(body: bytes, media_type: str) -> list[wire.Batch]:
    """The batches of an upload, with their events one by one."""
    return [one_by_one(batch) for batch in wire.decode(body, wire.Upload, media_type).batches]


def one_by_one(batch: wire.Batch) -> wire.Batch:
    if batch.columns is None:
        return batch
    [found] = columns.read([batch.columns])
    assert isinstance(found, columns.Columns)
    return msgspec.structs.replace(batch, events=list(columns.decode(found)), columns=None)


def is_invalid(batch: wire.Batch) -> bool:
    return any(isinstance(event, wire.Shelf) and event.units == BROKEN for event in batch.events)


Fault = Callable[[BaseHTTPRequestHandler, Callable[[], None]], bool]


class Server(ThreadingHTTPServer):
    """``faults`` are used up one a request; the rest of the requests are answered properly."""

    daemon_threads = True

    def __init__(self, ledger: Ledger, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.ledger = ledger
        self.mutex = threading.Lock()
        self.faults: list[Fault] = []
        self.tokens: list[str] = []
        self.arrivals: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.append(self.headers["Authorization"])
        self.server.arrivals.append(time.monotonic())
        answers: list[wire.Ack] = []

        def commit() -> None:
            batches = read(body, self.headers["Content-Type"])
            with self.server.mutex:
                answers.extend(self.server.ledger.receive(batch) for batch in batches)

        if self.path != "/ingest/v1/batches":
            return self.reply(404, b"no such page", "text/plain")
        if self.server.faults and self.server.faults.pop(0)(self, commit):
            return None
        commit()
        return self.reply(200, wire.encode(wire.Answer(answers), wire.MSGPACK), wire.MSGPACK)

    def reply(self, status: int, body: bytes, media_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def refuse(status: int, title: str = "", **headers: str) -> Fault:
    def fault(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        handler.reply(status, wire.encode(wire.Problem(title or "no")), wire.JSON, **headers)
        return True

    return fault


def cut(after_commit: bool) -> Fault:
    """Close the connection instead of answering."""

    def fault(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        if after_commit:
            commit()
        handler.close_connection = True
        handler.connection.close()
        return True

    return fault


def delay(seconds: float) -> Fault:
    def fault(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        time.sleep(seconds)
        return False

    return fault


@contextmanager
def running(ledger: Ledger) -> Iterator[Server]:
    with Server(ledger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
