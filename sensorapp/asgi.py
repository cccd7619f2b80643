"""The server's front door: sensors go to the gateway, people to Django and, for live pages, to Channels."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from typing import Any, Final

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
django_application = get_asgi_application()

from channels.layers import get_channel_layer  # noqa: E402  # Django must be set up before these
from django.conf import settings  # noqa: E402

from analytics.ingest.gateway import Gateway  # noqa: E402
from analytics.ingest.reception import Options  # noqa: E402
from dashboard.live import websocket_urlpatterns  # noqa: E402

# glibc's malloc.h
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 32 * 2**20

gateway = Gateway(
    settings.DATABASE_URL,
    get_channel_layer().group_send,
    Options(
        settings.INGEST_MAX_WAITING_EVENTS,
        settings.INGEST_SENSOR_EVENTS_PER_SECOND,
        settings.INGEST_ORGANISATION_EVENTS_PER_SECOND,
        settings.INGEST_FUTURE_TOLERANCE_SECONDS * 1000,
        settings.METRICS_TOKEN,
        settings.REDIS_URL,
    ),
)
live = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
people = ProtocolTypeRouter({"http": django_application, "websocket": live})


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif gateway.serves(scope["path"]):
        await gateway(scope, receive, send)
    else:
        await people(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    """Open the gateway with the server, and commit what waits before it stops."""
    await receive()
    gateway.open()
    collect_seldom()
    keep_memory()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gateway.close()
    await send({"type": "lifespan.shutdown.complete"})


def keep_memory() -> None:
    """Keep freed memory for the next transaction's arrays, rather than have the kernel clear it for each of them.

    By mallopt(3) of glibc; other C libraries have none, and decide for themselves.
    """
    with suppress(AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            set_option(option, KEPT_BYTES)


def collect_seldom() -> None:
    """Keep the garbage collector from looking through everything after every few uploads.

    What is there at the start stays; of what an upload makes, hardly anything has cycles that only it can free.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
