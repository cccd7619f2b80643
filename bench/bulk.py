"""How fast batches go over HTTP into committed batches and buckets, beside COPY of the same events as bare rows.

One side is the whole server as a process of its own, fed by this process, either by each sensor over its own
connection with a batch in each request, or by stores' gateways with 20 or 100 batches of their sensors; a connection
has one request in flight. ``columns`` are the short form of events, in MessagePack. The other is this process, which
writes the same events as rows with COPY in binary, without HTTP, key, counting or cursors, in transactions as large as
the server makes them at most. Both sides take turns on the same cores, seconds long, so that how a turn begins and
ends weighs little; everything that is sent is encoded, and every row made, before a turn begins. The second ratio is
with the time in which COPY's rows are made of events, as the server has to make its own of bytes.

    python -m sensorapp.stack.run .venv/bin/python -m bench.bulk [--rounds 5] [--forms columns]

``UVICORN_WORKERS`` says how many web processes there are.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import uvloop

from bench import _load, _site
from bench._cpu import used
from sensorapp import wire
from tests.server import Server

STORES, SENSORS = 40, 20
WARM_UP = 1
# The most that the server commits at once.
EVENTS_A_TRANSACTION = 20_000
CREATE = """CREATE TABLE bench_event
(sensor int8, epoch int8, seq int8, received_at timestamptz, kind int2, at int8, channel int4, value int4)"""
COPY = "COPY bench_event FROM STDIN (FORMAT binary)"
TYPES = ("int8", "int8", "int8", "timestamptz", "int2", "int8", "int4", "int4")
# Media type, and whether events come in columns.
FORMS = {"JSON": (wire.JSON, False), "MessagePack": (wire.MSGPACK, False), "columns": (wire.MSGPACK, True)}

Row = tuple[int, int, int, datetime, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """How events come: so many in a batch, and so many batches in a gateway's upload, or from each sensor by itself."""

    events: int
    together: int | None
    form: str

    @property
    def sent_by(self) -> str:
        return f"gateways, {self.together}" if self.together else "sensors"


SHAPES = (
    Shape(100, None, "JSON"),
    Shape(100, None, "MessagePack"),
    Shape(100, None, "columns"),
    Shape(100, 20, "JSON"),
    Shape(100, 20, "MessagePack"),
    Shape(100, 20, "columns"),
    Shape(100, 100, "MessagePack"),
    Shape(100, 100, "columns"),
    Shape(1000, None, "columns"),
    Shape(1000, 20, "MessagePack"),
    Shape(1000, 20, "columns"),
)


def requests(store: _site.Store, batches: Sequence[wire.Batch], shape: Shape) -> Iterator[list[bytes]]:
    """By connection, what goes over it."""
    form = FORMS[shape.form]
    if shape.together:
        yield [_load.request(store.token, group, *form) for group in _load.groups(batches, shape.together)]
    else:
        for sensor, token in store.sensors.items():
            its = [batch for batch in batches if batch.sensor == sensor]
            yield [_load.request(token, [batch], *form) for batch in its]


def rows(batch: wire.Batch, now: datetime) -> Iterator[Row]:
    """A batch's events as rows; the sensor as a number, as the backend knows it."""
    sensor = int.from_bytes(batch.sensor.encode()[-6:], "big")
    for seq, event in enumerate(batch.events, batch.first_seq):
        if isinstance(event, wire.Crossing):
            yield sensor, batch.epoch, seq, now, 1, event.at, event.line, int(event.direction == "forward")
        elif isinstance(event, wire.Heartbeat):
            yield sensor, batch.epoch, seq, now, 5, event.at, 0, event.observed_ms


def copy(connection: psycopg.Connection, ready: list[Row]) -> float:
    begin = time.perf_counter()
    for place in range(0, len(ready), EVENTS_A_TRANSACTION):
        with connection.transaction(), connection.cursor().copy(COPY) as out:
            out.set_types(TYPES)
            for row in ready[place : place + EVENTS_A_TRANSACTION]:
                out.write_row(row)
    return time.perf_counter() - begin


async def upload(port: int, uploads: Sequence[Sequence[bytes]]) -> float:
    totals = _load.Totals()
    return await _load.feed([_load.Http(totals, port) for _ in uploads], uploads)


@dataclass(slots=True)
class Turn:
    """Seconds an event that a side took, and of CPU time that all its processes used.

    ``from_events`` is the time of COPY with that in which its rows were made of events.
    """

    seconds: float
    cpu: float
    from_events: float = 0.0


def measure(
    connection: psycopg.Connection, server: Server, feed: _site.Feed, shape: Shape, events: int
) -> tuple[Turn, Turn]:
    """One turn of each side: of the server, and of COPY."""
    batches = feed.take(events, shape.events)
    now = datetime.now(UTC)
    before = time.perf_counter()
    ready = [row for batch in itertools.chain(*batches) for row in rows(batch, now)]
    made = time.perf_counter() - before
    uploads = [
        its_requests
        for store, its in zip(feed.stores, batches, strict=True)
        for its_requests in requests(store, its, shape)
    ]
    pids = _site.postgres_pid(connection), server.pid
    begin = used(pids)
    copied = copy(connection, ready)
    between = used(pids)
    uploaded = uvloop.run(upload(server.port, uploads))
    end = used(pids)
    connection.execute("TRUNCATE bench_event")
    count = len(ready)
    return (
        Turn(uploaded / count, (end - between) / count),
        Turn(copied / count, (between - begin) / count, (copied + made) / count),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=3_200_000, help="in a turn")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="only these")
    arguments = parser.parse_args()
    print(
        f"events/s, {STORES * SENSORS} sensors in {STORES} stores, median of {arguments.rounds} rounds"
        f" of {arguments.events:,} events, fsync on"
    )
    print(
        f"{'events':>6} {'sent by':>13} {'form':>11} {'HTTP':>10} {'COPY':>10} {'ratio':>6} {'rows made':>9}"
        f"   {'CPU µs an event':>15} {'COPY':>5}"
    )
    for shape in (shape for shape in SHAPES if shape.form in arguments.forms):
        print(row(shape, take_turns(shape, arguments.rounds, arguments.events)), flush=True)


def take_turns(shape: Shape, rounds: int, events: int) -> list[tuple[Turn, Turn]]:
    """Of both sides, beginning with an empty database."""
    with _site.database() as connection, _site.server() as server:
        connection.execute(CREATE)
        feed = _site.Feed(_site.enrol(STORES, SENSORS))
        turns = [measure(connection, server, feed, shape, events) for _ in range(WARM_UP + rounds)]
    return turns[WARM_UP:]


def row(shape: Shape, turns: Sequence[tuple[Turn, Turn]]) -> str:
    """The medians."""
    ratio = statistics.median(copied.seconds / uploaded.seconds for uploaded, copied in turns)
    made = statistics.median(copied.from_events / uploaded.seconds for uploaded, copied in turns)
    uploads, copies = zip(*turns, strict=True)
    return (
        f"{shape.events:6} {shape.sent_by:>13} {shape.form:>11}"
        f" {1 / statistics.median(turn.seconds for turn in uploads):10,.0f}"
        f" {1 / statistics.median(turn.seconds for turn in copies):10,.0f} {ratio:6.2f} {made:9.2f}"
        f"   {statistics.median(turn.cpu for turn in uploads) * 1e6:15.2f}"
        f" {statistics.median(turn.cpu for turn in copies) * 1e6:5.2f}"
    )


if __name__ == "__main__":
    main()
