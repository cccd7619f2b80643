"""Loading the demo chain, once, and keeping the files that its fleet and its guests need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from sensor_sim.fleet import plan as fleet
from sensor_sim.fleet.plan import SCHEDULE, OutdatedError, Plan, PlanError
from sensorapp import wire
from sensorapp.accounts import secrets
from sensorapp.accounts.members import add_member, found_organisation
from sensorapp.accounts.models import Organisation
from sensorapp.demo.chain import (
    ChainShape,
    DoorSensor,
    FreeSensor,
    Mounted,
    ShelfSensor,
    StoreShape,
    ZoneSensor,
    read_chain,
    read_scene,
    sensors,
)
from sensorapp.fleet.enrolment import enrol_gateway, enrol_sensor, place_sensor, replace_token
from sensorapp.fleet.models import ChannelKind, Entrance, Gateway, PlanogramPosition, Sensor, Store
from sensorapp.fleet.planograms import plan_slots
from sensorapp.fleet.scenes import assign_line, publish_scene
from sensorapp.fleet.stores import add_entrance, draw_floor_plan, open_store, set_opening_hours
from sensorapp.stack import paths

# Everybody may know it: it is created by this module only, in a database that holds nothing but the demo.
PASSWORD = "sensorapp-demo"
GATEWAY = "Back office"
QUARTER_MS = 15 * 60_000


class DemoError(Exception):
    """The demo cannot be loaded; the message is one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is written below ``var/demo``: tokens, and who may log in."""

    folder: Path

    @property
    def plan(self) -> Path:
        return self.folder / "fleet.json"

    @property
    def door_token(self) -> Path:
        return self.folder / "door.token"

    @property
    def logins(self) -> Path:
        return self.folder / "logins.json"


def files() -> Files:
    return Files(paths.var_folder() / "demo")


def load_demo(force: bool = False) -> bool:
    """Load the chain unless it is there, and write its files; True if it was not there.

    Raises :class:`DemoError` where the database holds another organisation, unless ``force``.
    """
    chain = read_chain()
    organisation = Organisation.objects.filter(slug=chain.slug).first()
    is_new = organisation is None
    tokens: dict[str, str] = {}
    if organisation is None:
        if not force and (other := Organisation.objects.first()):
            raise DemoError(
                f"the database holds the organisation {other.name}; load the demo into an empty database,"
                " or beside it with --force"
            )
        with transaction.atomic():
            organisation, tokens = build(chain)
    try:
        write_files(chain, organisation, tokens)
    except ObjectDoesNotExist as error:
        raise DemoError(f"the demo chain is not whole: {error} Load it into an empty database.") from None
    return is_new


# --- the chain -------------------------------------------------------------------------------------


def build(chain: ChainShape) -> tuple[Organisation, dict[str, str]]:
    """Create everything; returns it with the tokens of gateways and free sensors by public id."""
    organisation = found_organisation(chain.name, chain.slug)
    tokens: dict[str, str] = {}
    stores = {}
    for shape in chain.store_shapes:
        stores[shape.slug] = build_store(organisation, chain, shape, tokens)
    for person in chain.people:
        add_member(
            organisation,
            email=person.email,
            name=person.name,
            role=person.role,
            password=PASSWORD,
            stores=None if person.stores is None else [stores[slug] for slug in person.stores],
        )
    return organisation, tokens


def build_store(
    organisation: Organisation, chain: ChainShape, shape: StoreShape, tokens: dict[str, str]
) -> Store:
    store = open_store(
        organisation,
        name=shape.name,
        slug=shape.slug,
        city=shape.city,
        country=shape.country,
        time_zone=shape.time_zone,
    )
    set_opening_hours(store, ((day, *hours) for day, hours in enumerate(shape.opening_hours) if hours))
    draw_floor_plan(store, shape.floor_plan)
    entrances = {name: add_entrance(store, name) for name in shape.entrances}
    gateway, tokens_gateway = enrol_gateway(store, GATEWAY)
    tokens[gateway.public_id] = tokens_gateway
    for mounted in sensors(shape):
        sensor, token = build_sensor(store, chain, mounted, entrances)
        if isinstance(mounted, FreeSensor):
            tokens[sensor.public_id] = token
    return store


def build_sensor(
    store: Store, chain: ChainShape, shape: Mounted, entrances: dict[str, Entrance]
) -> tuple[Sensor, str]:
    sensor, token = enrol_sensor(store, shape.name)
    place_sensor(sensor, *shape.at, shape.heading)
    publish_scene(sensor, scene_of(shape, chain))
    channels = {(channel.kind, channel.number): channel for channel in sensor.channels.all()}
    if isinstance(shape, DoorSensor | FreeSensor):
        number = shape.line if isinstance(shape, FreeSensor) else 0
        line = channels[ChannelKind.LINE, number]
        assign_line(line, entrances[shape.entrance], shape.entry_direction)
    if isinstance(shape, ShelfSensor):
        products = {number: (sku, chain.products[sku]) for number, sku in enumerate(shape.products, 1)}
        plan_slots(
            sensor,
            (
                PlanogramPosition(
                    channel=channels[ChannelKind.SLOT, number],
                    sku=sku,
                    product=product.name,
                    facings=product.facings,
                    deep=product.deep,
                    capacity=product.capacity,
                )
                for number, (sku, product) in products.items()
            ),
        )
    return sensor, token


def scene_of(shape: Mounted, chain: ChainShape) -> wire.Scene:
    match shape:
        case FreeSensor():
            return read_scene(shape)
        case ShelfSensor():
            return shape.scene(chain.products)
        case DoorSensor() | ZoneSensor():
            return shape.scene()
    raise AssertionError(f"no scene for {shape.name}")


# --- the files -------------------------------------------------------------------------------------


def write_files(chain: ChainShape, organisation: Organisation, tokens: dict[str, str]) -> None:
    """Write what is missing or no longer true. Tokens that nobody knows any more are replaced."""
    where = files()
    old = read_plan(where.plan)
    known = tokens | ({public_id(store.token): store.token for store in old.stores} if old else {})
    new = make_plan(chain, organisation, known)
    if new != old:
        fleet.write(new, where.plan)
    if chain.free:
        write_door_token(where.door_token, organisation, *chain.free, tokens)
    people = [{"email": person.email, "password": PASSWORD} for person in chain.people]
    fleet.write_secret(where.logins, json.dumps(people, indent=1))


def read_plan(path: Path) -> Plan | None:
    """The plan as it is; None where there is none that can be read."""
    try:
        return fleet.read(path)
    except OutdatedError as error:
        raise DemoError(str(error)) from None
    except PlanError:
        return None


def make_plan(chain: ChainShape, organisation: Organisation, tokens: dict[str, str]) -> Plan:
    """The fleet's plan: it follows from the fixtures, from when the chain was founded, and from the tokens."""
    founded = organisation.created_at
    return Plan(
        schedule=SCHEDULE,
        seed=chain.seed,
        origin=founded.astimezone(UTC).date() - timedelta(days=chain.history_days),
        live_from=int(founded.timestamp() * 1000) // QUARTER_MS * QUARTER_MS,
        stores=[make_store_plan(chain, organisation, shape, tokens) for shape in chain.store_shapes],
    )


