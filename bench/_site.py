"""A chain of sensors in a database of its own, and what its sensors send."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
django.setup()

import psycopg  # noqa: E402  # Django must be set up before these
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from sensorapp import wire  # noqa: E402
from sensorapp.accounts.models import Organisation  # noqa: E402
from sensorapp.accounts.secrets import new_token  # noqa: E402
from sensorapp.fleet.bulk import Enrolment, enrol_sensors  # noqa: E402
from sensorapp.fleet.enrolment import enrol_gateway  # noqa: E402
from sensorapp.fleet.models import Sensor  # noqa: E402
from tests.cast import make_store  # noqa: E402
from tests.ingest.site import SCENE, database_url  # noqa: E402
from tests.server import Server  # noqa: E402

HOUR_MS = 3_600_000
SIZE = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE %s AND relkind = 'r'"
MODEL = "0123456789abcdef"
SETTINGS = {
    "INGEST_SENSOR_EVENTS_PER_SECOND": "0",
    "INGEST_ORGANISATION_EVENTS_PER_SECOND": "0",
    # Connections stay open while uploads for them are being made.
    "UVICORN_TIMEOUT_KEEP_ALIVE": "600",
}


@dataclass(frozen=True, slots=True)
class Store:
    """A store's gateway and its sensors, by public id with their tokens."""

    token: str
    sensors: dict[str, str]


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """A database that is removed afterwards; ``database_url`` of tests.ingest.site leads to it."""
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        with psycopg.connect(database_url(), autocommit=True) as connection:
            [fsync] = connection.execute("SHOW fsync").fetchone() or ["?"]
            if fsync != "on":
                raise SystemExit("fsync is off: measure on a PostgreSQL that waits for the disk")
            yield connection
    finally:
        teardown_databases(databases, verbosity=0)


def server() -> Server:
    """The whole server as its own process, without limits of rate."""
    return Server(database_url(), **SETTINGS)


def enrol(stores: int, sensors: int) -> list[Store]:
    """So many stores, each with a gateway and so many sensors with a line, a zone and a slot."""
    chain = Organisation.objects.create(name="Bench", slug="bench")
    return [enrol_store(chain, f"bench-{number}", sensors) for number in range(stores)]


def enrol_store(chain: Organisation, slug: str, sensors: int) -> Store:
    store = make_store(chain, slug, "UTC")
    _, token = enrol_gateway(store, "gateway")
    eyes = enrol_sensors(store, [Enrolment(f"eye {number}", SCENE) for number in range(sensors)])
    tokens = {}
    for eye in eyes:
        tokens[eye.public_id], eye.digest = new_token(eye.public_id)
    Sensor.objects.bulk_update(eyes, ["digest"])
    return Store(token, tokens)


def events(begin: int, span_ms: int, count: int, random: Random) -> list[wire.Event]:
    """Crossings in both directions, in the order of their times (Unix ms), with a heartbeat at the end."""
    times = sorted(random.choices(range(begin, begin + span_ms), k=count - 1))
    directions = random.choices(("forward", "backward"), k=count - 1)
    crossings = [wire.Crossing(at, 0, which) for at, which in zip(times, directions, strict=True)]
    return [*crossings, wire.Heartbeat(begin + span_ms, min(span_ms, 60_000), 1_800, 1_740, 41.5, 13_960)]


def batch(sensor: str, first_seq: int, its_events: list[wire.Event]) -> wire.Batch:
    return wire.Batch(sensor, 1, first_seq, MODEL, 1, its_events)


class Feed:
    """What the sensors of a few stores send next."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = stores
        self.next_seq = {sensor: 0 for store in stores for sensor in store.sensors}
        self.random = Random(1)

    def take(self, count: int, size: int) -> list[list[wire.Batch]]:
        """By store, so many events in all, in batches of ``size``: what each sensor saw in an hour, in its order."""
        rounds = max(1, count // size // len(self.next_seq))
        return [
            [
                self.batch(sensor, size, share / rounds, rounds)
                for share in range(rounds)
                for sensor in store.sensors
            ]
            for store in self.stores
        ]

    def batch(self, sensor: str, size: int, passed: float, rounds: int) -> wire.Batch:
        """The next of a sensor, one of so many in an hour of which a share has passed."""
        first_seq = self.next_seq[sensor]
        self.next_seq[sensor] += size
        begin, span = self.time(first_seq, passed, HOUR_MS // rounds)
        return batch(sensor, first_seq, events(begin, span, size, self.random))

    def time(self, first_seq: int, passed: float, span: int) -> tuple[int, int]:
        """When a batch's events begin (Unix ms) and how long they go on (ms): in the last hour."""
        return now_ms() - HOUR_MS + int(passed * HOUR_MS), span


# --- what it takes ---------------------------------------------------------------------------------


def postgres_pid(connection: psycopg.Connection) -> int:
    """The postmaster of a PostgreSQL on this machine."""
    [folder] = connection.execute("SHOW data_directory").fetchone() or [""]
    return int((Path(folder) / "postmaster.pid").read_text().split()[0])


def bytes_on_disk(connection: psycopg.Connection, tables: str) -> int:
    """Of all tables whose names are LIKE this, with their indexes."""
    [size] = connection.execute(SIZE, [tables]).fetchone() or [0]
    return int(size)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
