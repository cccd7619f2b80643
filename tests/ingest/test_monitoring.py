"""What is seen from outside: metrics, who may read them, and whether the server is well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from analytics.ingest.check import Check, verdict
from analytics.ingest.gateway import Gateway
from analytics.ingest.reception import Options
from analytics.ingest.retention import expire_set_aside
from sensorapp import wire
from sensorapp.columns import shortened
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


# What a process tells that has just begun.
TELL = """
import django; django.setup()
from prometheus_client import generate_latest
import analytics.ingest.monitoring
print(generate_latest().decode())
"""


class Growth:
    """What has been added to metrics since this was made; those that go up and down are left out."""

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
            if metric.name.startswith("sensorapp_ingest_") and metric.type != "gauge"
            for sample in metric.samples
            if not sample.name.endswith(("_created", "_bucket", "_seconds_sum"))
        }


def shorten_all(batches: list[wire.Batch]) -> list[wire.Batch]:
    return [shortened(batch) for batch in batches]


@pytest.mark.parametrize("form", [list, shorten_all])
async def test_each_upload_is_seen_by_what_became_of_it(
    gateway: Gateway, site: Site, form: Callable[[list[wire.Batch]], list[wire.Batch]]
) -> None:
    """Stored with events set aside, a duplicate, a gap, each kind of drop, and what is only partly new."""
    now = int(time.time() * 1000)
    door, organisation = site.door.public_id, site.store.organisation_id

    def batch(first_seq: int, *events: wire.Event, config: int = 1, sensor: str = door) -> wire.Batch:
        return wire.Batch(sensor, 1, first_seq, MODEL, config, list(events), sent_at=now)

    def crossing(at: int = now, line: int = 0) -> wire.Event:
        return wire.Crossing(at, line, "forward")

    hour = 3_600_000
    ahead = crossing(now + hour)
    sent = [
        batch(0, crossing(), ahead, ahead, crossing()),
        batch(0, crossing(), ahead),
        batch(2, ahead, crossing(), crossing(), ahead),
        batch(5, ahead, ahead),
        batch(20, crossing()),
        batch(6, ahead, crossing(line=7)),
        batch(7, crossing(line=7)),
        batch(8, crossing(), config=8),
        batch(9, crossing(now - 10_000 * hour)),
        batch(0, crossing(), sensor="s-000000000000"),
        batch(10, crossing()),
    ]
    growth = Growth()
    body = wire.encode(wire.Upload(form(sent))).replace(b'"first_seq":10,', b'"first_seq":10,"image":0,')
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        headers = {"authorization": f"Bearer {site.gateway_token}", "content-type": wire.JSON}
        assert (await client.post(URL, content=body, headers=headers)).status_code == 200
        assert (await client.post(URL, content=b"{", headers=headers)).status_code == 400
    assert growth() == {
        "batches_total stored": 3,
        "batches_total duplicate": 2,
        "batches_total gap": 1,
        "batches_total invalid": 5,
        "events_total stored": 7,
        "events_total duplicate": 2 + 2 + 1 + 2,
        "events_total gap": 1,
        "events_total invalid": 5,
        "dropped_events_total channel": 1,
        "dropped_events_total scene": 1,
        "dropped_events_total clock": 1,
        "dropped_events_total token": 1,
        "dropped_events_total contract": 1,
        "set_aside_events_total": 4,
        "refused_total 400": 1,
        "commit_seconds_count": 1,
        "commit_events_count": 1,
        "commit_events_sum": 4 + 2 + 4 + 2 + 1 + 2 + 1 + 1 + 1 + 1,
        "skew_seconds_count": 10,
        f"lag_seconds_count {organisation}": 2,
    }


def test_what_may_alert_is_there_before_it_happens() -> None:
    """An increase from nothing to one is none to Prometheus."""
    told = subprocess.run(
        [sys.executable, "-c", TELL], capture_output=True, text=True, check=True, env=os.environ
    ).stdout
    values = {
        (family.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    for reason in ("token", "scene", "channel", "clock", "contract"):
        assert values["sensorapp_ingest_dropped_events", reason] == 0
    for status in ("400", "401", "403", "413", "415", "429", "503"):
        assert values["sensorapp_ingest_refused", status] == 0
    for status in ("stored", "duplicate", "stale_epoch", "gap", "invalid", "later"):
        assert values["sensorapp_ingest_batches", status] == values["sensorapp_ingest_events", status] == 0


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
    gateway = Gateway(database_url(), nobody_looks, Options(metrics_token=token))
    transport = httpx.ASGITransport(gateway, client=(client, 1234))
    async with httpx.AsyncClient(transport=transport) as reader:
        answer = await reader.get("http://gateway/metrics", headers=headers)
    await gateway.close()
    assert answer.status_code == status
    assert ("sensorapp_ingest_batches_total" in answer.text) == (status == 200)


async def test_the_age_of_data_and_the_error_of_clocks(gateway: Gateway, site: Site) -> None:
    """A clock an hour ahead that tells so, and data twenty minutes old, of which what lies ahead is no part."""
    now = int(time.time() * 1000)
    minute = 60_000
    events: list[wire.Event] = [
        wire.Crossing(now + minutes * minute, 0, "forward") for minutes in (-30, -20, -25, 60)
    ]
    sent = wire.Batch(site.door.public_id, 1, 0, MODEL, 1, events, sent_at=now + 60 * minute)
    labels = {"organisation": str(site.store.organisation_id)}

    def ahead(at_most: float) -> float:
        return REGISTRY.get_sample_value("sensorapp_ingest_skew_seconds_bucket", {"le": str(at_most)}) or 0.0

    before = {at_most: ahead(at_most) for at_most in (300.0, 3600.0)}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        headers = {"authorization": f"Bearer {site.door_token}", "content-type": wire.JSON}
        await client.post(URL, content=wire.encode(wire.Upload([sent])), headers=headers)
    lag = REGISTRY.get_sample_value("sensorapp_ingest_lag_seconds_sum", labels) or 0.0
    assert 20 * 60 <= lag < 21 * 60
    assert {at_most: ahead(at_most) - count for at_most, count in before.items()} == {300.0: 0, 3600.0: 1}


def told(text: str) -> dict[str, float]:
    """What the tables say, by the metric's name less its prefix."""
    return {
        sample.name.removeprefix("sensorapp_ingest_"): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
        if re.match(r"sensorapp_ingest_(tables|check|set_aside_waiting|set_aside_expired)_", sample.name)
    }


