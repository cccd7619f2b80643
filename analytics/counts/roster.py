"""Who measures what in a store: its sensors and channels with what was last heard of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

from django.db import connection

from analytics import metrics
from analytics.ingest.fold import hold_ms
from sensorapp.fleet.health import LastHeard, Status, sensor_status
from sensorapp.fleet.models import Channel, ChannelKind, Store


@dataclass(frozen=True, slots=True)
class SensorFacts:
    """``device`` is the channel of the sensor itself; ``first_observed`` the start of its oldest bucket.

    ``set_aside`` is how many of its events lay too far ahead to be counted, ``skew_ms`` how far ahead its
    clock was at its last delivery; None where that did not tell.
    """

    id: int
    public_id: str
    name: str
    x: float | None
    y: float | None
    heading: float | None
    revoked_at: datetime | None
    device: int
    first_observed: datetime | None
    set_aside: int
    skew_ms: int | None
    heard: LastHeard | None

    @property
    def hold_ms(self) -> int:
        """How long after a sign of life the next may be awaited; as in :mod:`analytics.ingest.fold`."""
        return hold_ms(self.heard.heartbeat_ms if self.heard else 0)

    @property
    def active(self) -> bool:
        return self.revoked_at is None

    def status(self, at: datetime) -> Status:
        return sensor_status(self.heard, at)


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A line, zone or slot. ``value`` is a gauge's last reading, known to hold until ``value_at`` (ms)."""

    id: int
    sensor_id: int
    kind: str
    name: str
    entrance_id: int | None
    entry_direction: str
    retired_at: datetime | None
    value: int | None
    value_at: int | None
    sku: str
    product: str
    facings: int
    capacity: int

    @property
    def counts_entries_forward(self) -> bool:
        return self.entry_direction == Channel.FORWARD


@dataclass(frozen=True, slots=True)
class Roster:
    """``sensors`` and ``channels`` include those revoked and retired: their past counts stay."""

    sensors: dict[int, SensorFacts]
    channels: list[ChannelFacts]

    @property
    def entrance_lines(self) -> list[ChannelFacts]:
        return [channel for channel in self.channels if channel.entrance_id is not None]

    def in_use(self, kind: str) -> list[ChannelFacts]:
        """The channels of a kind that are measured now."""
        return [
            channel
            for channel in self.channels
            if channel.kind == kind and channel.retired_at is None and self.sensors[channel.sensor_id].active
        ]

    def value_now(self, channel: ChannelFacts, at: datetime) -> int | None:
        """The gauge's value at ``at``; None where it is not known.

        It is known while its sensor is live and the gauge was carried on by the sensor's newest events.
        """
        sensor = self.sensors[channel.sensor_id]
        if channel.value_at is None or sensor.heard is None or sensor.status(at) != "live":
            return None
        newest_ms = sensor.heard.newest_at.timestamp() * 1000
        return channel.value if newest_ms - channel.value_at <= sensor.hold_ms else None


SENSORS: Final[LiteralString] = """
SELECT sensor.id, sensor.public_id, sensor.name, sensor.x, sensor.y, sensor.heading, sensor.revoked_at,
       device.id,
       (SELECT start FROM ingest_bucket
        WHERE organisation_id = %(organisation)s AND store_id = %(store)s
          AND channel_id = device.id AND metric = %(observed)s
        ORDER BY start LIMIT 1),
       (SELECT coalesce(sum(event_count), 0) FROM ingest_set_aside
        WHERE organisation_id = %(organisation)s AND sensor_id = sensor.id),
       cursor.skew_ms, cursor.received_at, cursor.newest_at, cursor.heartbeat_ms
FROM fleet_sensor sensor
JOIN fleet_channel device ON device.sensor_id = sensor.id AND device.kind = %(device)s
LEFT JOIN ingest_cursor cursor ON cursor.sensor_id = sensor.id
WHERE sensor.store_id = %(store)s
ORDER BY sensor.name, sensor.id
"""

CHANNELS: Final[LiteralString] = """
SELECT channel.id, channel.sensor_id, channel.kind, channel.name, channel.entrance_id,
       channel.entry_direction, channel.retired_at, gauge.value, gauge.at,
       coalesce(planogram.sku, ''), coalesce(planogram.product, ''),
       coalesce(planogram.facings, 0), coalesce(planogram.capacity, 0)
FROM fleet_channel channel
JOIN fleet_sensor sensor ON sensor.id = channel.sensor_id
LEFT JOIN fleet_planogramposition planogram ON planogram.channel_id = channel.id
LEFT JOIN ingest_gauge gauge ON gauge.channel_id = channel.id
WHERE sensor.store_id = %(store)s AND channel.kind <> %(device)s
ORDER BY channel.name, channel.id
"""


def read_roster(store: Store) -> Roster:
    """Two queries, however many sensors there are."""
    parameters: dict[str, int | str] = {
        "organisation": store.organisation_id,
        "store": store.pk,
        "observed": metrics.OBSERVED.number,
        "device": ChannelKind.DEVICE.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(SENSORS, parameters)
        sensors = [sensor_facts(*row) for row in cursor.fetchall()]
        cursor.execute(CHANNELS, parameters)
        channels = [ChannelFacts(*row) for row in cursor.fetchall()]
    return Roster({sensor.id: sensor for sensor in sensors}, channels)


def sensor_facts(*columns: Any) -> SensorFacts:
    *own, received_at, newest_at, heartbeat_ms = columns
    heard = LastHeard(received_at, newest_at, heartbeat_ms) if received_at else None
    return SensorFacts(*(*own, heard))
