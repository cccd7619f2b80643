"""The cast: two chains, the people in them, and stores with sensors to measure.

Every test of what a person may see asks it of each of them::

    for person, stores in build_cast().visible_stores.items(): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password

from sensorapp import wire
from sensorapp.accounts.models import Membership, Organisation, Role, User
from sensorapp.fleet.enrolment import enrol_sensor
from sensorapp.fleet.models import (
    Channel,
    ChannelKind,
    Entrance,
    OpeningHours,
    PlanogramPosition,
    Sensor,
    Store,
)
from sensorapp.fleet.scenes import publish_scene

PASSWORD = "correct horse battery staple"

SQUARE: list[wire.Point] = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]


@dataclass(frozen=True)
class Cast:
    """``store`` and ``other_store`` belong to ``chain``, ``foreign_store`` to ``other_chain``."""

    chain: Organisation
    other_chain: Organisation
    store: Store
    other_store: Store
    foreign_store: Store
    manager: User
    other_manager: User
    administrator: User
    analyst: User
    owner: User
    stranger: User

    @property
    def people(self) -> dict[str, User]:
        """Everybody by their part in the play."""
        return {
            "manager": self.manager,
            "other manager": self.other_manager,
            "administrator": self.administrator,
            "analyst": self.analyst,
            "owner": self.owner,
            "stranger": self.stranger,
        }

    @property
    def visible_stores(self) -> dict[str, set[Store]]:
        """Which stores each of them sees."""
        chain = {self.store, self.other_store}
        return {
            "manager": {self.store},
            "other manager": {self.other_store},
            "administrator": chain,
            "analyst": chain,
            "owner": chain,
            "stranger": {self.foreign_store},
        }


def build_cast() -> Cast:
    chain = Organisation.objects.create(name="Nordlicht", slug="nordlicht")
    other_chain = Organisation.objects.create(name="Sunrise", slug="sunrise")
    store = make_store(chain, "hamburg", "Europe/Berlin")
    other_store = make_store(chain, "pune", "Asia/Kolkata")
    foreign_store = make_store(other_chain, "sydney", "Australia/Sydney")
    return Cast(
        chain,
        other_chain,
        store,
        other_store,
        foreign_store,
        manager=make_person("manager", chain, Role.MANAGER, [store]),
        other_manager=make_person("other-manager", chain, Role.MANAGER, [other_store]),
        administrator=make_person("administrator", chain, Role.ADMINISTRATOR),
        analyst=make_person("analyst", chain, Role.ANALYST),
        owner=make_person("owner", chain, Role.OWNER),
        stranger=make_person("stranger", other_chain, Role.OWNER),
    )


def make_person(
    name: str, organisation: Organisation, role: Role, stores: Sequence[Store] | None = None
) -> User:
    """A member of an organisation, for the given stores or for all of them; logs in with PASSWORD."""
    user = User.objects.create(
        email=f"{name}@{organisation.slug}.example", password=hashed_password(), name=name
    )
    membership = Membership.objects.create(
        user=user, organisation=organisation, role=role, all_stores=stores is None
    )
    membership.stores.set(stores or [])
    return user


@cache
def hashed_password() -> str:
    """Hashing is slow by intention; all of the cast share one."""
    return make_password(PASSWORD)


def make_store(organisation: Organisation, slug: str, time_zone: str, **fields: Any) -> Store:
    """A store with one entrance and no opening hours, so that it is always open."""
    store = Store.objects.create(
        organisation=organisation, name=slug.title(), slug=slug, time_zone=time_zone, **fields
    )
    Entrance.objects.create(store=store, name="Main entrance")
    return store


def open_daily(store: Store, opens: time, closes: time, weekdays: Sequence[int] = range(7)) -> None:
    OpeningHours.objects.bulk_create(
        OpeningHours(store=store, weekday=weekday, opens=opens, closes=closes) for weekday in weekdays
    )


def make_sensor(
    store: Store,
    name: str,
    lines: Sequence[str] = (),
    zones: Sequence[str] = (),
    slots: Sequence[str] = (),
) -> tuple[Sensor, str]:
    """A sensor whose scene has these lines, zones and slots, numbered from 0; and its token."""
    sensor, token = enrol_sensor(store, name)
    scene = wire.Scene(
        version=0,
        lines=[wire.Line(number, line, ((0.1, 0.8), (0.9, 0.8))) for number, line in enumerate(lines)],
        zones=[wire.Zone(number, zone, SQUARE) for number, zone in enumerate(zones)],
        slots=[wire.Slot(number, slot, "bottle", SQUARE) for number, slot in enumerate(slots)],
    )
    publish_scene(sensor, scene)
    sensor.refresh_from_db()
    return sensor, token


def make_door(store: Store, name: str = "door", entry_direction: str = Channel.FORWARD) -> Sensor:
    """A sensor over the store's entrance, with line 0 across it."""
    sensor, _ = make_sensor(store, name, lines=[name])
    sensor.channels.filter(kind=ChannelKind.LINE).update(
        entrance=store.entrances.first(), entry_direction=entry_direction
    )
    return sensor


def plan(slot: Channel, product: str, facings: int, capacity: int) -> PlanogramPosition:
    return PlanogramPosition.objects.create(
        channel=slot,
        sku=product.lower().replace(" ", "-"),
        product=product,
        facings=facings,
        capacity=capacity,
    )


def channel(sensor: Sensor, kind: ChannelKind, number: int = 0) -> Channel:
    return sensor.channels.get(kind=kind, number=number)
