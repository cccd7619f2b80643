"""How many updates of buckets stay on their page (HOT), and what buckets take on disk, by fillfactor.

Some sensors with a door, a zone and ten slots each report once a minute for hours; each commit holds one batch
of each. Works in a database of its own, which is removed afterwards.

    python -m sensorapp.stack.run .venv/bin/python -m bench.buckets
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
django.setup()

import psycopg  # noqa: E402  # Django must be set up before these
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from analytics.ingest.commit import commit  # noqa: E402
from analytics.ingest.decode import incoming, read  # noqa: E402
from analytics.ingest.directory import Directory, SensorFacts  # noqa: E402
from analytics.metrics import BUCKET_MS  # noqa: E402
from sensorapp import wire  # noqa: E402
from sensorapp.accounts.models import Organisation  # noqa: E402
from tests.cast import make_sensor, make_store  # noqa: E402
from tests.ingest.site import database_url  # noqa: E402

SENSORS, SLOTS, MINUTES = 40, 10, 1440
BEGIN = 1_780_000_000_000 // BUCKET_MS * BUCKET_MS
SHIPPED = "as it is"


def enrol(connection: psycopg.Connection) -> list[SensorFacts]:
    store = make_store(Organisation.objects.create(name="Bench", slug="bench"), "bench", "UTC")
    slots = [f"A-{number}" for number in range(SLOTS)]
    names = [make_sensor(store, f"eye {n}", ["door"], ["table"], slots)[0].public_id for n in range(SENSORS)]
    return list(Directory().sensors(connection, names).values())


def minute(begin: int, random: Random) -> Iterator[wire.Event]:
    """What a sensor reports of a minute: passers, people at the table, now and then a slot, and a heartbeat."""
    for at in sorted(begin + random.randrange(60_000) for _ in range(5)):
        yield wire.Crossing(at, 0, random.choice(("forward", "backward")))
    yield wire.Occupancy(begin + 59_000, 0, random.randrange(4))
    if random.random() < 0.5:
        yield wire.Shelf(begin + 59_500, random.randrange(SLOTS), random.randrange(8), 0.9)
    yield wire.Heartbeat(begin + 60_000, 60_000, 1_800, 1_740, 41.5, 13_960)


def report(connection: psycopg.Connection, sensors: list[SensorFacts]) -> None:
    random = Random(1)
    next_seq = dict.fromkeys((sensor.id for sensor in sensors), 0)
    for step in range(MINUTES):
        batches = []
        for sensor in sensors:
            sent = list(minute(BEGIN + step * 60_000, random))
            message = wire.Batch(sensor.public_id, 1, next_seq[sensor.id], "0123456789abcdef", 1, sent)
            batches.append(incoming(*read([message]), sensor, "$.batches[0]"))
            next_seq[sensor.id] += len(sent)
        commit(connection, batches)


def measure(connection: psycopg.Connection, sensors: list[SensorFacts], fillfactor: str) -> tuple[int, ...]:
    """Rows, updates, HOT updates, and bytes of table and of indexes."""
    connection.execute(
        "TRUNCATE ingest_batch, ingest_cursor, ingest_gauge, ingest_bucket, ingest_late_bucket"
    )
    if fillfactor != SHIPPED:
        connection.execute(f"ALTER TABLE ingest_bucket SET (fillfactor = {int(fillfactor)})")
    connection.execute("SELECT pg_stat_reset_single_table_counters('ingest_bucket'::regclass)")
    report(connection, sensors)
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(
        "SELECT (SELECT count(*) FROM ingest_bucket), n_tup_upd, n_tup_hot_upd,"
        " pg_table_size(relid), pg_indexes_size(relid)"
        " FROM pg_stat_user_tables WHERE relname = 'ingest_bucket'"
    ).fetchone()
    assert row
    return row


def main() -> None:
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        with psycopg.connect(database_url(), autocommit=True) as connection:
            sensors = enrol(connection)
            print(f"{SENSORS} sensors with {SLOTS} slots each, {MINUTES} minutes, a commit a minute")
            print(
                f"{'fillfactor':>10} {'rows':>8} {'updates':>9} {'HOT':>6} {'table B/row':>12} {'index B/row':>12}"
            )
            for fillfactor in (SHIPPED, "50", "70"):
                rows, updates, hot, table, indexes = measure(connection, sensors, fillfactor)
                share = hot / updates
                print(
                    f"{fillfactor:>10} {rows:8} {updates:9} {share:6.1%} {table / rows:12.0f} {indexes / rows:12.0f}"
                )
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
