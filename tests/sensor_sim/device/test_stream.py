"""The stream's sensor end against a real WebSocket server that fails in every way the contract knows."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from socket import SHUT_RDWR

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from sensor_sim.device import stream
from sensor_sim.device.commands import open_link
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.stream import StreamUplink, address
from sensor_sim.device.uplink import Delivery, RefusedError, Token, Totals, UnavailableError, Uplink
from sensorapp import wire
from tests.sensor_sim.device.device_server import Ledger, read
from tests.sensor_sim.device.test_uplink import send

SENSOR = "s-0123456789ab"
TOKEN = Token(f"{SENSOR}.c2VjcmV0", SENSOR)
START = 1_780_000_000_000

# What happens instead of an answer.
Fault = Callable[[ServerConnection, Callable[[], None]], None]


@dataclass
class Backend:
    """``faults`` are used up one an upload, ``handshakes`` one a connection; the rest is answered properly."""

    ledger: Ledger = field(default_factory=Ledger)
    faults: list[Fault] = field(default_factory=list)
    handshakes: list[tuple[HTTPStatus, wire.Problem]] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    url: str = ""

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        self.connections.append(request.headers["Authorization"])
        if request.path != stream.PATH:
            return socket.respond(HTTPStatus.NOT_FOUND, "")
        if not self.handshakes:
            return None
        status, problem = self.handshakes.pop(0)
        response = socket.respond(status, wire.encode(problem).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = wire.JSON
        response.headers["Retry-After"] = "0"
        return response

    def answer(self, socket: ServerConnection) -> None:
        say(socket, wire.Window(1))
        for body in socket:
            assert isinstance(body, bytes)
            batches = read(body, wire.MSGPACK)
            acks: list[wire.Ack] = []

            def commit(batches: list[wire.Batch] = batches, acks: list[wire.Ack] = acks) -> None:
                acks.extend(self.ledger.receive(batch) for batch in batches)

            if self.faults:
                self.faults.pop(0)(socket, commit)
            else:
                commit()
                say(socket, wire.Answered(acks))


def say(socket: ServerConnection, message: wire.Message) -> None:
    socket.send(wire.encode(message, wire.MSGPACK))


def cut(after_commit: bool) -> Fault:
    def fault(socket: ServerConnection, commit: Callable[[], None]) -> None:
        if after_commit:
            commit()
        socket.socket.shutdown(SHUT_RDWR)

    return fault


def instead(*messages: wire.Message) -> Fault:
    def fault(socket: ServerConnection, commit: Callable[[], None]) -> None:
        for message in messages:
            say(socket, message)

    return fault


@contextmanager
def running(backend: Backend) -> Iterator[Backend]:
    with serve(backend.answer, "127.0.0.1", 0, process_request=backend.refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        backend.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        yield backend
        server.shutdown()


@pytest.fixture
def backend() -> Iterator[Backend]:
    with running(Backend()) as backend:
        yield backend


@pytest.fixture
def delivery(backend: Backend, tmp_path: Path) -> Iterator[Delivery]:
    link = StreamUplink(backend.url, TOKEN)
    with Outbox(tmp_path / "outbox", SENSOR) as outbox:
        yield Delivery(outbox, link, interval=0.02, batch_events=10)
        link.close()


def append(outbox: Outbox, first: int, count: int) -> None:
    events = [wire.Crossing(START + number, 0, "forward") for number in range(first, first + count)]
    outbox.append(events, model="0123456789abcdef", config=1)


def moments(backend: Backend) -> list[int]:
    return [at - START for at in backend.ledger.moments()]


def test_everything_goes_once_in_order_over_one_connection(backend: Backend, delivery: Delivery) -> None:
    for first in (0, 35):
        append(delivery.outbox, first, 35)
        delivery.drain()
    assert delivery.totals == Totals(stored=70)
    assert moments(backend) == list(range(70))
    assert backend.connections == [f"Bearer {TOKEN.text}"]


def test_faults_lose_nothing_and_count_nothing_twice(backend: Backend, delivery: Delivery) -> None:
    unavailable = wire.Refusal(503, "The database is not available.", "Send it again later.", 0.01)
    backend.faults = [
        cut(after_commit=True),
        instead(unavailable),
        cut(after_commit=False),
        instead(wire.Refusal(429, "Too fast.")),
        instead(wire.Answered([])),
        instead(wire.Problem("of another protocol")),
        cut(after_commit=True),
    ]
    append(delivery.outbox, 0, 40)
    totals = delivery.drain()
    assert moments(backend) == list(range(40))
    assert (totals.stored, totals.duplicate, totals.pending) == (30, 10, 0)
    assert backend.faults == []
    assert len(backend.connections) == 8


def test_a_server_that_asks_for_time_gets_it(
    backend: Backend, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes later than it may without the window's word, on the same connection."""
    monkeypatch.setattr(stream, "ANSWER_S", 0.3)

    def slow_down(socket: ServerConnection, commit: Callable[[], None]) -> None:
        say(socket, wire.Window(1, retry_after=1.0))
        threading.Event().wait(0.5)
        commit()
        ledger = backend.ledger
        say(socket, wire.Answered([wire.Ack(SENSOR, ledger.epoch, ledger.next_seq - 1, "stored")]))

    backend.faults = [slow_down]
    append(delivery.outbox, 0, 5)
    assert delivery.drain() == Totals(stored=5)
    assert len(backend.connections) == 1


