"""What machines are answered while the database is away: later, in a form that they can read."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg
import pytest

from sensorapp import wire
from sensorapp.accounts.tokens import create_api_token
from tests.cast import build_cast, make_sensor
from tests.ingest.site import database_url
from tests.server import Server

pytestmark = pytest.mark.django_db(transaction=True)


def test_machines_are_told_to_come_again(tmp_path: Path) -> None:
    """PostgreSQL's socket is where the server looks for it, or not."""
    cast = build_cast()
    _, device_token = make_sensor(cast.store, "door", lines=["door"])
    _, api_token = create_api_token(cast.chain, "report", None)
    socket = str(psycopg.conninfo.conninfo_to_dict(database_url())["host"])
    sockets = tmp_path / "sockets"
    sockets.symlink_to(socket)
    here = psycopg.conninfo.make_conninfo(database_url(), host=str(sockets))
    with Server(here) as server, httpx.Client(base_url=server.url) as client:

        def get(path: str, token: str) -> httpx.Response:
            return client.get(path, headers={"Authorization": f"Bearer {token}"})

        asked = [("/device/v1/scene", device_token), ("/api/v1/stores", api_token)]
        assert [get(*one).status_code for one in asked] == [200, 200]
        sockets.unlink()
        scene, stores = (get(*one) for one in asked)
        sockets.symlink_to(socket)
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
