"""What the commands say when their own output cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sensor_sim.device.outbox import Outbox

ROOT = Path(__file__).parents[2]
FULL = "sensor_sim: the output could not be written: No space left on device; free some space\n"


def run(redirection: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "sensor_sim"]
    command += map(str, words)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def outbox(tmp_path: Path) -> tuple[object, ...]:
    """The words that send what an empty outbox holds: nothing, so that no server is asked."""
    (tmp_path / "token").write_text("s-0123456789ab.c2VjcmV0")
    Outbox(tmp_path / "outbox", "s-0123456789ab").close()
    where = ("--uplink", "http://127.0.0.1:9", "--token-file", tmp_path / "token")
    return ("send", "--outbox", tmp_path / "outbox", *where)


@pytest.mark.parametrize(
    ("redirection", "status", "complaint"), [("> /dev/full", 1, FULL), (">&-", 0, ""), ("| true", 0, "")]
)
def test_a_report_and_totals(
    package: Path, outbox: tuple[object, ...], redirection: str, status: int, complaint: str
) -> None:
    for words in (("report", package), ("report", "--json", package), outbox):
        ran = run(redirection, *words)
        assert (ran.returncode, ran.stderr) == (status, complaint)


@pytest.mark.parametrize(("model", "status", "events"), [("package", 0, 1), ("nowhere", 1, 0)])
def test_where_no_complaints_are_read_events_alone_are_told(
    package: Path, model: str, status: int, events: int
) -> None:
    words = ("watch", "--world", "entrance", "--seconds", "0.1", "--model", package.with_name(model))
    ran = run("2>&-", *words)
    lines = ran.stdout.splitlines()
    assert (ran.returncode, len(lines)) == (status, events)
    assert all('"type":"heartbeat"' in line for line in lines)


def test_interrupted_while_it_is_loaded_it_ends_without_a_word(package: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "sensor_sim", "report", str(package)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "sensor_sim.errors" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert [line for line in said.splitlines() if not line.startswith("import time:")] == []


def test_told_twice_it_ends_at_once(package: Path, tmp_path: Path) -> None:
    """It hangs in reading a scene that nobody writes to its end."""
    os.mkfifo(tmp_path / "scene.json")
    source = ["--world", "entrance", "--seconds", "1", "--scene", str(tmp_path / "scene.json")]
    command = [sys.executable, "-m", "sensor_sim", "watch", *source, "--model", str(package)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        writer = writer_of(tmp_path / "scene.json")
        for _ in range(100):  # one that comes before the last was heard is none
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
        process.kill()
        _, errors = process.communicate()
        os.close(writer)
    assert (process.returncode, errors) == (-signal.SIGINT, "")


def writer_of(fifo: Path) -> int:
    """Opens it when somebody reads."""
    for _ in range(600):
        with suppress(OSError):
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.05)
    raise AssertionError("nobody reads the scene")
