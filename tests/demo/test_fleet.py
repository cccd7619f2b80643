"""The demo's fleet against the real server: its history arrives exactly, whatever is killed on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from analytics import metrics
from sensor_sim.device import uplink
from sensor_sim.fleet import plan as fleet
from sensor_sim.fleet import sender
from sensor_sim.fleet.schedule import Feed, Schedule
from sensor_sim.fleet.sender import Clock
from sensorapp import wire
from sensorapp.demo.load import files, load_demo
from tests.ingest.site import clear, database_url
from tests.server import Server

pytestmark = pytest.mark.django_db(transaction=True)

Totals = Counter[tuple[str, str]]

TOTALS = """
SELECT sensor.public_id, bucket.metric, sum(bucket.value)
FROM ingest_bucket bucket JOIN fleet_channel channel ON channel.id = bucket.channel_id
JOIN fleet_sensor sensor ON sensor.id = channel.sensor_id
WHERE bucket.metric = ANY(%s) GROUP BY 1, 2
"""


class Still(Clock):
    """Time stands still, so that the fleet sends what is past and then nothing."""

    def now_ms(self) -> int:
        return int(self.started * 1000)


@pytest.fixture
def plan(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> fleet.Plan:
    """The demo's plan with two days of history."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setenv("SENSORAPP_VAR", str(tmp_path))
    load_demo()
    whole = fleet.read(files().plan)
    return msgspec.structs.replace(whole, origin=whole.origin + timedelta(days=88))


@pytest.fixture
def connection(plan: fleet.Plan) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url(), autocommit=True) as connection:
        clear(connection)
        yield connection
        clear(connection)


def expected(plan: fleet.Plan, now_ms: int) -> Totals:
    totals: Totals = Counter()
    for store in plan.stores:
        schedule = Schedule(plan, store)
        for sensor in store.sensors:
            batch = Feed(schedule, sensor).take(now_ms, 10_000_000)
            assert batch is not None
            for event in batch.events:
                match event:
                    case wire.Crossing():
                        totals[sensor.id, event.direction] += 1
                    case wire.Visit():
                        totals[sensor.id, "visits"] += 1
                        totals[sensor.id, "dwell"] += event.dwell_ms
                    case wire.Heartbeat():
                        totals[sensor.id, "observed"] += event.observed_ms
    return totals


def stored(connection: psycopg.Connection) -> Totals:
    wanted = [metrics.FORWARD, metrics.BACKWARD, metrics.VISITS, metrics.DWELL, metrics.OBSERVED]
    rows = connection.execute(TOTALS, [[metric.number for metric in wanted]])
    return Counter({(sensor, metrics.METRICS[number].name): int(total) for sensor, number, total in rows})


async def send(plan: fleet.Plan, server: Server, clock: Clock, kill_at: int | None = None) -> None:
    """Run the fleet until its past is sent, and kill the server once on the way."""
    progress: list[sender.Progress] = []

    class Watched(sender.Progress):
        def __init__(self) -> None:
            super().__init__()
            progress.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sender, "Progress", Watched)
        task = asyncio.create_task(sender.run(plan, server.url, clock))
        while not (progress and 0 < progress[0].total <= progress[0].done) and not task.done():
            if kill_at is not None and progress and progress[0].done > kill_at:
                kill_at = None
                server.kill()
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.02)
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results[0]
    assert kill_at is None


async def test_two_days_arrive_exactly_though_the_server_is_killed(
    plan: fleet.Plan, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "FIRST_BACK_OFF_S", 0.05)
    monkeypatch.setattr(sender, "REQUEST_EVENTS", 2_000)
    clock = Still()
    # The fleet's clock is put forward below, which the server must not take for a fault.
    with Server(database_url(), INGEST_FUTURE_TOLERANCE_SECONDS="7200") as server:
        await send(plan, server, clock, kill_at=5_000)
        assert stored(connection) == expected(plan, clock.now_ms())
        assert connection.execute("SELECT count(*) FROM ingest_rejection").fetchone() == (0,)
        later = Still(started=clock.started + 3_600)
        await send(plan, server, later)
        assert stored(connection) == expected(plan, later.now_ms())
