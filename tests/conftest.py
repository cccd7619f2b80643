"""Real services for all tests: one PostgreSQL per run, one Valkey per process that runs tests.

They keep their data below `var/test`, apart from a demo's and from those of another run of the tests.
`DATABASE_URL` and `REDIS_URL` lead to services of your own instead.

Hypothesis draws the same examples on each run; `--hypothesis-profile=random` lets it search.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest
from hypothesis import settings

from sensorapp.stack import paths
from sensorapp.stack.processes import StackError, exclusive
from sensorapp.stack.services import Postgres, Valkey

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
IS_WORKER = WORKER != "main"

_running = ExitStack()


def claim_var_folder() -> None:
    """The first of `var/test`, `var/test-2`, … in which no other run of the tests is at work."""
    own = paths.var_folder()
    for name in ("test", *(f"test-{number}" for number in range(2, 10))):
        os.environ["SENSORAPP_VAR"] = str(own / name)
        try:
            return _running.enter_context(exclusive(paths.lock_file(), "{pid}"))
        except StackError:
            continue
    pytest.exit("eight other runs of the tests are at work in this clone; wait for one of them", 1)


# The settings read these when Django is set up, which is before any hook below is called.
if not IS_WORKER:
    claim_var_folder()
VALKEY_SOCKET = paths.socket_folder() / f"valkey-{WORKER}.sock"
STARTS_POSTGRES = not IS_WORKER and not paths.is_given("DATABASE_URL")
# A worker finds the address that the controller has set below, and must not take it for a given one.
STARTS_VALKEY = "SENSORAPP_TEST_VALKEY" in os.environ or not paths.is_given("REDIS_URL")
if STARTS_VALKEY:
    os.environ["REDIS_URL"] = paths.redis_url(socket=VALKEY_SOCKET)
    os.environ["SENSORAPP_TEST_VALKEY"] = "1"
os.environ["DJANGO_SETTINGS_MODULE"] = "sensorapp.settings"

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("random", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("repeatable")

FAST_HASHERS = ("MD5PasswordHasher", "PBKDF2PasswordHasher")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fsync", action="store_true", help="let PostgreSQL write through to the disk, as in production"
    )


def pytest_configure() -> None:
    from django.conf import settings as django

    assert django.DATABASES  # loads them; pytest-django then sets Django up
    # A person takes half a second to make with the hasher of an installation, and tests make many.
    django.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}" for name in FAST_HASHERS]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    try:
        if STARTS_POSTGRES:
            _running.enter_context(Postgres(fsync=session.config.getoption("--fsync")))
        if STARTS_VALKEY:
            log = paths.var_folder() / "log" / f"valkey-{WORKER}.log"
            _running.enter_context(Valkey(VALKEY_SOCKET, log))
    except StackError as error:
        pytest.exit(str(error), 1)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _running.close()
