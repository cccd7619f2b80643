"""The socket of a live page: who may open it, what it says, and how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from analytics.ingest.live import group_name
from dashboard import live
from dashboard.live import MIN_INTERVAL_S, NOT_FOUND, NOT_SIGNED_IN
from sensorapp.accounts.models import Membership, User
from sensorapp.asgi import application
from sensorapp.fleet.models import Store
from tests.dashboard.site import Shop


def headers(user: User | None, origin: str = "http://localhost") -> list[tuple[bytes, bytes]]:
    client = Client()
    if user is not None:
        client.force_login(user)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    return [(b"host", b"localhost"), (b"origin", origin.encode()), (b"cookie", cookies.encode())]


def address(store: Store) -> str:
    return f"/live/stores/{store.organisation.slug}/{store.slug}/"


class Socket(ApplicationCommunicator):
    """A page's end of the socket."""

    def __init__(self, path: str, identity: list[tuple[bytes, bytes]]) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": identity,
            "subprotocols": [],
        }
        super().__init__(application, scope)

    async def connect(self) -> bool:
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(timeout=10)
        return bool(answer["type"] == "websocket.accept")


@asynccontextmanager
async def opened(store: Store, identity: list[tuple[bytes, bytes]]) -> AsyncIterator[Socket]:
    socket = Socket(address(store), identity)
    assert await socket.connect()
    yield socket
    await socket.send_input({"type": "websocket.disconnect", "code": 1001})
    await socket.wait(timeout=10)


async def tell(store: Store, version: int) -> None:
    """As ingest does after its commit."""
    message = {"type": "store.version", "version": version}
    await get_channel_layer().group_send(group_name(store.pk), message)


async def version_of(socket: Socket) -> Any:
    message = await socket.receive_output(timeout=10)
    assert message["type"] == "websocket.send"
    return json.loads(message["text"])["version"]


async def versions_within(socket: Socket, seconds: float) -> list[tuple[float, int]]:
    """What the socket says for a while, each with the time at which it came."""
    clock = asyncio.get_running_loop().time
    end, heard = clock() + seconds, []
    while (rest := end - clock()) > 0 and not await socket.receive_nothing(timeout=rest, interval=0.005):
        heard.append((clock(), await version_of(socket)))
    return heard


@pytest.fixture
def identity(committed_shop: Shop) -> list[tuple[bytes, bytes]]:
    return headers(committed_shop.cast.manager)


def bump(store: Store, version: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_store_version SET version = %s WHERE store_id = %s", [version, store.pk]
        )


async def close_code(store: Store, identity: list[tuple[bytes, bytes]]) -> int:
    async with opened(store, identity) as socket:
        message = await socket.receive_output(timeout=10)
    assert message["type"] == "websocket.close"
    return int(message["code"])


async def test_only_who_sees_the_store_may_follow_it(committed_shop: Shop) -> None:
    cast = committed_shop.cast
    for person, visible in cast.visible_stores.items():
        identity = await asyncio.to_thread(headers, cast.people[person])
        for store in (cast.store, cast.foreign_store):
            if store not in visible:
                assert await close_code(store, identity) == NOT_FOUND, person
                continue
            async with opened(store, identity) as socket:
                assert await version_of(socket) >= 0, person


async def test_who_is_not_signed_in_is_told_so(committed_shop: Shop) -> None:
    identity = await asyncio.to_thread(headers, None)
    assert await close_code(committed_shop.store, identity) == NOT_SIGNED_IN


async def test_pages_of_other_sites_cannot_open_it(committed_shop: Shop) -> None:
    identity = await asyncio.to_thread(headers, committed_shop.cast.manager, "http://elsewhere.example")
    assert not await Socket(address(committed_shop.store), identity).connect()


async def test_there_is_nothing_at_other_addresses(transactional_db: None) -> None:
    assert not await Socket("/live/else/", [(b"origin", b"http://localhost")]).connect()


async def test_it_begins_with_the_version_that_is_reached(
    committed_shop: Shop, identity: list[tuple[bytes, bytes]]
) -> None:
    await asyncio.to_thread(bump, committed_shop.store, 4711)
    async with opened(committed_shop.store, identity) as socket:
        assert await version_of(socket) == 4711


async def test_the_first_news_come_at_once_and_the_rest_at_most_twice_a_second(
    committed_shop: Shop, identity: list[tuple[bytes, bytes]]
) -> None:
    store = committed_shop.store
    async with opened(store, identity) as socket:
        first = await version_of(socket)
        await asyncio.sleep(MIN_INTERVAL_S + 0.2)
        clock = asyncio.get_running_loop().time
        begin = clock()

        async def tell_all() -> None:
            for step in range(1, 31):
                await tell(store, first + step)
                await asyncio.sleep(0.05)

        telling = asyncio.create_task(tell_all())
        heard = await versions_within(socket, 4)
        await telling
    moments = [moment for moment, _ in heard]
    versions = [version for _, version in heard]
    assert versions[0] == first + 1
    assert moments[0] - begin < MIN_INTERVAL_S / 2
    assert versions[-1] == first + 30
    assert versions == sorted(set(versions))
    # Arrival may lag behind sending by what a busy machine takes, so gaps are measured with a margin.
    assert all(later - earlier > MIN_INTERVAL_S * 0.8 for earlier, later in pairwise(moments))


async def test_another_store_is_not_heard(committed_shop: Shop, identity: list[tuple[bytes, bytes]]) -> None:
    async with opened(committed_shop.store, identity) as socket:
        await version_of(socket)
        await tell(committed_shop.cast.other_store, 99)
        assert await versions_within(socket, 1.0) == []


async def test_an_older_version_that_comes_late_does_not_go_back(
    committed_shop: Shop, identity: list[tuple[bytes, bytes]]
) -> None:
    async with opened(committed_shop.store, identity) as socket:
        first = await version_of(socket)
        await tell(committed_shop.store, first + 5)
        await tell(committed_shop.store, first + 4)
        assert {version for _, version in await versions_within(socket, 1.5)} == {first + 5}


async def test_a_lost_message_is_made_up_for_by_the_heartbeat(
    committed_shop: Shop, identity: list[tuple[bytes, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 1.0)
    async with opened(committed_shop.store, identity) as socket:
        first = await version_of(socket)
        await asyncio.to_thread(bump, committed_shop.store, first + 1)
        assert (await versions_within(socket, 3))[-1][1] == first + 1


def leave(user: User) -> None:
    Membership.objects.filter(user=user).delete()


def sign_out(user: User) -> None:
    Session.objects.all().delete()


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(user: User) -> None:
    user.set_password("another horse")
    user.save()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (leave, NOT_FOUND),
        (sign_out, NOT_SIGNED_IN),
        (deactivate, NOT_SIGNED_IN),
        (change_password, NOT_SIGNED_IN),
    ],
)
async def test_access_taken_away_closes_the_socket(
    committed_shop: Shop,
    identity: list[tuple[bytes, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[User], None],
    code: int,
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 1.0)
    async with opened(committed_shop.store, identity) as socket:
        await version_of(socket)
        await asyncio.to_thread(change, committed_shop.cast.manager)
        while (message := await socket.receive_output(timeout=10))["type"] == "websocket.send":
            pass
        assert message == {"type": "websocket.close", "code": code}
