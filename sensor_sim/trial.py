"""The first run of a network that nobody knows yet: it takes neither all memory nor all time."""

from __future__ import annotations

import re
import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TypeVar

from sensor_sim.errors import SensorError

# What fits the chip takes less than half as much, with its values as floats and its file read several times over.
MEMORY = 512 * 2**20
# What fits the chip takes less than a second on a computer, and a few on the smallest.
SECONDS = 30.0
NO_MEMORY = ("Failed to allocate memory", "bad_alloc")
# Where in ONNX Runtime an error arose: its kind, and file, line and function with its parameters.
WHERE = r"\[ONNXRuntimeError\] : \d+ : \w+ : |/[^\s:]{1,200}:\d{1,6} [^()]{1,200}\([^()]*\)(?: const)? "
# Names in a message may be as long as whoever made the network likes.
LONGEST_LOOKED_AT, LONGEST = 2_000, 300
REMEDY = "take a smaller input or a smaller network"
STATUS = Path("/proc/self/status")

Result = TypeVar("Result")


def tried(work: Callable[[], Result]) -> Result:
    """What ``work`` gives; raises :class:`SensorError` if it takes longer than ``SECONDS`` or more than ``MEMORY``.

    It has a thread of its own, as ONNX Runtime hears no signal and looks at no clock while an operator runs. What
    takes too long is left behind, its memory still bounded, and ends with the program.
    """
    outcome: Future[Result] = Future()
    threading.Thread(target=_run, args=(work, outcome), name="trial", daemon=True).start()
    try:
        return outcome.result(SECONDS)
    except TimeoutError:
        raise SensorError(
            f"model.onnx: the network takes more than {SECONDS:g} s for one picture here, and the chip has less than "
            f"one; {REMEDY}"
        ) from None
    except MemoryError as error:
        raise told(error, "") from None


def told(error: Exception, fault: str) -> SensorError:
    """The sentence for what went wrong on a black picture: ONNX Runtime's words may hold values of what it runs on.

    It has no class of its own for a lack of memory.
    """
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        return SensorError(
            f"model.onnx: the network needs more than {MEMORY // 2**20} MiB to run, or more than is free here, and the "
            f"chip has 8 MiB; {REMEDY}"
        )
    [words, *_] = re.sub(WHERE, "", str(error)[:LONGEST_LOOKED_AT]).strip().splitlines() or [
        type(error).__name__
    ]
    return SensorError(
        f"model.onnx: {fault}: {shorten(words, LONGEST, placeholder=' …').rstrip('.')}; export it again"
    )


def _run(work: Callable[[], Result], outcome: Future[Result]) -> None:
    try:
        with _bounded_memory():
            result = work()
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Within, what would take more than ``MEMORY`` fails. Where the system does not tell sizes nothing is bounded."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if in_use := _in_use():
        most = in_use + MEMORY
        resource.setrlimit(
            resource.RLIMIT_DATA, (most if soft == resource.RLIM_INFINITY else min(soft, most), hard)
        )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _in_use() -> int:
    """Bytes of the memory that the limit is for; 0 where it is not told."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
