"""The sensors' door: an ASGI application of its own, in front of Django and without it.

============================  ============================================================
``POST /ingest/v1/batches``   takes an upload and answers when it is durable
``GET /healthz``              200 while the process serves
``GET /readyz``               200 while the database answers, else 503
``GET /metrics``              what came and what became of it, for Prometheus
============================  ============================================================
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeVar

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from psycopg_pool import ConnectionPool, PoolTimeout

from analytics.ingest import decode
from analytics.ingest.committer import Committer, OverloadedError, Request, UnavailableError
from analytics.ingest.directory import Directory, GatewayFacts, SensorFacts
from analytics.ingest.live import GroupSend, Publisher
from sensorapp import wire
from sensorapp.accounts import secrets

logger = logging.getLogger(__name__)

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MEDIA_TYPES: Final = {
    "application/json": wire.JSON,
    "application/msgpack": wire.MSGPACK,
    "application/x-msgpack": wire.MSGPACK,
}
RETRY_AFTER_SECONDS: Final = 1
LOOK_UPS_AT_ONCE: Final = 4
# Larger or packed bodies are decoded beside the event loop.
DECODED_AT_ONCE_BYTES: Final = 64 * 1024

BATCHES = Counter("sensorapp_ingest_batches_total", "Batches answered, by status.", ["status"])
EVENTS = Counter("sensorapp_ingest_events_total", "Events in batches answered, by status.", ["status"])
REFUSED = Counter("sensorapp_ingest_refused_total", "Requests refused whole, by HTTP status.", ["status"])


class RefusedError(Exception):
    """A request that is answered with a problem instead of acknowledgements."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.status = status
        self.problem = wire.Problem(title, detail)


