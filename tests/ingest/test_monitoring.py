"""What is seen from outside: metrics, who may read them, and whether the server is well."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY

from analytics.ingest.gateway import Gateway
from analytics.ingest.reception import Options
from sensorapp import wire
from sensorapp.stack import paths
from sensorapp.stack.processes import wait_until
from sensorapp.stack.services import Postgres, Valkey
from tests.ingest.site import Site, database_url
from tests.ingest.uploads import MODEL
from tests.server import Server

URL = "http://gateway/ingest/v1/batches"


async def nobody_looks(group: str, message: dict[str, Any]) -> None:
    """Stands where live pages listen."""


@pytest.fixture
async def gateway(site: Site, connection: psycopg.Connection) -> AsyncIterator[Gateway]:
    gateway = Gateway(database_url(), nobody_looks, Options())
    yield gateway
    await gateway.close()


class Growth:
    """What has been added to metrics since this was made."""

    def __init__(self) -> None:
        self._before = self._values()

    def __call__(self) -> dict[str, float]:
        """By the metric's name less its prefix, and the value of its label."""
        after = self._values()
        return {
            name: after[name] - self._before.get(name, 0.0)
            for name in after
            if after[name] != self._before.get(name, 0.0)
        }

    def _values(self) -> dict[str, float]:
        return {
            " ".join([sample.name.removeprefix("sensorapp_ingest_"), *sample.labels.values()]): sample.value
            for metric in REGISTRY.collect()
            if metric.name.startswith("sensorapp_ingest_")
            for sample in metric.samples
            if not sample.name.endswith(("_created", "_bucket", "_seconds_sum"))
        }


async def test_each_upload_is_seen_by_what_became_of_it(gateway: Gateway, site: Site) -> None:
    """Stored with two events set aside, a duplicate, a gap, and one of each kind of drop."""
    now = int(time.time() * 1000)
    door, organisation = site.door.public_id, site.store.organisation_id

    def batch(first_seq: int, *events: wire.Event, config: int = 1, sensor: str = door) -> wire.Batch:
        return wire.Batch(sensor, 1, first_seq, MODEL, config, list(events), sent_at=now)

    def crossing(at: int = now, line: int = 0) -> wire.Event:
        return wire.Crossing(at, line, "forward")

    hour = 3_600_000
    sent = [
        batch(0, crossing(), crossing(now + hour), crossing(now + hour), crossing()),
        batch(0, crossing(), crossing()),
        batch(9, crossing()),
        batch(4, crossing(line=7)),
        batch(5, crossing(), config=8),
        batch(6, crossing(now - 10_000 * hour)),
        batch(0, crossing(), sensor="s-000000000000"),
        batch(7, crossing()),
    ]
    growth = Growth()
    body = wire.encode(wire.Upload(sent)).replace(b'"first_seq":7,', b'"first_seq":7,"image":0,')
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        headers = {"authorization": f"Bearer {site.gateway_token}", "content-type": wire.JSON}
        assert (await client.post(URL, content=body, headers=headers)).status_code == 200
        assert (await client.post(URL, content=b"{", headers=headers)).status_code == 400
    assert growth() == {
        "batches_total stored": 1,
        "batches_total duplicate": 1,
        "batches_total gap": 1,
        "batches_total invalid": 5,
        "events_total stored": 4,
        "events_total duplicate": 2,
        "events_total gap": 1,
        "events_total invalid": 5,
        "dropped_events_total channel": 1,
        "dropped_events_total scene": 1,
        "dropped_events_total clock": 1,
        "dropped_events_total token": 1,
        "dropped_events_total contract": 1,
        "set_aside_events_total": 2,
        "refused_total 400": 1,
        "commit_seconds_count": 1,
        "commit_events_count": 1,
        "commit_events_sum": 11,
        "skew_seconds_count": 7,
        f"lag_seconds_count {organisation}": 1,
    }


@pytest.mark.parametrize(
    ("token", "client", "headers", "status"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "::1", {}, 200),
        ("", "192.0.2.1", {}, 403),
        ("", "testclient", {}, 403),
        ("", "127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, 403),
        ("", "192.0.2.1", {"authorization": "Bearer "}, 403),
        ("secret", "192.0.2.1", {"authorization": "Bearer secret"}, 200),
        ("secret", "127.0.0.1", {}, 401),
        ("secret", "127.0.0.1", {"authorization": "Bearer secrets"}, 401),
    ],
)
async def test_who_may_read_metrics(token: str, client: str, headers: dict[str, str], status: int) -> None:
    gateway = Gateway("", nobody_looks, Options(metrics_token=token))
    transport = httpx.ASGITransport(gateway, client=(client, 1234))
    async with httpx.AsyncClient(transport=transport) as reader:
        answer = await reader.get("http://gateway/metrics", headers=headers)
    assert answer.status_code == status
    assert ("sensorapp_ingest_batches_total" in answer.text) == (status == 200)


async def test_without_its_committing_thread_a_process_is_not_well(gateway: Gateway) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        assert (await client.get("http://gateway/healthz")).status_code == 200
        gateway.open()
        _, committer = gateway._reception.open()
        committer.close()
        for path in ("healthz", "readyz"):
            answer = await client.get(f"http://gateway/{path}")
            assert (answer.status_code, answer.json()["detail"]) == (503, "Restart this process.")


# --- health ----------------------------------------------------------------------------------------


@pytest.fixture
def services(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Postgres, Valkey, Server]]:
    """A server with a PostgreSQL and a Valkey of its own."""
    monkeypatch.setenv("SENSORAPP_VAR", str(tmp_path_factory.mktemp("var")))
    postgres, valkey = (
        Postgres(fsync=False),
        Valkey(paths.socket_folder() / "own.sock", Path(paths.var_folder() / "v.log")),
    )
    with postgres, valkey:
        address = paths.redis_url(socket=valkey.socket)
        with Server(paths.database_url(), REDIS_URL=address) as server:
            yield postgres, valkey, server


def test_health_and_readiness_tell_the_truth(services: tuple[Postgres, Valkey, Server]) -> None:
    postgres, valkey, server = services

    def answer(path: str) -> tuple[int, str]:
        response = httpx.get(server.url + path, timeout=30)
        return response.status_code, response.text

    assert answer("/readyz") == (200, "database: ok\nvalkey: ok\n")
    valkey.stop()
    late = "database: ok\nvalkey: not reachable, so that live pages poll and tasks wait\n"
    assert answer("/readyz") == (200, late)
    postgres.stop()
    status, body = answer("/readyz")
    assert (status, wire.decode(body.encode(), wire.Problem).title) == (503, "The database is not available.")
    assert answer("/healthz") == (200, "ok\n")
    postgres.start()
    wait_until(lambda: answer("/readyz")[0] == 200, None, 30, "the server does not find its database again")
