"""Logs for machines: one JSON object a line; and what is in none."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime

import msgspec


class JsonFormatter(logging.Formatter):
    """``at`` (UTC, RFC 3339), ``level``, ``logger``, ``message``, and ``exception`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class NoAddresses(logging.Filter):
    """Leaves out uvicorn's word of each WebSocket, which begins with the address of who connects."""

    def filter(self, record: logging.LogRecord) -> bool:
        return '"WebSocket %s"' not in str(record.msg)


class OnceAMinute(logging.Filter):
    """Lets a logger speak, then not again for a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._next = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._next:
            return False
        self._next = record.created + 60
        return True
