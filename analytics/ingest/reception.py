"""Who may come in, and where uploads go: what HTTP and the stream have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, LiteralString, TypeVar

import psycopg
import redis
import redis.asyncio
from psycopg import Connection
from psycopg_pool import ConnectionPool

from analytics.ingest import monitoring
from analytics.ingest.check import Check, last_check
from analytics.ingest.committer import TOLERANCE_MS, Committer, UnavailableError
from analytics.ingest.database import Patience, open_pool
from analytics.ingest.directory import Directory, GatewayFacts, SensorFacts
from analytics.ingest.limits import Limits
from analytics.ingest.live import GroupSend, Publisher
from analytics.ingest.outage import READ_ONLY, SILENT, Outage, why
from analytics.ingest.reading import Reading
from analytics.ingest.refusal import Batches, HungUpError, RefusedError, later
from analytics.ingest.waiting import THREADS, OverloadedError, Request
from sensorapp import wire
from sensorapp.accounts import secrets

T = TypeVar("T")

LOOK_UPS_AT_ONCE: Final = 4
LOOKING_UP: Final = Patience(lock_s=2, statement_s=4, word_s=6)
# Senders wait for half a minute. A transaction of 20 000 events takes well below a second.
COMMITTING: Final = Patience(lock_s=10, statement_s=30, word_s=40)
# Health is told within the sum of the two, whatever becomes of those who are asked.
HEALTH_TIMEOUT_S: Final = 3.0
PLACE_S: Final = 2.0
VALKEY_TIMEOUT_S: Final = 2.0
PROBES_AT_ONCE: Final = 2
# What has been committing for longer waits for somebody.
STUCK_AFTER_S: Final = 10.0
WRITES: LiteralString = "SELECT NOT current_setting('transaction_read_only')::boolean"
LOOK_AT_SERVER: Final = "See that PostgreSQL runs, and its log, its disk and its load."
LOOK_AT_LOCKS: Final = "In pg_stat_activity see wait_event, and whom pg_blocking_pids(pid) names."

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
        self._outage = Outage("reading")
        # Of its own and small, so that no crowd keeps them from being asked, and they keep nobody else waiting.
        self._probes: ThreadPoolExecutor | None = None
        self._look_ups = LookUps(self._read_devices)

    # --- life ---

    def open(self) -> tuple[ConnectionPool, Committer]:
        if self._pool is None or self._committer is None:
            self._pool = open_pool(self._database_url, LOOK_UPS_AT_ONCE, LOOKING_UP)
            # Of its own, so that no crowd at the door keeps it from committing.
            self._committer_pool = open_pool(self._database_url, THREADS, COMMITTING)
            self._probes = ThreadPoolExecutor(PROBES_AT_ONCE, "health")
            publisher = Publisher(self._group_send)
            self._committer = Committer(
                self._committer_pool,
                publisher.publish,
                self.options.max_waiting_events,
                self.options.tolerance_ms,
                self._directory,
            )
        return self._pool, self._committer

    async def close(self) -> None:
        """Commit what waits, then let go of the database."""
        if self._committer:
            await asyncio.to_thread(self._committer.close)
        for pool in filter(None, (self._committer_pool, self._pool)):
            await asyncio.to_thread(pool.close)
        if self._probes:
            self._probes.shutdown(wait=False)
        self._pool = self._committer_pool = self._committer = self._probes = None

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

    async def _read(
        self,
        read: Callable[[Connection], T],
        executor: Executor | None = None,
        place_s: float | None = None,
        remedy: str = "Send it again later.",
    ) -> T:
        """What ``read`` reads, in a thread; a database that does not do its part refuses the request."""
        pool, _ = self.open()

        def connect_and_read() -> T:
            try:
                with pool.connection(place_s) as connection:
                    found = read(connection)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                raise later("The database lacks tables.", "Run manage.py migrate.") from None
            except psycopg.Error as error:
                self._outage.begin(error)
                raise later(why(error), remedy) from None
            self._outage.end()
            return found

        return await asyncio.get_running_loop().run_in_executor(executor, connect_and_read)

    # --- health ---

    async def check_database(self) -> Check | None:
        """The last nightly check; raises :class:`RefusedError` where nothing can be stored."""
        return await self._probe(read_readiness)

    async def standing(self) -> bytes:
        """What the tables say, for ``/metrics``; else that they cannot be read, as a process has its own to tell."""
        try:
            return await self._probe(monitoring.standing)
        except RefusedError:
            return monitoring.without_tables()

    async def _probe(self, read: Callable[[Connection], T]) -> T:
        """As :meth:`_read`, and refused in time even where the database says nothing."""
        self.open()
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return await self._read(read, self._probes, PLACE_S, LOOK_AT_SERVER)
        except TimeoutError:
            raise later(SILENT, LOOK_AT_SERVER) from None

    async def reaches_valkey(self) -> bool:
        limits = {"socket_timeout": VALKEY_TIMEOUT_S, "socket_connect_timeout": VALKEY_TIMEOUT_S}
        try:
            async with (
                asyncio.timeout(VALKEY_TIMEOUT_S),
                redis.asyncio.from_url(self.options.valkey_url, **limits) as client,
            ):
                return bool(await client.ping())
        except (redis.RedisError, OSError):
            return False

    def check_progress(self) -> None:
        """Raise :class:`RefusedError` where uploads have been waiting in vain."""
        if self._committer and (trouble := self._committer.trouble).seconds > STUCK_AFTER_S:
            title = f"A committing thread has stored nothing for {trouble.seconds:.0f} s."
            raise later(title, f"{trouble.reason} {LOOK_AT_LOCKS}".strip())

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
        except UnavailableError as error:
            raise later(str(error)) from None
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


def read_readiness(connection: Connection) -> Check | None:
    [[writes]] = connection.execute(WRITES).fetchall()
    if not writes:
        detail = "Lead DATABASE_URL to the primary, or set default_transaction_read_only = off."
        raise later(READ_ONLY, detail)
    return last_check(connection)
