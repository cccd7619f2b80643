"""No core dump: it would hold the picture that was looked at when the process died."""

from __future__ import annotations

import ctypes
import resource

PR_SET_DUMPABLE = 4  # of <sys/prctl.h>


def forbid_core_dumps() -> None:
    """From now on nothing is left of this process's memory when it dies, and nobody but root may look into it.

    Where the system has no such switch, or refuses it, at least the largest core file has no bytes; a program that
    takes cores in place of a file does not heed that.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None or prctl(PR_SET_DUMPABLE, 0):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
