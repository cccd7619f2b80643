"""How fast batches are committed, beside the least that PostgreSQL needs to store the same events.

Both sides start from events in memory, in one Python process, and take turns, one transaction a round:
`commit` with a batch from each of 20 sensors, and COPY of the same events as bare rows, without a key, without
counting, without cursors. Works in a database of its own, which is removed afterwards.

    python -m sensorapp.stack.run .venv/bin/python -m bench.commit
"""

from __future__ import annotations

import os
import statistics
import time
from datetime import UTC, datetime
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
django.setup()

import psycopg  # noqa: E402  # Django must be set up before these
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from analytics.ingest.commit import Incoming, commit  # noqa: E402
from analytics.ingest.decode import incoming  # noqa: E402
from analytics.ingest.directory import Directory, SensorFacts  # noqa: E402
from sensorapp import wire  # noqa: E402
from sensorapp.accounts.models import Organisation  # noqa: E402
from tests.cast import make_sensor, make_store  # noqa: E402
from tests.ingest.site import database_url  # noqa: E402

SENSORS, ROUNDS, WARM_UP = 20, 40, 5
CREATE = """CREATE TABLE bench_event
(sensor int8, epoch int8, seq int8, received_at timestamptz, kind int2, at int8, channel int4, value int4)"""
COPY = "COPY bench_event FROM STDIN (FORMAT binary)"
TYPES = ("int8", "int8", "int8", "timestamptz", "int2", "int8", "int4", "int4")


def enrol(connection: psycopg.Connection) -> list[SensorFacts]:
    store = make_store(Organisation.objects.create(name="Bench", slug="bench"), "bench", "UTC")
    names = [make_sensor(store, f"door {n}", ["door"])[0].public_id for n in range(SENSORS)]
    return list(Directory().sensors(connection, names).values())


def batch(sensor: SensorFacts, epoch: int, first_seq: int, size: int, random: Random) -> Incoming:
    """Crossings in both directions with a heartbeat at the end, within the last hour."""
    times = sorted(int(time.time() * 1000) - random.randrange(3_600_000) for _ in range(size))
    crossings = [wire.Crossing(at, 0, random.choice(("forward", "backward"))) for at in times[:-1]]
    events: list[wire.Event] = [*crossings, wire.Heartbeat(times[-1], 60_000, 1_800, 1_740, 41.5, 13_960)]
    message = wire.Batch(sensor.public_id, epoch, first_seq, "0123456789abcdef", 1, events)
    return incoming(message, sensor, "$.batches[0]")


def copy(connection: psycopg.Connection, batches: list[Incoming]) -> None:
    now = datetime.now(UTC)
    with connection.transaction(), connection.cursor().copy(COPY) as out:
        out.set_types(TYPES)
        for one in batches:
            columns = one.columns.kind, one.columns.at, one.columns.channel, one.columns.value
            for seq, event in enumerate(zip(*columns, strict=True), one.first_seq):
                out.write_row((one.sensor.id, one.epoch, seq, now, *event))


def measure(connection: psycopg.Connection, sensors: list[SensorFacts], size: int) -> tuple[float, float]:
    """Events a second of `commit` and of COPY, medians of all rounds but the first."""
    random, took = Random(size), []
    for step in range(WARM_UP + ROUNDS):
        batches = [batch(sensor, size, step * size, size, random) for sensor in sensors]
        begin = time.perf_counter()
        copy(connection, batches)
        between = time.perf_counter()
        acks, _ = commit(connection, batches)
        took.append((time.perf_counter() - between, between - begin))
        assert {ack.status for ack in acks} == {"stored"}
    committed, copied = (statistics.median(side) for side in zip(*took[WARM_UP:], strict=True))
    return SENSORS * size / committed, SENSORS * size / copied


def main() -> None:
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        with psycopg.connect(database_url(), autocommit=True) as connection:
            connection.execute(CREATE)
            [fsync] = connection.execute("SHOW fsync").fetchone() or ["?"]
            print(f"events/s, {SENSORS} sensors a transaction, median of {ROUNDS} rounds, fsync {fsync}")
            print(f"{'events a batch':>14} {'commit':>10} {'COPY':>10} {'ratio':>6}")
            sensors = enrol(connection)
            for size in (100, 1000):
                committed, copied = measure(connection, sensors, size)
                print(f"{size:14} {committed:10,.0f} {copied:10,.0f} {committed / copied:6.2f}")
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
