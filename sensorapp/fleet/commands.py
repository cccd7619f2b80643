"""Finding the stores and devices that the arguments of management commands name."""

from __future__ import annotations

from typing import TypeVar

from django.core.management.base import CommandError

from sensorapp.accounts.commands import find_organisation, listed
from sensorapp.fleet.models import Gateway, Sensor, Store

Device = TypeVar("Device", Sensor, Gateway)

STORE_HELP = "slug of the store, or organisation/store where several organisations have one of that slug"


def find_store(name: str) -> Store:
    """A store by its slug, or by its organisation's and its own as in its page's address."""
    organisation, _, slug = name.rpartition("/")
    stores = find_organisation(organisation).stores.all() if organisation else Store.objects.all()
    found = list(stores.filter(slug=slug).select_related("organisation"))
    if len(found) > 1:
        owners = (f"{store.organisation.slug}/{slug}" for store in found)
        raise CommandError(
            f"store: several organisations have a store {slug}; choose from: {listed(sorted(owners))}"
        )
    if not found:
        known = stores.values_list("slug", flat=True).order_by("slug").distinct()
        raise CommandError(f"store: {name} is not known; choose from: {listed(known)}")
    return found[0]


def find_sensor(public_id: str) -> Sensor:
    return find("sensor", Sensor, public_id)


def find_device(public_id: str) -> Sensor | Gateway:
    return find("gateway", Gateway, public_id) if public_id.startswith("g-") else find_sensor(public_id)


def find(argument: str, kind: type[Device], public_id: str) -> Device:
    found = kind.objects.filter(public_id=public_id).select_related("store__organisation").first()
    if found is None:
        raise CommandError(
            f"{argument}: {public_id} is not known; give its id, such as {argument[0]}-0123456789ab,"
            " with which its token begins"
        )
    return found
