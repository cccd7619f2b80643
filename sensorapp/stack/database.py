"""What the demo does to the database before anything runs on it. Needs Django to be set up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from sensorapp.stack import paths
from sensorapp.stack.processes import StackError


def check_postgres() -> None:
    """Raises StackError where the PostgreSQL of `DATABASE_URL` does not answer."""
    try:
        psycopg.connect(settings.DATABASE_URL, connect_timeout=5).close()
    except psycopg.Error as error:
        raise StackError(unreachable("DATABASE_URL", settings.DATABASE_URL, "PostgreSQL", error)) from None


def check_redis() -> None:
    """Raises StackError where the server of `REDIS_URL` does not answer."""
    try:
        redis.from_url(settings.REDIS_URL, socket_connect_timeout=5, socket_timeout=5).ping()
    except (redis.RedisError, ValueError) as error:
        raise StackError(unreachable("REDIS_URL", settings.REDIS_URL, "Valkey", error)) from None


def unreachable(variable: str, url: str, program: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"{variable} names {without_password(url)}, which does not answer ({reason}): start it, correct "
        f"the address, or unset {variable} and the demo runs a {program} of its own"
    )


def without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:…@", url)


def migrate() -> None:
    """Brings the tables to what the code says.

    Raises:
        StackError: the database was made by other code, or the migration failed.
    """
    remedy = "" if paths.is_given("DATABASE_URL") else ": make clean"
    start_over = f"go back to the code that made it, or start over with an empty database{remedy}"
    try:
        executor = MigrationExecutor(connection)
        executor.loader.check_consistent_history(connection)
        if unknown := unknown_migrations(executor):
            names = ", ".join(f"{app}.{name}" for app, name in unknown)
            raise StackError(
                f"the database has seen migrations that this code does not know ({names}); {start_over}"
            )
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)
    except (DatabaseError, InconsistentMigrationHistory) as error:
        reason = " ".join(str(error).split())
        raise StackError(f"the tables could not be made ({reason}); {start_over}") from None


def unknown_migrations(executor: MigrationExecutor) -> list[tuple[str, str]]:
    """Applied, of an app that is still there, but neither on disk nor replaced by one that is."""
    loader = executor.loader
    replaced = {each for migration in loader.replacements.values() for each in migration.replaces}
    known = {*loader.disk_migrations, *replaced}
    return sorted(
        each for each in loader.applied_migrations if each[0] in loader.migrated_apps and each not in known
    )


def load_demo() -> None:
    """Loads the demo chain from `fixtures/`; does nothing where it is there already."""
    call_command("load_demo", verbosity=0)


def logins_file() -> Path:
    return paths.var_folder() / "demo" / "logins.json"


def login() -> str:
    """Address and password of the first person who may log in to the demo."""
    person = json.loads(logins_file().read_text())[0]
    return f"{person['email']}  {person['password']}"
