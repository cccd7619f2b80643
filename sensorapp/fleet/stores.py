"""Opening stores and describing them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time

from django.core.exceptions import ValidationError
from django.db import transaction

from sensorapp.accounts.log import record
from sensorapp.accounts.models import Organisation, User
from sensorapp.fleet import floor_plan
from sensorapp.fleet.floor_plan import FloorPlan
from sensorapp.fleet.models import Entrance, OpeningHours, Store


@transaction.atomic
def open_store(
    organisation: Organisation,
    *,
    name: str,
    slug: str,
    time_zone: str,
    city: str = "",
    country: str = "",
    actor: User | None = None,
) -> Store:
    """Add a store; raises ``ValidationError`` naming the field, as for an unknown time zone."""
    if organisation.stores.filter(slug=slug).exists():
        raise ValidationError({"slug": f"{organisation} has a store {slug!r} already; choose another"})
    store = Store(
        organisation=organisation, name=name, slug=slug, time_zone=time_zone, city=city, country=country
    )
    store.full_clean()
    store.save()
    record(organisation, actor, "opened store", store, time_zone=time_zone)
    return store


@transaction.atomic
def set_opening_hours(
    store: Store, hours: Iterable[tuple[int, time, time]], actor: User | None = None
) -> None:
    """Replace the opening hours by (weekday, opens, closes) in local time; 0 is Monday."""
    store.opening_hours.all().delete()
    spans = [
        OpeningHours(store=store, weekday=day, opens=opens, closes=closes) for day, opens, closes in hours
    ]
    for span in spans:
        span.full_clean()
    OpeningHours.objects.bulk_create(spans)
    record(
        store.organisation,
        actor,
        "set opening hours",
        store,
        hours=[[span.weekday, span.opens.isoformat(), span.closes.isoformat()] for span in spans],
    )


@transaction.atomic
def add_entrance(store: Store, name: str, actor: User | None = None) -> Entrance:
    """Raises ``ValidationError`` naming the field."""
    if store.entrances.filter(name=name).exists():
        raise ValidationError({"name": f"{store} has an entrance {name!r} already; choose another"})
    entrance = Entrance(store=store, name=name)
    entrance.clean_fields()
    entrance.save()
    record(store.organisation, actor, "added entrance", entrance, store=store.slug)
    return entrance


@transaction.atomic
def draw_floor_plan(store: Store, plan: FloorPlan, actor: User | None = None) -> None:
    store.floor_plan = floor_plan.plain(plan)
    store.save(update_fields=["floor_plan"])
    record(store.organisation, actor, "drew floor plan", store, width=plan.width, depth=plan.depth)
