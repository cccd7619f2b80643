"""A small site of its own: PostgreSQL, Valkey, the web server, a worker, and sensors behind a proxy.

Each is a real process that may be killed and started again. What the backend has is compared with what the
sensors' ledgers name, event by event and bucket by bucket.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from analytics.ingest.directory import Directory
from analytics.ingest.packed import unpack
from analytics.ingest.rebuild import ALWAYS, compare
from sensorapp import columns as c
from sensorapp import wire
from sensorapp.stack import paths
from sensorapp.stack.processes import Child, spawn, wait_until
from sensorapp.stack.services import Postgres, Valkey
from tests.cutting_proxy import CuttingProxy
from tests.faults.device import Device, Events, key
from tests.faults.ledger import Counts, Measured, counts
from tests.server import free_port

PATIENCE_S = 120.0
RECOVERY_S = 15.0
# Of a sensor that begins ten days behind, so that readings lie apart as they do in a shop and not within seconds.
CATCHING_UP = ("--catch-up-ms", str(10 * 86_400_000))


def within(seconds: float, condition: Callable[[], object], pause_s: float = 0.02) -> bool:
    """Wait for the condition; False if it has not come by then."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(pause_s)
    return True


def until(condition: Callable[[], object], what: str, pause_s: float = 0.02) -> None:
    assert within(PATIENCE_S, condition, pause_s), f"not within {PATIENCE_S:.0f} s: {what}"


def acknowledgements(devices: list[Device]) -> list[int]:
    paths = [device.folder / "acknowledged.jsonl" for device in devices]
    return [path.stat().st_size if path.exists() else 0 for path in paths]


def wait_for_progress(devices: list[Device]) -> None:
    """Until the backend has acknowledged something new to each."""
    before = acknowledgements(devices)
    until(
        lambda: all(now > then for now, then in zip(acknowledgements(devices), before, strict=True)),
        "something new is acknowledged to each sensor",
    )


def wait_for_refusal(devices: list[Device]) -> None:
    """Until one of them is told that the backend cannot take anything."""

    def refusals() -> int:
        return sum(device.log.read_text().count("answered 503") for device in devices)

    before = refusals()
    until(lambda: refusals() > before, "the backend refuses")


def kill(child: Child | None) -> None:
    """SIGKILL: no time to finish anything."""
    if child:
        child.process.kill()
        child.process.wait()


