"""What the gateway must know of sensors and gateways; read in bulk, kept for a few seconds.

Revoking a device, replacing its token or publishing its scene is felt when that time is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, LiteralString, TypeVar

from psycopg import Connection
from psycopg.rows import kwargs_row

KEEP_SECONDS: Final = 5.0

SENSORS: LiteralString = """
SELECT sensor.id, sensor.public_id, sensor.store_id, store.organisation_id, sensor.digest,
       sensor.revoked_at IS NOT NULL AS revoked, sensor.scene_version,
       (SELECT coalesce(json_agg(json_build_array(kind, number, id)), '[]')
        FROM fleet_channel WHERE sensor_id = sensor.id) AS channel_rows,
       (SELECT coalesce(json_agg(json_build_array(version,
                                                  jsonb_path_query_array(document, '$.zones[*].id'),
                                                  jsonb_path_query_array(document, '$.slots[*].id'))), '[]')
        FROM fleet_sceneversion WHERE sensor_id = sensor.id) AS scene_rows
FROM fleet_sensor sensor JOIN fleet_store store ON store.id = sensor.store_id
WHERE sensor.public_id = ANY(%s)
"""

# All of it that ever changes without a new version of the scene.
HEADS: LiteralString = """
SELECT sensor.public_id, sensor.store_id, store.organisation_id, sensor.digest,
       sensor.revoked_at IS NOT NULL, sensor.scene_version
FROM fleet_sensor sensor JOIN fleet_store store ON store.id = sensor.store_id
WHERE sensor.public_id = ANY(%s)
"""

GATEWAYS: LiteralString = """
SELECT gateway.public_id, gateway.store_id, store.organisation_id, gateway.digest,
       gateway.revoked_at IS NOT NULL AS revoked
FROM fleet_gateway gateway JOIN fleet_store store ON store.id = gateway.store_id
WHERE gateway.public_id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    public_id: str
    store_id: int
    organisation_id: int
    digest: bytes
    revoked: bool

    def may_send_for(self, sensor: SensorFacts) -> bool:
        return sensor.store_id == self.store_id


@dataclass(frozen=True, slots=True)
class SensorFacts:
    """``channels`` leads from a kind of channel and its number to the channel's row, retired ones included.

    ``scenes`` holds of each published version the zones and slots that it names, as such rows.
    """

    id: int
    public_id: str
    store_id: int
    organisation_id: int
    digest: bytes
    revoked: bool
    scene_version: int
    channels: dict[tuple[str, int], int]
    scenes: dict[int, frozenset[int]]

    @property
    def head(self) -> tuple[object, ...]:
        return (
            self.public_id,
            self.store_id,
            self.organisation_id,
            self.digest,
            self.revoked,
            self.scene_version,
        )

    def may_send_for(self, sensor: SensorFacts) -> bool:
        return sensor.id == self.id


def sensor_facts(
    *,
    channel_rows: list[tuple[str, int, int]],
    scene_rows: list[tuple[int, list[int], list[int]]],
    **columns: Any,
) -> SensorFacts:
    channels = {(kind, number): row for kind, number, row in channel_rows}
    scenes = {
        version: frozenset(
            channels[kind, number]
            for kind, numbers in (("zone", zones), ("slot", slots))
            for number in numbers
        )
        for version, zones, slots in scene_rows
    }
    return SensorFacts(channels=channels, scenes=scenes, **columns)


Facts = TypeVar("Facts", SensorFacts, GatewayFacts)


@dataclass(slots=True)
class Shelf(Generic[Facts]):
    """Facts by public id, each with the time until which it is kept."""

    query: LiteralString
    make: Any
    kept: dict[str, tuple[float, Facts]] = field(default_factory=dict)

    def get(self, connection: Connection, public_ids: Iterable[str], fresh: bool = False) -> dict[str, Facts]:
        now = time.monotonic()
        found: dict[str, Facts] = {}
        missing: list[str] = []
        for public_id in set(public_ids):
            until, facts = self.kept.get(public_id, (0.0, None))
            if facts is None or fresh or until < now:
                missing.append(public_id)
            else:
                found[public_id] = facts
        if missing:
            with connection.cursor(row_factory=kwargs_row(self.make)) as cursor:
                for facts in cursor.execute(self.query, [missing]):
                    found[facts.public_id] = facts
                    self.kept[facts.public_id] = (now + KEEP_SECONDS, facts)
        return found


class Directory:
    """Looks sensors and gateways up by public id. ``fresh`` reads them anew."""

    def __init__(self) -> None:
        self._sensors: Shelf[SensorFacts] = Shelf(SENSORS, sensor_facts)
        self._gateways: Shelf[GatewayFacts] = Shelf(GATEWAYS, GatewayFacts)

    def sensors(
        self, connection: Connection, public_ids: Iterable[str], fresh: bool = False
    ) -> dict[str, SensorFacts]:
        wanted = set(public_ids)
        unchanged = self._unchanged(connection, wanted, fresh)
        return unchanged | self._sensors.get(connection, wanted - unchanged.keys(), fresh)

    def _unchanged(self, connection: Connection, wanted: set[str], fresh: bool) -> dict[str, SensorFacts]:
        """What was kept long enough to be asked for again and is still so: scenes and channels are the most of it."""
        now, kept = time.monotonic(), self._sensors.kept
        known = {one: kept[one] for one in wanted if one in kept}
        old = {one: facts for one, (until, facts) in known.items() if fresh or until < now}
        if not old:
            return {}
        heads = set(connection.execute(HEADS, [list(old)]).fetchall())
        unchanged = {one: facts for one, facts in old.items() if facts.head in heads}
        kept.update({one: (now + KEEP_SECONDS, facts) for one, facts in unchanged.items()})
        for one in old.keys() - unchanged.keys():
            kept.pop(one, None)
        return unchanged

    def known_device(self, public_id: str) -> SensorFacts | GatewayFacts | None:
        """A sensor or gateway, whichever it is, as it was a few seconds ago; None if it was not looked up then."""
        kept = self._gateways.kept if public_id.startswith("g-") else self._sensors.kept
        until, facts = kept.get(public_id, (0.0, None))
        return facts if until > time.monotonic() else None

    def devices(
        self, connection: Connection, public_ids: Iterable[str]
    ) -> dict[str, SensorFacts | GatewayFacts]:
        """The sensors and gateways of these public ids, read anew."""
        sensors, gateways = set[str](), set[str]()
        for public_id in public_ids:
            (gateways if public_id.startswith("g-") else sensors).add(public_id)
        return {
            **self.sensors(connection, sensors, fresh=True),
            **self._gateways.get(connection, gateways, fresh=True),
        }
