"""The demo: services, database, web, workers and fleet, started in order and stopped in reverse."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from django.db import connection
from rich.console import Console

from sensorapp.stack import database, paths
from sensorapp.stack.backlog import Backlog
from sensorapp.stack.processes import Child, StackError, exclusive, spawn, wait_until
from sensorapp.stack.services import Postgres, Valkey

HOST = "127.0.0.1"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

console = Console(highlight=False)


class Stopped(Exception):  # noqa: N818 - it is no error
    """Somebody asked the demo to stop."""


class StopRequest:
    """Set by the first signal and asked between the steps.

    An exception out of a signal handler would be lost where it hits a callback, such as those around a fork.
    """

    came = False

    def come(self, signum: int, frame: FrameType | None) -> None:
        self.came = True

    def heed(self) -> None:
        if self.came:
            raise Stopped


stop_request = StopRequest()


def run(port: int) -> None:
    """Runs the demo until a signal stops it.

    Raises:
        StackError: something did not start, or ended by itself; everything else has been stopped.
    """
    refusal = "a demo of this clone is already running (process {pid}); use it, or stop it with Ctrl-C where it runs"
    with heeding_signals(), exclusive(paths.lock_file(), refusal), ExitStack() as running:
        started = time.monotonic()
        try:
            check_port(port)
            services = start_services(running)
            with step("database"):
                database.migrate()
            programs = start_programs(running, port)
            announce(port, time.monotonic() - started)
            fleet = start(running, "fleet", fleet_command(port), stdout=subprocess.PIPE)
            running.enter_context(Backlog(console, fleet))
            watch([*services, *programs, fleet])
        except Stopped:
            console.print("\nStopping …")


# --- start ---


def check_port(port: int) -> None:
    if not 0 < port < 65536:
        raise StackError(f"port {port} does not exist; name one from 1 to 65535: make demo PORT=8001")
    with socket.socket() as probe:
        # As the web server does, so that connections of a demo just stopped are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = f"port {port} is in use by another program"
            else:
                why = f"port {port} cannot be used ({os.strerror(error.errno or 0)})"
            raise StackError(f"{why}; name another one: make demo PORT={port % 65535 + 1}") from None


def start_services(running: ExitStack) -> list[Child]:
    """Starts those that the environment does not name, and asks the others whether they are there."""
    services = []
    if paths.is_given("DATABASE_URL"):
        with step("PostgreSQL of DATABASE_URL"):
            database.check_postgres()
    else:
        with step("PostgreSQL"):
            services.append(running.enter_context(Postgres()))
    if paths.is_given("REDIS_URL"):
        with step("Redis of REDIS_URL"):
            database.check_redis()
    else:
        with step("Valkey"):
            services.append(running.enter_context(Valkey()))
    return services


def start_programs(running: ExitStack, port: int) -> list[Child]:
    """Starts web, worker and beat, and loads the demo chain while they come up; returns when web answers."""
    begun = time.monotonic()
    web = start(running, "web", web_command(port), niceness=0)
    # Threads, for a worker with children of its own could leave them behind.
    worker = start(running, "worker", celery("worker", "--pool", "threads", "--concurrency", "2",
                                             "--without-mingle"))  # fmt: skip
    # Celery asks the database from within its signal handler and may wait there for itself; it holds nothing.
    beat = start(running, "beat", celery("beat", "--pidfile", ""), patience=2)
    with step("demo chain"):
        database.load_demo()
    connection.close()  # the demo itself asks nothing more
    with step("web", begun):
        wait_until(
            lambda: stop_request.came or answers(port), web, 60, "the web server does not answer", 0.05
        )
    return [web, worker, beat]


def web_command(port: int) -> list[str]:
    # Browsers keep their sockets open; three seconds are enough to say goodbye.
    return [*python("uvicorn"), "sensorapp.asgi:application", "--host", HOST, "--port", str(port),
            "--no-access-log", "--timeout-graceful-shutdown", "3"]  # fmt: skip


def celery(program: str, *options: str) -> list[str]:
    return [*python("celery"), "--app", "sensorapp.celery", program, "--loglevel", "INFO", *options]


def fleet_command(port: int) -> list[str]:
    credentials = paths.var_folder() / "demo" / "fleet.json"
    return [
        *python("sensor_sim"),
        "fleet",
        "--url",
        f"http://{HOST}:{port}",
        "--credentials",
        str(credentials),
    ]


def python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def start(
    running: ExitStack,
    name: str,
    command: Sequence[str],
    *,
    stdout: int | None = None,
    niceness: int = 5,
    patience: float = 10,
) -> Child:
    """All but web stand back, so that pages come up and answer while the others are busy."""
    log = paths.var_folder() / "log" / f"{name}.log"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    child = spawn(
        name,
        command,
        log=log,
        cwd=paths.ROOT,
        env=environment,
        patience=patience,
        stdout=stdout,
        niceness=niceness,
    )
    running.callback(child.stop)
    return child


def answers(port: int) -> bool:
    """Whether the web server gives any answer that is not an error of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("HEAD", "/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


# --- what the person sees ---


@contextlib.contextmanager
def step(name: str, begun: float | None = None) -> Iterator[None]:
    begun = time.monotonic() if begun is None else begun
    with console.status(name):
        yield
    stop_request.heed()
    console.print(f"  {name:<38}{time.monotonic() - begun:6.1f} s")


def announce(port: int, seconds: float) -> None:
    console.print(f"\n  [bold]http://{HOST}:{port}[/bold]  (after {seconds:.1f} s)")
    console.print(f"  {database.login()}  (other roles: {short(database.logins_file())})", soft_wrap=True)
    console.print(
        f"  Ctrl-C stops everything; logs are in {short(paths.var_folder() / 'log')}\n", soft_wrap=True
    )


def short(path: Path) -> str:
    """Relative to the clone where it lies inside."""
    return str(path.relative_to(paths.ROOT)) if path.is_relative_to(paths.ROOT) else str(path)


# --- until it stops ---


def watch(children: list[Child]) -> None:
    """Returns never: it ends by a signal or by the end of a child.

    Raises:
        StackError: a child ended.
        Stopped: a signal came.
    """
    while True:
        stop_request.heed()
        for child in children:
            if not child.running:
                raise StackError(child.obituary())
        time.sleep(0.25)


@contextlib.contextmanager
def heeding_signals() -> Iterator[None]:
    stop_request.came = False
    before = {signum: signal.signal(signum, stop_request.come) for signum in STOP_SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
