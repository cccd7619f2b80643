"""A clock that may be wrong: what this process takes for the time is off by what a file says."""

from __future__ import annotations

import time
from pathlib import Path


def follow(path: Path) -> None:
    """From now on ``time.time`` and ``time.time_ns`` are ahead by the milliseconds in the file, 0 without one."""
    right_ns = time.time_ns

    def time_ns() -> int:
        try:
            ahead_ms = int(path.read_text() or 0)
        except FileNotFoundError:
            ahead_ms = 0
        return right_ns() + ahead_ms * 1_000_000

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def put(path: Path, ahead_ms: int) -> None:
    new = path.with_suffix(".new")
    new.write_text(str(ahead_ms))
    new.replace(path)
