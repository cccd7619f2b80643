"""What the commands print for others to read, one line each: events, states, totals and reports."""

from __future__ import annotations

import os
import sys
from errno import EDQUOT, ENOSPC

from sensor_sim.errors import SensorError


def print_line(line: bytes | str) -> None:
    """Print it at once, or nowhere where there is no output.

    Raises :class:`BrokenPipeError` if nobody reads any more, :class:`SensorError` for a full disk and the like.
    """
    if sys.stdout is None:  # it was closed before the program began
        return
    try:
        sys.stdout.buffer.write((line.encode() if isinstance(line, str) else line) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_output()
        remedy = "free some space" if error.errno in (ENOSPC, EDQUOT) else "check where it goes"
        raise SensorError(f"the output could not be written: {error.strerror}; {remedy}") from None


def say(line: str | bytes) -> None:
    """The same for whoever goes on though nobody reads any more."""
    try:
        print_line(line)
    except BrokenPipeError:
        forget_output()


def forget_output() -> None:
    """What could not be written is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
