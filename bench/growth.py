"""Whether an event costs the same however many are stored already.

The server is fed over HTTP by stores' gateways, with a batch of 100 events of each sensor in a request, every batch
an hour after the sensor's last; so buckets grow with the events. Whenever so many millions are stored, the next
events are measured: how fast they go, and the CPU time of server and database. As the machine may be faster at one
time than at another, COPY of the same events as rows into an empty table takes turns with them, and what is compared
is an event's cost in those of COPY.

    python -m sensorapp.stack.run .venv/bin/python -m bench.growth [--millions 1 10] [--events 400000] [--rounds 5]

Ten million take about a quarter of a gigabyte of disk and half a minute, a hundred million ten times as much.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import uvloop

from bench import _load, _site
from bench._cpu import used
from bench.bulk import CREATE, copy, rows, upload
from sensorapp import wire

STORES, SENSORS, SIZE = 20, 20, 100
AT_ONCE = 400_000


class Hourly(_site.Feed):
    """Each sensor's batches an hour apart, the last of ``hours`` in this one."""

    def __init__(self, stores: list[_site.Store], hours: int) -> None:
        super().__init__(stores)
        self.first = _site.now_ms() - hours * _site.HOUR_MS

    def time(self, first_seq: int, passed: float, span: int) -> tuple[int, int]:
        return self.first + first_seq // SIZE * _site.HOUR_MS, _site.HOUR_MS


def requests(feed: Hourly, stores: list[list[wire.Batch]]) -> list[list[bytes]]:
    """By gateway, what it sends."""
    return [
        [_load.request(store.token, group) for group in _load.groups(its, SENSORS)]
        for store, its in zip(feed.stores, stores, strict=True)
    ]


def send(port: int, uploads: list[list[bytes]]) -> float:
    return uvloop.run(upload(port, uploads))


def cost(pids: Sequence[int], work: Callable[[], float]) -> tuple[float, float]:
    """Seconds that the work takes, and the CPU time of these processes and this one."""
    before = used(pids)
    took = work()
    return took, used(pids) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 10], help="rising")
    parser.add_argument("--events", type=int, default=AT_ONCE, help="that are measured in a round")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    most = arguments.millions[-1] * 1_000_000 + arguments.rounds * arguments.events * len(arguments.millions)
    with _site.database() as database, _site.server() as server:
        feed = Hourly(_site.enrol(STORES, SENSORS), most // (STORES * SENSORS * SIZE) + 24)
        pids = server.pid, _site.postgres_pid(database)
        database.execute(CREATE)
        stored, first = 0, 0.0
        print(
            f"{'millions':>8} {'events/s':>10} {'CPU µs an event':>16} {'of COPY':>8} {'of the first':>13} {'bytes':>6}"
        )
        for millions in arguments.millions:
            while stored < millions * 1_000_000:
                uploads = requests(feed, feed.take(AT_ONCE, SIZE))
                send(server.port, uploads)
                stored += AT_ONCE
            turns = []
            for _ in range(arguments.rounds):
                stores = feed.take(arguments.events, SIZE)
                uploads, now = requests(feed, stores), datetime.now(UTC)
                ready = [row for batch in itertools.chain(*stores) for row in rows(batch, now)]
                _, copied = cost(pids, partial(copy, database, ready))
                took, spent = cost(pids, partial(send, server.port, uploads))
                database.execute("TRUNCATE bench_event")
                turns.append((len(ready) / took, spent / len(ready) * 1e6, spent / copied))
                stored += len(ready)
            rate, spent, ratio = map(statistics.median, zip(*turns, strict=True))
            first = first or ratio
            size = _site.bytes_on_disk(database, "ingest_%")
            print(
                f"{millions:8} {rate:10,.0f} {spent:16.2f} {ratio:8.2f} {ratio / first:13.2f}"
                f" {size / stored:6.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
