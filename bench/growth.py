"""Whether an event costs the same however many are stored already.

The server is fed over HTTP by stores' gateways, with a batch of 100 events of each sensor in a request, every batch
an hour after the sensor's last; so buckets grow with the events. Whenever so many millions are stored, the next
events are measured: how fast they go, and the CPU time of server and database.

    python bench/growth.py [--millions 1 10] [--events 400000] [--rounds 5]

Ten million take about half a gigabyte of disk and a minute, a hundred million ten times as much.
"""

from __future__ import annotations

import argparse
import itertools
import statistics

import uvloop

from bench import _load, _site
from bench.bulk import upload

STORES, SENSORS, SIZE = 20, 20, 100
AT_ONCE = 400_000
TABLES = (
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'ingest_%' AND relkind = 'r'"
)


class Hourly(_site.Feed):
    """Each sensor's batches an hour apart, the last of ``hours`` in this one."""

    def __init__(self, stores: list[_site.Store], hours: int) -> None:
        super().__init__(stores)
        self.first = _site.now_ms() - hours * _site.HOUR_MS

    def begin(self, first_seq: int) -> int:
        return self.first + first_seq // SIZE * _site.HOUR_MS


def requests(feed: Hourly, events: int) -> tuple[list[list[bytes]], int]:
    """By gateway, what it sends next, and how many events that is."""
    stores = feed.take(events, SIZE)
    uploads = [
        [_load.request(store.token, its[place : place + SENSORS]) for place in range(0, len(its), SENSORS)]
        for store, its in zip(feed.stores, stores, strict=True)
    ]
    return uploads, sum(len(batch.events) for batch in itertools.chain(*stores))


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
        stored, first = 0, 0.0
        print(f"{'millions':>8} {'events/s':>10} {'CPU µs an event':>16} {'of the first':>13} {'bytes':>6}")
        for millions in arguments.millions:
            while stored < millions * 1_000_000:
                uploads, events = requests(feed, AT_ONCE)
                uvloop.run(upload(server.port, uploads))
                stored += events
            rates, costs = [], []
            for _ in range(arguments.rounds):
                uploads, events = requests(feed, arguments.events)
                before = sum(map(_site.cpu_seconds, pids))
                rates.append(events / uvloop.run(upload(server.port, uploads)))
                costs.append((sum(map(_site.cpu_seconds, pids)) - before) / events * 1e6)
                stored += events
            cost = statistics.median(costs)
            first = first or cost
            [size] = database.execute(TABLES).fetchone() or [0]
            print(
                f"{millions:8} {statistics.median(rates):10,.0f} {cost:16.2f} {cost / first:13.2f}"
                f" {int(size) / stored:6.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
