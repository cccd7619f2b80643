"""Publishing what a sensor should measure."""

from __future__ import annotations

import msgspec
from django.db import transaction
from django.utils import timezone

from sensorapp import wire
from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Channel, ChannelKind, SceneVersion, Sensor


@transaction.atomic
def publish_scene(sensor: Sensor, scene: wire.Scene, actor: User | None = None) -> SceneVersion:
    """Make ``scene`` the sensor's newest, under the next version number.

    Channels that it no longer names are retired, not deleted: their counts stay.
    """
    sensor = Sensor.objects.select_for_update().get(pk=sensor.pk)
    sensor.scene_version += 1
    sensor.save(update_fields=["scene_version"])
    scene = msgspec.structs.replace(scene, version=sensor.scene_version)
    version = SceneVersion.objects.create(
        sensor=sensor, version=scene.version, document=msgspec.to_builtins(scene)
    )
    keep_channels(sensor, scene)
    record(sensor.store.organisation, actor, "published scene", sensor, version=scene.version)
    return version


def keep_channels(sensor: Sensor, scene: wire.Scene) -> None:
    named: list[tuple[ChannelKind, wire.Line | wire.Zone | wire.Slot]] = [
        *((ChannelKind.LINE, line) for line in scene.lines),
        *((ChannelKind.ZONE, zone) for zone in scene.zones),
        *((ChannelKind.SLOT, slot) for slot in scene.slots),
    ]
    kept = [
        Channel.objects.update_or_create(
            sensor=sensor,
            kind=kind,
            number=channel.id,
            defaults={"name": channel.name, "retired_at": None},
        )[0].pk
        for kind, channel in named
    ]
    gone = sensor.channels.exclude(kind=ChannelKind.DEVICE).exclude(pk__in=kept)
    gone.filter(retired_at__isnull=True).update(retired_at=timezone.now())
