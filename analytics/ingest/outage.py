"""Telling the log and senders when the database does not do its part: the log once, however many uploads find out."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

import psycopg
from psycopg import errors

from analytics.ingest.database import SilentError

logger = logging.getLogger(__name__)

# The database's own state, so that the same may be taken later.
AWAY: Final = (psycopg.OperationalError, errors.ReadOnlySqlTransaction)
READ_ONLY: Final = "The database is read-only."
SILENT: Final = "The database does not answer."
# Who was told to come later has come by then, or has gone elsewhere.
FORGET_AFTER_S: Final = 30.0


def why(error: Exception) -> str:
    """What the database did not do, in words for whoever sends."""
    match error:
        case errors.ReadOnlySqlTransaction():
            return READ_ONLY
        case errors.LockNotAvailable():
            return "Another transaction holds what this needs."
        case errors.QueryCanceled():
            return "The database takes too long."
        case errors.DiskFull():
            return "The database's disk is full."
        case SilentError():
            return SILENT
        case psycopg.OperationalError():
            return "The database is not available."
    return "The backend has a fault, which its log names."


class Outage:
    """What the threads of a process find that all do the same: ``work``, as the log calls it."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._lasts = False

    def begin(self, error: psycopg.Error) -> None:
        with self._lock:
            if not self._lasts:
                self._lasts = True
                reason = " ".join(str(error).split())
                logger.error("%s fails, what comes will be sent again: %s", self._work, reason)

    def end(self) -> None:
        if self._lasts:
            with self._lock:
                if self._lasts:
                    self._lasts = False
                    logger.info("%s works again", self._work)


class Trouble:
    """Since when one committing thread has stored nothing of what it was given, and why."""

    def __init__(self) -> None:
        self.reason = ""
        self._since: float | None = None
        self._failed: float | None = None

    def begin(self) -> None:
        """A transaction begins."""
        now = time.monotonic()
        if self._since is None or (self._failed and now - self._failed > FORGET_AFTER_S):
            self._since, self.reason = now, ""
        self._failed = None

    def end(self, reason: str = "") -> None:
        """It is over, with ``reason`` because nothing was stored."""
        self.reason = reason
        self._failed = time.monotonic() if reason else None
        if not reason:
            self._since = None

    @property
    def seconds(self) -> float:
        """Until now, or until the last attempt failed; 0.0 where that was long ago and nothing has come since."""
        now, since, failed = time.monotonic(), self._since, self._failed
        if since is None or (failed and now - failed > FORGET_AFTER_S):
            return 0.0
        return max(0.0, (failed or now) - since)
