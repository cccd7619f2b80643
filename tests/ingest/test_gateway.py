"""The gateway's answers, through the same application that uvicorn serves."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import psycopg
import pytest
import zstandard
from django.conf import settings
from django.db import connections
from psycopg_pool import ConnectionPool

from analytics.ingest import reception
from analytics.ingest.committer import Committer, UnavailableError
from analytics.ingest.database import Patience, open_pool
from analytics.ingest.directory import Directory
from analytics.ingest.gateway import Gateway
from analytics.ingest.reception import Options
from analytics.ingest.waiting import THREADS, Request
from sensorapp import wire
from sensorapp.columns import shortened
from sensorapp.fleet.enrolment import replace_token, revoke
from sensorapp.fleet.scenes import publish_scene
from tests.ingest.site import SCENE, Site, build_site, database_url
from tests.ingest.uploads import NOW, batch

T = TypeVar("T")
URL = "http://gateway/ingest/v1/batches"
UNKNOWN_FIELD = "Object contains unknown field; allowed are sensor, epoch, first_seq, model, config, events, sent_at and columns"


class Listener:
    """Stands where live pages listen."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.heard.append((group, message))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def client(
    site: Site, connection: psycopg.Connection, listener: Listener
) -> AsyncIterator[httpx.AsyncClient]:
    options = Options(max_waiting_events=1_000, valkey_url=settings.REDIS_URL)
    gateway = Gateway(database_url(), listener.group_send, options)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        yield client
    await gateway.close()