def send(signal_number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(pid, signal_number)


@dataclass
class Program:
    """A program of this project that is started again and again, with a log for each time."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    logs: Path
    ready: Callable[[], bool] = lambda: True
    child: Child | None = None
    starts: int = 0

    def start(self, *command: str) -> None:
        self.starts += 1
        log = self.logs / f"{self.name}-{self.starts}.log"
        command = (sys.executable, "-m", *(command or self.command))
        self.child = spawn(self.name, command, log=log, cwd=paths.ROOT, env=self.environment, patience=20)
        wait_until(self.ready, self.child, PATIENCE_S, f"{self.name} is not ready")

    def kill(self) -> None:
        kill(self.child)

    def stop(self) -> None:
        if self.child:
            self.child.stop()


@dataclass
class Shop:
    """A store of the site: the tokens of its sensors and gateways."""

    id: int
    sensors: list[str]
    gateways: list[str]


class Site:
    """For a ``with`` block. ``postgres_data`` may lie on a disk of its own; ``fsync`` as in production."""

    def __init__(
        self,
        folder: Path,
        *,
        stores: int,
        sensors: int,
        postgres_data: Path | None = None,
        fsync: bool = False,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        run = folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        run.chmod(0o711)
        logs = folder / "log"
        data = postgres_data or folder / "postgres"
        self.postgres = Postgres(fsync, data=data, sockets=run / "postgres", log=logs / "postgres.log")
        self.valkey = Valkey(run / "valkey.sock", logs / "valkey.log")
        self.database_url = make_conninfo(
            host=str(run / "postgres"), dbname=paths.DATABASE, user=paths.DATABASE_USER
        )
        self.redis_url = paths.redis_url(socket=run / "valkey.sock")
        given = {name: value for name, value in os.environ.items() if not name.endswith("_URL_FILE")}
        self.environment = environment = given | {
            "SENSORAPP_VAR": str(folder),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
        }
        web = ["uvicorn", "sensorapp.asgi:application", "--port", str(self.port), "--log-level", "warning"]
        worker = ["celery", "--app", "sensorapp.celery", "worker", "--pool", "threads", "--concurrency", "2",
                  "--without-mingle", "--loglevel", "INFO"]  # fmt: skip
        self.web = Program("web", web, environment, logs, self._web_serves)
        self.worker = Program("worker", worker, environment, logs)
        self.proxy = CuttingProxy(self.port)
        self._furnish = (str(stores), str(sensors))
        self._shops: list[Shop] = []
        self._devices: list[Device] = []
        self._running = ExitStack()

    def __enter__(self) -> Site:
        with ExitStack() as starting:
            for service in (self.postgres, self.valkey):
                starting.enter_context(service)
            self._shops = self._make_shops()
            starting.callback(self.web.stop)
            self.web.start()
            starting.callback(self.worker.stop)
            starting.enter_context(self.proxy)
            starting.callback(self.clear)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _make_shops(self) -> list[Shop]:
        command = [sys.executable, "-m", "tests.faults.furnish", *self._furnish]
        answer = subprocess.run(
            command, cwd=paths.ROOT, env=self.environment, stdout=subprocess.PIPE, check=True
        )
        return [Shop(**shop) for shop in json.loads(answer.stdout)]

    def _web_serves(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    # --- what may be killed ---

    def kill_postgres(self) -> None:
        kill(self.postgres.child)

    def kill_valkey(self) -> None:
        kill(self.valkey.child)

    def kill_a_session(self, chance: random.Random) -> None:
        """PostgreSQL then ends all the others, and recovers by itself."""
        with self.connect() as connection:
            sessions = connection.execute(
                "SELECT pid FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchall()
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(chance.choice(sessions)[0], signal.SIGKILL)

    @contextlib.contextmanager
    def postgres_hanging(self) -> Iterator[None]:
        """The postmaster and every process that it has started do nothing meanwhile."""
        assert self.postgres.child
        stopped = [self.postgres.child.process.pid]
        with self.connect() as connection:
            send(signal.SIGSTOP, stopped)  # from now on there are no new ones
            others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            stopped += [pid for (pid,) in connection.execute(others).fetchall()]
        send(signal.SIGSTOP, stopped)
        try:
            yield
        finally:
            send(signal.SIGCONT, reversed(stopped))

    @property
    def postgres_runs(self) -> bool:
        return self.postgres.child is not None and self.postgres.child.running

    @property
    def postgres_serves(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def use_up_the_log(self) -> None:
        """Write PostgreSQL's log until it cannot begin another file of it, whereupon it ends.

        Now and then PostgreSQL 18 overlooks that its recovery has failed, waits for it for ever, and lets nobody in:
        then it is killed, as somebody who sees that would do.
        """
        with contextlib.suppress(psycopg.Error), self.connect() as connection:
            while True:
                connection.execute("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()")
        if not within(RECOVERY_S, lambda: not self.postgres_runs):
            assert not self.postgres_serves, "PostgreSQL goes on without a log"
            self.kill_postgres()

    def recover_postgres(self) -> None:
        """Start PostgreSQL again where a full disk has ended it, and wait until it takes connections."""

        def serves() -> bool:
            if not self.postgres_runs:
                self.postgres.start()
            return self.postgres_serves

        until(serves, "PostgreSQL takes connections")

    # --- sensors ---

    def shop(self) -> Shop:
        """A store that nobody has used yet."""
        return self._shops.pop()

    def device(
        self, token: str, *options: str, sensor: str = "", stream: bool = False, name: str = ""
    ) -> Device:
        """A sensor behind the proxy, not started yet; ``sensor`` where ``token`` is a gateway's."""
        claims = sensor or token.partition(".")[0]
        folder = self.folder / "devices" / (name or claims)
        url = f"{'ws' if stream else 'http'}://127.0.0.1:{self.proxy.port}"
        device = Device(folder, folder / "outbox", url, token, claims, options)
        self._devices.append(device)
        return device

    def mend(self) -> None:
        """Start again what a test that failed has left dead, and a PostgreSQL that lets nobody in."""
        if not self.postgres_serves:
            self.kill_postgres()
        for each in (self.postgres, self.valkey, self.web):
            if not each.child or not each.child.running:
                each.start()

    def clear(self) -> None:
        """Let no sensor run any more, and nothing be cut."""
        self.proxy.fates = iter(())
        while self._devices:
            self._devices.pop().kill()

    def devices(self, shop: Shop, *options: str) -> list[Device]:
        """The store's sensors, every second one with a stream."""
        return [
            self.device(token, *options, stream=number % 2 == 1) for number, token in enumerate(shop.sensors)
        ]

    # --- what the backend has ---

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url, autocommit=True)

    def stored(self, sensor: str) -> Events:
        """What batches hold of a sensor, and what is set aside of it."""
        return total(self._rows("ingest_batch", sensor)) + self.set_aside(sensor)

    def set_aside(self, sensor: str) -> Events:
        return total(self._rows("ingest_set_aside", sensor))

    def released(self, sensor: str) -> list[list[bytes]]:
        """What was set aside and released, by batches as the backend has cut them: each counts by itself."""
        return self._rows("ingest_batch", sensor, "AND released")

    def _rows(self, table: str, sensor: str, which: str = "") -> list[list[bytes]]:
        with self.connect() as connection:
            rows = connection.execute(
                f"SELECT first_at, event_count, events FROM {table}"  # type: ignore[arg-type]
                f" WHERE sensor_id = (SELECT id FROM fleet_sensor WHERE public_id = %s) {which}",
                [sensor],
            ).fetchall()
        return [list(map(key, c.decode(unpack(*row)))) for row in rows]

    def buckets(self, sensor: str) -> Counts:
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT channel.kind, metric, (extract(epoch FROM start) * 1000)::bigint, value"
                " FROM ingest_bucket JOIN fleet_channel channel ON channel.id = channel_id"
                " WHERE channel.sensor_id = (SELECT id FROM fleet_sensor WHERE public_id = %s)",
                [sensor],
            ).fetchall()
        return Counter({(kind, metric, start): value for kind, metric, start, value in rows})

    def differing_buckets(self, sensor: str) -> int:
        """How many buckets are not what the batches give, gauges included."""
        with self.connect() as connection:
            facts = Directory().sensors(connection, [sensor])[sensor]
            return len(compare(connection, facts, *ALWAYS).differing)

    # --- the comparison ---

    def settle(self, devices: Iterable[Device]) -> None:
        """Kill the sensors, see that nothing is lost, let them send the rest, and compare everything."""
        devices = list(devices)
        self.proxy.fates = iter(())
        for device in devices:
            device.kill()
            self.check_nothing_lost(device)
        for device in devices:
            device.start("--finish")
        for device in devices:
            device.finish()
        for claimed in {device.claims for device in devices}:
            self.check([device for device in devices if device.claims == claimed])

    def check_nothing_lost(self, device: Device) -> None:
        """What has no acknowledgement is in the outbox; what has one, the backend has exactly once."""
        if not device.outbox.exists():
            return
        acknowledged = device.acknowledged()
        kept = acknowledged + device.waiting() + device.dead_letters() + device.lost_with_disk
        demand_none(device.given() - kept, f"{device.claims}: neither acknowledged nor in the outbox")
        stored = self.stored(device.claims)
        wrong = Counter({event: 1 for event in acknowledged if stored[event] != 1})
        demand_none(wrong, f"{device.claims}: acknowledged and not stored exactly once")

    def check(self, devices: Sequence[Device]) -> None:
        """Of the devices that have sent for one sensor: the backend has what the ledgers name, and counts that."""
        sensor = devices[0].claims
        recorded, dead, lost = (
            sum(each, Counter())
            for each in zip(
                *((one.recorded(), one.dead_letters(), one.lost_with_disk) for one in devices), strict=True
            )
        )
        stored = self.stored(sensor)
        missing = recorded - stored - dead
        assert recorded, f"{sensor}: nothing happened"
        demand_none(stored + dead - recorded, f"{sensor}: more than its ledger names")
        demand_none(missing - lost, f"{sensor}: less than its ledger names")
        uncounted = dead + missing + self.set_aside(sensor)
        due = expected(in_order(devices), uncounted, self.released(sensor))
        buckets = self.buckets(sensor)
        demand_none((buckets - due) + (due - buckets), f"{sensor}: not as the ledger counts")
        differing = self.differing_buckets(sensor)
        assert not differing, f"{sensor}: {differing} buckets are not what the batches give"
        for device in devices:
            demand_none(device.waiting(), f"{sensor}: still in the outbox")


def demand_none(found: Counter[Any], what: str) -> None:
    assert not found, f"{what}: {found.total()}, such as {next(iter(found))}"


def total(rows: Iterable[list[bytes]]) -> Events:
    return Counter(chain.from_iterable(rows))


def in_order(devices: Iterable[Device]) -> list[Measured]:
    """What the devices' ledgers name, in the order of the stamps."""
    stamped = [one for device in devices for one in device.stamped()]
    return [measured for _, measured in sorted(stamped, key=lambda one: one[0])]


def expected(named: list[Measured], uncounted: Events, released: list[list[bytes]]) -> Counts:
    """What the named events must count that are neither uncounted nor released, and each released batch by itself."""
    scenes = {key(one.event): one.scene for one in named}
    apart = uncounted + total(released)
    batches = [without(named, apart)]
    for bodies in released:
        batches.append([Measured(scenes[body], wire.decode(body, wire.Event)) for body in bodies])  # type: ignore[arg-type]
    return sum(map(counts, batches), Counter())


def without(named: Iterable[Measured], gone: Events) -> list[Measured]:
    left = Counter(gone)
    kept = []
    for one in named:
        body = key(one.event)
        if left[body]:
            left[body] -= 1
        else:
            kept.append(one)
    return kept
