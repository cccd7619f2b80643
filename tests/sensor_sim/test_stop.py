"""A stop that signal handlers may set."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from sensor_sim.stop import Stop

# Signals come at every point of the wait, again and again; a handler that needs a lock would wait for itself.
STORM = """
import random, signal, time
from sensor_sim.stop import Stop

chance = random.Random(1)
for _ in range(1000):
    stop = Stop()
    signal.signal(signal.SIGALRM, lambda *_: stop.set())
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 6e-5))
    before = time.monotonic()
    assert stop.wait(10.0)
    assert time.monotonic() - before < 5.0
"""


def test_a_signal_that_interrupts_the_wait_ends_it() -> None:
    subprocess.run([sys.executable, "-c", STORM], check=True, timeout=60)


TWICE = """
import os, signal, sys
from sensor_sim import stop

stop.ONCE_S = float(sys.argv[1])
told = stop.Stop()
stop.on_signals(told.set)
for _ in range(3):
    os.kill(os.getpid(), signal.SIGTERM)
print(told.is_set())
"""


@pytest.mark.parametrize(("once", "status", "said"), [("600", 0, "True\n"), ("0", -signal.SIGTERM, "")])
def test_told_again_after_a_while_the_program_ends(once: str, status: int, said: str) -> None:
    ran = subprocess.run([sys.executable, "-c", TWICE, once], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, said, "")


def test_it_waits_until_it_is_set_or_for_so_long() -> None:
    stop = Stop()
    before = time.monotonic()
    assert not stop.wait(0.05)
    assert time.monotonic() - before >= 0.05
    assert not stop.is_set()
    threading.Timer(0.05, stop.set).start()
    assert stop.wait()
    stop.set()  # again changes nothing
    assert stop.is_set()
    assert stop.wait(10.0)
    assert time.monotonic() - before < 5.0