async def in_thread(call: Callable[..., T], *arguments: Any) -> T:
    """Django's part of a test; its connection is closed with it, so that the database can be dropped."""

    def run() -> T:
        try:
            return call(*arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": wire.JSON}


def upload(*batches: wire.Batch) -> bytes:
    return wire.encode(wire.Upload(list(batches)))


async def post(client: httpx.AsyncClient, token: str, body: bytes, **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(URL, content=body, headers=bearer(token) | named)
    return response.status_code, response.json()


async def test_stored_duplicate_gap_and_stale_epoch(client: httpx.AsyncClient, site: Site) -> None:
    door = site.door.public_id
    answers = [
        await post(client, site.door_token, upload(batch(door, first, count)))
        for first, count in ((0, 3), (0, 3), (5, 1), (2, 3))
    ]
    assert answers == [
        (200, {"acks": [{"sensor": door, "epoch": 1, "acked_seq": seq, "status": status}]})
        for seq, status in ((2, "stored"), (2, "duplicate"), (2, "gap"), (4, "stored"))
    ]


async def test_acknowledged_means_committed(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection
) -> None:
    await post(client, site.door_token, upload(batch(site.door.public_id, 0, 3)))
    assert connection.execute("SELECT sum(value) FROM ingest_bucket").fetchone() == (3,)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("identity", bytes), ("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
async def test_every_way_to_pack_an_upload(
    client: httpx.AsyncClient, site: Site, encoding: str, pack: Any, media_type: str
) -> None:
    body = pack(wire.encode(wire.Upload([batch(site.door.public_id)]), media_type))
    headers = bearer(site.door_token) | {"content-type": media_type, "content-encoding": encoding}
    response = await client.post(URL, content=body, headers=headers)
    assert response.headers["content-type"] == media_type
    assert wire.decode(response.content, wire.Answer, media_type).acks == [
        wire.Ack(site.door.public_id, 1, 0, "stored")
    ]


async def test_a_gateway_sends_for_its_store_only(client: httpx.AsyncClient, site: Site) -> None:
    def elsewhere() -> Site:
        return build_site("elsewhere", site.store.organisation)

    other = await in_thread(elsewhere)
    batches = [batch(sensor.public_id) for sensor in (site.door, other.door, site.shelf)]
    status, answer = await post(client, site.gateway_token, upload(*batches))
    assert status == 200
    assert [ack["status"] for ack in answer["acks"]] == ["stored", "invalid", "stored"]
    assert answer["acks"][1]["path"] == "$.batches[1].sensor"
    assert "does not cover" in answer["acks"][1]["reason"]


async def test_one_bad_batch_does_not_block_its_neighbours(client: httpx.AsyncClient, site: Site) -> None:
    door, shelf = site.door.public_id, site.shelf.public_id
    bad = upload(batch(door, 0, 2), batch(door, 2, 2), batch(shelf, 0, 1), batch(door, 4, 1)).replace(
        b'"first_seq":2,"model":"0123456789abcdef","config":1,"events":[{"type":"crossing"',
        b'"first_seq":2,"model":"0123456789abcdef","config":1,"events":[{"image":"/9j/4AAQ","type":"crossing"',
    )
    _, answer = await post(client, site.gateway_token, bad)
    assert [(ack["sensor"], ack["status"], ack["acked_seq"]) for ack in answer["acks"]] == [
        (door, "stored", 1),
        (door, "invalid", 3),
        (shelf, "stored", 0),
        (door, "stored", 4),
    ]
    assert answer["acks"][1]["path"] == "$.batches[1].events[0]"
    assert (
        answer["acks"][1]["reason"]
        == "Object contains unknown field; allowed are type, at, line and direction"
    )


async def test_batches_in_columns_are_the_same_batches(client: httpx.AsyncClient, site: Site) -> None:
    door, shelf = site.door.public_id, site.shelf.public_id
    long = [batch(door, 0, 2), batch(door, 2, 2), batch(shelf, 0, 1), batch(door, 4, 1)]
    short = [shortened(one) for one in long]
    value = b"\x02\0\0\0"
    assert short[1].columns
    short[1].columns.value = value * 2
    short[3] = long[3]
    _, answer = await post(client, site.gateway_token, upload(*short))
    assert [(ack["sensor"], ack["status"], ack["acked_seq"]) for ack in answer["acks"]] == [
        (door, "stored", 1),
        (door, "invalid", 3),
        (shelf, "stored", 0),
        (door, "stored", 4),
    ]
    assert answer["acks"][1]["path"] == "$.batches[1].columns.value[0]"
    assert answer["acks"][1]["reason"] == "must be from 0 to 1 in an event of its kind"
    again = [long[0], short[1], long[2], shortened(long[3])]
    _, answer = await post(client, site.gateway_token, upload(*again))
    assert [ack["status"] for ack in answer["acks"]] == ["duplicate", "invalid", "duplicate", "duplicate"]


async def test_an_unknown_channel_is_named_where_it_stands(client: httpx.AsyncClient, site: Site) -> None:
    for first_seq, form, path in ((0, None, "events[1].line"), (2, shortened, "columns.channel[1]")):
        unknown = batch(site.door.public_id, first_seq, 2)
        unknown.events[1] = msgspec.structs.replace(unknown.events[1], line=7)
        one = form(unknown) if form else unknown
        _, answer = await post(client, site.gateway_token, upload(one))
        [ack] = answer["acks"]
        assert ack["status"] == "invalid"
        assert ack["path"] == f"$.batches[0].{path}"
        assert ack["reason"] == "the sensor has no line 7; add it to its scene"


@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
async def test_a_broken_batch_in_columns_is_passed_by(
    client: httpx.AsyncClient, site: Site, media_type: str
) -> None:
    door = site.door.public_id
    head = {"sensor": door, "epoch": 1, "first_seq": 0, "model": "0123456789abcdef", "config": 1}
    events = msgspec.to_builtins(shortened(batch(door, 0, 2)).columns, builtin_types=(bytes,))
    encode = msgspec.json.encode if media_type == wire.JSON else msgspec.msgpack.encode
    body = encode({"batches": [head | {"columns": events, "image": 1}]})
    headers = bearer(site.door_token) | {"content-type": media_type}
    response = await client.post(URL, content=body, headers=headers)
    [ack] = wire.decode(response.content, wire.Answer, media_type).acks
    assert ack == wire.Ack(door, 1, 1, "invalid", "$.batches[0]", UNKNOWN_FIELD)


async def test_a_batch_without_a_head_is_answered_all_the_same(client: httpx.AsyncClient, site: Site) -> None:
    good = wire.encode(batch(site.door.public_id))
    status, answer = await post(client, site.door_token, b'{"batches":[{"sensor":7},' + good + b"]}")
    assert (status, [ack["status"] for ack in answer["acks"]]) == (200, ["invalid", "stored"])
    assert answer["acks"][0]["path"] == "$.batches[0].sensor"


async def test_the_cursor_moves_past_what_is_broken_where_its_number_of_events_is_known(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection
) -> None:
    door = site.door.public_id
    head = {"sensor": door, "epoch": 1, "first_seq": 0, "model": "0123456789abcdef", "config": 1}
    uncounted = ({"evnts": [None]}, {"events": [None] * (wire.MAX_EVENTS_PER_BATCH + 1)}, {"events": 1})
    broken = [head | events for events in (*uncounted, {"events": [None, None]})]
    good = msgspec.to_builtins(batch(door, 2))
    _, answer = await post(client, site.door_token, msgspec.json.encode({"batches": [*broken, good]}))
    assert [(ack["sensor"], ack["status"], ack["acked_seq"]) for ack in answer["acks"]] == [
        *[(door, "invalid", -1)] * 3,
        (door, "invalid", 1),
        (door, "stored", 2),
    ]
    rows = connection.execute("SELECT first_seq, last_seq, path, at FROM ingest_rejection").fetchall()
    assert rows == [(0, 1, "$.batches[3].events[0]", [None, None])]
    again = await post(client, site.door_token, msgspec.json.encode({"batches": [broken[-1], good]}))
    assert [(ack["status"], ack["acked_seq"]) for ack in again[1]["acks"]] == [
        ("invalid", 2),
        ("duplicate", 2),
    ]


async def test_what_cannot_be_stored_is_refused_and_its_neighbours_are_kept(
    client: httpx.AsyncClient, site: Site
) -> None:
    """Not a number lies within no bounds."""
    door = site.door.public_id
    poison = wire.Batch(door, 1, 1, "0123456789abcdef", 1, [wire.Shelf(NOW, 0, 1, float("nan"))])
    body = wire.encode(wire.Upload([batch(door), poison, batch(door, 2)]), wire.MSGPACK)
    headers = bearer(site.door_token) | {"content-type": wire.MSGPACK}
    response = await client.post(URL, content=body, headers=headers)
    acks = wire.decode(response.content, wire.Answer, wire.MSGPACK).acks
    assert [ack.status for ack in acks] == ["stored", "invalid", "stored"]
    assert acks[1].path.startswith("$.batches[1]")


@pytest.mark.parametrize(
    "word",
    ["\\u0000", "/9j/4AAQSkZJRg" * 70_000, "`' - at `$", "x - at `$.sensor.hello"],
    ids=["null", "picture", "quotes", "path"],
)
async def test_no_word_of_a_device_is_kept(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection, word: str
) -> None:
    """Neither as the name of a field nor as a value, and what is refused blocks nobody."""
    door = site.door.public_id
    good, field, value, head = (wire.encode(batch(door, first_seq)) for first_seq in range(4))
    head = head.replace(b'"epoch"', b'"' + word.encode() + b'":0,"epoch"')
    field = field.replace(b'"type"', b'"' + word.encode() + b'":0,"type"')
    value = value.replace(b'"forward"', b'"' + word.encode() + b'"')
    body = b'{"batches":[' + b",".join([good, field, value, head]) + b"]}"
    status, answer = await post(client, site.door_token, body)
    assert (status, [ack["status"] for ack in answer["acks"]]) == (200, ["stored", *["invalid"] * 3])
    rows = connection.execute("SELECT path, reason FROM ingest_rejection ORDER BY first_seq").fetchall()
    assert rows == [
        ("$.batches[1].events[0]", "Object contains unknown field; allowed are type, at, line and direction"),
        ("$.batches[2].events[0].direction", "Invalid enum value; allowed are backward and forward"),
        ("$.batches[3]", UNKNOWN_FIELD),
    ]


@pytest.mark.parametrize("body", [b'{"batches":[' + b"0," * 400_000 + b"0]}", b'{"batches":[0,[],{}]}'])
async def test_rubbish_is_bounded_before_it_is_looked_into(
    client: httpx.AsyncClient, site: Site, body: bytes
) -> None:
    status, answer = await post(client, site.door_token, body)
    if status == 200:
        assert [ack["status"] for ack in answer["acks"]] == ["invalid"] * 3
    else:
        assert (status, answer["detail"]) == (400, "$.batches: Expected `array` of length <= 5000")


async def test_a_clock_that_cannot_be_right(client: httpx.AsyncClient, site: Site) -> None:
    at = NOW + 86_400_000 - 43_200_000 - 500 * 86_400_000  # half a day more than those days back
    events: list[wire.Event] = [wire.Crossing(at, 0, "forward")]
    wrong = wire.Batch(site.door.public_id, 1, 0, "0123456789abcdef", 1, events)
    _, answer = await post(client, site.door_token, upload(wrong, batch(site.door.public_id, 1)))
    assert [ack["status"] for ack in answer["acks"]] == ["invalid", "stored"]
    assert answer["acks"][0]["path"] == "$.batches[0].events[0].at"
    assert answer["acks"][0]["reason"] == (
        "lies 500 days back, beyond the 400 that are kept; if the clock is wrong, set it"
    )


async def test_a_new_token_works_at_once(client: httpx.AsyncClient, site: Site) -> None:
    door = site.door.public_id
    await post(client, site.door_token, upload(batch(door)))
    token = await in_thread(replace_token, site.door)
    assert (await post(client, token, upload(batch(door, 1))))[0] == 200
    assert (await post(client, site.door_token, upload(batch(door, 2))))[0] == 401


async def test_a_fault_of_the_backend_refuses_nothing(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection
) -> None:
    connection.execute("ALTER TABLE ingest_bucket RENAME COLUMN value TO renamed")
    try:
        assert (await post(client, site.door_token, upload(batch(site.door.public_id))))[0] == 503
    finally:
        connection.execute("ALTER TABLE ingest_bucket RENAME COLUMN renamed TO value")
    _, answer = await post(client, site.door_token, upload(batch(site.door.public_id)))
    assert answer["acks"][0]["status"] == "stored"


def test_an_outage_is_logged_once_and_so_is_its_end(
    site: Site, connection: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL's socket is where the committer looks for it, or not."""
    sockets = tmp_path / "sockets"
    away = psycopg.conninfo.make_conninfo(database_url(), host=str(sockets))
    sensor = Directory().sensors(connection, [site.door.public_id])[site.door.public_id]
    caplog.set_level(logging.INFO, "analytics")
    with ConnectionPool(
        away, min_size=0, max_size=THREADS, timeout=0.3, kwargs={"autocommit": True}, open=True
    ) as pool:
        committer = Committer(pool, lambda versions: None, 1_000)
        for _ in range(3):
            with pytest.raises(UnavailableError):
                committer.submit(Request(sensor, [batch(sensor.public_id)])).result()
        sockets.symlink_to(str(psycopg.conninfo.conninfo_to_dict(database_url())["host"]))
        while True:
            with suppress(UnavailableError):
                answer = committer.submit(Request(sensor, [batch(sensor.public_id)])).result()
                break
        committer.close()
    assert answer.acks[0].status == "stored"
    logged = [record for record in caplog.records if record.name.startswith("analytics.")]
    assert [(record.levelname, record.exc_info) for record in logged] == [("ERROR", None), ("INFO", None)]


async def test_a_scene_newer_than_the_sensor_knows_is_announced(
    client: httpx.AsyncClient, site: Site
) -> None:
    def publish() -> None:
        publish_scene(site.door, SCENE)

    await in_thread(publish)
    door = site.door.public_id
    _, answer = await post(client, site.door_token, upload(batch(door)))
    assert answer["desired"] == {door: {"config": 2}}
    _, answer = await post(client, site.door_token, upload(batch(door, 1, config=2)))
    assert "desired" not in answer


@pytest.mark.parametrize(
    ("headers", "status", "title"),
    [
        ({"authorization": ""}, 401, "No token."),
        ({"authorization": "Bearer s-000000000000.guess"}, 401, "The token is not known."),
        ({"authorization": "Bearer g-000000000000.guess"}, 401, "The token is not known."),
        ({"content-type": "image/jpeg"}, 415, "Only metadata is taken here."),
        ({"content-type": ""}, 415, "Only metadata is taken here."),
        ({"content-encoding": "br"}, 415, "Content-Encoding br is not known."),
        ({"content-encoding": "gzip"}, 400, "The upload does not keep the contract."),
        ({"content-encoding": "zstd"}, 400, "The upload does not keep the contract."),
    ],
)
async def test_refused_whole(
    client: httpx.AsyncClient, site: Site, headers: dict[str, str], status: int, title: str
) -> None:
    named = bearer(site.door_token) | headers
    response = await client.post(URL, content=upload(batch(site.door.public_id)), headers=named)
    assert (response.status_code, response.json()["title"]) == (status, title)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"batches":[]}', b'{"batches":[],"picture":""}', b"\xff\xd8\xff\xe0"]
)
async def test_an_upload_without_an_outline_is_refused(
    client: httpx.AsyncClient, site: Site, body: bytes
) -> None:
    status, answer = await post(client, site.door_token, body)
    assert (status, answer["title"]) == (400, "The upload does not keep the contract.")
    assert answer["detail"].startswith("$")


async def test_too_large_packed_and_unpacked(client: httpx.AsyncClient, site: Site) -> None:
    blank = b" " * (wire.MAX_BODY_BYTES + 1)
    assert (await post(client, site.door_token, blank))[0] == 413
    assert (await post(client, site.door_token, gzip.compress(blank), content_encoding="gzip"))[0] == 413
    bomb = zstandard.ZstdCompressor().compress(blank)
    assert (await post(client, site.door_token, bomb, content_encoding="zstd"))[0] == 413


async def test_a_revoked_sensor_is_refused(client: httpx.AsyncClient, site: Site) -> None:
    await in_thread(revoke, site.door)
    status, answer = await post(client, site.door_token, upload(batch(site.door.public_id)))
    assert (status, answer["title"]) == (403, f"{site.door.public_id} is revoked.")
    _, answer = await post(client, site.gateway_token, upload(batch(site.door.public_id)))
    assert answer["acks"][0]["reason"] == "the sensor is revoked; enrol it again"


async def test_overload_answers_later_and_loses_nothing(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection
) -> None:
    """Twenty uploads of 400 events at once, where 1 000 may wait: each is resent until it is taken."""
    refused = 0

    async def send(sensor: str, token: str) -> None:
        nonlocal refused
        for first_seq in range(0, 4_000, 400):
            while True:
                response = await client.post(
                    URL, content=upload(batch(sensor, first_seq, 400)), headers=bearer(token)
                )
                if response.status_code == 200:
                    break
                assert (response.status_code, response.headers["retry-after"]) == (503, "1")
                refused += 1
                await asyncio.sleep(0.01)

    def sites() -> list[Site]:
        return [build_site(f"store-{number}", site.store.organisation) for number in range(5)]

    doors = await in_thread(sites)
    await asyncio.gather(*(send(one.door.public_id, one.door_token) for one in doors))
    assert refused > 0
    assert connection.execute("SELECT sum(value) FROM ingest_bucket").fetchone() == (20_000,)


async def test_live_pages_hear_of_the_newest_version(
    client: httpx.AsyncClient, site: Site, listener: Listener
) -> None:
    for first_seq in range(5):
        await post(client, site.door_token, upload(batch(site.door.public_id, first_seq)))
    await asyncio.sleep(0.6)
    assert listener.heard[0] == (f"store.{site.store.pk}", {"type": "store.version", "version": 1})
    assert listener.heard[-1] == (f"store.{site.store.pk}", {"type": "store.version", "version": 5})
    assert len(listener.heard) <= 4


async def test_todays_partition_is_made_when_it_is_missing(
    client: httpx.AsyncClient, site: Site, connection: psycopg.Connection
) -> None:
    connection.execute(f"DROP TABLE ingest_batch_{datetime.now(UTC):%Y%m%d}")
    status, answer = await post(client, site.door_token, upload(batch(site.door.public_id)))
    assert (status, answer["acks"][0]["status"]) == (200, "stored")


async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    assert (await client.get("http://gateway/healthz")).status_code == 200
    ready = await client.get("http://gateway/readyz")
    assert (ready.status_code, ready.text) == (200, "database: ok\nvalkey: ok\nbuckets: not checked yet\n")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/ingest/v1/batches", {"POST"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
    ],
)
async def test_an_address_names_the_methods_it_knows(
    client: httpx.AsyncClient, path: str, allowed: set[str]
) -> None:
    """Monitors ask with HEAD, and are answered as with GET but without the body."""
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} - allowed:
        refused = await client.request(method, f"http://gateway{path}")
        assert refused.status_code == 405
        assert set(refused.headers["allow"].split(", ")) == allowed
        if method != "HEAD":
            assert refused.json()["title"] == f"Use {' or '.join(sorted(allowed))} at this address."
    if "HEAD" in allowed:
        got, head = [await client.request(method, f"http://gateway{path}") for method in ("GET", "HEAD")]
        assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] > "0"


