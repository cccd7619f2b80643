"""What machines and people are answered while the database is away: later, in a form that they can read."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg
import pytest
from django.test import Client

from sensorapp import wire
from sensorapp.accounts.tokens import create_api_token
from tests.cast import build_cast, make_sensor
from tests.ingest.site import database_url
from tests.server import Server

SOCKET = str(psycopg.conninfo.conninfo_to_dict(database_url())["host"])

pytestmark = pytest.mark.django_db(transaction=True)


def by(sockets: Path) -> str:
    return psycopg.conninfo.make_conninfo(database_url(), host=str(sockets))


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
    browser = Client()
    browser.force_login(build_cast().manager)
    session = {"sessionid": browser.cookies["sessionid"].value}
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
