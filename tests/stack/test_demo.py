"""`manage.py demo` from start to end, in a folder of its own, with everything it starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from sensorapp.stack import database, paths
from sensorapp.stack.demo import check_port
from sensorapp.stack.processes import StackError, command_line

Processes = dict[int, str]
PROGRAMS = ("postgres", "valkey-server", "uvicorn", "worker", "beat", "sensor_sim")

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="reads the process table in /proc"
)


class Demo:
    """A running `manage.py demo` and what it has printed."""

    def __init__(self, var: Path, port: int, **environment: str) -> None:
        self.port = port
        self.printed = var / f"printed-{time.monotonic_ns()}"
        kept = {name: value for name, value in os.environ.items() if not paths_given(name)}
        with self.printed.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", "--port", str(port)],
                cwd=paths.ROOT,
                env=kept | {"SENSORAPP_VAR": str(var), "COLUMNS": "200"} | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.printed.read_text()

    def wait_for_address(self) -> None:
        address = f"http://127.0.0.1:{self.port}"
        wait_for(lambda: address in self.text or self.process.poll() is not None, 90)
        assert address in self.text, self.text

    def processes(self) -> Processes:
        """The demo and everything below it."""
        return family(self.process.pid)

    def programs(self) -> dict[int, str]:
        """The commands of what it started itself. What those start, as PostgreSQL for a connection, comes and goes."""
        mine = {
            pid: command for pid, command in survivors(self.processes()).items() if pid != self.process.pid
        }
        return {pid: command for pid, command in mine.items() if fields(pid)[1:2] == [str(self.process.pid)]}

    def end(self, signum: signal.Signals) -> int:
        self.process.send_signal(signum)
        return self.process.wait(60)


def paths_given(name: str) -> bool:
    return name in ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE")


def wait_for(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"nothing happened in {seconds} s"
        time.sleep(0.1)


def family(root: int) -> Processes:
    table = {int(path.name): fields(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    members = {root}
    grown = True
    while grown:
        children = {pid for pid, stat in table.items() if stat and int(stat[1]) in members}
        grown = not children <= members
        members |= children
    return {pid: stat[19] for pid, stat in table.items() if pid in members and stat}


def fields(pid: int) -> list[str]:
    """proc(5), `stat`, from the state on: parent is the second, start time the twentieth."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def survivors(processes: Processes) -> dict[int, str]:
    """Those that still run, and their commands; a number that another program has by now has another start time."""
    alive = [pid for pid, start in processes.items() if (stat := fields(pid)) and stat[19] == start]
    commands = {pid: command_line(pid) for pid in alive if fields(pid)[:1] != ["Z"]}
    return {pid: command for pid, command in commands.items() if command}


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests here: the second start finds what the first one made."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def demo(var: Path, port: int) -> Iterator[Demo]:
    running = Demo(var, port)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGTERM)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_shows_its_steps_answers_refuses_a_second_and_stops_without_a_trace(
    demo: Demo, var: Path, signum: signal.Signals
) -> None:
    demo.wait_for_address()
    for step in ("PostgreSQL", "Valkey", "database", "demo chain", "web"):
        assert re.search(rf"^  {step} +\d+\.\d s$", demo.text, re.MULTILINE), demo.text
    assert demo.text.count("http://") == 1
    assert re.search(r"^  demo@sensorapp\.example  \S+  ", demo.text, re.MULTILINE), demo.text
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.port}/") as answer:
        assert answer.status == 200
    # The address is shown before the fleet starts.
    wait_for(lambda: all(any(one in command for command in demo.programs().values()) for one in PROGRAMS), 60)
    everything, programs = demo.processes(), demo.programs()

    second = Demo(var, demo.port)
    assert second.process.wait(60) == 1
    assert second.text == (
        f"CommandError: a demo of this clone is already running (process {demo.process.pid}); use it, or stop "
        "it with Ctrl-C where it runs\n"
    )
    assert demo.programs() == programs

    assert demo.end(signum) == 0
    assert survivors(everything) == {}
    assert list((var / "run").rglob("*.sock")) == []
    assert not (var / "postgres" / "postmaster.pid").exists()


