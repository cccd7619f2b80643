"""Telling the log that the database is away, and that it is back: one line each, however many uploads find out."""

from __future__ import annotations

import logging
import threading

import psycopg

logger = logging.getLogger(__name__)


class Outage:
    """What a process's threads find, whichever asks the database first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasts = False

    def begin(self, error: psycopg.OperationalError) -> None:
        with self._lock:
            if not self._lasts:
                self._lasts = True
                reason = " ".join(str(error).split())
                logger.error("the database is away, what comes will be sent again: %s", reason)

    def end(self) -> None:
        if self._lasts:
            with self._lock:
                if self._lasts:
                    self._lasts = False
                    logger.info("the database is back")