async def test_what_the_tables_say_is_told_by_every_process(
    gateway: Gateway, site: Site, connection: psycopg.Connection
) -> None:
    """The nightly check runs in a worker; where there was none, its time is that of the installation."""

    async def metrics() -> dict[str, float]:
        transport = httpx.ASGITransport(gateway, client=("127.0.0.1", 1234))
        async with httpx.AsyncClient(transport=transport) as reader:
            return told((await reader.get("http://gateway/metrics")).text)

    [[installed]] = connection.execute(
        "SELECT applied FROM django_migrations WHERE app = 'ingest' AND name = '0001_tables'"
    ).fetchall()
    assert await metrics() == {
        "tables_readable": 1,
        "check_timestamp_seconds": installed.timestamp(),
        "set_aside_waiting_events": 0,
        "set_aside_expired_events": 0,
    }
    note = (
        "INSERT INTO ingest_check (checked_at, day, sensors, buckets, differing) VALUES (%s, %s, 20, %s, %s)"
    )
    connection.execute(note, ["2026-11-25T03:17:00Z", "2026-11-24", 700, 0])
    connection.execute(note, ["2026-11-24T03:17:00Z", "2026-11-23", 800, 3])
    found = "INSERT INTO ingest_differing (sensor_id, day, buckets, found_at) VALUES (%s, '2026-11-23', %s, now())"
    connection.execute(found, [site.door.pk, 1])
    connection.execute(found, [site.shelf.pk, 2])
    for received, events in (("2024-01-01", 3), (datetime.now(UTC), 2)):
        connection.execute(
            "INSERT INTO ingest_set_aside SELECT %s, %s, 1, %s, %s, 1, 1, %s, '', ''",
            [site.store.organisation_id, site.door.pk, events * 10, received, events],
        )
    expire_set_aside(connection, datetime.now(UTC), 400)
    assert await metrics() == {
        "tables_readable": 1,
        "check_timestamp_seconds": datetime(2026, 11, 25, 3, 17, tzinfo=UTC).timestamp(),
        "check_buckets": 700,
        "check_differing_buckets": 3,
        "set_aside_waiting_events": 2,
        "set_aside_expired_events": 3,
    }