@asynccontextmanager
async def client_of(listener: Listener, database: str) -> AsyncIterator[httpx.AsyncClient]:
    gateway = Gateway(database, listener.group_send, Options(valkey_url=settings.REDIS_URL))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
            yield client
    finally:
        await gateway.close()


def with_settings(**settings: str) -> str:
    """The test database, with these settings of PostgreSQL's for each session."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return psycopg.conninfo.make_conninfo(database_url(), options=options)


def test_sessions_have_limits_and_those_of_an_installation_hold(site: Site) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    found = []
    for database in (database_url(), with_settings(lock_timeout="300ms")):
        with open_pool(database, 1, Patience(2, 4, 6)) as pool, pool.connection() as connection:
            found.append([connection.execute(f"SHOW {name}").fetchone() for name in names])
    assert found == [[("2s",), ("4s",), ("30s",)], [("300ms",), ("4s",), ("30s",)]]


async def probe(client: httpx.AsyncClient, path: str = "readyz") -> tuple[int, str, str]:
    """Status, title and detail."""
    answer = await client.get(f"http://gateway/{path}")
    problem = answer.json() if answer.status_code == 503 else {"title": answer.text, "detail": ""}
    return answer.status_code, problem["title"], problem["detail"]


async def test_a_database_that_takes_no_writes_is_called_so(
    site: Site, connection: psycopg.Connection, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """As a standby is after a failover. Each upload finds out, and the log says it once."""
    caplog.set_level(logging.INFO, "analytics")
    body = upload(batch(site.door.public_id))
    async with client_of(listener, with_settings(default_transaction_read_only="on")) as client:
        answers = [await post(client, site.door_token, body) for _ in range(3)]
        assert await probe(client) == (
            503,
            "The database is read-only.",
            "Lead DATABASE_URL to the primary, or set default_transaction_read_only = off.",
        )
        assert await probe(client, "healthz") == (200, "ok\n", "")
    problem = {"title": "The database is read-only.", "detail": "Send it again later."}
    assert answers == [(503, problem)] * 3
    [line] = [record for record in caplog.records if record.name.startswith("analytics.")]
    assert "committing fails" in line.message
    assert line.exc_info is None
    async with client_of(listener, database_url()) as client:
        _, answer = await post(client, site.door_token, body)
    assert answer["acks"][0]["status"] == "stored"


async def test_a_locked_table_is_waited_for_not_for_ever(
    site: Site, connection: psycopg.Connection, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders are told so, readiness what to look at; what was sent is taken when the lock is gone."""
    monkeypatch.setattr(reception, "STUCK_AFTER_S", 0.5)
    body = upload(batch(site.door.public_id))
    async with client_of(listener, with_settings(lock_timeout="300ms")) as client:
        assert (await probe(client))[0] == 200
        with connection.transaction():
            connection.execute("LOCK TABLE ingest_cursor IN ACCESS EXCLUSIVE MODE")
            answers = [await post(client, site.door_token, body) for _ in range(3)]
            status, title, detail = await probe(client)
            assert await probe(client, "healthz") == (200, "ok\n", "")
        problem = {"title": "Another transaction holds what this needs.", "detail": "Send it again later."}
        assert answers == [(503, problem)] * 3
        assert (status, title.startswith("A committing thread has stored nothing for")) == (503, True)
        assert detail == (
            "Another transaction holds what this needs."
            " In pg_stat_activity see wait_event, and whom pg_blocking_pids(pid) names."
        )
        assert (await post(client, site.door_token, body))[1]["acks"][0]["status"] == "stored"
        assert (await probe(client))[0] == 200


