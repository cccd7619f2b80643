"""A store with two sensors, and the database as ingest sees it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from django.conf import settings

from sensorapp import wire
from sensorapp.accounts.models import Organisation
from sensorapp.fleet.enrolment import enrol_gateway, enrol_sensor
from sensorapp.fleet.models import Gateway, Sensor, Store
from sensorapp.fleet.scenes import publish_scene

SQUARE = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)]
SCENE = wire.Scene(
    version=0,
    lines=[wire.Line(0, "door", ((0.1, 0.8), (0.9, 0.8)))],
    zones=[wire.Zone(0, "table", SQUARE)],
    slots=[wire.Slot(0, "A-01", "bottle", SQUARE)],
)


@dataclass(frozen=True)
class Site:
    store: Store
    door: Sensor
    door_token: str
    shelf: Sensor
    shelf_token: str
    gateway: Gateway
    gateway_token: str


def build_site(slug: str = "mitte", organisation: Organisation | None = None) -> Site:
    organisation = organisation or Organisation.objects.create(name="Chain", slug=f"chain-{slug}")
    store = Store.objects.create(organisation=organisation, name=slug, slug=slug, time_zone="Europe/Berlin")
    sensors = [enrol_sensor(store, name) for name in ("door", "shelf")]
    for sensor, _ in sensors:
        publish_scene(sensor, SCENE)
        sensor.refresh_from_db()
    (door, door_token), (shelf, shelf_token) = sensors
    return Site(store, door, door_token, shelf, shelf_token, *enrol_gateway(store, "gateway"))


def database_url() -> str:
    """The test database's, which is not the one in the settings."""
    return psycopg.conninfo.make_conninfo(settings.DATABASE_URL, dbname=settings.DATABASES["default"]["NAME"])


def clear(connection: psycopg.Connection) -> None:
    """Empty the tables that Django does not know how to empty."""
    connection.execute(
        "TRUNCATE ingest_batch, ingest_cursor, ingest_gauge, ingest_rejection, ingest_bucket,"
        " ingest_store_version, ingest_late_bucket, ingest_set_aside, ingest_archive_start, ingest_check,"
        " ingest_differing"
    )
