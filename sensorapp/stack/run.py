"""`python -m sensorapp.stack.run COMMAND …`: runs a command with the embedded services.

Where a demo of the same clone runs, the command shares its services; otherwise they are started for the
command and stopped after it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack

from sensorapp.stack import paths
from sensorapp.stack.processes import StackError, exclusive
from sensorapp.stack.services import Postgres, Valkey


def main(command: list[str]) -> int:
    if not command:
        print("usage: python -m sensorapp.stack.run COMMAND …", file=sys.stderr)
        return 2
    with ExitStack() as running:
        try:
            start_services(running)
        except StackError as error:
            print(error, file=sys.stderr)
            return 1
        child = subprocess.Popen(command)
        # Ctrl-C reaches the command, too, which shares our terminal; the services outlast it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()


def start_services(running: ExitStack) -> None:
    try:
        running.enter_context(exclusive(paths.lock_file(), "{pid}"))
    except StackError:
        return
    if not paths.is_given("DATABASE_URL"):
        running.enter_context(Postgres())
    if not paths.is_given("REDIS_URL"):
        running.enter_context(Valkey())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
