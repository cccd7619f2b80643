"""How much of a core a fleet of 10 000 sensors needs at one batch a second each, beside bare httpx.

500 stores of 20 sensors, open around the clock, each sensor with a heartbeat a second beside what it counts.
`python -m sensor_sim fleet` runs on one core; on another, a server that acknowledges everything
(`bench._peer`). Measured for 60 s after the fleet has caught up with its own start: batches and events as
the server counts them, CPU time (user and system) and resident memory of the fleet's process as the kernel
does. The baseline sends as many batches in as many requests, encoded beforehand, with httpx and nothing
else, from the same core to the same server; the ratio is CPU time for CPU time, per batch.

Then 200 sensors live through a day in half a minute, for the memory.

    python -m bench.fleet [--seconds 60] [--stores 500]
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import time as clock_time
from pathlib import Path

import httpx

from bench._cpu import cpu_times
from sensor_sim.device import uplink
from sensor_sim.fleet import layout
from sensor_sim.fleet import plan as p
from sensor_sim.fleet.schedule import Feed, Schedule
from sensorapp import wire
from tests.server import free_port

ROOT = Path(__file__).resolve().parent.parent
SENSORS = 20
# A busy supermarket around the clock, but for half an hour in which the last people leave.
VISITORS, OPEN = 2_000.0, (clock_time(0), clock_time(23, 30))


def make_plan(stores: int, *, heartbeat_ms: int, upload_ms: int) -> p.Plan:
    now = int(time.time() * 1000)
    ids = (f"s-bench{number:06}" for number in itertools.count())
    demand = p.Demand(VISITORS, [1.0] * 7, [1.0] * 24, [1.0] * 24)
    return p.Plan(
        p.SCHEDULE,
        1,
        datetime.fromtimestamp(now / 1000, UTC).date(),
        now // p.QUARTER * p.QUARTER,
        [
            p.Store(
                f"store-{number}",
                f"g-bench{number:04}.secret",
                "UTC",
                [OPEN] * 7,
                demand,
                layout.sensors([next(ids) for _ in range(SENSORS)]),
            )
            for number in range(stores)
        ],
        heartbeat_ms=heartbeat_ms,
        upload_ms=upload_ms,
        since=now,
    )


# --- processes -------------------------------------------------------------------------------------


@contextmanager
def process(core: int, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Python with these arguments, on one core."""
    pinned = ["taskset", "--cpu-list", str(core), sys.executable, *command]
    with subprocess.Popen(pinned, cwd=ROOT, stdout=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)


def resident_mib(pid: int) -> float:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024


def totals(url: str) -> dict[str, int]:
    answer: dict[str, int] = httpx.get(url).json()
    return answer


def wait_for(url: str, server: subprocess.Popen[bytes], at_most: float = 30.0) -> None:
    deadline = time.monotonic() + at_most
    while time.monotonic() < deadline:
        still_runs("the server", server)
        try:
            totals(url)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"bench.fleet: the server at {url} does not answer after {at_most:g} s; run it again")


def still_runs(what: str, child: subprocess.Popen[bytes]) -> None:
    if (status := child.poll()) is not None:
        raise SystemExit(f"bench.fleet: {what} ended with status {status}; what it said stands above")


