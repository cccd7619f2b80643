"""Logs for machines, and what is not logged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest
from django.core.exceptions import ImproperlyConfigured
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sensorapp import env
from sensorapp.logs import JsonFormatter, OnceAMinute
from tests.ingest.site import build_site, database_url
from tests.server import Server


def record(message: str, *arguments: object, fault: bool = False) -> logging.LogRecord:
    error = None
    if fault:
        try:
            raise ValueError("broken")
        except ValueError:
            error = sys.exc_info()
    return logging.LogRecord("sensorapp.test", logging.WARNING, __file__, 1, message, arguments, error)


def test_a_line_is_an_object() -> None:
    line = JsonFormatter().format(record('%d "batches"\nwait', 3))
    assert "\n" not in line
    parsed = json.loads(line)
    assert datetime.fromisoformat(parsed.pop("at")).tzinfo is not None
    assert parsed == {"level": "WARNING", "logger": "sensorapp.test", "message": '3 "batches"\nwait'}


def test_an_exception_goes_with_it() -> None:
    parsed = json.loads(JsonFormatter().format(record("failed", fault=True)))
    assert parsed["exception"].endswith("ValueError: broken")


def test_what_repeats_itself_is_told_once_a_minute() -> None:
    words = OnceAMinute()
    let_through = []
    for second in (0, 1, 59, 60, 61, 119, 1_000):
        warning = record("not reachable")
        warning.created = float(second)
        if words.filter(warning):
            let_through.append(second)
    assert let_through == [0, 60, 1_000]


def test_requests_with_their_addresses_are_not_logged() -> None:
    assert not logging.getLogger("uvicorn.access").hasHandlers()


@pytest.mark.django_db(transaction=True)
def test_nor_are_those_of_websockets(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither of a page that is let in, nor of a sensor that is refused."""
    with Server(database_url()) as server:
        started = capfd.readouterr().err
        address = server.url.replace("http", "ws")
        with pytest.raises(InvalidStatus), connect(f"{address}/ingest/v1/stream"):
            pass
        site = build_site()
        headers = {"Authorization": f"Bearer {site.door_token}"}
        with connect(f"{address}/ingest/v1/stream", additional_headers=headers) as stream:
            stream.recv()
    told = capfd.readouterr().err
    assert "Uvicorn running on http://127.0.0.1" in started
    assert "connection open" in told
    assert "127.0.0.1" not in told


def test_a_choice_names_the_field_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT is 'xml'; it must be one of json, plain"):
        env.choice("LOG_FORMAT", "plain", {"plain", "json"})
