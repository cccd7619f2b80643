"""Token buckets: what passes in any stretch of time is bounded, and whoever waits as told is let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest import limits, stream
from analytics.ingest.gateway import Gateway
from analytics.ingest.limits import BURST_S, Buckets
from analytics.ingest.reception import Options
from sensorapp import wire
from tests.ingest.asgi_socket import Socket
from tests.ingest.site import Site, build_site, database_url
from tests.ingest.uploads import batch

URL = "http://gateway/ingest/v1/batches"
STEPS = st.lists(st.tuples(st.floats(0.0, 200.0), st.integers(1, 5_000)), min_size=1, max_size=60)


class Now:
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@given(STEPS, st.integers(1, 100))
def test_what_passes_is_bounded_and_what_waits_as_told_passes(
    steps: list[tuple[float, int]], per_second: int
) -> None:
    """In any stretch: no more than a burst, the rate times its length, and the one that found it not empty."""
    now = Now()
    buckets = Buckets(per_second, now)
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        now.seconds += pause
        wait = buckets.wait("one")
        if wait:
            assert buckets.wait("another") == 0.0
            now.seconds += wait + 1e-6
        assert buckets.wait("one") == 0.0
        buckets.take("one", amount)
        taken.append((now.seconds, amount))
    for first, (begin, _) in enumerate(taken):
        passed = 0
        for end, amount in taken[first:]:
            passed += amount
            assert passed <= per_second * (BURST_S + end - begin) + amount + 1


def test_no_rate_is_no_limit() -> None:
    buckets = Buckets(0)
    buckets.take("one", 10**12)
    assert buckets.wait("one") == 0.0


def test_full_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TIDIED_ABOVE", 10)
    now = Now()
    buckets = Buckets(1, now)
    for number in range(1_000):
        buckets.take(number, 1)
        now.seconds += 1
    assert len(buckets._full_at) <= 11


# --- at the door -----------------------------------------------------------------------------------


async def nobody_looks(group: str, message: dict[str, Any]) -> None:
    """Stands where live pages listen."""


@asynccontextmanager
async def gateway(sensor: float = 0, organisation: float = 0) -> AsyncIterator[Gateway]:
    options = Options(sensor_events_per_second=sensor, organisation_events_per_second=organisation)
    one = Gateway(database_url(), nobody_looks, options)
    yield one
    await one.close()


async def post(gateway: Gateway, token: str, *batches: wire.Batch) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}", "content-type": wire.JSON}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        return await client.post(URL, content=wire.encode(wire.Upload(list(batches))), headers=headers)


async def test_a_sensor_that_is_too_fast_is_told_when_to_come_back(
    site: Site, connection: psycopg.Connection
) -> None:
    """Ten events a second: its minute's worth, and what came with the last of it, then no more."""
    door, shelf = site.door.public_id, site.shelf.public_id
    async with gateway(sensor=10) as door_keeper:
        assert (await post(door_keeper, site.door_token, batch(door, 0, 700))).status_code == 200
        refused = await post(door_keeper, site.door_token, batch(door, 700, 1))
        assert refused.status_code == 429
        assert 9 <= int(refused.headers["retry-after"]) <= 10
        assert refused.json() == {
            "title": "Too many events in a short time.",
            "detail": f"{door} may send 10 events a second; send the same again later.",
        }
        # Neither its neighbour is held up by it, nor what another sends in its name.
        assert (await post(door_keeper, site.shelf_token, batch(shelf))).status_code == 200
        assert (await post(door_keeper, site.gateway_token, batch(door, 700, 1))).status_code == 200


