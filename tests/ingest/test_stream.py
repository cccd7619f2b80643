"""Uploads over a WebSocket: what a sender is told, and when it is not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from analytics.ingest import stream
from analytics.ingest.gateway import Gateway
from analytics.ingest.reception import Options
from sensor_sim.device import uplink
from sensor_sim.device.outbox import Outbox
from sensor_sim.device.stream import StreamUplink
from sensor_sim.device.uplink import Delivery, RefusedError, Token
from sensorapp import wire
from sensorapp.fleet.bulk import Enrolment, enrol_sensors
from sensorapp.fleet.enrolment import revoke
from tests.cutting_proxy import CuttingProxy
from tests.ingest.asgi_socket import PATH, Socket, read, text
from tests.ingest.site import SCENE, Site, build_site, clear, database_url
from tests.ingest.uploads import MODEL, batch, crossings
from tests.server import Server

WINDOW = wire.Window(wire.MAX_BATCHES_PER_REQUEST)


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Server]:
    with Server(database_url()) as server:
        yield server


@asynccontextmanager
async def connected(
    server: Server, token: str, compression: str | None = "deflate"
) -> AsyncIterator[ClientConnection]:
    """A stream whose window has been announced."""
    url = f"ws://127.0.0.1:{server.port}{PATH}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(url, additional_headers=headers, proxy=None, compression=compression) as socket:
        assert read(await socket.recv()) == WINDOW
        yield socket


def stored(connection: psycopg.Connection) -> list[tuple[int, int]]:
    """Epoch and sequence number of each event kept, however often."""
    rows = connection.execute(
        "SELECT epoch, first_seq, event_count FROM ingest_batch ORDER BY sensor_id, epoch, first_seq"
    )
    return [(epoch, first + place) for epoch, first, count in rows for place in range(count)]


def counted(connection: psycopg.Connection) -> Any:
    row = connection.execute("SELECT coalesce(sum(value), 0) FROM ingest_bucket").fetchone()
    assert row
    return row[0]


async def test_each_upload_is_answered_in_its_turn_and_form(
    server: Server, site: Site, connection: psycopg.Connection
) -> None:
    door = site.door.public_id
    sent = [batch(door, 0, 3), batch(door, 0, 3), batch(door, 5, 1), batch(door, 2, 3)]
    async with connected(server, site.door_token) as socket:
        for number, one in enumerate(sent):
            await socket.send(text(one) if number % 2 else wire.encode(wire.Upload([one]), wire.MSGPACK))
        frames = [await socket.recv() for _ in sent]
    assert [type(frame) for frame in frames] == [bytes, str, bytes, str]
    assert [read(frame) for frame in frames] == [
        wire.Answered([wire.Ack(door, 1, seq, status)])
        for seq, status in ((2, "stored"), (2, "duplicate"), (2, "gap"), (4, "stored"))
    ]
    assert stored(connection) == [(1, seq) for seq in range(5)]


async def test_a_gateway_with_thousands_of_sensors(
    server: Server, site: Site, connection: psycopg.Connection
) -> None:
    """Over one connection, several sensors a message and many messages under way."""

    def enrol() -> list[str]:
        try:
            wanted = [Enrolment(f"sensor {number}", SCENE) for number in range(2_000)]
            return [sensor.public_id for sensor in enrol_sensors(site.store, wanted)]
        finally:
            connections.close_all()

    sensors = await asyncio.to_thread(enrol)
    groups = [sensors[place : place + 40] for place in range(0, len(sensors), 40)]
    async with connected(server, site.gateway_token) as socket:
        for first_seq in (0, 2):
            for group in groups:
                await socket.send(text(*(batch(sensor, first_seq, 2) for sensor in group)))
        answers = [read(await socket.recv()) for _ in range(2 * len(groups))]
    assert answers == [
        wire.Answered([wire.Ack(sensor, 1, first_seq + 1, "stored") for sensor in group])
        for first_seq in (0, 2)
        for group in groups
    ]
    assert counted(connection) == 4 * len(sensors)


async def test_one_bad_batch_does_not_block_its_neighbours(server: Server, site: Site) -> None:
    door = site.door.public_id
    bad = text(batch(door), batch(door, 1), batch(door, 2)).replace(
        '"first_seq":1,', '"first_seq":1,"image":"/9j/4AAQ",'
    )
    async with connected(server, site.door_token) as socket:
        await socket.send(bad)
        answer = read(await socket.recv())
    assert isinstance(answer, wire.Answered)
    assert [(ack.status, ack.path) for ack in answer.acks] == [
        ("stored", ""),
        ("invalid", "$.batches[1]"),
        ("stored", ""),
    ]


@pytest.mark.parametrize(
    ("token", "status", "title"),
    [("", 401, "No token."), ("s-000000000000.guess", 401, "The token is not known.")],
)
async def test_the_handshake_is_refused_as_a_request_would_be(
    server: Server, site: Site, connection: psycopg.Connection, token: str, status: int, title: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connected(server, token):
            pass
    response = caught.value.response
    assert response.status_code == status
    assert wire.decode(bytes(response.body), wire.Problem).title == title
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("frame", ["", "{", '{"batches":[]}', b"\xff\xd8\xff\xe0", b"\x81\xa7picture\x00"])
async def test_a_message_without_an_outline_ends_the_stream(
    server: Server, site: Site, connection: psycopg.Connection, frame: str | bytes
) -> None:
    """What was sent before it still gets its answer."""
    door = site.door.public_id
    async with connected(server, site.door_token) as socket:
        await socket.send(text(batch(door)))
        await socket.send(frame)
        assert read(await socket.recv()) == wire.Answered([wire.Ack(door, 1, 0, "stored")])
        refusal = read(await socket.recv())
        with pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
    assert isinstance(refusal, wire.Refusal)
    assert (refusal.status, refusal.title) == (400, "The upload does not keep the contract.")
    assert refusal.detail.startswith("$")
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 4400


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_message_that_is_too_large_ends_the_stream(
    server: Server, site: Site, connection: psycopg.Connection, compression: str | None
) -> None:
    """The largest is answered; one byte more closes without a word, packed ones before they are unpacked whole."""
    door = site.door.public_id
    for length, code in ((wire.MAX_BODY_BYTES, 4400), (wire.MAX_BODY_BYTES + 1, 1009)):
        async with connected(server, site.door_token, compression) as socket:
            with suppress(ConnectionClosedError):
                await socket.send(" " * length)
            await socket.wait_closed()
            assert socket.close_code == code
    async with connected(server, site.door_token) as socket:
        await socket.send(text(batch(door)))
        assert read(await socket.recv()) == wire.Answered([wire.Ack(door, 1, 0, "stored")])


def test_what_is_too_large_is_not_sent_again(server: Server, site: Site) -> None:
    """The events wait for smaller batches, as they do when a request is answered 413."""
    link = StreamUplink(f"ws://127.0.0.1:{server.port}", Token(site.door_token, site.door.public_id))
    for count in (350_000, 1_000_000):
        with pytest.raises(RefusedError, match=r"^the server answered 413: .*; send smaller batches$"):
            link.post(batch(site.door.public_id, count=count))
    link.close()


async def test_a_revoked_sensor_is_refused_on_its_open_stream(
    client_gateway: Gateway, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.ingest.directory.KEEP_SECONDS", 0.0)

    def leave() -> None:
        revoke(site.door)
        connections.close_all()

    async with Socket(client_gateway, site.door_token) as socket:
        await socket.upload(batch(site.door.public_id))
        assert await socket.said() == WINDOW
        assert await socket.said() == wire.Answered([wire.Ack(site.door.public_id, 1, 0, "stored")])
        await asyncio.to_thread(leave)
        await socket.upload(batch(site.door.public_id, 1))
        refusal = wire.Refusal(403, f"{site.door.public_id} is revoked.", "Enrol it again.")
        assert await socket.said() == refusal
        assert await socket.closed() == 4403


# --- flow control ----------------------------------------------------------------------------------


@pytest.fixture
async def client_gateway(site: Site, connection: psycopg.Connection) -> AsyncIterator[Gateway]:
    async def group_send(group: str, message: dict[str, Any]) -> None:
        """Nobody looks at a live page."""

    gateway = Gateway(database_url(), group_send, Options(max_waiting_events=1_000))
    yield gateway
    await gateway.close()


async def until_still(socket: Socket) -> int:
    """How many messages stay unread, when nothing more is read."""
    before, now = -1, socket.unread.qsize()
    while before != now:
        await asyncio.sleep(0.2)
        before, now = now, socket.unread.qsize()
    return now


@asynccontextmanager
async def slow_disk() -> AsyncIterator[None]:
    """No transaction of ingest ends meanwhile."""
    async with await psycopg.AsyncConnection.connect(database_url()) as connection:
        await connection.execute("LOCK TABLE ingest_cursor")
        yield


async def test_no_more_is_read_than_the_window_allows(
    client_gateway: Gateway, site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WINDOW_BATCHES", 3)
    door = site.door.public_id
    async with Socket(client_gateway, site.door_token) as socket:
        assert await socket.said() == wire.Window(3)
        async with slow_disk():
            for first_seq in range(10):
                await socket.upload(batch(door, first_seq))
            assert await until_still(socket) == 7
        answers = [await socket.said() for _ in range(10)]
    assert answers == [wire.Answered([wire.Ack(door, 1, seq, "stored")]) for seq in range(10)]


async def test_a_full_queue_holds_the_stream_and_loses_nothing(
    client_gateway: Gateway, site: Site, connection: psycopg.Connection
) -> None:
    """1 000 events may wait: two uploads of 400 are taken, the third is held until there is room."""
    door = site.door.public_id
    async with Socket(client_gateway, site.door_token) as socket:
        assert await socket.said() == WINDOW
        async with slow_disk():
            for first_seq in range(0, 4_000, 400):
                await socket.upload(batch(door, first_seq, 400))
            assert await socket.said() == wire.Window(WINDOW.batches, retry_after=1)
            assert socket.unread.qsize() == 7
        said = [await socket.said()]
        while said[-1] != wire.Answered([wire.Ack(door, 1, 3_999, "stored")]):
            said.append(await socket.said())
    answers = [one for one in said if isinstance(one, wire.Answered)]
    assert answers == [wire.Answered([wire.Ack(door, 1, seq, "stored")]) for seq in range(399, 4_000, 400)]
    assert counted(connection) == 4_000


async def test_a_queue_that_stays_full_ends_the_stream(
    client_gateway: Gateway, site: Site, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "LONGEST_HOLD_S", 0.0)
    door = site.door.public_id
    async with Socket(client_gateway, site.door_token) as socket:
        assert await socket.said() == WINDOW
        async with slow_disk():
            for first_seq in (0, 800):
                await socket.upload(batch(door, first_seq, 800))
            await until_still(socket)
        assert await socket.said() == wire.Answered([wire.Ack(door, 1, 799, "stored")])
        refusal = wire.Refusal(503, "Too much is waiting to be stored.", "Send it again later.", 1)
        assert await socket.said() == refusal
        assert await socket.closed() == 4503


# --- with the sensor's end -------------------------------------------------------------------------


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 3_000), max_size=6),
)
def test_whatever_breaks_the_stream_each_event_counts_once(
    server: Server,
    site: Site,
    connection: psycopg.Connection,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    lengths: list[int],
    cuts: list[int],
) -> None:
    """Each connection in turn is cut after so many bytes of the server's; the last ones are not."""
    monkeypatch.setattr(uplink, "FIRST_BACK_OFF_S", 0.01)
    clear(connection)
    door = site.door.public_id
    with (
        CuttingProxy(server.port, cuts) as proxy,
        Outbox(tmp_path_factory.mktemp("outbox"), door, now=lambda: 1) as outbox,
    ):
        for place, length in enumerate(lengths):
            outbox.append(crossings(sum(lengths[:place]), length), model=MODEL, config=1)
        link = StreamUplink(f"ws://127.0.0.1:{proxy.port}", Token(site.door_token, door))
        totals = Delivery(outbox, link, batch_events=25).drain()
        link.close()
    assert (totals.pending, totals.invalid, totals.dropped) == (0, 0, 0)
    assert stored(connection) == [(1, seq) for seq in range(sum(lengths))]
    assert counted(connection) == sum(lengths)


def test_a_server_that_is_killed_and_comes_back(
    site: Site,
    connection: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uplink, "FIRST_BACK_OFF_S", 0.01)
    door = site.door.public_id
    with Server(database_url()) as server, Outbox(tmp_path / "outbox", door) as outbox:
        link = StreamUplink(f"ws://127.0.0.1:{server.port}", Token(site.door_token, door))
        with Delivery(outbox, link, interval=0.01, batch_events=5):
            for number in range(60):
                outbox.append(crossings(number, 1), model=MODEL, config=1)
                if number % 20 == 10:
                    server.kill()
                    server.start()
        link.close()
        assert len(outbox) == 0
    assert [seq for _, seq in stored(connection)] == list(range(60))
    assert counted(connection) == 60


def test_two_stores_share_no_stream(server: Server, site: Site, connection: psycopg.Connection) -> None:
    other = build_site("elsewhere", site.store.organisation)
    link = StreamUplink(f"ws://127.0.0.1:{server.port}", Token(other.gateway_token, other.gateway.public_id))
    ack = link.post(batch(site.door.public_id))
    link.close()
    assert (ack.status, ack.path) == ("invalid", "$.batches[0].sensor")
