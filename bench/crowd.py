"""How many batches a second the server takes from a fleet, and how long each waits for its acknowledgement.

5 000 sensors in 250 stores report ten events at a time, each at its own moment of a common interval. Offered are
more and more batches a second; time counts from the moment at which an upload was due, so that one that has to
wait behind another counts in full. A rate is sustained if 99 of 100 uploads are acknowledged within 250 ms.
Server, database and load generator share the machine's cores, and PostgreSQL waits for the disk.

    python -m sensorapp.stack.run .venv/bin/python -m bench.crowd [--by gateways] [--rates 2000 5000] [--seconds 10]

Who sends: each store's gateway all its sensors' batches in one upload, as `python -m sensor_sim fleet` does, over
HTTP or over a stream; or each sensor its own, over a stream or over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from random import Random

import uvloop

from bench import _load, _site
from bench._cpu import cpu_seconds
from sensorapp import wire
from tests.ingest.site import clear

STORES, SENSORS, EVENTS = 250, 20, 10
GOAL_S = 0.25
WARM_UP_S = 2.0
RATES = (1000, 2000, 3000, 4000, 5000, 6000, 8000, 10_000)


@dataclass(slots=True)
class Sender:
    """One connection: those whose batches go over it, under which token, and where their numbers are."""

    token: str
    sensors: list[str]
    next_seq: int = 0

    def batches(self, at: int, interval_ms: int, random: Random) -> list[wire.Batch]:
        first_seq = self.next_seq
        self.next_seq += EVENTS
        span = max(EVENTS, interval_ms)
        return [
            _site.batch(sensor, first_seq, _site.events(at - span, span, EVENTS, random))
            for sensor in self.sensors
        ]


def senders(stores: Sequence[_site.Store], by: str) -> list[Sender]:
    if by.startswith("gateway"):
        return [Sender(store.token, list(store.sensors)) for store in stores]
    return [Sender(token, [sensor]) for store in stores for sensor, token in store.sensors.items()]


def connection(sender: Sender, by: str, totals: _load.Totals, port: int) -> _load.Connection:
    if by.endswith("streams"):
        return _load.Stream(totals, port, sender.token)
    return _load.Http(totals, port)


Upload = tuple[float, Callable[[float], None]]


def uploads(
    crowd: Sequence[Sender], connections: Sequence[_load.Connection], rate: float, seconds: float
) -> list[Upload]:
    """What is to be sent when, in seconds from the beginning."""
    random, now = Random(1), _site.now_ms()
    interval = STORES * SENSORS / rate
    planned: list[Upload] = []
    for step in range(max(1, round(seconds / interval))):
        for place, (sender, one) in enumerate(zip(crowd, connections, strict=True)):
            due = (step + place / len(crowd)) * interval
            batches = sender.batches(now + round(due * 1000), round(interval * 1000), random)
            if isinstance(one, _load.Stream):
                body = _load.message(batches)
            else:
                body = _load.request(sender.token, batches)
            planned.append((due, partial(one.send, body)))
    return planned


@dataclass(frozen=True, slots=True)
class Found:
    rate: float
    p50: float
    p99: float
    late: float

    @property
    def sustained(self) -> bool:
        return self.p99 <= GOAL_S


async def offer(
    crowd: Sequence[Sender], connections: Sequence[_load.Connection], rate: float, seconds: float
) -> Found:
    totals = connections[0].totals
    for part in (WARM_UP_S, seconds):
        planned = uploads(crowd, connections, rate, part)
        totals.batches, totals.seconds = 0, []
        begin = asyncio.get_running_loop().time()
        late = await _load.on_time(planned)
        for one in connections:
            await one.finished()
        took = asyncio.get_running_loop().time() - begin
    cuts = statistics.quantiles(totals.seconds, n=100)
    return Found(totals.batches / took, cuts[49], cuts[98], late)


async def measure(
    stores: Sequence[_site.Store],
    by: str,
    port: int,
    rates: Sequence[float],
    seconds: float,
    pids: dict[str, int],
) -> None:
    print(f"{'offered':>8} {'batches/s':>10} {'p50 ms':>8} {'p99 ms':>8}   CPU µs a batch: {', '.join(pids)}")
    async with AsyncExitStack() as stack:
        totals, crowd = _load.Totals(), senders(stores, by)
        connections = [connection(sender, by, totals, port) for sender in crowd]
        for one in connections:
            await one.open()
            stack.callback(one.close)
        for rate in rates:
            before = {name: cpu_seconds(pid) for name, pid in pids.items()}
            found = await offer(crowd, connections, rate, seconds)
            batches = sum(len(sender.sensors) for sender in crowd) * rate * (seconds + WARM_UP_S)
            batches /= STORES * SENSORS
            used = [(cpu_seconds(pid) - before[name]) / batches * 1e6 for name, pid in pids.items()]
            costs = ", ".join(f"{cost:.0f}" for cost in used)
            print(
                f"{rate:8,.0f} {found.rate:10,.0f} {found.p50 * 1e3:8.1f} {found.p99 * 1e3:8.1f}   {costs}"
                + ("" if found.sustained else "   not sustained"),
                flush=True,
            )
            if not found.sustained:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ways = ["gateways", "gateway-streams", "sensor-streams", "sensors"]
    parser.add_argument("--by", nargs="+", choices=ways, default=ways)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, help="batches a second, rising")
    parser.add_argument("--seconds", type=float, default=10.0, help="at each rate")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with _site.database() as database, _site.server() as server:
        stores = _site.enrol(STORES, SENSORS)
        pids = {"server": server.pid, "database": _site.postgres_pid(database)}
        print(f"{STORES * SENSORS} sensors in {STORES} stores, {EVENTS} events a batch, fsync on")
        for by in arguments.by:
            print(f"by {by}")
            uvloop.run(measure(stores, by, server.port, arguments.rates, arguments.seconds, pids))
            clear(database)


if __name__ == "__main__":
    main()