@pytest.mark.parametrize(
    "message",
    [
        wire.Window(1, retry_after=math.inf),
        wire.Window(1, retry_after=math.nan),
        wire.Refusal(503, "Busy.", "", math.inf),
        wire.Answered([wire.Ack(SENSOR, 2**63, 2**63, "stale_epoch")]),
    ],
)
def test_numbers_that_cannot_be_are_no_answer(
    backend: Backend, delivery: Delivery, message: wire.Message
) -> None:
    backend.faults = [instead(message)]
    append(delivery.outbox, 0, 1)
    assert delivery.drain() == Totals(stored=1)


def test_no_answer_in_time_is_a_lost_answer(
    backend: Backend, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "ANSWER_S", 0.1)

    def say_nothing(socket: ServerConnection, commit: Callable[[], None]) -> None:
        commit()

    backend.faults = [say_nothing]
    append(delivery.outbox, 0, 5)
    assert delivery.drain() == Totals(duplicate=5)
    assert moments(backend) == list(range(5))


def test_retry_after_is_handed_on(backend: Backend, delivery: Delivery) -> None:
    backend.faults = [instead(wire.Refusal(503, "Too much is waiting to be stored.", "Later.", 7.0))]
    append(delivery.outbox, 0, 1)
    batch = delivery.outbox.pending()
    assert batch
    with pytest.raises(UnavailableError, match="503: Too much is waiting to be stored; later") as caught:
        delivery.uplink.post(batch)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("handshake", [True, False])
def test_a_refusal_ends_it_with_one_sentence(backend: Backend, delivery: Delivery, handshake: bool) -> None:
    if handshake:
        problem = wire.Problem("s-0123456789ab is revoked.", "Enrol it again.")
        backend.handshakes = [(HTTPStatus.FORBIDDEN, problem)]
    else:
        backend.faults = [instead(wire.Refusal(403, "s-0123456789ab is revoked.", "Enrol it again."))]
    append(delivery.outbox, 0, 1)
    with pytest.raises(RefusedError) as caught:
        delivery.drain()
    assert str(caught.value) == "the server answered 403: s-0123456789ab is revoked; enrol it again."
    assert len(delivery.outbox) == 1


def test_a_handshake_refused_for_now_is_tried_again(backend: Backend, delivery: Delivery) -> None:
    problem = wire.Problem("The database is not available.", "Send it again later.")
    backend.handshakes = [(HTTPStatus.SERVICE_UNAVAILABLE, problem)]
    append(delivery.outbox, 0, 1)
    assert delivery.drain() == Totals(stored=1)


def test_another_page_is_not_the_server(backend: Backend) -> None:
    link = StreamUplink(backend.url + "/other", TOKEN)
    with pytest.raises(RefusedError, match="404: Not Found; check the address"):
        link.post(wire.Batch(SENSOR, 1, 0, "0123456789abcdef", 1, [wire.Crossing(START, 0, "forward")]))


def test_the_scheme_chooses_the_way() -> None:
    chosen = {
        scheme: open_link(f"{scheme}://example.org", TOKEN) for scheme in ("http", "https", "ws", "wss")
    }
    assert {scheme: type(link) for scheme, link in chosen.items()} == {
        "http": Uplink,
        "https": Uplink,
        "ws": StreamUplink,
        "wss": StreamUplink,
    }


def test_an_address_that_cannot_be_one() -> None:
    assert address("wss://example.org/") == "wss://example.org/ingest/v1/stream"
    assert address("ws://example.org/ingest/v1/stream") == "ws://example.org/ingest/v1/stream"
    assert address("ws://[::1]:8000") == "ws://[::1]:8000/ingest/v1/stream"
    for url in (
        "ws:///",
        "ws://example.org:port",
        "ws://:8000",
        "wss//example.org",
        "ws://h:99999",
        "ws://ü",
    ):
        with pytest.raises(RefusedError, match="it must begin with ws:// or wss:// and name a host"):
            address(url)


def test_the_command_sends_over_a_stream(backend: Backend, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN.text)
    with Outbox(tmp_path / "full", SENSOR) as outbox:
        append(outbox, 0, 3)
    status, output, errors = send(tmp_path / "full", backend.url, token_file)
    assert (status, errors) == (0, "")
    assert json.loads(output) == asdict(Totals(stored=3))
    assert moments(backend) == [0, 1, 2]
