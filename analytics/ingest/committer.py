"""Group commit: what waits while one transaction runs makes up the next.

Requests hand their batches to a committing thread and wait; so the disk's slowness is shared by everyone who waits,
and a lone request waits for nobody. There are two such threads: while one waits for the database, the other makes its
events ready.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import psycopg
from django.conf import settings
from psycopg_pool import ConnectionPool

from analytics.ingest import decode, monitoring
from analytics.ingest.commit import Incoming, commit
from analytics.ingest.decode import Batch, Broken
from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.outage import AWAY, Outage, Trouble, why
from analytics.ingest.partitions import create_partitions
from analytics.ingest.waiting import Queue, Request, Waiting, next_group
from sensorapp import columns, wire

logger = logging.getLogger(__name__)

# Events further ahead of this machine's clock are set aside.
TOLERANCE_MS: Final = 300_000

# What goes wrong because of what is in a batch, not because of the state of the backend: numbers that fit nowhere.
POISON: Final = (psycopg.DataError, OverflowError)

Notify = Callable[[dict[int, int]], None]


class UnavailableError(Exception):
    """The database did not take the batches, for the reason given; nothing of them was stored."""


class Committer:
    """Commits a sender's requests in the order of their coming. ``pool`` has :data:`~analytics.ingest.waiting.THREADS`
    connections.

    ``notify`` gets the new versions after each commit.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        notify: Notify,
        max_waiting_events: int,
        tolerance_ms: int = TOLERANCE_MS,
        directory: Directory | None = None,
    ) -> None:
        self._pool = pool
        self._tolerance_ms = tolerance_ms
        self._notify = notify
        self._waiting = Waiting(max_waiting_events)
        self._directory = directory or Directory()
        self._outage = Outage("committing")
        self._troubles = [Trouble() for _ in self._waiting.lines]
        monitoring.STUCK_SECONDS.set_function(lambda: self.trouble.seconds)
        self._threads = [
            threading.Thread(target=self._run, args=[line.queue, trouble], name="committer", daemon=True)
            for line, trouble in zip(self._waiting.lines, self._troubles, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, request: Request) -> Future[wire.Answer]:
        """Queue a request; raises :class:`~analytics.ingest.waiting.OverloadedError` when too many events wait."""
        self._waiting.put(request)
        return request.answer

    def check(self) -> None:
        """Raises :class:`~analytics.ingest.waiting.OverloadedError` while nothing more may wait."""
        self._waiting.check()

    @property
    def running(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def trouble(self) -> Trouble:
        """That of the thread that has stored nothing for longest."""
        return max(self._troubles, key=lambda one: one.seconds)

    def close(self) -> None:
        """Commit what waits, then stop."""
        self._waiting.close()
        for thread in self._threads:
            thread.join()

    def _run(self, queue: Queue, trouble: Trouble) -> None:
        while requests := next_group(queue):
            # A request whose sender hung up is dropped: unacknowledged, it will be sent again.
            if begun := [one for one in requests if one.answer.set_running_or_notify_cancel()]:
                trouble.begin()
                self._settle(begun)
                trouble.end(reason_of(begun))
            self._waiting.leave(requests)

    def _settle(self, requests: list[Request]) -> None:
        """Commit requests together; if that fails for what is in them, each by itself.

        Other faults are the backend's, so that nothing is refused for them: the senders try again.
        """
        try:
            answers = self._commit(requests)
        except POISON as error:
            self._settle_apart(requests, error)
        except AWAY as error:
            self._outage.begin(error)
            put_off(requests, error)
        except Exception as error:
            # Unless it is the database's, it may be about one of them only, for which no other has to wait.
            if len(requests) > 1 and not isinstance(error, psycopg.Error):
                self._settle_apart(requests, error)
                return
            logger.exception("commit failed, %d requests will be sent again", len(requests), exc_info=error)
            put_off(requests, error)
        else:
            self._outage.end()
            for request, its_answer in zip(requests, answers, strict=True):
                request.answer.set_result(its_answer)

    def _settle_apart(self, requests: list[Request], error: Exception) -> None:
        if len(requests) > 1:
            for request in requests:
                self._settle([request])
            return
        [request] = requests
        logger.error("a request cannot be committed", exc_info=error)
        if len(request.batches) > 1:
            self._settle_each_batch(request)
        elif isinstance(request.batches[0], Broken):
            put_off([request], error)
        else:
            request.batches = [refuse(request.batches[0], request.first)]
            self._settle([request])

    def _settle_each_batch(self, request: Request) -> None:
        """Answer a request batch by batch, so that a poisonous one does not hold up its neighbours."""
        parts = [
            replace(request, batches=[batch], first=request.first + place, answer=Future())
            for place, batch in enumerate(request.batches)
        ]
        for part in parts:
            self._settle([part])
        failed = next((part.answer.exception() for part in parts if part.answer.exception()), None)
        if failed:
            request.answer.set_exception(failed)
            return
        answers = [part.answer.result() for part in parts]
        acks = [ack for one in answers for ack in one.acks]
        wanted = {sensor: want for one in answers for sensor, want in one.desired.items()}
        request.answer.set_result(wire.Answer(acks, wanted))

    def _commit(self, requests: list[Request]) -> list[wire.Answer]:
        with self._pool.connection() as connection:
            try:
                return self._commit_on(connection, requests)
            except psycopg.errors.CheckViolation:
                # Nobody made today's partition: worker and beat have been away for two weeks.
                today = datetime.now(UTC).date()
                create_partitions(connection, today, today)
                return self._commit_on(connection, requests)

    def _commit_on(self, connection: psycopg.Connection, requests: list[Request]) -> list[wire.Answer]:
        judged = self._judge(connection, requests)
        batches = [entry for entries in judged for entry in entries if isinstance(entry, Incoming)]
        acks, versions = self._commit_batches(connection, batches) if batches else ([], {})
        if versions:
            self._notify(versions)
        committed = iter(acks)
        answers = [answer(entries, committed) for entries in judged]
        for request, entries, its_answer in zip(requests, judged, answers, strict=True):
            monitoring.settled(request.batches, entries, its_answer.acks, request.received)
        return answers

    def _commit_batches(
        self, connection: psycopg.Connection, batches: list[Incoming]
    ) -> tuple[list[wire.Ack], dict[int, int]]:
        with monitoring.COMMIT_SECONDS.time():
            settled = commit(connection, batches)
        monitoring.COMMIT_EVENTS.observe(sum(batch.count for batch in batches))
        return settled

    def _judge(self, connection: psycopg.Connection, requests: list[Request]) -> list[Judged]:
        """Judge all batches; what is doubtful once more, with the sensor's facts read anew."""
        names = {batch.sensor for request in requests for batch in request.batches if batch.sensor}
        sensors = self._directory.sensors(connection, names)
        pairs = list(zip(requests, read_all(requests), strict=True))
        judged = [judge(request, batches, sensors, self._tolerance_ms) for request, batches in pairs]
        doubtful = names & {name_of(entry) for entries in judged for entry in entries if is_doubtful(entry)}
        if doubtful:
            sensors |= self._directory.sensors(connection, doubtful, fresh=True)
            judged = [judge(request, batches, sensors, self._tolerance_ms) for request, batches in pairs]
        return judged


def read_all(requests: Sequence[Request]) -> list[list[Batch | Broken]]:
    """By request, its batches with their events as columns."""
    found = [
        (place, batch) for request in requests for place, batch in enumerate(request.batches, request.first)
    ]
    batches = iter(decode.read([batch for _, batch in found], [place for place, _ in found]))
    return [list(islice(batches, len(request.batches))) for request in requests]


def put_off(requests: Iterable[Request], error: Exception) -> None:
    for request in requests:
        request.answer.set_exception(UnavailableError(why(error)))


def reason_of(requests: Sequence[Request]) -> str:
    """Why nothing was stored of requests that are settled; empty where something was."""
    errors = [request.answer.exception() for request in requests]
    return str(errors[0]) if all(errors) else ""


Judged = list[Incoming | wire.Ack]


def is_doubtful(entry: Incoming | wire.Ack) -> bool:
    if isinstance(entry, wire.Ack):
        return entry.status == "invalid"
    return entry.problem is not None


def name_of(entry: Incoming | wire.Ack) -> str:
    return entry.sensor if isinstance(entry, wire.Ack) else entry.sensor.public_id


def answer(entries: Judged, committed: Iterator[wire.Ack]) -> wire.Answer:
    acks = [entry if isinstance(entry, wire.Ack) else next(committed) for entry in entries]
    return wire.Answer(acks, desired(entries))


def refuse(batch: wire.Batch, place: int) -> Broken:
    """The same batch as one that cannot be stored, for a reason that the log knows."""
    reason = "the backend cannot store this batch; its log says why"
    at = columns.times(batch.columns) if batch.columns else [event.at for event in batch.events]
    return Broken(f"$.batches[{place}]", reason, batch.sensor, batch.epoch, batch.first_seq, at)


def judge(
    request: Request, batches: Iterable[Batch | Broken], sensors: dict[str, SensorFacts], tolerance_ms: int
) -> Judged:
    """For each of a request's batches what will be committed, or the answer where nothing can be."""
    entries: Judged = []
    now = time.time_ns() // 1_000_000
    for place, batch in enumerate(batches, request.first):
        path = f"$.batches[{place}]"
        sensor = sensors.get(batch.sensor)
        if batch.sensor in request.early:
            entries.append(wire.Ack(batch.sensor, batch.epoch, batch.first_seq - 1, "later"))
        elif isinstance(batch, Broken) and not batch.sensor:
            entries.append(wire.Ack("", 0, -1, "invalid", batch.path, batch.reason))
        elif sensor is None or not request.sender.may_send_for(sensor):
            reason = f"the token of {request.sender.public_id} does not cover this sensor"
            entries.append(wire.Ack(batch.sensor, batch.epoch, -1, "invalid", f"{path}.sensor", reason))
        elif sensor.revoked:
            reason = "the sensor is revoked; enrol it again"
            entries.append(wire.Ack(batch.sensor, batch.epoch, -1, "invalid", f"{path}.sensor", reason))
        elif isinstance(batch, Broken) and not batch.count:
            # Nobody knows how far the cursor would have to move.
            entries.append(wire.Ack(batch.sensor, batch.epoch, -1, "invalid", batch.path, batch.reason))
        else:
            keep_days = settings.INGEST_RETENTION_DAYS
            entries.append(decode.incoming(batch, sensor, path, now, tolerance_ms, keep_days))
    return entries


def desired(entries: Judged) -> dict[str, wire.Desired]:
    return {
        entry.sensor.public_id: wire.Desired(config=entry.sensor.scene_version)
        for entry in entries
        if isinstance(entry, Incoming) and not entry.problem and entry.config != entry.sensor.scene_version
    }
