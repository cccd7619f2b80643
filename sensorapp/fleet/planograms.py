"""What belongs into the slots."""

from __future__ import annotations

from django.db import transaction

from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Channel, ChannelKind, PlanogramPosition


@transaction.atomic
def plan_slot(
    slot: Channel, *, sku: str, product: str, facings: int, capacity: int, actor: User | None = None
) -> PlanogramPosition:
    """Say what belongs into ``slot``, in place of what belonged there before."""
    if slot.kind != ChannelKind.SLOT:
        raise ValueError(f"{slot.name} is a {slot.get_kind_display().lower()}; only a slot has a product")
    position, _ = PlanogramPosition.objects.update_or_create(
        channel=slot, defaults={"sku": sku, "product": product, "facings": facings, "capacity": capacity}
    )
    record(
        slot.sensor.store.organisation,
        actor,
        "planned slot",
        position,
        slot=slot.name,
        sku=sku,
        capacity=capacity,
    )
    return position
