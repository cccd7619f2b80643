"""What storing a fleet's events takes, beside other programs that could be used for it on the same machine.

Each side is fed the same events (100 a batch from each of 400 sensors, in uploads of 100 batches over 20 connections
that have one upload in flight each) in its own best format, encoded beforehand, by one process on the same cores;
they take turns. CPU seconds are those of all processes of a side, this one's part included, while it has its turn;
what a peer merges afterwards is not in them. Bytes on disk are what
its files or tables take in the end, after it has come to rest, without the log of writes ahead.

    python -m sensorapp.stack.run .venv/bin/python -m bench.peers [--events 400000] [--rounds 5]

Peers are looked for in PATH; `apt-get install influxdb victoria-metrics mosquitto` has all three on Debian 12.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import uvloop

from bench import _load, _site
from bench._cpu import used
from sensorapp import wire
from tests.server import free_port

STORES, SENSORS = 20, 20
SIZE, TOGETHER = 100, 100
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])

Store = Sequence[wire.Batch]


class Side(ABC):
    """One way to store events. ``durable``: whether what it has acknowledged outlives a loss of power."""

    name: str
    durable = True

    @abstractmethod
    def pids(self) -> list[int]:
        """The processes that store, with all below them."""

    @abstractmethod
    def encode(self, stores: list[Store]) -> list[list[bytes]]:
        """By connection, the uploads."""

    @abstractmethod
    def connection(self, totals: _load.Totals) -> _load.Connection: ...

    def settle(self) -> None:
        """Bring to the disk what a turn has left in memory; takes CPU time, but is not waited for."""
        return

    def bytes_on_disk(self) -> int | None:
        """None where nothing is stored."""
        return None

    def feed(self, uploads: list[list[bytes]]) -> float:
        """Send all; returns the seconds until the last is acknowledged."""
        return uvloop.run(self._feed(uploads))

    async def _feed(self, uploads: list[list[bytes]]) -> float:
        totals = _load.Totals()
        return await _load.feed([self.connection(totals) for _ in uploads], uploads)


# --- PostgreSQL ------------------------------------------------------------------------------------


class Postgres(Side):
    database: psycopg.Connection
    tables: str

    def settle(self) -> None:
        self.database.execute("CHECKPOINT")

    def bytes_on_disk(self) -> int:
        return _site.bytes_on_disk(self.database, self.tables)


class Sensorapp(Postgres):
    """Batches, buckets, cursors and all else of ingest, with their indexes."""

    name, tables = "sensorapp", "ingest_%"

    def __init__(self, stack: ExitStack, database: psycopg.Connection, stores: Sequence[_site.Store]) -> None:
        self.database, self.stores = database, stores
        self.server = stack.enter_context(_site.server())

    def pids(self) -> list[int]:
        return [self.server.pid, _site.postgres_pid(self.database)]

    def encode(self, stores: list[Store]) -> list[list[bytes]]:
        return [
            [_load.request(store.token, group, short=True) for group in _load.groups(batches, TOGETHER)]
            for store, batches in zip(self.stores, stores, strict=True)
        ]

    def connection(self, totals: _load.Totals) -> _load.Connection:
        return _load.Http(totals, self.server.port)


class BulkCreate(Postgres):
    """A row an event through Django's ORM, from this process without HTTP."""

    name, tables = "Django bulk_create", "bench_event"

    def __init__(self, database: psycopg.Connection) -> None:
        from django.db import connection, models

        class BenchEvent(models.Model):
            sensor = models.CharField(max_length=26)
            epoch = models.BigIntegerField()
            seq = models.BigIntegerField()
            kind = models.SmallIntegerField()
            at = models.BigIntegerField()
            channel = models.IntegerField()
            value = models.IntegerField()

            class Meta:
                app_label = "bench"
                db_table = "bench_event"
                constraints = [models.UniqueConstraint("sensor", "epoch", "seq", name="bench_event_once")]

        self.database, self.model = database, BenchEvent
        with connection.schema_editor() as editor:
            editor.create_model(BenchEvent)

    def pids(self) -> list[int]:
        return [_site.postgres_pid(self.database)]

    def encode(self, stores: list[Store]) -> list[list[bytes]]:
        self.ready = [group for batches in stores for group in _load.groups(batches, TOGETHER)]
        return []

    def feed(self, uploads: list[list[bytes]]) -> float:
        begin = time.perf_counter()
        for group in self.ready:
            self.model.objects.bulk_create([self.row(*event) for event in numbered(group)])  # type: ignore[attr-defined]
        return time.perf_counter() - begin

    def row(self, batch: wire.Batch, seq: int, event: wire.Event) -> object:
        if isinstance(event, wire.Crossing):
            fields = {"kind": 1, "channel": event.line, "value": int(event.direction == "forward")}
        else:
            assert isinstance(event, wire.Heartbeat)
            fields = {"kind": 5, "channel": 0, "value": event.observed_ms}
        return self.model(sensor=batch.sensor, epoch=batch.epoch, seq=seq, at=event.at, **fields)

    def connection(self, totals: _load.Totals) -> _load.Connection:
        raise NotImplementedError


