"""A fleet as large as one likes, for trying an installation under load, in an organisation of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import transaction

from sensor_sim.fleet import layout
from sensor_sim.fleet import plan as fleet
from sensor_sim.fleet.plan import QUARTER, SCHEDULE, Plan
from sensorapp import wire
from sensorapp.accounts.members import found_organisation
from sensorapp.accounts.models import Organisation
from sensorapp.demo.chain import ACROSS, StoreShape, grid, polygon, read_chain
from sensorapp.demo.load import GATEWAY, DemoError
from sensorapp.fleet.bulk import Enrolment, enrol_sensors
from sensorapp.fleet.enrolment import enrol_gateway
from sensorapp.fleet.models import Store
from sensorapp.fleet.stores import add_entrance, open_store, set_opening_hours

SEED = 1
EACH_SECOND_MS = 1_000
ITEM = "bottle"


def create_fleet(
    name: str,
    slug: str,
    stores: int,
    sensors: int,
    path: Path,
    follow: Callable[[range], Iterable[int]] = iter,
) -> Plan:
    """Enrol ``stores`` stores with ``sensors`` sensors each, and write the plan of their fleet to ``path``.

    The stores' hours and profiles are those of the demo's stores in turn. Each sensor sends a batch a second,
    beginning now. ``follow`` is given the stores' numbers and sees one after the other taken. Raises
    :class:`~sensorapp.demo.load.DemoError`.
    """
    if Organisation.objects.filter(slug=slug).exists():
        raise DemoError(f"there is an organisation {slug!r} already; choose another with --slug")
    if path.exists():
        raise DemoError(
            f"--out {path}: the file exists, and may hold another fleet's tokens; choose another name"
        )
    shapes = read_chain().store_shapes
    now = int(time.time() * 1000)
    with transaction.atomic():
        organisation = found_organisation(name, slug)
        plans = [
            create_store(organisation, shapes[number % len(shapes)], number + 1, sensors)
            for number in follow(range(stores))
        ]
        plan = Plan(
            schedule=SCHEDULE,
            seed=SEED,
            origin=datetime.fromtimestamp(now / 1000, UTC).date() - timedelta(days=1),
            live_from=now // QUARTER * QUARTER,
            stores=plans,
            heartbeat_ms=EACH_SECOND_MS,
            upload_ms=EACH_SECOND_MS,
            since=now,
        )
        # Within the transaction: without the file, nobody knows the tokens.
        fleet.write(plan, path)
    return plan


def create_store(organisation: Organisation, shape: StoreShape, number: int, sensors: int) -> fleet.Store:
    slug = f"{shape.slug}-{number}"
    store = open_store(
        organisation,
        name=f"{shape.name} {number}",
        slug=slug,
        city=shape.city,
        country=shape.country,
        time_zone=shape.time_zone,
    )
    set_opening_hours(store, ((day, *hours) for day, hours in enumerate(shape.opening_hours) if hours))
    _, token = enrol_gateway(store, GATEWAY)
    return fleet.Store(
        slug, token, shape.time_zone, shape.opening_hours, shape.demand, create_sensors(store, sensors)
    )


def create_sensors(store: Store, count: int) -> list[fleet.Sensor]:
    """Enrol the sensors of :mod:`sensor_sim.fleet.layout`; all doors lead through one entrance."""
    entrance = add_entrance(store, "Entrance")
    planned = layout.sensors(layout.names(count))  # under their names, until they have ids
    wanted = [
        Enrolment(one.name, scene_of(one), {line.number: entrance for line in one.lines}) for one in planned
    ]
    return layout.sensors([sensor.public_id for sensor in enrol_sensors(store, wanted)])


def scene_of(sensor: fleet.Sensor) -> wire.Scene:
    zones = zip(sensor.zones, grid(1, max(1, len(sensor.zones))), strict=False)
    slots = zip(sensor.slots, grid(1, max(1, len(sensor.slots))), strict=False)
    return wire.Scene(
        version=0,
        privacy="zones" if sensor.zones else "counts",
        detect=wire.Detect([ITEM], 0.5) if sensor.slots else wire.Detect(),
        lines=[wire.Line(line.number, sensor.name, ACROSS) for line in sensor.lines],
        zones=[wire.Zone(zone.number, zone.name, polygon(box)) for zone, box in zones],
        slots=[wire.Slot(slot.number, f"A-{slot.number:02}", ITEM, polygon(box)) for slot, box in slots],
    )
