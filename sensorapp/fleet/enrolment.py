"""Taking sensors and gateways into a store, and out of it again."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.accounts.secrets import new_public_id, new_token
from sensorapp.fleet.models import Channel, ChannelKind, Gateway, Sensor, Store

# What of a device is made here, so that nothing can be wrong with it.
NOT_TYPED: Final = ("store", "public_id", "digest")


@transaction.atomic
def enrol_sensor(store: Store, name: str, actor: User | None = None) -> tuple[Sensor, str]:
    """Add a sensor; returns it with the token that it must present, which is shown only this once.

    Raises ``ValidationError`` naming the field.
    """
    public_id = new_public_id("s")
    token, digest = new_token(public_id)
    sensor = Sensor(store=store, public_id=public_id, name=name, digest=digest)
    sensor.clean_fields(exclude=NOT_TYPED)
    sensor.save()
    Channel.objects.create(sensor=sensor, kind=ChannelKind.DEVICE, name=name)
    record(store.organisation, actor, "enrolled sensor", sensor, store=store.slug)
    return sensor, token


@transaction.atomic
def place_sensor(sensor: Sensor, x: float, y: float, heading: float, actor: User | None = None) -> None:
    """Say where a sensor hangs on the floor plan (metres) and where it looks (degrees clockwise from the right)."""
    sensor.x, sensor.y, sensor.heading = x, y, heading % 360
    sensor.save(update_fields=["x", "y", "heading"])
    record(sensor.store.organisation, actor, "placed sensor", sensor, x=x, y=y, heading=heading)


@transaction.atomic
def enrol_gateway(store: Store, name: str, actor: User | None = None) -> tuple[Gateway, str]:
    """Add a gateway that may carry the batches of every sensor in the store; otherwise as :func:`enrol_sensor`."""
    public_id = new_public_id("g")
    token, digest = new_token(public_id)
    gateway = Gateway(store=store, public_id=public_id, name=name, digest=digest)
    gateway.clean_fields(exclude=NOT_TYPED)
    gateway.save()
    record(store.organisation, actor, "enrolled gateway", gateway, store=store.slug)
    return gateway, token


@transaction.atomic
def replace_token(device: Sensor | Gateway, actor: User | None = None) -> str:
    """Give a sensor or gateway a new token; the old one stops working."""
    token, device.digest = new_token(device.public_id)
    device.save(update_fields=["digest"])
    record(device.store.organisation, actor, "replaced token", device)
    return token


@transaction.atomic
def revoke(device: Sensor | Gateway, actor: User | None = None) -> None:
    """Refuse everything that a sensor or gateway sends from now on."""
    device.revoked_at = timezone.now()
    device.save(update_fields=["revoked_at"])
    record(device.store.organisation, actor, "revoked", device)
