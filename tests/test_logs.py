"""Logs for machines, and what is not logged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

import pytest
from django.core.exceptions import ImproperlyConfigured

from sensorapp import env
from sensorapp.logs import JsonFormatter


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


def test_requests_with_their_addresses_are_not_logged() -> None:
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_a_choice_names_the_field_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT is 'xml'; it must be one of json, plain"):
        env.choice("LOG_FORMAT", "plain", {"plain", "json"})
