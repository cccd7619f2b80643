"""The uplink against a real HTTP server that fails in every way the contract knows."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import msgspec
import pytest

from sensor_sim.device import uplink
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.uplink import (
    BackOff,
    Delivery,
    RefusedError,
    Token,
    Totals,
    UnavailableError,
    Uplink,
    address,
    read_token,
)
from sensorapp import wire
from tests.sensor_sim.device.device_server import BROKEN, Handler, Ledger, Server, cut, delay, refuse, running

SENSOR = "s-0123456789ab"
TOKEN = Token(f"{SENSOR}.c2VjcmV0", SENSOR)
MODEL = "0123456789abcdef"
START = 1_780_000_000_000


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Ledger()) as server:
        yield server


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox", SENSOR) as outbox:
        yield outbox


@pytest.fixture
def delivery(server: Server, outbox: Outbox) -> Iterator[Delivery]:
    link = Uplink(server.url, TOKEN)
    yield Delivery(outbox, link, interval=0.02, batch_events=10)
    link.close()


def append(outbox: Outbox, first: int, count: int) -> None:
    events = [wire.Crossing(START + number, 0, "forward") for number in range(first, first + count)]
    outbox.append(events, model=MODEL, config=1)


def moments(server: Server) -> list[int]:
    return [at - START for at in server.ledger.moments()]


def test_drain_sends_everything_once_in_order(server: Server, outbox: Outbox, delivery: Delivery) -> None:
    append(outbox, 0, 35)
    assert delivery.drain() == Totals(stored=35)
    assert moments(server) == list(range(35))
    assert server.tokens == [f"Bearer {TOKEN.text}"] * 4


def test_each_sending_says_when_it_was(server: Server, outbox: Outbox, delivery: Delivery) -> None:
    """By the sensor's clock, by which the server measures how wrong that is."""
    sent: list[int | None] = []
    receive = server.ledger.receive

    def note(batch: wire.Batch) -> wire.Ack:
        sent.append(batch.sent_at)
        return receive(batch)

    server.ledger.receive = note  # type: ignore[method-assign]
    append(outbox, 0, 15)
    begin = time.time_ns() // 1_000_000
    delivery.drain()
    end = time.time_ns() // 1_000_000
    assert len(sent) == 2
    assert all(at is not None and begin <= at <= end for at in sent)


@pytest.mark.parametrize("seconds", [0, 4_200_000_000])
def test_a_clock_that_cannot_be_right_is_not_told(
    server: Server, outbox: Outbox, delivery: Delivery, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """The server would refuse the events with it, which were measured while the clock was right."""
    append(outbox, 0, 5)
    monkeypatch.setattr(time, "time_ns", lambda: seconds * 10**9)
    assert delivery.drain() == Totals(stored=5)
    assert moments(server) == list(range(5))


def test_faults_lose_nothing_and_count_nothing_twice(
    server: Server, outbox: Outbox, delivery: Delivery
) -> None:
    server.faults = [
        refuse(503),
        cut(after_commit=True),
        cut(after_commit=False),
        refuse(500),
        delay(0.1),
        refuse(429),
        cut(after_commit=True),
        refuse(502),
    ]
    append(outbox, 0, 40)
    totals = delivery.drain()
    assert moments(server) == list(range(40))
    assert (totals.stored, totals.duplicate, totals.pending) == (20, 20, 0)
    assert server.faults == []


def test_a_slow_answer_is_a_lost_answer(
    server: Server, outbox: Outbox, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.uplink._client.timeout = 0.1
    server.faults = [delay(0.3)]
    append(outbox, 0, 5)
    delivery.drain()
    time.sleep(0.4)  # the first request is committed as well, now
    assert moments(server) == list(range(5))


@pytest.mark.parametrize("value", ["1", "date"])
def test_retry_after_is_waited_for(server: Server, outbox: Outbox, delivery: Delivery, value: str) -> None:
    # A date has whole seconds: two from now are more than one.
    header = formatdate(time.time() + 2, usegmt=True) if value == "date" else value
    server.faults = [refuse(503, Retry_After=header)]
    append(outbox, 0, 1)
    delivery.drain()
    first, second = server.arrivals
    assert second - first >= 0.9


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "the server answered 401: unknown token; check the token"),
        (
            403,
            "the server answered 403: unknown token; the token may not send for this sensor; check the token",
        ),
        (413, "the server answered 413: unknown token; send smaller batches"),
        (
            415,
            "the server answered 415: unknown token;"
            " the server takes metadata only; check that both sides have the same version",
        ),
        (302, "the server answered 302: unknown token; check the address and the versions"),
    ],
)
def test_a_refusal_ends_it_with_one_sentence(
    server: Server, outbox: Outbox, delivery: Delivery, status: int, sentence: str
) -> None:
    server.faults = [refuse(status, "unknown token")]
    append(outbox, 0, 1)
    with pytest.raises(RefusedError) as caught:
        delivery.drain()
    assert str(caught.value) == sentence
    assert len(outbox) == 1


