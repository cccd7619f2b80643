"""The sensors' door: an ASGI application of its own, in front of Django and without it.

============================  ============================================================
``POST /ingest/v1/batches``   takes an upload and answers when it is durable
``WS /ingest/v1/stream``      takes uploads one after the other, see :mod:`.stream`
``GET /healthz``              200 while the process serves, 503 when only a restart helps
``GET /readyz``               200 while uploads can be stored, else 503; says how Valkey and the buckets are
``GET /metrics``              for Prometheus on this machine, or with the token of the settings
============================  ============================================================

To ``HEAD`` it answers as to ``GET``, without the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from analytics.ingest import monitoring
from analytics.ingest.check import verdict
from analytics.ingest.live import GroupSend
from analytics.ingest.reception import Options, Reception
from analytics.ingest.refusal import HungUpError, RefusedError, Response
from analytics.ingest.stream import Receive, Scope, Send, Stream
from sensorapp import wire

MEDIA_TYPES: Final = {
    "application/json": wire.JSON,
    "application/msgpack": wire.MSGPACK,
    "application/x-msgpack": wire.MSGPACK,
}
# So that nobody takes the room of others' uploads for as long as it likes.
BODY_TIMEOUT_S: Final = 60.0
READ: Final = ("GET", "HEAD")
METHODS: Final = {"/ingest/v1/batches": ("POST",), "/healthz": READ, "/readyz": READ, "/metrics": READ}
VALKEY_AWAY: Final = "not reachable, so that live pages poll and tasks wait"


class Gateway:
    """Answers over HTTP, and leads streams to :class:`Stream`."""

    def __init__(self, database_url: str, group_send: GroupSend, options: Options) -> None:
        self._reception = Reception(database_url, group_send, options)

    def open(self) -> None:
        self._reception.open()

    async def close(self) -> None:
        """Commit what waits, then let go of the database."""
        await self._reception.close()

    # --- requests ---

    @staticmethod
    def serves(path: str) -> bool:
        return path.startswith("/ingest/") or path in ("/healthz", "/readyz", "/metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await Stream(self._reception, scope, receive, send).serve()
            return
        try:
            status, headers, body = await self._answer(scope, receive)
        except HungUpError:
            return
        except RefusedError as refused:
            if scope["path"].startswith("/ingest/"):
                monitoring.REFUSED.labels(refused.status).inc()
            status, headers, body = refused.response()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"]
        if scope["method"] not in (allowed := METHODS.get(path, [scope["method"]])):
            raise RefusedError(405, f"Use {' or '.join(allowed)} at this address.", allow=", ".join(allowed))
        match path:
            case "/ingest/v1/batches":
                return await self._upload(scope, receive)
            case "/healthz":
                self._reception.check_committer()
                return ok("text/plain", b"ok\n")
            case "/readyz":
                return ok("text/plain", await self._readiness())
            case "/metrics":
                monitoring.check_reader(scope, self._reception.options.metrics_token)
                return ok(CONTENT_TYPE_LATEST, generate_latest() + await self._reception.standing())
            case "/ingest/v1/stream":
                raise RefusedError(426, "This is a stream.", "Connect with a WebSocket.")
        raise RefusedError(404, "There is nothing at this address.", "Upload to /ingest/v1/batches.")

    async def _readiness(self) -> bytes:
        """Only the database and committing hinder a sensor. All else is only told."""
        self._reception.check_committer()
        check = await self._reception.check_database()
        self._reception.check_progress()
        buckets = verdict(check, datetime.now(UTC))
        valkey = "ok" if await self._reception.reaches_valkey() else VALKEY_AWAY
        return f"database: ok\nvalkey: {valkey}\nbuckets: {buckets}\n".encode()

    async def _upload(self, scope: Scope, receive: Receive) -> Response:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        media_type = media_type_of(headers)
        sender = await self._reception.authenticate(headers.get("authorization", ""))
        self._reception.admit(sender)
        pieces = pieces_of(headers, receive)
        encoding = headers.get("content-encoding", "").lower()
        answer = self._reception.submit(
            sender, await self._reception.reading.read(pieces, media_type, encoding)
        )
        async with dropped_at_hang_up(answer, receive):
            settled = await self._reception.settled(answer)
        return ok(media_type, wire.encode(settled, media_type))


# --- the request's parts ---------------------------------------------------------------------------


def ok(media_type: str, body: bytes) -> Response:
    return 200, [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))], body


def media_type_of(headers: dict[str, str]) -> str:
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in MEDIA_TYPES:
        detail = (
            f"Send application/json or application/msgpack, not {given or 'nothing'}; pictures are refused."
        )
        raise RefusedError(415, "Only metadata is taken here.", detail)
    return MEDIA_TYPES[given]


async def pieces_of(headers: dict[str, str], receive: Receive) -> AsyncIterator[bytes]:
    """The body, as it comes."""
    if int(headers.get("content-length", "0")) > wire.MAX_BODY_BYTES:
        raise too_large()
    size, more = 0, True
    give_up = asyncio.get_running_loop().time() + BODY_TIMEOUT_S
    while more:
        try:
            async with asyncio.timeout_at(give_up):
                message = await receive()
        except TimeoutError:
            detail = f"Send all of it within {BODY_TIMEOUT_S:.0f} seconds; with a slow connection, send less at once."
            raise RefusedError(408, "The body comes too slowly.", detail) from None
        if message["type"] == "http.disconnect":
            raise HungUpError
        size += len(message.get("body", b""))
        if size > wire.MAX_BODY_BYTES:
            raise too_large()
        yield message.get("body", b"")
        more = message.get("more_body", False)


@asynccontextmanager
async def dropped_at_hang_up(answer: Future[wire.Answer], receive: Receive) -> AsyncIterator[None]:
    """Cancel an answer, if nobody has begun with it, when its sender closes the connection meanwhile."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        answer.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()


def too_large() -> RefusedError:
    return RefusedError(413, "The body is too large.", f"Send at most {wire.MAX_BODY_BYTES} bytes.")
