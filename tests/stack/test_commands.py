"""The small commands behind `make shell`, `make bench` and `make clean`, run for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sensorapp.stack import paths
from sensorapp.stack.processes import exclusive
from sensorapp.stack.services import Postgres, Valkey

ASK = """
import psycopg, redis
from sensorapp.stack import paths
print(psycopg.connect(paths.database_url()).execute("SELECT 6 * 7").fetchone())
print(redis.from_url(paths.redis_url()).ping())
"""
GIVEN = ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE")


def run(*command: str, cwd: Path = paths.ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in GIVEN}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def var(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("var")
    monkeypatch.setenv("SENSORAPP_VAR", str(folder))
    return folder


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with something fetched and something written."""
    monkeypatch.delenv("SENSORAPP_VAR")
    (tmp_path / "sensorapp").mkdir()
    shutil.copy(paths.ROOT / "sensorapp" / "__init__.py", tmp_path / "sensorapp")
    shutil.copytree(paths.ROOT / "sensorapp" / "stack", tmp_path / "sensorapp" / "stack")
    for name in (".venv/bin", "node_modules", "var/postgres"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_a_command_finds_the_services_which_stop_after_it(var: Path) -> None:
    answer = run("sensorapp.stack.run", sys.executable, "-c", ASK)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "(42,)\nTrue\n", "")
    assert not (var / "postgres" / "postmaster.pid").exists()
    assert not paths.valkey_socket().exists()


def test_a_command_shares_the_services_of_a_running_demo_and_leaves_them(var: Path) -> None:
    with exclusive(paths.lock_file(), ""), Postgres(fsync=False) as postgres, Valkey() as valkey:
        answer = run("sensorapp.stack.run", sys.executable, "-c", ASK)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "(42,)\nTrue\n", "")
        assert postgres.running
        assert valkey.running


def test_the_exit_status_is_the_commands_own(var: Path) -> None:
    assert run("sensorapp.stack.run", sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_clean_removes_what_was_fetched_and_written_and_nothing_else(
    clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    answer = run(
        "sensorapp.stack.clean", cwd=clone, SENSORAPP_VAR=str(elsewhere), PYTHONDONTWRITEBYTECODE="1"
    )
    assert answer.returncode == 0
    assert sorted(path.name for path in clone.iterdir()) == ["sensorapp"]
    assert elsewhere.exists()
    assert f"{elsewhere} (SENSORAPP_VAR) may hold more than ours: remove it yourself" in answer.stdout


@pytest.mark.parametrize("lock", ["stack.lock", "test/stack.lock"])
def test_clean_refuses_while_something_runs(clone: Path, lock: str) -> None:
    with exclusive(clone / "var" / lock, ""):
        answer = run("sensorapp.stack.clean", cwd=clone)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"sensorapp is running here (process {os.getpid()}); stop it, with Ctrl-C where it runs, before: make clean\n"
    )
    assert (clone / "var" / "postgres").exists()
