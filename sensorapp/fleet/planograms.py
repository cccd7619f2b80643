"""What belongs into the slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction

from sensorapp import wire
from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import ChannelKind, PlanogramPosition, Sensor
from sensorapp.fleet.scenes import Depths, planned_depths, publish_scene, with_depths


@transaction.atomic
def plan_slots(sensor: Sensor, positions: Iterable[PlanogramPosition], actor: User | None = None) -> None:
    """Say what belongs into slots of ``sensor``, each in place of what belonged there before.

    Where that changes the facings or the depth of a slot, the sensor's scene is published anew with them.
    Raises :class:`~django.core.exceptions.ValidationError` naming slot and field, and then plans nothing.
    """
    wanted = list(positions)
    for position in wanted:
        check(sensor, position)
    check_once(wanted)
    Sensor.objects.select_for_update().get(pk=sensor.pk)
    before = planned_depths(sensor)
    PlanogramPosition.objects.bulk_create(
        wanted,
        update_conflicts=True,
        unique_fields=["channel"],
        update_fields=["sku", "product", "facings", "deep", "capacity"],
    )
    skus = {position.channel.number: position.sku for position in wanted}
    record(sensor.store.organisation, actor, "planned slots", sensor, skus=skus)
    after = planned_depths(sensor)
    tell_depths(sensor, dict.fromkeys(before.keys() - after.keys(), (None, 1)) | after, actor)


def check(sensor: Sensor, position: PlanogramPosition) -> None:
    slot = position.channel
    if slot.kind != ChannelKind.SLOT or slot.sensor_id != sensor.pk:
        raise ValueError(f"{slot.name} is no slot of {sensor.name}; only its slots have products")
    try:
        position.full_clean(exclude=["channel"], validate_unique=False)
    except ValidationError as error:
        named = {f"{slot.name}.{field}": reasons for field, reasons in error.message_dict.items()}
        raise ValidationError(named) from None


def check_once(positions: Iterable[PlanogramPosition]) -> None:
    times = Counter(position.channel.name for position in positions)
    if twice := [name for name, count in times.items() if count > 1]:
        raise ValidationError(
            dict.fromkeys(twice, "it is planned more than once; give each slot one product")
        )


def tell_depths(sensor: Sensor, depths: Depths, actor: User | None) -> None:
    newest = sensor.scenes.order_by("-version").first()
    if newest is None:
        return
    scene = wire.convert(newest.document, wire.Scene)
    told = with_depths(scene, depths)
    if told != scene:
        publish_scene(sensor, told, actor)
