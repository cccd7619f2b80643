"""Real services for all tests: one PostgreSQL per run, one Valkey per process that runs tests.

They keep their data below `var/test`, apart from a demo's and from those of another run of the tests.
`DATABASE_URL` and `REDIS_URL` lead to services of your own instead.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

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
USES_OWN_DATABASE = "DATABASE_URL" in os.environ or "DATABASE_URL_FILE" in os.environ
USES_OWN_REDIS = ("REDIS_URL" in os.environ and "SENSORAPP_TEST_VALKEY" not in os.environ) or (
    "REDIS_URL_FILE" in os.environ
)
if not USES_OWN_REDIS:
    os.environ["REDIS_URL"] = paths.redis_url(socket=VALKEY_SOCKET)
    os.environ["SENSORAPP_TEST_VALKEY"] = "1"  # tells the workers that this address was not given
os.environ["DJANGO_SETTINGS_MODULE"] = "sensorapp.settings"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fsync", action="store_true", help="let PostgreSQL write through to the disk, as in production"
    )


def pytest_configure() -> None:
    from django.conf import settings

    assert settings.DATABASES  # loads them; pytest-django then sets Django up


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    try:
        if not IS_WORKER and not USES_OWN_DATABASE:
            _running.enter_context(Postgres(fsync=session.config.getoption("--fsync")))
        if not USES_OWN_REDIS:
            log = paths.var_folder() / "log" / f"valkey-{WORKER}.log"
            _running.enter_context(Valkey(VALKEY_SOCKET, log))
    except StackError as error:
        pytest.exit(str(error), 1)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _running.close()
