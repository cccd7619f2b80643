"""``manage.py`` where no command could work: one sentence and a status of 1."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from sensorapp.stack import paths
from tests.ingest.site import database_url

# One of each kind; all go through the same place.
COMMANDS = {
    "list_set_aside": [],
    "load_demo": [],
    "migrate": [],
    "create_api_token": ["lumen", "notebook", "--all-stores"],
    "rebuild_buckets": ["lumen"],
    "release_set_aside": ["s-abcd"],
    "create_fleet": ["--out", "fleet.json"],
}


def manage(*arguments: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=paths.ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_without_a_database(command: str, tmp_path: Path) -> None:
    away = f"postgresql:///sensorapp?host={tmp_path}"
    status, printed, said = manage(command, *COMMANDS[command], DATABASE_URL=away)
    assert (status, printed, said.count("\n")) == (1, "", 1)
    assert said.startswith("The database cannot be reached: start PostgreSQL")
    assert f"{tmp_path}/.s.PGSQL.5432" in said


@pytest.mark.usefixtures("django_db_setup")
def test_without_tables() -> None:
    empty = psycopg.conninfo.make_conninfo(database_url(), dbname="postgres")
    assert manage("list_set_aside", DATABASE_URL=empty) == (
        1,
        "",
        "The database does not have all of its tables: run `manage.py migrate`.\n",
    )


def test_with_a_setting_that_cannot_be_meant() -> None:
    assert manage("list_set_aside", INGEST_RETENTION_DAYS="1") == (
        1,
        "",
        "INGEST_RETENTION_DAYS is 1; it must be from 2 to 36500\n",
    )


@pytest.mark.usefixtures("django_db_setup")
def test_what_a_database_complains_of_is_no_outage(tmp_path: Path) -> None:
    """It stays a traceback, for whoever mends it."""
    hurried = psycopg.conninfo.make_conninfo(database_url(), options="-c statement_timeout=1ms")
    slow = "from django.db import connection; connection.cursor().execute('SELECT pg_sleep(1)')"
    status, _, said = manage("shell", "--no-imports", "-c", slow, DATABASE_URL=hurried)
    assert (status, "cannot be reached" in said) == (1, False)
    assert "canceling statement due to statement timeout" in said