async def test_readiness_sees_a_transaction_that_does_not_end(
    site: Site, connection: psycopg.Connection, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "STUCK_AFTER_S", 0.2)
    with connection.transaction():
        connection.execute("LOCK TABLE ingest_cursor IN ACCESS EXCLUSIVE MODE")
        sent = asyncio.create_task(post(client, site.door_token, upload(batch(site.door.public_id))))
        while (answer := await probe(client))[0] == 200:
            await asyncio.sleep(0.02)
    assert answer[2] == "In pg_stat_activity see wait_event, and whom pg_blocking_pids(pid) names."
    assert (await sent)[1]["acks"][0]["status"] == "stored"
    assert (await probe(client))[0] == 200


@contextmanager
def sessions_stopped(connection: psycopg.Connection, name: str) -> Iterator[None]:
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [name]
    ).fetchall()
    assert rows
    for (pid,) in rows:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in rows:
            os.kill(pid, signal.SIGCONT)


async def test_sessions_that_hang_are_replaced(
    site: Site, connection: psycopg.Connection, listener: Listener
) -> None:
    """Those of look-ups and of committing, while the rest of PostgreSQL goes on."""
    async with client_of(listener, with_settings(application_name="hanging")) as client:
        await post(client, site.door_token, upload(batch(site.door.public_id)))
        with sessions_stopped(connection, "hanging"):
            while (await probe(client))[0] != 200:
                pass
            door = site.door.public_id
            while (answer := await post(client, site.shelf_token, upload(batch(site.shelf.public_id))))[
                0
            ] != 200:
                assert answer[0] == 503
            status, answer = await post(client, site.door_token, upload(batch(door, 1)))
            assert (status, answer["acks"][0]["status"]) == (200, "stored")


async def test_without_a_database_nothing_is_acknowledged(site: Site, listener: Listener) -> None:
    gateway = Gateway(
        "postgresql:///nowhere?host=/nonexistent&connect_timeout=1", listener.group_send, Options()
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        response = await client.post(
            URL, content=upload(batch(site.door.public_id)), headers=bearer(site.door_token)
        )
        ready = await client.get("http://gateway/readyz")
    assert (response.status_code, response.json()["title"]) == (503, "The database is not available.")
    assert ready.status_code == 503
    await gateway.close()