def test_it_stops_in_the_middle_of_starting(demo: Demo, var: Path) -> None:
    wait_for(lambda: "  Valkey" in demo.text, 60)
    everything = demo.processes()
    assert demo.end(signal.SIGTERM) == 0
    assert "http://" not in demo.text
    assert survivors(everything) == {}
    assert not (var / "postgres" / "postmaster.pid").exists()


def test_a_busy_port_is_named_before_anything_starts(tmp_path: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        refused = Demo(tmp_path, port)
        assert refused.process.wait(60) == 1
    assert refused.text == (
        f"CommandError: port {port} is in use by another program; name another one: make demo PORT={port + 1}\n"
    )
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("number", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(StackError) as error:
        check_port(number)
    assert str(error.value) == (
        f"port {number} does not exist; name one from 1 to 65535: make demo PORT=8001"
    )


@pytest.mark.parametrize("name", ["uvicorn", "valkey-server"])
def test_the_end_of_one_program_is_told_and_ends_the_rest(demo: Demo, var: Path, name: str) -> None:
    demo.wait_for_address()
    everything = demo.processes()
    victims = [pid for pid, command in demo.programs().items() if name in command]
    os.kill(min(victims), signal.SIGKILL)
    assert demo.process.wait(60) == 1
    program, log = {"uvicorn": ("web", "web"), "valkey-server": ("Valkey", "valkey")}[name]
    assert f"{program} was ended by SIGKILL; its last lines in {var}/log/{log}.log:\n" in demo.text
    assert survivors(everything) == {}


def test_nothing_outlives_a_demo_that_was_killed_and_the_next_one_starts(demo: Demo, var: Path) -> None:
    demo.wait_for_address()
    everything = demo.processes()
    demo.end(signal.SIGKILL)
    next_one = Demo(var, demo.port)
    try:
        next_one.wait_for_address()
        wait_for(lambda: survivors(everything) == {}, 30)
    finally:
        assert next_one.end(signal.SIGTERM) == 0


def test_services_that_do_not_answer_are_one_sentence(tmp_path: Path, port: int) -> None:
    address = f"postgresql://someone:secret@127.0.0.1:{port}/shop"
    refused = Demo(tmp_path, port, DATABASE_URL=address)
    assert refused.process.wait(60) == 1
    assert (
        f"DATABASE_URL names postgresql://someone:…@127.0.0.1:{port}/shop, which does not answer"
        in refused.text
    )
    assert refused.text.endswith(
        "start it, correct the address, or unset DATABASE_URL and the demo runs a PostgreSQL of its own\n"
    )
    assert "secret" not in refused.text
    assert not (tmp_path / "postgres").exists()


def test_a_redis_that_does_not_answer_is_one_sentence(settings: Settings, port: int) -> None:
    settings.REDIS_URL = f"redis://:secret@127.0.0.1:{port}/0"
    with pytest.raises(StackError) as error:
        database.check_redis()
    assert str(error.value).startswith(
        f"REDIS_URL names redis://:…@127.0.0.1:{port}/0, which does not answer ("
    )
    assert str(error.value).endswith("or unset REDIS_URL and the demo runs a Valkey of its own")


@pytest.mark.django_db
def test_a_database_of_newer_code_is_refused() -> None:
    MigrationRecorder(connection).record_applied("fleet", "9999_from_the_future")
    with pytest.raises(StackError) as error:
        database.migrate()
    assert str(error.value) == (
        "the database has seen migrations that this code does not know (fleet.9999_from_the_future); go back to "
        "the code that made it, or start over with an empty database: make clean"
    )


@pytest.mark.django_db
def test_a_database_with_a_hole_in_its_history_is_refused() -> None:
    MigrationRecorder(connection).record_unapplied("fleet", "0001_initial")
    with pytest.raises(StackError, match=r"the tables could not be made .*make clean$"):
        database.migrate()