class Gateway:
    """Holds the pool and the committer; the process has one. Opened by the first use or at start-up."""

    def __init__(self, database_url: str, group_send: GroupSend, max_waiting_events: int) -> None:
        self._database_url = database_url
        self._group_send = group_send
        self._max_waiting_events = max_waiting_events
        self._pool: ConnectionPool | None = None
        self._committer_pool: ConnectionPool | None = None
        self._committer: Committer | None = None
        self._directory = Directory()

    # --- life ---

    def open(self) -> tuple[ConnectionPool, Committer]:
        if self._pool is None or self._committer is None:
            self._pool = open_pool(self._database_url, LOOK_UPS_AT_ONCE)
            # Of its own, so that no crowd at the door keeps it from committing.
            self._committer_pool = open_pool(self._database_url, 1)
            publisher = Publisher(self._group_send)
            self._committer = Committer(self._committer_pool, publisher.publish, self._max_waiting_events)
        return self._pool, self._committer

    async def close(self) -> None:
        """Commit what waits, then let go of the database."""
        if self._committer:
            await asyncio.to_thread(self._committer.close)
        for pool in filter(None, (self._committer_pool, self._pool)):
            await asyncio.to_thread(pool.close)
        self._pool = self._committer_pool = self._committer = None

    # --- requests ---

    @staticmethod
    def serves(path: str) -> bool:
        return path.startswith("/ingest/") or path in ("/healthz", "/readyz", "/metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, media_type, body = await self._answer(scope, receive)
        except RefusedError as refused:
            REFUSED.labels(refused.status).inc()
            status, media_type, body = refused.status, wire.JSON, wire.encode(refused.problem)
        headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
        if status == 503:
            headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        match scope["method"], scope["path"]:
            case "POST", "/ingest/v1/batches":
                return await self._upload(scope, receive)
            case "GET", "/healthz":
                return 200, "text/plain", b"ok\n"
            case "GET", "/readyz":
                await self._check_database()
                return 200, "text/plain", b"ok\n"
            case "GET", "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest()
            case _, "/ingest/v1/batches":
                raise RefusedError(405, "Use POST to upload batches.")
        raise RefusedError(404, "There is nothing at this address.", "Upload to /ingest/v1/batches.")

    async def _upload(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        media_type = media_type_of(headers)
        sender = await self._authenticate(headers.get("authorization", ""))
        body = await read_body(headers, receive)
        if len(body) <= DECODED_AT_ONCE_BYTES:
            batches = read_batches(body, headers, media_type)
        else:
            batches = await asyncio.to_thread(read_batches, body, headers, media_type)
        answer = await self._commit(Request(sender, batches))
        for batch, ack in zip(batches, answer.acks, strict=True):
            BATCHES.labels(ack.status).inc()
            EVENTS.labels(ack.status).inc(decode.count(batch))
        return 200, media_type, wire.encode(answer, media_type)

    async def _commit(self, request: Request) -> wire.Answer:
        _, committer = self.open()
        try:
            return await asyncio.wrap_future(committer.submit(request))
        except OverloadedError:
            raise RefusedError(503, "Too much is waiting to be stored.", "Send it again later.") from None
        except UnavailableError:
            raise RefusedError(503, "The database is not available.", "Send it again later.") from None

    # --- senders ---

    async def _authenticate(self, authorization: str) -> SensorFacts | GatewayFacts:
        borne = secrets.bearer(authorization)
        if borne is None:
            raise RefusedError(401, "No token.", "Send the header Authorization: Bearer <token>.")
        public_id, digest = borne
        device = self._directory.known_device(public_id)
        if device is None or device.revoked or not secrets.matches(device.digest, digest):
            # What is known may be a few seconds old, and a refusal makes a sensor give up.
            device = await self._look_up(public_id)
        if device is None or not secrets.matches(device.digest, digest):
            raise RefusedError(401, "The token is not known.", "Enrol the sensor or replace its token.")
        if device.revoked:
            raise RefusedError(403, f"{public_id} is revoked.", "Enrol it again.")
        return device

    async def _look_up(self, public_id: str) -> SensorFacts | GatewayFacts | None:
        pool, _ = self.open()

        def read() -> SensorFacts | GatewayFacts | None:
            with pool.connection() as connection:
                return self._directory.device(connection, public_id)

        return await database(read)

    async def _check_database(self) -> None:
        pool, _ = self.open()

        def read() -> None:
            with pool.connection(timeout=2) as connection:
                connection.execute("SELECT 1")

        await database(read)


def open_pool(database_url: str, connections: int) -> ConnectionPool:
    return ConnectionPool(
        database_url,
        min_size=1,
        max_size=connections,
        timeout=5,
        kwargs={"autocommit": True},
        check=ConnectionPool.check_connection,
        open=True,
    )


async def database(read: Callable[[], T]) -> T:
    """Run ``read`` in a thread; a database that does not answer refuses the request."""
    try:
        return await asyncio.to_thread(read)
    except (psycopg.OperationalError, PoolTimeout):
        raise RefusedError(503, "The database is not available.", "Send it again later.") from None


# --- the request's parts ---------------------------------------------------------------------------


def media_type_of(headers: dict[str, str]) -> str:
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in MEDIA_TYPES:
        detail = (
            f"Send application/json or application/msgpack, not {given or 'nothing'}; pictures are refused."
        )
        raise RefusedError(415, "Only metadata is taken here.", detail)
    return MEDIA_TYPES[given]


async def read_body(headers: dict[str, str], receive: Receive) -> bytes:
    too_large = RefusedError(413, "The body is too large.", f"Send at most {wire.MAX_BODY_BYTES} bytes.")
    if int(headers.get("content-length", "0")) > wire.MAX_BODY_BYTES:
        raise too_large
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "The body ends too early.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > wire.MAX_BODY_BYTES:
            raise too_large
        more = message.get("more_body", False)
    return b"".join(chunks)


def read_batches(body: bytes, headers: dict[str, str], media_type: str) -> list[wire.Batch | decode.Broken]:
    encoding = headers.get("content-encoding", "").lower()
    try:
        return decode.batches(decode.decompress(body, encoding), media_type)
    except LookupError:
        raise RefusedError(415, f"Content-Encoding {encoding} is not known.", "Use gzip or zstd.") from None
    except decode.TooLargeError:
        detail = f"Send at most {wire.MAX_BODY_BYTES} bytes, unpacked."
        raise RefusedError(413, "The body unpacks to too much.", detail) from None
    except wire.WireError as error:
        detail = f"{error.path}: {decode.harmless(error.reason)}"
        raise RefusedError(400, "The upload does not keep the contract.", detail) from None
