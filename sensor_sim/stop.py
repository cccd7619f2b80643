"""A wish to stop, which may come with a signal."""

from __future__ import annotations

import math
import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType

# A signal that comes just before the wait is heard only after it: so it is waited in slices of so many seconds.
SLICE_S = 0.25
# Some send a signal to a program and then to its group: two of them within this time (seconds) are one.
ONCE_S = 0.5


class Stop:
    """Like :class:`threading.Event`, and a signal handler may set it: it takes no lock, for the code that the signal
    interrupts might hold that."""

    def __init__(self) -> None:
        self._set = False
        self._read, self._write = os.pipe()  # may be read from once it is set

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        if not self._set:
            self._set = True
            os.write(self._write, b"!")

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is set, so long at most; returns whether it is."""
        waiting = select.poll()
        waiting.register(self._read, select.POLLIN)
        end = time.monotonic() + seconds
        while not self._set and (left := end - time.monotonic()) > 0:
            waiting.poll(math.ceil(min(left, SLICE_S) * 1000))
        return self._set


def on_signals(stop: Callable[[], object]) -> None:
    """Call ``stop`` when SIGINT or SIGTERM comes; the same once more ends the program at once."""
    first: dict[int, float] = {}

    def tell(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - first.setdefault(number, time.monotonic()) >= ONCE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
