"""A database from before events were packed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from random import Random

import psycopg
import pytest

from analytics.ingest.packed import unpack
from analytics.ingest.partitions import create_partitions
from sensorapp import wire
from sensorapp.columns import TYPES, decode, encode

NOON = datetime(2026, 6, 16, 12, tzinfo=UTC)
DAYS = 3


def migration(name: str) -> object:
    return import_module(f"analytics.ingest.migrations.{name}")


@pytest.fixture
def old(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The tables as they were, in a schema of their own; all of it is taken back."""
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA old; SET LOCAL search_path = old")
        connection.execute(migration("0001_tables").TABLES)  # type: ignore[attr-defined]
        create_partitions(connection, NOON.date(), (NOON + timedelta(days=DAYS)).date())
        connection.execute(migration("0004_set_aside").SET_ASIDE)  # type: ignore[attr-defined]
        connection.execute(migration("0005_archive").TABLES)  # type: ignore[attr-defined]
        yield connection


def sent(random: Random) -> list[wire.Event]:
    at = int(NOON.timestamp() * 1000)
    kinds = (
        lambda: wire.Crossing(at + random.randrange(10**6), random.randrange(3), "forward"),
        lambda: wire.Shelf(at + random.randrange(10**6), 7, random.randrange(9), 0.25),
        lambda: wire.Heartbeat(at + random.randrange(10**6), 60_000, 1_800, 1_740, -4.5, 13_960),
    )
    return [random.choice(kinds)() for _ in range(random.randrange(1, 30))]


def test_its_batches_are_packed_with_all_that_they_say(old: psycopg.Connection) -> None:
    random = Random(1)
    kept, held = [], []
    for number in range(1_200):  # more than are packed at once
        events = sent(random)
        head = (1, 2, 1, number * 100, NOON + timedelta(days=number % DAYS), 3, b"12345678")
        columns = encode(events)
        arrays = [getattr(columns, name).tolist() for name in TYPES]
        released = number % 10 == 0
        old.execute(f"INSERT INTO ingest_batch VALUES ({', '.join(['%s'] * 13)})", [*head, *arrays, released])
        kept.append((*head, released, events))
        if number < 5:
            old.execute(f"INSERT INTO ingest_set_aside VALUES ({', '.join(['%s'] * 12)})", [*head, *arrays])
            held.append((*head, events))

    migration("0011_packed_events").pack_all(old)  # type: ignore[attr-defined]

    same = "organisation_id, sensor_id, epoch, first_seq, received_at, config, model"
    packed = "first_at, event_count, events"
    batches = old.execute(f"SELECT {same}, released, {packed} FROM ingest_batch ORDER BY first_seq")
    assert [(*row[:8], [*decode(unpack(*row[8:]))]) for row in batches] == kept
    set_aside = old.execute(f"SELECT {same}, {packed} FROM ingest_set_aside ORDER BY first_seq")
    assert [(*row[:7], [*decode(unpack(*row[7:]))]) for row in set_aside] == held
    tables = old.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'old'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname ~ 'batch|set_aside' ORDER BY 1"
    )
    days = [NOON + timedelta(days=day) for day in range(DAYS + 1)]
    assert [name for (name,) in tables] == [
        "ingest_batch",
        *(f"ingest_batch_{day:%Y%m%d}" for day in days),
        "ingest_set_aside",
    ]
