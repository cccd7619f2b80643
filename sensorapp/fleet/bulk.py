"""Enrolling many sensors of a store at once: the rows that the verbs for one would write, in few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from django.db import transaction

from sensorapp import wire
from sensorapp.accounts.log import entry
from sensorapp.accounts.models import AuditEntry, User
from sensorapp.accounts.secrets import new_public_id, new_token
from sensorapp.fleet.models import Channel, ChannelKind, Entrance, SceneVersion, Sensor, Store
from sensorapp.fleet.scenes import named_channels


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A sensor to be, with its first scene, and by line number the entrance of which it forwards is the way in."""

    name: str
    scene: wire.Scene
    entrances: Mapping[int, Entrance] = field(default_factory=dict)


@transaction.atomic
def enrol_sensors(store: Store, wanted: Sequence[Enrolment], actor: User | None = None) -> list[Sensor]:
    """Add sensors that look at their scenes. They send through a gateway: nobody learns their own tokens."""
    sensors = Sensor.objects.bulk_create([new_sensor(store, one.name) for one in wanted])
    pairs = list(zip(sensors, wanted, strict=True))
    SceneVersion.objects.bulk_create([new_version(sensor, one.scene) for sensor, one in pairs])
    channels = Channel.objects.bulk_create([c for sensor, one in pairs for c in new_channels(sensor, one)])
    assigned = [channel for channel in channels if channel.entrance]
    entries = [
        *(
            entry(store.organisation, actor, "enrolled sensor", sensor, store=store.slug)
            for sensor in sensors
        ),
        *(entry(store.organisation, actor, "published scene", sensor, version=1) for sensor in sensors),
        *(entry(store.organisation, actor, "assigned line", line, **assignment(line)) for line in assigned),
    ]
    AuditEntry.objects.bulk_create(entries)
    return sensors


def new_sensor(store: Store, name: str) -> Sensor:
    public_id = new_public_id("s")
    _, digest = new_token(public_id)
    return Sensor(store=store, public_id=public_id, name=name, digest=digest, scene_version=1)


def new_version(sensor: Sensor, scene: wire.Scene) -> SceneVersion:
    document = msgspec.to_builtins(msgspec.structs.replace(scene, version=1))
    return SceneVersion(sensor=sensor, version=1, document=document)


def new_channels(sensor: Sensor, wanted: Enrolment) -> list[Channel]:
    channels = [Channel(sensor=sensor, kind=ChannelKind.DEVICE, name=sensor.name)]
    for kind, channel in named_channels(wanted.scene):
        entrance = wanted.entrances.get(channel.id) if kind == ChannelKind.LINE else None
        channels.append(
            Channel(sensor=sensor, kind=kind, number=channel.id, name=channel.name, entrance=entrance)
        )
    return channels


def assignment(line: Channel) -> dict[str, str]:
    assert line.entrance
    return {"entrance": line.entrance.name, "entry_direction": line.entry_direction}