def make_store_plan(
    chain: ChainShape, organisation: Organisation, shape: StoreShape, tokens: dict[str, str]
) -> fleet.Store:
    store = Store.objects.get(organisation=organisation, slug=shape.slug)
    gateway = Gateway.objects.filter(store=store, revoked_at__isnull=True).earliest("enrolled_at")
    return fleet.Store(
        slug=shape.slug,
        token=valid_token(gateway, tokens),
        time_zone=shape.time_zone,
        opening_hours=shape.opening_hours,
        demand=shape.demand,
        sensors=[
            make_sensor_plan(chain, mounted, store.sensors.get(name=mounted.name))
            for mounted in sensors(shape)
            if not isinstance(mounted, FreeSensor)
        ],
        holidays=chain.holidays.get(shape.country, []),
        campaigns=chain.campaigns,
        power_cuts=shape.power_cuts,
    )


def make_sensor_plan(chain: ChainShape, shape: Mounted, sensor: Sensor) -> fleet.Sensor:
    lines: list[fleet.Line] = []
    zones: list[fleet.Zone] = []
    slots: list[fleet.Slot] = []
    match shape:
        case DoorSensor():
            lines = [fleet.Line(0, shape.entry_direction, shape.share, shape.drift)]
        case ZoneSensor():
            zones = [
                fleet.Zone(
                    number, zone.name, zone.weight, zone.dwell_s, zone.spread, zone.checkout, zone.picks
                )
                for number, zone in enumerate(shape.zones, 1)
            ]
        case ShelfSensor():
            products = [chain.products[sku] for sku in shape.products]
            slots = [
                fleet.Slot(number, shape.zone, product.capacity, product.weight)
                for number, product in enumerate(products, 1)
            ]
    model = chain.models.product if slots else chain.models.person
    return fleet.Sensor(sensor.public_id, shape.name, model, sensor.scene_version, lines, zones, slots)


def write_door_token(
    path: Path, organisation: Organisation, shape: StoreShape, free: FreeSensor, tokens: dict[str, str]
) -> None:
    sensor = Sensor.objects.get(store__organisation=organisation, store__slug=shape.slug, name=free.name)
    token = path.read_text().strip() if path.exists() else ""
    fleet.write_secret(path, valid_token(sensor, tokens | {public_id(token): token}) + "\n")


def valid_token(device: Sensor | Gateway, tokens: dict[str, str]) -> str:
    """The device's token if it is among the known ones and still the right one, else a new one."""
    token = tokens.get(device.public_id, "")
    return token if secrets.matches(secrets.split(token)[1], bytes(device.digest)) else replace_token(device)


def public_id(token: str) -> str:
    return secrets.split(token)[0]