def numbered(batches: Store) -> Iterator[tuple[wire.Batch, int, wire.Event]]:
    for batch in batches:
        for seq, event in enumerate(batch.events, batch.first_seq):
            yield batch, seq, event


# --- programs of their own -------------------------------------------------------------------------


class Program(Side):
    """A server with its data in a folder, on a free port."""

    program: str
    package: str

    def __init__(self, stack: ExitStack) -> None:
        self.port = free_port()
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        found = shutil.which(self.program, path=PATH)
        assert found
        self.process = subprocess.Popen(
            [found, *self.arguments()],
            env=os.environ | self.environment(),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(self.stop)
        self.prepare()

    def arguments(self) -> list[str]:
        return []

    def environment(self) -> dict[str, str]:
        return {}

    def prepare(self) -> None:
        """Wait until it is there."""

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def pids(self) -> list[int]:
        return [self.process.pid]

    def disk_usage(self, *folders: str) -> int:
        files = (path for folder in folders for path in (self.folder / folder).rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)


class Answered204(_load.Http):
    def stored(self, status: int, body: bytes) -> int:
        if status != 204:
            raise AssertionError(f"{status}: {body!r}")
        return TOGETHER


class HttpProgram(Program):
    """Takes lines of text over HTTP and answers with 204."""

    path: str

    def ask(self, method: str, path: str, **options: str) -> httpx.Response:
        """The answer, as soon as there is one."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return httpx.request(
                    method, f"http://127.0.0.1:{self.port}{path}", params=options, timeout=60
                ).raise_for_status()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def connection(self, totals: _load.Totals) -> _load.Connection:
        return Answered204(totals, self.port)

    def encode(self, stores: list[Store]) -> list[list[bytes]]:
        return [
            [self.request(self.lines(group)) for group in _load.groups(batches, TOGETHER)]
            for batches in stores
        ]

    def request(self, lines: Iterator[str]) -> bytes:
        body = "\n".join(lines).encode()
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    @abstractmethod
    def lines(self, batches: Store) -> Iterator[str]: ...


class Influx(HttpProgram):
    """Line protocol. Of two crossings in one direction in the same millisecond it keeps one."""

    name, program, package = "InfluxDB", "influxd", "influxdb"
    path = "/write?db=bench&precision=ms"

    def environment(self) -> dict[str, str]:
        return {
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
            "INFLUXDB_META_DIR": str(self.folder / "meta"),
            "INFLUXDB_DATA_DIR": str(self.folder / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(self.folder / "wal"),
            # What it has in memory goes into its files soon after the last write, and not in ten minutes.
            "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "2s",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
        }

    def prepare(self) -> None:
        self.ask("POST", "/query", q="CREATE DATABASE bench")

    def lines(self, batches: Store) -> Iterator[str]:
        for batch, seq, event in numbered(batches):
            if isinstance(event, wire.Crossing):
                tags = f"crossing,sensor={batch.sensor},line={event.line},direction={event.direction}"
                yield f"{tags} seq={seq}i {event.at}"
            elif isinstance(event, wire.Heartbeat):
                values = (
                    f"seq={seq}i,observed_ms={event.observed_ms}i,frames={event.frames}i,"
                    f"inferences={event.inferences}i,temperature_c={event.temperature_c},dnn_us={event.dnn_us}i"
                )
                yield f"heartbeat,sensor={batch.sensor} {values} {event.at}"

    def bytes_on_disk(self) -> int:
        while any((self.folder / "wal").rglob("*.wal")) and self.cold_soon():
            time.sleep(1)
        return self.disk_usage("data")

    def cold_soon(self) -> bool:
        newest = max((path.stat().st_mtime for path in (self.folder / "wal").rglob("*.wal")), default=0)
        return time.time() - newest < 15


class Victoria(HttpProgram):
    """JSON lines, one a series and upload. What it has acknowledged is on disk some seconds later."""

    name, program, package = "VictoriaMetrics", "victoria-metrics", "victoria-metrics"
    path = "/api/v1/import"
    durable = False

    def arguments(self) -> list[str]:
        return [
            f"-storageDataPath={self.folder}/data",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-loggerLevel=ERROR",
        ]

    def prepare(self) -> None:
        self.ask("GET", "/health")

    def lines(self, batches: Store) -> Iterator[str]:
        series: dict[tuple[str, ...], list[tuple[int, float]]] = {}
        for batch, _, event in numbered(batches):
            if isinstance(event, wire.Crossing):
                key = ("crossing", batch.sensor, str(event.line), event.direction)
                series.setdefault(key, []).append((event.at, 1))
            elif isinstance(event, wire.Heartbeat):
                for name in ("observed_ms", "frames", "inferences", "temperature_c", "dnn_us"):
                    series.setdefault((name, batch.sensor), []).append((event.at, getattr(event, name)))
        for key, samples in series.items():
            labels = dict(zip(("__name__", "sensor", "line", "direction"), key, strict=False))
            times, values = zip(*samples, strict=True)
            yield json.dumps({"metric": labels, "values": values, "timestamps": times}, separators=(",", ":"))

    def settle(self) -> None:
        self.ask("GET", "/internal/force_flush")

    def bytes_on_disk(self) -> int:
        time.sleep(5)
        return self.disk_usage("data")


# --- a bare transport ------------------------------------------------------------------------------


class Mosquitto(Program):
    """MQTT 3.1.1 with QoS 1 from publishers to one subscriber, batches as MessagePack; nothing is kept."""

    name, program, package = "Mosquitto, QoS 1", "mosquitto", "mosquitto"
    durable = False

    def arguments(self) -> list[str]:
        settings = self.folder / "mosquitto.conf"
        lines = (
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "max_queued_messages 0",
            "user root",
        )
        settings.write_text("\n".join(lines))
        return ["-c", str(settings)]

    def encode(self, stores: list[Store]) -> list[list[bytes]]:
        return [list(map(publish, itertools.cycle(range(1, 65_536)), batches)) for batches in stores]

    def connection(self, totals: _load.Totals) -> _load.Connection:
        return Mqtt(totals, self.port)

    async def _feed(self, uploads: list[list[bytes]]) -> float:
        loop, received = asyncio.get_running_loop(), _load.Totals()
        subscriber = Mqtt(received, self.port)
        while True:
            try:
                await subscriber.open()
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
        subscriber.transport.write(packet(0x82, (1).to_bytes(2, "big") + text("bench/#") + b"\x01"))
        begin = loop.time()
        await super()._feed(uploads)
        while received.batches < sum(map(len, uploads)):
            if subscriber.failed.done():
                await subscriber.failed
            await asyncio.sleep(0.005)
        subscriber.close()
        return loop.time() - begin


class Mqtt(_load.Connection):
    rest = b""

    async def open(self) -> None:
        await super().open()
        self.transport.write(packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text(f"b{id(self)}")))

    def read(self, data: bytes) -> None:
        self.rest += data
        begin = 0
        while (found := whole(self.rest, begin)) is not None:
            kind, body, begin = self.rest[begin] & 0xF0, *found
            if kind == 0x40:
                self.answered(1)
            elif kind == 0x30:
                self.totals.batches += 1
                after = 2 + int.from_bytes(body[:2], "big")
                self.transport.write(packet(0x40, body[after : after + 2]))
        self.rest = self.rest[begin:]


def publish(number: int, batch: wire.Batch) -> bytes:
    body = text(f"bench/{batch.sensor}") + number.to_bytes(2, "big")
    return packet(0x32, body + wire.encode(batch, wire.MSGPACK))


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def packet(head: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (0x80 if rest else 0)])
        if not rest:
            return bytes([head]) + length + body


def whole(data: bytes, begin: int) -> tuple[bytes, int] | None:
    """The body of the packet that begins there, and where it ends; None while it is not all there."""
    length = 0
    for place in range(4):
        at = begin + 1 + place
        if at >= len(data):
            return None
        length |= (data[at] & 0x7F) << (7 * place)
        if data[at] < 0x80:
            break
    end = at + 1 + length
    return (data[at + 1 : end], end) if end <= len(data) else None


# --- side by side ----------------------------------------------------------------------------------


def present(stack: ExitStack) -> Iterator[Side]:
    for kind in (Influx, Victoria, Mosquitto):
        if shutil.which(kind.program, path=PATH):
            yield kind(stack)
        else:
            print(f"{kind.name} is left out: `apt-get install {kind.package}` puts it here.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=400_000, help="in a turn of each side")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with _site.database() as database, ExitStack() as stack:
        feed = _site.Feed(_site.enrol(STORES, SENSORS))
        sides = [
            Sensorapp(stack, database, feed.stores),
            *present(stack),
            BulkCreate(database),
        ]
        rates: dict[str, list[float]] = {side.name: [] for side in sides}
        cpu = dict.fromkeys(rates, 0.0)
        for _ in range(arguments.rounds):
            stores = feed.take(arguments.events, SIZE)
            events = sum(len(batch.events) for batches in stores for batch in batches)
            for side in sides:
                uploads = side.encode(stores)
                before = used(side.pids())
                rates[side.name].append(events / side.feed(uploads))
                side.settle()
                cpu[side.name] += used(side.pids()) - before
        total = events * arguments.rounds
        print(f"{total:,} events in {arguments.rounds} turns, median rate; fsync on")
        print(f"{'':>20} {'events/s':>10} {'CPU s a million':>16} {'bytes an event':>15}  durable")
        for side in sides:
            size = side.bytes_on_disk()
            stored = f"{size / total:15.1f}" if size is not None else f"{'-':>15}"
            print(
                f"{side.name:>20} {statistics.median(rates[side.name]):10,.0f}"
                f" {cpu[side.name] / total * 1e6:16.2f} {stored}  {'yes' if side.durable else 'no'}"
            )


if __name__ == "__main__":
    main()
