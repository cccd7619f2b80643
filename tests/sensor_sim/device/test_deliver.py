"""Measuring and sending at once: what ``watch --uplink`` does with its events."""

from __future__ import annotations

import json
import socket
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor_sim.device import commands, uplink
from sensor_sim.device.commands import deliver
from sensor_sim.device.outbox import Outbox, OutboxError
from sensor_sim.device.uplink import RefusedError
from sensor_sim.stop import Stop
from sensorapp import wire
from tests.sensor_sim.device.device_server import BROKEN, Ledger, Server, refuse, running

SENSOR = "s-0123456789ab"
START = 1_780_000_000_000
MODEL = "0123456789abcdef"


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Ledger()) as server:
        yield server


def sending(folder: Path, url: str) -> Namespace:
    token_file = folder / "token"
    token_file.write_text(f"{SENSOR}.c2VjcmV0")
    return Namespace(uplink=url, token_file=token_file, outbox=folder / "outbox")


def crossing(number: int) -> wire.Event:
    return wire.Crossing(START + number, 0, "forward")


def until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def left(arguments: Namespace) -> int:
    with Outbox(arguments.outbox, SENSOR) as outbox:
        return len(outbox)


def test_events_leave_at_the_given_interval(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def events() -> Iterator[wire.Event]:
        for number in range(8):
            yield crossing(number)
            time.sleep(0.1)

    arguments = sending(tmp_path, server.url)
    assert deliver(events(), MODEL, 1, 0.3, arguments, Stop()) == 0
    assert json.loads(capsys.readouterr().out)["stored"] == 8
    assert 2 <= len(server.arrivals) <= 4


def test_measuring_goes_on_while_the_server_refuses(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "REFUSED_RETRY_S", 0.05)
    server.faults = [refuse(403, "a proxy says no") for _ in range(3)]

    def events() -> Iterator[wire.Event]:
        yield crossing(0)
        until(lambda: server.ledger.next_seq == 1)
        yield crossing(1)

    assert deliver(events(), MODEL, 1, 0.01, sending(tmp_path, server.url), Stop()) == 0
    assert server.ledger.moments() == [START, START + 1]
    assert len([record for record in caplog.records if "a proxy says no" in record.message]) == 1


def test_a_refusal_that_holds_is_told_at_once_and_again_at_the_end(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = [refuse(401, "unknown token") for _ in range(20)]

    def events() -> Iterator[wire.Event]:
        yield crossing(0)
        until(lambda: "unknown token" in caplog.text)
        yield crossing(1)

    arguments = sending(tmp_path, server.url)
    with pytest.raises(RefusedError, match="401: unknown token; check the token"):
        deliver(events(), MODEL, 1, 0.01, arguments, Stop())
    assert len(server.arrivals) == 2  # at once, and at the end
    assert left(arguments) == 2


def test_stopping_after_the_last_event_does_not_wait_for_a_server_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "PATIENCE_AFTER_STOP_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        arguments = sending(tmp_path, f"http://127.0.0.1:{probe.getsockname()[1]}")
    stop = Stop()
    threading.Timer(0.5, stop.set).start()  # the events have ended by then
    begin = time.monotonic()
    assert deliver(iter([crossing(0)]), MODEL, 1, 0.01, arguments, stop) == 0
    assert 0.7 <= time.monotonic() - begin < 5.0
    assert json.loads(capsys.readouterr().out)["pending"] == 1
    assert left(arguments) == 1


def test_stopping_does_not_wait_for_a_server_that_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "PATIENCE_AFTER_STOP_S", 0.2)
    monkeypatch.setattr(uplink, "LAST_REQUEST_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # which takes connections, and nothing from them
        arguments = sending(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        stop = Stop()
        threading.Timer(0.5, stop.set).start()
        begin = time.monotonic()
        assert deliver(iter([crossing(0)]), MODEL, 1, 0.01, arguments, stop) == 0
        assert time.monotonic() - begin < 5.0
    assert json.loads(capsys.readouterr().out)["pending"] == 1
    assert left(arguments) == 1


def test_invalid_events_give_status_1_and_name_the_file(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = iter([wire.Shelf(START, 0, BROKEN, 1.0)])
    arguments = sending(tmp_path, server.url)
    assert deliver(events, MODEL, 1, 0.01, arguments, Stop()) == 1
    output, errors = capsys.readouterr()
    assert json.loads(output)["invalid"] == 1
    assert errors == (
        "sensor_sim: the server refused 1 events as invalid;"
        f" see which and why in {arguments.outbox / 'dead-letter.jsonl'}\n"
    )


def test_a_broken_clock_ends_measuring_with_what_to_do(server: Server, tmp_path: Path) -> None:
    events = iter([wire.Crossing(1_000, 0, "forward")])
    with pytest.raises(OutboxError, match=r"crossing event: at is 1000: .*; set this machine's clock"):
        deliver(events, MODEL, 1, 0.01, sending(tmp_path, server.url), Stop())
