"""Live pages: the socket says which version a store's counts have reached; the page fetches the rest.

Ingest sends ``{"type": "store.version", "version": V}`` to the group ``store.<store id>`` after each
commit. The channel layer may lose a message, so the version is read from the database again at every
heartbeat; a lost message makes a page late, never wrong.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypedDict

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.urls import path, re_path

from analytics.ingest.live import group_name
from dashboard.access import find_visible_store

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from dashboard.access import VersionedStore
    from sensorapp.accounts.models import User

log = logging.getLogger(__name__)

# At most two messages a second, the first one at once.
MIN_INTERVAL_S: Final = 0.5
# A page takes its socket for dead after twice this silence.
HEARTBEAT_S: Final = 20.0

# 4000 to 4999 are for applications to define (RFC 6455, 7.4.2).
NOT_SIGNED_IN: Final = 4401
NOT_FOUND: Final = 4404
TRY_AGAIN_LATER: Final = 1013


class VersionMessage(TypedDict):
    """What ingest sends over the channel layer."""

    type: str
    version: int


class StoreConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # channels is untyped
    """Sends ``{"version": V}`` at once, whenever the store's counts have changed, and as a heartbeat.

    Closes with 4401 for a person who is not signed in or no longer active, and with 4404 where the store
    does not exist or the person may not see it, at the latest one heartbeat after that became so.
    """

    async def connect(self) -> None:
        self.group: str | None = None
        self.newest = -1
        self.changed = asyncio.Event()
        # A browser is told the close code of accepted sockets only.
        await self.accept()
        self.reporting = asyncio.create_task(self.report())

    async def disconnect(self, code: int) -> None:
        self.reporting.cancel()
        if self.group is not None:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, *args: Any, **kwargs: Any) -> None:
        """A page has nothing to say here; what it sends is dropped unread."""

    async def store_version(self, message: VersionMessage) -> None:
        self.newest = max(self.newest, message["version"])
        self.changed.set()

    async def report(self) -> None:
        try:
            await self.close(await self.send_versions())
        except Exception:
            # A service that is down: the page polls, and comes back later.
            log.exception("live: cannot follow a store")
            await self.close(TRY_AGAIN_LATER)

    async def send_versions(self) -> int:
        """Send versions for as long as the person may see the store; returns the close code."""
        clock = asyncio.get_running_loop().time
        while (user := await self.find_user()).is_authenticated:
            store = await self.find_store(user)
            if store is None:
                return NOT_FOUND
            if self.group is None:
                self.group = group_name(store.pk)
                await self.channel_layer.group_add(self.group, self.channel_name)
                # Once more: a commit between the reading and the joining would be missed.
                continue
            self.newest = max(self.newest, store.version)
            next_heartbeat = clock() + HEARTBEAT_S
            while clock() < next_heartbeat:
                self.changed.clear()
                await self.send_json({"version": self.newest})
                await asyncio.sleep(MIN_INTERVAL_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(next_heartbeat):
                        await self.changed.wait()
        return NOT_SIGNED_IN

    async def find_user(self) -> User | AnonymousUser:
        """Who is signed in now: the scope knows only who was when the socket was opened."""
        store = import_module(settings.SESSION_ENGINE).SessionStore
        user: User | AnonymousUser = await get_user({"session": store(self.scope["session"].session_key)})
        return user

    async def find_store(self, user: User) -> VersionedStore | None:
        find = database_sync_to_async(find_visible_store)
        store: VersionedStore | None = await find(user, **self.scope["url_route"]["kwargs"])
        return store


class NowhereConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Answers for every other address, which the router would otherwise log as an error."""

    async def connect(self) -> None:
        await self.close(NOT_FOUND)


websocket_urlpatterns = [
    path("live/stores/<slug:organisation>/<slug:store>/", StoreConsumer.as_asgi()),
    re_path("", NowhereConsumer.as_asgi()),
]
