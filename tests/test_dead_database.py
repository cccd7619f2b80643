"""What machines and people are answered while the database is away: later, in a form that they can read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from django.db import connections
from django.test import Client

from sensorapp import wire
from sensorapp.accounts.models import User
from sensorapp.accounts.tokens import create_api_token
from tests.cast import build_cast, make_door, make_sensor
from tests.ingest.site import database_url
from tests.server import Server

SOCKET = str(psycopg.conninfo.conninfo_to_dict(database_url())["host"])

pytestmark = pytest.mark.django_db(transaction=True)


def by(sockets: Path) -> str:
    return psycopg.conninfo.make_conninfo(database_url(), host=str(sockets))


def signed_in(person: User) -> dict[str, str]:
    """The cookies of a browser in which somebody has signed in."""
    browser = Client()
    browser.force_login(person)
    return {"sessionid": browser.cookies["sessionid"].value}


@contextmanager
def read_only() -> Iterator[None]:
    """Every connection that is made meanwhile takes no writes, and those there were are ended."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    """Where a server looks for PostgreSQL's socket; without this link the database is away."""
    link = tmp_path / "sockets"
    link.symlink_to(SOCKET)
    return link


def test_machines_are_told_to_come_again(sockets: Path) -> None:
    cast = build_cast()
    _, device_token = make_sensor(cast.store, "door", lines=["door"])
    _, api_token = create_api_token(cast.chain, "report", None)
    with Server(by(sockets)) as server, httpx.Client(base_url=server.url) as client:

        def get(path: str, token: str) -> httpx.Response:
            return client.get(path, headers={"Authorization": f"Bearer {token}"})

        asked = [("/device/v1/scene", device_token), ("/api/v1/stores", api_token)]
        assert [get(*one).status_code for one in asked] == [200, 200]
        sockets.unlink()
        scene, stores = (get(*one) for one in asked)
        sockets.symlink_to(SOCKET)
        assert [get(*one).status_code for one in asked] == [200, 200]
    assert (scene.status_code, scene.headers["Content-Type"], scene.headers["Retry-After"]) == (
        503,
        "application/json",
        "5",
    )
    problem = wire.Problem("The database is not available.", "Ask again later.")
    assert wire.decode(scene.content, wire.Problem) == problem
    assert (stores.status_code, stores.headers["Content-Type"], stores.headers["Retry-After"]) == (
        503,
        "application/problem+json",
        "5",
    )
    assert stores.json() == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The database is not available; ask again later.",
        "errors": [],
    }


def test_people_are_told_that_it_is_the_database_and_that_no_figures_are_lost(sockets: Path) -> None:
    session = signed_in(build_cast().manager)
    with Server(by(sockets)) as server, httpx.Client(base_url=server.url, cookies=session) as client:
        assert client.get("/sensors/").status_code == 200
        sockets.unlink()
        away = client.get("/sensors/?a=<b>")
        sockets.symlink_to(SOCKET)
        assert client.get("/sensors/").status_code == 200
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert "The database is not available" in away.text
    assert "no figures are lost" in away.text
    assert '<a href="/sensors/?a=%3Cb%3E" role="button">Try again</a>' in away.text


def test_what_would_be_written_while_the_database_is_read_only_is_to_come_again() -> None:
    cast = build_cast()
    make_door(cast.store)
    _, token = create_api_token(cast.chain, "people", None, may_record_counts=True)
    count = {
        "from": "2026-05-04T10:00:00+02:00",
        "to": "2026-05-04T10:30:00+02:00",
        "entries": 12,
        "counted_by": "Ada",
    }
    session = signed_in(cast.manager)
    connections.close_all()
    with Server(database_url()) as server, httpx.Client(base_url=server.url, cookies=session) as client:

        def sign_out() -> httpx.Response:
            client.get("/sensors/")
            return client.post("/accounts/logout/", data={"csrfmiddlewaretoken": client.cookies["csrftoken"]})

        def record() -> httpx.Response:
            bearer = {"Authorization": f"Bearer {token}"}
            return client.post("/api/v1/stores/hamburg/manual-counts", json=count, headers=bearer)

        with read_only():
            page, answer = sign_out(), record()
        again = sign_out(), record()
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "The database is not available" in page.text
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "The database is not available; ask again later."
    assert [done.status_code for done in again] == [302, 201]