def test_another_page_is_not_the_server(server: Server, outbox: Outbox) -> None:
    append(outbox, 0, 1)
    delivery = Delivery(outbox, Uplink(server.url + "/other", TOKEN))
    with pytest.raises(RefusedError, match="404: Not Found; check the address"):
        delivery.drain()


def test_a_batch_refused_as_invalid_lets_the_next_pass(
    server: Server, outbox: Outbox, delivery: Delivery
) -> None:
    outbox.append([wire.Shelf(START, 0, BROKEN, 1.0)], model=MODEL, config=1)
    outbox.append([wire.Shelf(START, 0, 3, 1.0)], model=MODEL, config=2)
    assert delivery.drain() == Totals(stored=1, invalid=1)


def test_the_background_sends_while_events_come(server: Server, outbox: Outbox, delivery: Delivery) -> None:
    with delivery:
        for number in range(30):
            append(outbox, number, 1)
            time.sleep(0.005)
        assert server.ledger.next_seq > 0
    assert delivery.totals == Totals(stored=30)
    assert moments(server) == list(range(30))


def test_leaving_waits_for_a_server_that_was_away(outbox: Outbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ledger = Ledger()
    delivery = Delivery(outbox, Uplink(f"http://127.0.0.1:{port}", TOKEN), interval=0.01)
    back = threading.Event()

    def come_back() -> None:
        time.sleep(0.3)
        with Server(ledger, port) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            back.wait(20)
            server.shutdown()

    thread = threading.Thread(target=come_back)
    thread.start()
    with delivery:
        append(outbox, 0, 3)
    back.set()
    thread.join()
    assert delivery.totals == Totals(stored=3)


def test_leaving_raises_what_the_server_refused(server: Server, outbox: Outbox, delivery: Delivery) -> None:
    server.faults = [refuse(401, "unknown token")]
    append(outbox, 0, 1)
    with pytest.raises(RefusedError, match="401"), delivery:
        pass


def test_leaving_raises_what_nobody_foresaw(outbox: Outbox, delivery: Delivery) -> None:
    append(outbox, 0, 1)
    outbox._db.execute("UPDATE event SET body = x'00'")  # a file that something else wrote to
    with pytest.raises(msgspec.ValidationError), delivery:
        pass
    assert isinstance(delivery.failure, msgspec.ValidationError)


def test_leaving_after_an_error_keeps_the_rest(outbox: Outbox) -> None:
    delivery = Delivery(outbox, Uplink("http://127.0.0.1:9", TOKEN), interval=0.01)
    append(outbox, 0, 2)
    with pytest.raises(KeyboardInterrupt), delivery:
        raise KeyboardInterrupt
    assert len(outbox) == 2


def test_an_address_that_cannot_be_one() -> None:
    assert address("http://example.org/") == "http://example.org/ingest/v1/batches"
    assert address("http://example.org/ingest/v1/batches") == "http://example.org/ingest/v1/batches"
    assert (
        address("https://Shop_1.example.:65535/a-b") == "https://Shop_1.example.:65535/a-b/ingest/v1/batches"
    )
    places = [
        "",
        ":8000",
        "/",
        "bücher.example",
        "a..b",
        "a" * 64,
        "[1.2.3.4]",
        "me:word@host",
        "ho st",
        "h\n",
    ]
    places += [
        f"127.0.0.1{rest}" for rest in (":", ":abc", ":0", ":99999", ":" + "9" * 5_000, "/ü", "?x", "#x")
    ]
    for url in ("example.org:8000", *(f"http://{place}" for place in places)):
        with pytest.raises(RefusedError, match="it must begin with http:// or https:// and name a host"):
            address(url)


def test_a_name_that_cannot_be_looked_up_is_refused(outbox: Outbox) -> None:
    append(outbox, 0, 1)
    batch = outbox.pending()
    assert batch is not None
    with pytest.raises(RefusedError, match=r"^address http://xn--/ingest/v1/batches: Malformed A-label"):
        Uplink("http://xn--/", TOKEN).post(batch)


def test_token_files(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(RefusedError, match="No such file"):
        read_token(path, "s")
    path.write_text(TOKEN.text + "\n")
    assert read_token(path, "s") == TOKEN
    with pytest.raises(RefusedError, match="it must hold one token such as g-"):
        read_token(path, "g")


def test_waits_grow_to_a_bound() -> None:
    back_off = BackOff()
    waits = [back_off.seconds() for _ in range(200)]
    assert max(waits) <= uplink.LONGEST_BACK_OFF_S
    assert max(waits[-100:]) > uplink.LONGEST_BACK_OFF_S / 2
    assert waits[0] <= uplink.FIRST_BACK_OFF_S
    assert back_off.seconds(at_least=100.0) >= 100.0


def test_an_unreadable_answer_is_tried_again(server: Server, outbox: Outbox) -> None:
    def nonsense(handler: object, commit: object) -> bool:
        handler.reply(200, b"<html>", "text/html")  # type: ignore[attr-defined]
        return True

    server.faults = [nonsense]
    append(outbox, 0, 1)
    batch = outbox.pending()
    assert batch is not None
    with pytest.raises(UnavailableError, match="not readable"):
        Uplink(server.url, TOKEN).post(batch)


def huge(handler: Handler) -> None:
    handler.reply(200, bytes(wire.MAX_BODY_BYTES + 1), wire.MSGPACK)


def compressed(handler: Handler) -> None:
    handler.reply(200, gzip.compress(bytes(1_000_000)), wire.MSGPACK, Content_Encoding="gzip")


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    with suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"a")
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (huge, f"the server's answer has more than {wire.MAX_BODY_BYTES} bytes"),
        (
            compressed,
            "the server's answer is compressed, which was not asked for; check what lies between",
        ),
        (endless, "the server's answer does not end within 0 s"),
    ],
)
def test_an_answer_that_is_no_answer_is_given_up(
    server: Server,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    reply: Callable[[Handler], None],
    complaint: str,
) -> None:
    def answer(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        with suppress(OSError):  # nobody reads it to its end
            reply(handler)
        return True

    monkeypatch.setattr(uplink, "LONGEST_ANSWER_S", 0.3)
    server.faults = [answer]
    append(outbox, 0, 1)
    batch = outbox.pending()
    assert batch is not None
    link = Uplink(server.url, TOKEN)
    with pytest.raises(UnavailableError) as caught:
        link.post(batch)
    assert str(caught.value) == complaint
    assert link.post(batch).status == "stored"


def test_of_a_compressed_refusal_the_status_counts(server: Server, outbox: Outbox) -> None:
    def refuse(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        handler.reply(401, gzip.compress(b"<html>"), "text/html", Content_Encoding="gzip")
        return True

    server.faults = [refuse]
    append(outbox, 0, 1)
    batch = outbox.pending()
    assert batch is not None
    with pytest.raises(RefusedError) as caught:
        Uplink(server.url, TOKEN).post(batch)
    assert str(caught.value) == "the server answered 401: Unauthorized; check the token"


def test_numbers_that_cannot_be_are_no_answer(server: Server, outbox: Outbox, delivery: Delivery) -> None:
    def beyond(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        ack = wire.Ack(SENSOR, 2**63, 2**63, "stale_epoch")
        handler.reply(200, wire.encode(wire.Answer([ack]), wire.MSGPACK), wire.MSGPACK)
        return True

    server.faults = [beyond]
    append(outbox, 0, 1)
    assert delivery.drain() == Totals(stored=1)


@pytest.mark.parametrize("last", [wire.Crossing(START, 0, "forward"), wire.Shelf(START, 0, BROKEN, 1.0)])
def test_what_was_settled_in_an_earlier_run_is_not_counted_again(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, last: wire.Event
) -> None:
    """It is sent once more to ask how far the server is."""

    def drain(event: wire.Event) -> Totals:
        with Outbox(tmp_path / "outbox", SENSOR) as outbox:
            outbox.append([event], model=MODEL, config=1)
            return Delivery(outbox, Uplink(server.url, TOKEN)).drain()

    assert drain(last) in (Totals(stored=1), Totals(invalid=1))
    caplog.clear()
    assert drain(wire.Crossing(START + 1, 0, "forward")) == Totals(stored=1)
    assert [record for record in caplog.records if record.name == uplink.__name__] == []
    server.ledger = Ledger()  # which has lost everything
    assert drain(wire.Crossing(START + 2, 0, "forward")) == Totals(stored=1)
    [told] = [record.getMessage() for record in caplog.records if record.name == uplink.__name__]
    assert told.startswith("gap: the server has epoch ")


def test_a_server_that_has_enough_of_this_sensor_is_tried_again(
    server: Server, outbox: Outbox, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        ack = wire.Ack(SENSOR, 1, -1, "later")
        handler.reply(200, wire.encode(wire.Answer([ack]), wire.MSGPACK), wire.MSGPACK)
        return True

    server.faults = [busy]
    append(outbox, 0, 1)
    assert delivery.drain() == Totals(stored=1)
    [told] = [record.getMessage() for record in caplog.records if record.name == uplink.__name__]
    assert told.startswith("the server takes no more from this sensor for now; 1 events are kept in ")


def test_a_proxy_is_not_asked_for_this_machine(
    server: Server, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    append(outbox, 0, 1)
    assert Delivery(outbox, Uplink(server.url, TOKEN)).drain() == Totals(stored=1)


# --- the command -----------------------------------------------------------------------------------


def send(
    outbox: Path, url: str, token_file: Path, number: signal.Signals | None = None
) -> tuple[int, str, str]:
    """Run ``python -m sensor_sim send``, and tell it to stop after its first complaint if a signal is given."""
    root = Path(__file__).resolve().parents[3]
    where = ["--outbox", str(outbox), "--uplink", url, "--token-file", str(token_file)]
    with subprocess.Popen(
        [sys.executable, "-m", "sensor_sim", "send", *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        complaint = ""
        if number:
            assert process.stderr
            complaint = process.stderr.readline()
            process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, complaint + errors


@pytest.fixture
def full(tmp_path: Path) -> tuple[Path, Path]:
    """An outbox with three events, closed, and its sensor's token file."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN.text)
    with Outbox(tmp_path / "full", SENSOR) as outbox:
        append(outbox, 0, 3)
    return tmp_path / "full", token_file


def test_send_prints_totals(server: Server, full: tuple[Path, Path]) -> None:
    status, output, errors = send(full[0], server.url, full[1])
    assert (status, errors) == (0, "")
    assert json.loads(output) == {"stored": 3, "duplicate": 0, "invalid": 0, "pending": 0, "dropped": 0}
    assert moments(server) == [0, 1, 2]


def test_send_makes_no_outbox(server: Server, full: tuple[Path, Path], tmp_path: Path) -> None:
    status, output, errors = send(tmp_path / "mistyped", server.url, full[1])
    assert (status, output) == (1, "")
    assert errors == (
        f"sensor_sim: outbox {tmp_path / 'mistyped'}: there is none; check the path of the folder\n"
    )
    assert not (tmp_path / "mistyped").exists()


def test_send_says_in_one_sentence_why_it_cannot(server: Server, full: tuple[Path, Path]) -> None:
    server.faults = [refuse(401, "The token is not known.")]
    status, output, errors = send(full[0], server.url, full[1])
    assert (status, output) == (1, "")
    assert errors == "sensor_sim: the server answered 401: The token is not known; check the token\n"


def test_send_names_the_file_of_what_was_refused(server: Server, full: tuple[Path, Path]) -> None:
    with Outbox(full[0], SENSOR) as outbox:
        outbox.append([wire.Shelf(START, 0, BROKEN, 1.0)], model=MODEL, config=2)
    status, output, errors = send(full[0], server.url, full[1])
    assert (status, json.loads(output)["stored"], json.loads(output)["invalid"]) == (1, 3, 1)
    last = f"sensor_sim: the server refused 1 events as invalid; see which and why in {full[0] / 'dead-letter.jsonl'}"
    assert errors.splitlines()[-1] == last


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_send_stops_when_told_and_keeps_the_rest(full: tuple[Path, Path], number: signal.Signals) -> None:
    with socket.socket() as deaf:  # it has the port, so that nobody else listens there
        deaf.bind(("127.0.0.1", 0))
        status, output, errors = send(full[0], f"http://127.0.0.1:{deaf.getsockname()[1]}", full[1], number)
    assert status == 130
    assert json.loads(output)["pending"] == 3
    assert f"3 events are kept in {full[0]}, trying again in" in errors
    with Outbox(full[0], SENSOR) as outbox:
        assert len(outbox) == 3