async def test_a_sensor_that_is_too_fast_holds_up_no_neighbour(
    site: Site, connection: psycopg.Connection
) -> None:
    """In the same upload of their gateway. What is put off counts once when it has been sent again."""
    door, shelf = site.door.public_id, site.shelf.public_id
    async with gateway(sensor=1_000) as door_keeper:
        await post(door_keeper, site.gateway_token, batch(door, 0, 8_000), batch(door, 8_000, 8_000))
        await post(
            door_keeper, site.gateway_token, batch(door, 16_000, 8_000), *[batch(door, 24_000, 8_000)] * 5
        )
        answer = await post(
            door_keeper, site.gateway_token, batch(door, 32_000, 2), batch(shelf), batch(shelf, 1)
        )
    assert answer.json()["acks"] == [
        {"sensor": door, "epoch": 1, "acked_seq": 31_999, "status": "later"},
        {"sensor": shelf, "epoch": 1, "acked_seq": 0, "status": "stored"},
        {"sensor": shelf, "epoch": 1, "acked_seq": 1, "status": "stored"},
    ]
    async with gateway() as door_keeper:
        answer = await post(door_keeper, site.gateway_token, batch(door, 32_000, 2))
    assert answer.json()["acks"][0]["status"] == "stored"
    assert connection.execute("SELECT sum(value) FROM ingest_bucket").fetchone() == (32_004,)


async def test_an_organisation_shares_its_rate_and_nobody_elses(
    site: Site, connection: psycopg.Connection
) -> None:
    other = await in_thread_site()
    async with gateway(organisation=10) as door_keeper:
        first = await post(door_keeper, site.door_token, batch(site.door.public_id, 0, 700))
        same = await post(door_keeper, site.gateway_token, batch(site.shelf.public_id))
        elsewhere = await post(door_keeper, other.door_token, batch(other.door.public_id))
    assert [first.status_code, same.status_code, elsewhere.status_code] == [200, 429, 200]
    assert same.json()["detail"].startswith("The organisation may send 10 events a second")


async def in_thread_site() -> Site:
    from django.db import connections

    def build() -> Site:
        try:
            return build_site("elsewhere")
        finally:
            connections.close_all()

    return await asyncio.to_thread(build)


async def test_what_was_not_taken_costs_nothing(site: Site, connection: psycopg.Connection) -> None:
    """Refused uploads do not put off the moment at which the sender was told to come back."""
    async with gateway(sensor=10) as door_keeper:
        await post(door_keeper, site.door_token, batch(site.door.public_id, 0, 800))
        waits = [
            int(
                (await post(door_keeper, site.door_token, batch(site.door.public_id, 800, 500))).headers[
                    "retry-after"
                ]
            )
            for _ in range(5)
        ]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] <= 20


async def test_small_batches_count_as_ten_events(site: Site, connection: psycopg.Connection) -> None:
    door = site.door.public_id
    async with gateway(sensor=10) as door_keeper:
        many = await post(door_keeper, site.door_token, *(batch(door, seq) for seq in range(61)))
        assert many.status_code == 200
        assert (await post(door_keeper, site.door_token, batch(door, 61))).status_code == 429


async def test_a_stream_is_slowed_down_and_loses_nothing(
    site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload that comes too early is held, its sender told, and answered when its time has come."""
    monkeypatch.setattr(limits, "BURST_S", 0.1)
    door = site.door.public_id
    async with gateway(sensor=1_000) as door_keeper, Socket(door_keeper, site.door_token) as socket:
        for seq in (0, 500, 1_000):
            await socket.upload(batch(door, seq, 500))
        said = [await socket.said() for _ in range(6)]
    slow_downs = [one for one in said if isinstance(one, wire.Window) and one.retry_after]
    assert len(slow_downs) == 2
    assert all(0 < one.retry_after <= 0.5 for one in slow_downs)
    assert [one.acks[0].acked_seq for one in said if isinstance(one, wire.Answered)] == [499, 999, 1_499]
    assert connection.execute("SELECT sum(value) FROM ingest_bucket").fetchone() == (1_500,)


async def test_a_stream_that_is_far_too_fast_ends(
    site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LONGEST_HOLD_S", 1.0)
    door = site.door.public_id
    async with gateway(sensor=10) as door_keeper, Socket(door_keeper, site.door_token) as socket:
        await socket.upload(batch(door, 0, 700))
        await socket.upload(batch(door, 700))
        said = [await socket.said() for _ in range(3)]
        assert isinstance(said[-1], wire.Refusal)
        assert (said[-1].status, 9 < said[-1].retry_after <= 10) == (429, True)
        assert await socket.closed() == 4429
