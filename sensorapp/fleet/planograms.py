"""What belongs into the slots."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import ChannelKind, PlanogramPosition, Sensor


@transaction.atomic
def plan_slots(sensor: Sensor, positions: Iterable[PlanogramPosition], actor: User | None = None) -> None:
    """Say what belongs into slots of ``sensor``, each in place of what belonged there before."""
    wanted = list(positions)
    for position in wanted:
        slot = position.channel
        if slot.kind != ChannelKind.SLOT or slot.sensor_id != sensor.pk:
            raise ValueError(f"{slot.name} is no slot of {sensor.name}; only its slots have products")
        position.full_clean(exclude=["channel"], validate_unique=False)
    PlanogramPosition.objects.bulk_create(
        wanted,
        update_conflicts=True,
        unique_fields=["channel"],
        update_fields=["sku", "product", "facings", "capacity"],
    )
    skus = {position.channel.number: position.sku for position in wanted}
    record(sensor.store.organisation, actor, "planned slots", sensor, skus=skus)
