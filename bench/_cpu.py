"""CPU time of processes, as the kernel counts it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_times(pid: int) -> tuple[float, ...]:
    """Seconds of a process in user mode and in the kernel, and the same of those below it that have ended."""
    # The name, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return tuple(int(field) / TICKS for field in fields[11:15])


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Of a process, all below it, and those below it that have ended; in user and system mode."""
    return sum(sum(cpu_times(one)) for one in tree(pid))


def used(pids: Iterable[int]) -> float:
    """The same of all of these and of this process."""
    return time.process_time() + sum(map(cpu_seconds, pids))