@contextmanager
def fleet(plan: p.Plan, url: str, core: int, speed: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    """The fleet's process, from the moment on at which every sensor has sent its past."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        p.write(plan, path)
        command = ["-m", "sensor_sim", "fleet", "--url", url, "--plan", str(path), "--speed", str(speed)]
        with process(core, *command) as child:
            yield child


def wait_until_steady(url: str, child: subprocess.Popen[bytes], sensors: int, at_most: float = 180.0) -> None:
    """Until for three seconds about as many batches a second came as there are sensors."""
    begun = then = time.monotonic()
    before, steady, rate = totals(url)["batches"], 0, 0.0
    while steady < 3:
        if then - begun >= at_most:
            raise SystemExit(
                f"bench.fleet: after {at_most:g} s a sensor sends {rate:.2f} batches a second and not 1;"
                " give fewer --stores, or cores that do nothing else"
            )
        time.sleep(1)
        still_runs("the fleet", child)
        now, batches = time.monotonic(), totals(url)["batches"]
        rate = (batches - before) / (now - then) / sensors
        steady = steady + 1 if 0.95 < rate < 1.05 else 0
        then, before = now, batches


# --- measurements ----------------------------------------------------------------------------------


def measure(plan: p.Plan, url: str, core: int, seconds: float) -> float:
    """Print what the fleet does; returns its CPU seconds a batch."""
    sensors = sum(len(store.sensors) for store in plan.stores)
    begun = time.monotonic()
    with fleet(plan, url, core) as child:
        wait_until_steady(url, child, sensors)
        pid = child.pid
        print(f"{sensors} sensors in {len(plan.stores)} stores, ready after {time.monotonic() - begun:.1f} s")
        memory = [resident_mib(pid)]
        before, cpu, start = totals(url), cpu_times(pid)[:2], time.monotonic()
        for _ in range(2):
            time.sleep(seconds / 2)
            memory.append(resident_mib(pid))
        took, after = time.monotonic() - start, totals(url)
        user, system = (now - then for now, then in zip(cpu_times(pid)[:2], cpu, strict=True))
    batches, events = after["batches"] - before["batches"], after["events"] - before["events"]
    print(f"  {batches / took:10,.0f} batches/s, {batches / took / sensors:.3f} a sensor")
    print(
        f"  {events / took:10,.0f} events/s in {(after['requests'] - before['requests']) / took:,.0f} requests/s"
    )
    print(
        f"  {(user + system) / took:10.2f} CPU seconds a second ({system / took:.2f} of them in the kernel),"
        f" {(user + system) / batches * 1e6:.1f} µs a batch"
    )
    print(f"  memory at the start, in the middle and at the end: {mebibytes(memory)}")
    print(f"  sequence numbers that did not go on: {after['broken'] - before['broken']}")
    return (user + system) / batches


def mebibytes(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values) + " MiB"


def baseline(plan: p.Plan, url: str, seconds: float) -> float:
    """CPU seconds a batch of httpx alone, with one request a store, one after the other."""
    requests = list(encoded(plan))
    sent, address = 0, uplink.address(url)
    with httpx.Client(timeout=30) as client:
        begun, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - begun < seconds:
            for headers, body, batches in requests:
                client.post(address, content=body, headers=headers).raise_for_status()
                sent += batches
        used = time.process_time() - cpu
    print(f"httpx alone: {sent / used:,.0f} batches a CPU second, {used / sent * 1e6:.1f} µs a batch")
    return used / sent


def encoded(plan: p.Plan) -> Iterator[tuple[dict[str, str], bytes, int]]:
    """What 20 stores send in one second, as requests."""
    for store in plan.stores[:20]:
        schedule = Schedule(plan, store)
        feeds = [Feed(schedule, sensor) for sensor in store.sensors]
        batches = [batch for feed in feeds if (batch := feed.take(plan.since + 1_000, 1_000))]
        yield uplink.headers(store.token), wire.encode(wire.Upload(batches), wire.MSGPACK), len(batches)


def measure_a_day(stores: int, url: str, core: int, seconds: float) -> None:
    """A day and an hour in ``seconds``, with a heartbeat a minute."""
    plan = make_plan(stores, heartbeat_ms=60_000, upload_ms=1_000)
    with fleet(plan, url, core, speed=round(25 * 3_600 / seconds)) as child:
        time.sleep(10)
        memory = []
        for _ in range(6):
            still_runs("the fleet", child)
            memory.append(resident_mib(child.pid))
            time.sleep(seconds / 5)
        print(f"{stores * SENSORS} sensors through 30 hours: {mebibytes(memory)}")


def two_cores() -> tuple[int, int]:
    """One for the fleet and one for the server: on the same one, either is measured with the other."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit(
            "bench.fleet: it needs two cores, one for the fleet and one for the server; here is one"
        )
    return cores[0], cores[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stores", type=int, default=500)
    arguments = parser.parse_args()
    core, other = two_cores()
    url = f"http://127.0.0.1:{free_port()}"
    with process(other, "-m", "bench._peer", url.rpartition(":")[2]) as server:
        wait_for(url, server)
        os.sched_setaffinity(0, {core})
        plan = make_plan(arguments.stores, heartbeat_ms=1_000, upload_ms=1_000)
        bare = baseline(plan, url, min(10.0, arguments.seconds))
        own = measure(
            make_plan(arguments.stores, heartbeat_ms=1_000, upload_ms=1_000), url, core, arguments.seconds
        )
        print(f"  {own / bare:10.2f} of what httpx alone needs")
        # Time passes at most 10 000 times as fast.
        measure_a_day(max(1, arguments.stores // 50), url, core, min(30.0, max(9.0, arguments.seconds)))


if __name__ == "__main__":
    main()
