"""Who may come in, and where uploads go: what HTTP and the stream have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

import psycopg
import redis
import redis.asyncio
from psycopg import Connection
from psycopg_pool import ConnectionPool

from analytics.ingest import monitoring
from analytics.ingest.check import Check, last_check
from analytics.ingest.committer import TOLERANCE_MS, Committer, UnavailableError
from analytics.ingest.directory import Directory, GatewayFacts, SensorFacts
from analytics.ingest.limits import Limits
from analytics.ingest.live import GroupSend, Publisher
from analytics.ingest.outage import Outage
from analytics.ingest.reading import Reading
from analytics.ingest.refusal import Batches, HungUpError, RefusedError, later
from analytics.ingest.waiting import THREADS, OverloadedError, Request
from sensorapp import wire
from sensorapp.accounts import secrets

T = TypeVar("T")

LOOK_UPS_AT_ONCE: Final = 4
RECONNECT_SECONDS: Final = 4
HEALTH_TIMEOUT_S: Final = 2.0

Sender = SensorFacts | GatewayFacts


@dataclass(frozen=True, slots=True)
class Options:
    """What an installation may set; a rate of 0 is no limit."""

    max_waiting_events: int = 1_000_000
    sensor_events_per_second: float = 0.0
    organisation_events_per_second: float = 0.0
    tolerance_ms: int = TOLERANCE_MS
    metrics_token: str = ""
    valkey_url: str = ""


class Reception:
    """Holds the pools and the committer; the process has one. Opened by the first use or at start-up."""

    def __init__(self, database_url: str, group_send: GroupSend, options: Options) -> None:
        self.options = options
        self.reading = Reading()
        self._limits = Limits(options.sensor_events_per_second, options.organisation_events_per_second)
        self._database_url = database_url
        self._group_send = group_send
        self._pool: ConnectionPool | None = None
        self._committer_pool: ConnectionPool | None = None
        self._committer: Committer | None = None
        self._directory = Directory()
        self._outage = Outage()
        self._look_ups = LookUps(self._read_devices)

    # --- life ---

    def open(self) -> tuple[ConnectionPool, Committer]:
        if self._pool is None or self._committer is None:
            self._pool = open_pool(self._database_url, LOOK_UPS_AT_ONCE)
            # Of its own, so that no crowd at the door keeps it from committing.
            self._committer_pool = open_pool(self._database_url, THREADS)
            publisher = Publisher(self._group_send)
            self._committer = Committer(
                self._committer_pool,
                publisher.publish,
                self.options.max_waiting_events,
                self.options.tolerance_ms,
                self._directory,
                self._outage,
            )
        return self._pool, self._committer

    async def close(self) -> None:
        """Commit what waits, then let go of the database."""
        if self._committer:
            await asyncio.to_thread(self._committer.close)
        for pool in filter(None, (self._committer_pool, self._pool)):
            await asyncio.to_thread(pool.close)
        self._pool = self._committer_pool = self._committer = None

    # --- senders ---

    async def authenticate(self, authorization: str) -> Sender:
        borne = secrets.bearer(authorization)
        if borne is None:
            raise RefusedError(401, "No token.", "Send the header Authorization: Bearer <token>.")
        public_id, digest = borne
        device = self._directory.known_device(public_id)
        if device is None or device.revoked or not secrets.matches(device.digest, digest):
            # What is known may be a few seconds old, and a refusal makes a sensor give up.
            device = await self._look_ups.find(public_id)
        if device is None or not secrets.matches(device.digest, digest):
            raise RefusedError(401, "The token is not known.", "Enrol the sensor or replace its token.")
        if device.revoked:
            raise RefusedError(403, f"{public_id} is revoked.", "Enrol it again.")
        return device

    async def _read_devices(self, public_ids: Collection[str]) -> dict[str, Sender]:
        return await self._read(lambda connection: self._directory.devices(connection, public_ids))

    async def _read(self, read: Callable[[Connection], T], timeout: float | None = None) -> T:
        """What ``read`` reads, in a thread; a database that does not answer refuses the request."""
        pool, _ = self.open()

        def connect_and_read() -> T:
            with pool.connection(timeout) as connection:
                return read(connection)

        try:
            found = await asyncio.to_thread(connect_and_read)
        except psycopg.OperationalError as error:
            self._outage.begin(error)
            raise later("The database is not available.") from None
        except psycopg.errors.UndefinedTable:
            raise later("The database lacks tables.", "Run manage.py migrate.") from None
        self._outage.end()
        return found

    # --- health ---

    async def last_check(self) -> Check | None:
        return await self._read(last_check, HEALTH_TIMEOUT_S)

    async def standing(self) -> bytes:
        """What the tables say, for ``/metrics``; nothing without them, as a process has its own to tell."""
        try:
            return await self._read(monitoring.standing, HEALTH_TIMEOUT_S)
        except RefusedError:
            return b""

    async def reaches_valkey(self) -> bool:
        client = redis.asyncio.from_url(self.options.valkey_url, socket_timeout=2, socket_connect_timeout=2)
        try:
            return bool(await client.ping())
        except (redis.RedisError, OSError):
            return False
        finally:
            await client.aclose()

    def check_committer(self) -> None:
        """Raise :class:`RefusedError` where nothing would ever be committed again."""
        if self._committer and not self._committer.running:
            raise later("A committing thread has ended.", "Restart this process.")

    # --- uploads ---

    def admit(self, sender: Sender) -> None:
        """Raise :class:`RefusedError` where nothing of a sender is taken now, before any of its upload is read."""
        _, committer = self.open()
        self.check_committer()
        self._limits.check_sender(sender)
        try:
            committer.check()
        except OverloadedError:
            raise too_much() from None

    def submit(self, sender: Sender, batches: Batches) -> Future[wire.Answer]:
        """Hand an upload to the committer; :meth:`settled` waits for what becomes of it."""
        _, committer = self.open()
        early = self._limits.check(sender, batches)
        try:
            answer = committer.submit(Request(sender, batches, early=early))
        except OverloadedError:
            raise too_much() from None
        self._limits.take(sender, batches, early)
        return answer

    async def settled(self, answer: Future[wire.Answer]) -> wire.Answer:
        """The answer, when the batches that it acknowledges are durable.

        Raises :class:`HungUpError` where it was cancelled, as its sender no longer waits for it.
        """
        try:
            return await asyncio.wrap_future(answer)
        except UnavailableError:
            raise later("The database is not available.") from None
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise HungUpError from None


class LookUps:
    """Looking devices up: all that are asked for while one query runs are read by the next."""

    def __init__(self, read: Callable[[Collection[str]], Awaitable[dict[str, Sender]]]) -> None:
        self._read = read
        self._wanted: set[str] = set()
        self._running: asyncio.Task[dict[str, Sender]] | None = None
        self._next: asyncio.Task[dict[str, Sender]] | None = None

    async def find(self, public_id: str) -> Sender | None:
        self._wanted.add(public_id)
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running))
        # Others wait for the same task, whatever becomes of this request.
        return (await asyncio.shield(self._next)).get(public_id)

    async def _run(self, before: asyncio.Task[dict[str, Sender]] | None) -> dict[str, Sender]:
        if before is not None and not before.done():
            await asyncio.wait([before])
        wanted, self._wanted = self._wanted, set()
        self._running, self._next = self._next, None
        return await self._read(wanted)


def too_much() -> RefusedError:
    return later("Too much is waiting to be stored.")


def open_pool(database_url: str, connections: int) -> ConnectionPool:
    return ConnectionPool(
        database_url,
        min_size=1,
        max_size=connections,
        timeout=5,
        # Who waits asks for another attempt; else each would come after twice the time of the one before.
        reconnect_timeout=RECONNECT_SECONDS,
        kwargs={"autocommit": True},
        check=ConnectionPool.check_connection,
        open=True,
    )