@pytest.mark.parametrize(
    ("age", "numbers", "words"),
    [
        (
            timedelta(hours=9),
            (20, 700, 0, 0),
            "700 of 20 sensors agree with their batches of 2026-11-24 (checked 2026-11-25 03:17 UTC)",
        ),
        (
            timedelta(hours=9),
            (0, 0, 0, 0),
            "nothing of 2026-11-24 could be checked (checked 2026-11-25 03:17 UTC); see that sensors send",
        ),
        (
            timedelta(hours=9),
            (20, 700, 3, 1),
            "3 of 1 sensor differ from their batches (checked 2026-11-25 03:17 UTC); the log names sensors,"
            " rebuild_buckets puts them right",
        ),
        (
            timedelta(days=2, seconds=1),
            (20, 700, 0, 0),
            "last checked 2026-11-25 03:17 UTC; see that Celery's beat and a worker run",
        ),
    ],
)
def test_what_the_nightly_check_says_in_words(
    age: timedelta, numbers: tuple[int, int, int, int], words: str
) -> None:
    checked_at = datetime(2026, 11, 25, 3, 17, tzinfo=UTC)
    assert verdict(Check(checked_at, date(2026, 11, 24), *numbers), checked_at + age) == words


async def test_a_database_without_tables_is_not_ready(site: Site) -> None:
    empty = psycopg.conninfo.make_conninfo(database_url(), dbname="postgres")
    gateway = Gateway(empty, nobody_looks, Options())
    growth = Growth()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        ready = await client.get("http://gateway/readyz")
        headers = {"authorization": f"Bearer {site.door_token}", "content-type": wire.JSON}
        upload = await client.post(URL, content=b"{}", headers=headers)
    await gateway.close()
    for answer in (ready, upload):
        assert (answer.status_code, answer.json()) == (
            503,
            {"title": "The database lacks tables.", "detail": "Run manage.py migrate."},
        )
    assert growth() == {"refused_total 503": 1}


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
    """A server with a PostgreSQL, which holds the tables, and a Valkey of its own."""
    monkeypatch.setenv("SENSORAPP_VAR", str(tmp_path_factory.mktemp("var")))
    postgres, valkey = (
        Postgres(fsync=False),
        Valkey(paths.socket_folder() / "own.sock", Path(paths.var_folder() / "v.log")),
    )
    with postgres, valkey:
        address = paths.redis_url(socket=valkey.socket)
        environment = os.environ | {"DATABASE_URL": paths.database_url()}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=paths.ROOT,
            env=environment,
            check=True,
        )
        with Server(paths.database_url(), REDIS_URL=address) as server:
            yield postgres, valkey, server


def test_health_and_readiness_tell_the_truth(services: tuple[Postgres, Valkey, Server]) -> None:
    postgres, valkey, server = services

    def answer(path: str) -> tuple[int, str]:
        response = httpx.get(server.url + path, timeout=30)
        return response.status_code, response.text

    words = "database: ok\nvalkey: {}\nbuckets: not checked yet\n"
    assert answer("/readyz") == (200, words.format("ok"))
    valkey.stop()
    late = "not reachable, so that live pages poll and tasks wait"
    assert answer("/readyz") == (200, words.format(late))
    postgres.stop()
    metrics = answer("/metrics")
    own = [
        f"sensorapp_ingest_{name} 0.0\n" in metrics[1]
        for name in ("stuck_seconds", 'refused_total{status="503"}')
    ]
    assert (metrics[0], own, told(metrics[1])) == (200, [True, True], {"tables_readable": 0})
    status, body = answer("/readyz")
    away = wire.Problem(
        "The database is not available.", "See that PostgreSQL runs, and its log, its disk and its load."
    )
    assert (status, wire.decode(body.encode(), wire.Problem)) == (503, away)
    assert answer("/healthz") == (200, "ok\n")
    postgres.start()
    wait_until(lambda: answer("/readyz")[0] == 200, None, 30, "the server does not find its database again")
