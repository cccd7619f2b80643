"""Publishing what a sensor should measure."""

from __future__ import annotations

import msgspec
from django.db import transaction
from django.utils import timezone

from sensorapp import wire
from sensorapp.accounts.log import record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Channel, ChannelKind, Entrance, PlanogramPosition, SceneVersion, Sensor

# Facings, and how many items deep they are, by the slot's number.
Depths = dict[int, tuple[int | None, int]]


@transaction.atomic
def publish_scene(sensor: Sensor, scene: wire.Scene, actor: User | None = None) -> SceneVersion:
    """Make ``scene`` the sensor's newest, under the next version number.

    Channels that it no longer names are retired, not deleted: their counts stay. Slots get the facings and the
    depth of their planogram, where it tells them.
    """
    sensor = Sensor.objects.select_for_update().get(pk=sensor.pk)
    sensor.scene_version += 1
    sensor.save(update_fields=["scene_version"])
    scene = with_depths(scene, planned_depths(sensor))
    scene = msgspec.structs.replace(scene, version=sensor.scene_version)
    version = SceneVersion.objects.create(
        sensor=sensor, version=scene.version, document=msgspec.to_builtins(scene)
    )
    keep_channels(sensor, scene)
    record(sensor.store.organisation, actor, "published scene", sensor, version=scene.version)
    return version


@transaction.atomic
def assign_line(
    line: Channel,
    entrance: Entrance | None,
    entry_direction: str = Channel.FORWARD,
    actor: User | None = None,
) -> None:
    """Let a line count towards the entries and exits of its store, or no longer (None)."""
    if line.kind != ChannelKind.LINE:
        raise ValueError(
            f"{line.name} is a {line.get_kind_display().lower()}; only a line crosses an entrance"
        )
    if entrance is not None and entrance.store_id != line.sensor.store_id:
        raise ValueError(f"{entrance.name} belongs to another store than the line {line.name}")
    line.entrance, line.entry_direction = entrance, entry_direction
    line.save(update_fields=["entrance", "entry_direction"])
    record(
        line.sensor.store.organisation,
        actor,
        "assigned line",
        line,
        entrance=entrance.name if entrance else None,
        entry_direction=entry_direction,
    )


def planned_depths(sensor: Sensor) -> Depths:
    """What the planogram tells of the sensor's slots; without those whose depth it does not tell."""
    positions = PlanogramPosition.objects.filter(channel__sensor=sensor).select_related("channel")
    return {
        position.channel.number: (position.facings, position.deep)
        for position in positions
        if position.deep is not None
    }


def with_depths(scene: wire.Scene, depths: Depths) -> wire.Scene:
    slots = []
    for slot in scene.slots:
        facings, deep = depths.get(slot.id, (slot.facings, slot.deep))
        slots.append(msgspec.structs.replace(slot, facings=facings, deep=deep))
    return msgspec.structs.replace(scene, slots=slots)


def named_channels(scene: wire.Scene) -> list[tuple[ChannelKind, wire.Line | wire.Zone | wire.Slot]]:
    return [
        *((ChannelKind.LINE, line) for line in scene.lines),
        *((ChannelKind.ZONE, zone) for zone in scene.zones),
        *((ChannelKind.SLOT, slot) for slot in scene.slots),
    ]


def keep_channels(sensor: Sensor, scene: wire.Scene) -> None:
    kept = Channel.objects.bulk_create(
        [
            Channel(sensor=sensor, kind=kind, number=channel.id, name=channel.name)
            for kind, channel in named_channels(scene)
        ],
        update_conflicts=True,
        unique_fields=["sensor", "kind", "number"],
        update_fields=["name", "retired_at"],
    )
    gone = sensor.channels.exclude(kind=ChannelKind.DEVICE).exclude(pk__in=[channel.pk for channel in kept])
    gone.filter(retired_at__isnull=True).update(retired_at=timezone.now())
