"""What is asked before an upload is read, how much is read at once, and who waits for it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import psycopg
import pytest

from analytics.ingest import decode, reading
from analytics.ingest.committer import Committer
from analytics.ingest.gateway import Gateway
from analytics.ingest.limits import BURST_S
from analytics.ingest.reception import Options
from sensorapp import wire
from tests.ingest.asgi_socket import Socket, text
from tests.ingest.site import Site, database_url
from tests.ingest.uploads import batch
from tests.server import Server

Message = dict[str, Any]


async def nobody_looks(group: str, message: dict[str, Any]) -> None:
    """Stands where live pages listen."""


@pytest.fixture
async def gateway(site: Site, connection: psycopg.Connection) -> AsyncIterator[Gateway]:
    gateway = Gateway(database_url(), nobody_looks, Options(max_waiting_events=1_000))
    yield gateway
    await gateway.close()


class Post:
    """An upload whose body comes when the test says so. ``asked`` is how often more of it was asked for."""

    def __init__(self, gateway: Gateway, token: str, encoding: str = "") -> None:
        headers = {
            "authorization": f"Bearer {token}",
            "content-type": wire.JSON,
            "content-encoding": encoding,
        }
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/ingest/v1/batches",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        self.pieces: asyncio.Queue[Message] = asyncio.Queue()
        self.said: list[Message] = []
        self.asked = 0
        self.task = asyncio.create_task(gateway(self.scope, self.receive, self.send))

    async def receive(self) -> Message:
        self.asked += 1
        return await self.pieces.get()

    async def send(self, message: Any) -> None:
        self.said.append(dict(message))

    def come(self, body: bytes, more: bool = False) -> Post:
        self.pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    async def answer(self) -> tuple[int, dict[bytes, bytes], Any]:
        await self.task
        start, body = self.said
        return start["status"], dict(start["headers"]), wire.decode(body["body"], dict)


def body(batches: Iterable[wire.Batch]) -> bytes:
    return wire.encode(wire.Upload(list(batches)))


@pytest.mark.parametrize("encoding", ["gzip", ""])
async def test_others_are_answered_while_a_body_is_decoded(
    gateway: Gateway, site: Site, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """A small one that is packed, or a large one: it is decoded only when the others have their answers."""
    begun, go_on, really = threading.Event(), threading.Event(), decode.batches

    def slowly(body: bytes, media_type: str) -> list[wire.Batch | decode.Broken]:
        if b"            " in body:
            begun.set()
            assert go_on.wait(60)
        return really(body, media_type)

    monkeypatch.setattr(decode, "batches", slowly)
    door, shelf = site.door.public_id, site.shelf.public_id
    large = body([batch(door)]) + b" " * reading.DECODED_AT_ONCE_BYTES
    slow = Post(gateway, site.door_token, encoding).come(gzip.compress(large) if encoding else large)
    await asyncio.to_thread(begun.wait, 60)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        assert (await client.get("http://gateway/healthz")).status_code == 200
    status, _, answer = await Post(gateway, site.shelf_token).come(body([batch(shelf)])).answer()
    assert (status, answer["acks"][0]["status"]) == (200, "stored")
    assert not slow.said
    go_on.set()
    status, _, answer = await slow.answer()
    assert (status, answer["acks"][0]["status"]) == (200, "stored")


async def test_what_is_refused_anyway_is_not_read(site: Site, connection: psycopg.Connection) -> None:
    """Neither of a sensor that is too fast, nor of any of an organisation that is."""
    door, shelf = site.door.public_id, site.shelf.public_id
    for options, other in (
        (Options(sensor_events_per_second=1), site.door_token),
        (Options(organisation_events_per_second=1), site.gateway_token),
    ):
        gateway = Gateway(database_url(), nobody_looks, options)
        first = Post(gateway, site.door_token).come(body([batch(door, count=int(BURST_S) + 1)]))
        assert (await first.answer())[0] == 200
        refused = Post(gateway, other).come(b"rubbish")
        status, headers, answer = await refused.answer()
        assert (status, answer["title"], refused.asked) == (429, "Too many events in a short time.", 0)
        assert 1 <= int(headers[b"retry-after"]) <= 2
        neighbour = Post(gateway, site.shelf_token).come(body([batch(shelf)]))
        assert (await neighbour.answer())[0] == (200 if other == site.door_token else 429)
        await gateway.close()


async def test_nothing_is_read_while_nothing_more_may_wait(
    gateway: Gateway, site: Site, connection: psycopg.Connection
) -> None:
    """Once something was refused, until something is stored; then all of it is taken."""
    door, shelf = site.door.public_id, site.shelf.public_id
    async with await psycopg.AsyncConnection.connect(database_url()) as lock:
        await lock.execute("LOCK TABLE ingest_cursor")
        waits = Post(gateway, site.door_token).come(body([batch(door, 0, 800)]))
        while waits.asked < 2:  # all has come, and is watched for its sender's hanging up
            await asyncio.sleep(0.01)
        refused = [Post(gateway, site.shelf_token).come(body([batch(shelf, 0, 400)])) for _ in range(2)]
        answers = [await one.answer() for one in refused]
        assert [(status, headers[b"retry-after"]) for status, headers, _ in answers] == [(503, b"1")] * 2
        assert [answer["title"] for *_, answer in answers] == ["Too much is waiting to be stored."] * 2
        assert [one.asked for one in refused] == [1, 0]
    assert (await waits.answer())[0] == 200
    status = 503
    while status == 503:  # an answer is given just before what it was about leaves its line
        status, *_ = await Post(gateway, site.shelf_token).come(body([batch(shelf, 0, 400)])).answer()
    assert status == 200


async def test_so_many_bytes_are_read_at_once(
    gateway: Gateway, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = body([batch(site.door.public_id)])
    monkeypatch.setattr(reading, "MOST_BYTES", len(upload) + 10)
    slow = Post(gateway, site.door_token).come(upload[:20], more=True)
    while slow.asked < 2:
        await asyncio.sleep(0)
    status, headers, answer = await Post(gateway, site.door_token).come(upload).answer()
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert answer == {"title": "Too much is being read.", "detail": "Send it again later."}
    status, _, answer = await slow.come(upload[20:]).answer()
    assert (status, answer["acks"][0]["status"]) == (200, "stored")
    status, _, answer = await Post(gateway, site.door_token).come(upload).answer()
    assert (status, answer["acks"][0]["status"]) == (200, "duplicate")


async def test_a_body_that_does_not_come_takes_no_room_for_ever(
    gateway: Gateway, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.ingest.gateway.BODY_TIMEOUT_S", 0.01)
    status, _, answer = await Post(gateway, site.door_token).come(b"{", more=True).answer()
    assert (status, answer["title"]) == (408, "The body comes too slowly.")


async def test_every_503_says_when_to_come_back(
    gateway: Gateway, site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = body([batch(site.door.public_id)])
    connection.execute("ALTER TABLE fleet_sensor RENAME TO renamed")
    try:
        lacking = await Post(gateway, site.door_token).come(upload).answer()
    finally:
        connection.execute("ALTER TABLE renamed RENAME TO fleet_sensor")
    assert lacking[::2] == (503, {"title": "The database lacks tables.", "detail": "Run manage.py migrate."})
    assert (await Post(gateway, site.door_token).come(upload).answer())[0] == 200
    monkeypatch.setattr(Committer, "running", False)
    ended = await Post(gateway, site.door_token).come(upload).answer()
    assert ended[::2] == (
        503,
        {"title": "A committing thread has ended.", "detail": "Restart this process."},
    )
    assert lacking[1][b"retry-after"] == ended[1][b"retry-after"] == b"1"


# --- senders that hang up ----------------------------------------------------------------------------


async def test_a_request_whose_sender_hung_up_is_dropped(site: Site, connection: psycopg.Connection) -> None:
    """Nobody had begun with the second, as the first of the same sensor was being committed."""
    door = site.door.public_id
    with Server(database_url()) as server:
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=60) as client,
            await psycopg.AsyncConnection.connect(database_url()) as lock,
        ):
            await lock.execute("LOCK TABLE ingest_cursor")
            headers = {"authorization": f"Bearer {site.door_token}", "content-type": wire.JSON}
            address = "/ingest/v1/batches"
            first = asyncio.create_task(client.post(address, content=body([batch(door)]), headers=headers))
            await until_committing(connection)
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            upload = body([batch(door, 1)])
            with socket.create_connection(("127.0.0.1", server.port)) as raw:
                start = (
                    f"POST {address} HTTP/1.1\r\nhost: here\r\n{head}content-length: {len(upload)}\r\n\r\n"
                )
                raw.sendall(start.encode() + upload)
                await until_waiting(client, 2)
            for _ in range(3):  # so the server's loop has been around since
                assert (await client.get("/healthz")).status_code == 200
            await lock.rollback()
            assert (await first).json()["acks"][0]["status"] == "stored"
            await until_waiting(client, 0)
            again = await client.post(address, content=upload, headers=headers)
    assert again.json()["acks"] == [{"sensor": door, "epoch": 1, "acked_seq": 1, "status": "stored"}]


async def until_committing(connection: psycopg.Connection) -> None:
    """A transaction of ingest waits for its cursors."""
    query = "SELECT 1 FROM pg_locks WHERE relation = 'ingest_cursor'::regclass AND NOT granted"
    while not connection.execute(query).fetchone():
        await asyncio.sleep(0.02)


async def until_waiting(client: httpx.AsyncClient, events: int) -> None:
    while f"\nsensorapp_ingest_waiting_events {events}.0\n" not in (await client.get("/metrics")).text:
        await asyncio.sleep(0.02)


async def test_what_a_stream_left_waiting_is_dropped(
    gateway: Gateway, site: Site, connection: psycopg.Connection
) -> None:
    door = site.door.public_id
    async with await psycopg.AsyncConnection.connect(database_url()) as lock:
        await lock.execute("LOCK TABLE ingest_cursor")
        first = Post(gateway, site.door_token).come(body([batch(door)]))
        await until_committing(connection)
        async with Socket(gateway, site.door_token) as stream:
            for seq in (1, 2):
                stream.unread.put_nowait({"type": "websocket.receive", "text": text(batch(door, seq))})
        await lock.rollback()
    assert (await first.answer())[0] == 200
    _, _, answer = await Post(gateway, site.door_token).come(body([batch(door, 1)])).answer()
    assert answer["acks"] == [{"sensor": door, "epoch": 1, "acked_seq": 1, "status": "stored"}]
