"""What is kept of sensors is what a new look would find."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from analytics.ingest.directory import Directory, SensorFacts
from sensorapp import wire
from sensorapp.fleet.enrolment import replace_token, revoke
from sensorapp.fleet.models import Sensor
from sensorapp.fleet.scenes import publish_scene
from tests.ingest.site import SCENE, SQUARE, Site

WIDER = wire.Scene(version=0, lines=SCENE.lines, zones=[*SCENE.zones, wire.Zone(1, "till", SQUARE)])


def move(sensor: Sensor) -> None:
    sensor.store = type(sensor.store).objects.create(
        organisation=sensor.store.organisation, name="Ost", slug="ost", time_zone="UTC"
    )
    sensor.save(update_fields=["store"])


@pytest.mark.parametrize(
    "change",
    [lambda sensor: publish_scene(sensor, WIDER), replace_token, revoke, move, lambda sensor: None],
    ids=["scene", "token", "revoked", "store", "nothing"],
)
def test_a_change_is_seen_by_the_next_look(
    site: Site, connection: psycopg.Connection, change: Callable[[Sensor], object]
) -> None:
    names = [site.door.public_id, site.shelf.public_id, "s-nobody"]
    directory = Directory()
    before = directory.sensors(connection, names)
    change(site.door)
    after = directory.sensors(connection, names, fresh=True)
    assert after == directory.devices(connection, names) == Directory().sensors(connection, names)
    # What has not changed was not read again.
    assert after[site.shelf.public_id] is before[site.shelf.public_id]


class Overtaken(Directory):
    """Another thread keeps what it read before a change, just after it was found to be old here."""

    def _unchanged(
        self, connection: psycopg.Connection, wanted: set[str], fresh: bool
    ) -> dict[str, SensorFacts]:
        older = dict(self._sensors.kept)
        unchanged = super()._unchanged(connection, wanted, fresh)
        self._sensors.kept.update(older)
        return unchanged


def test_what_is_read_anew_is_not_what_another_thread_kept(
    site: Site, connection: psycopg.Connection
) -> None:
    name = site.door.public_id
    directory = Overtaken()
    directory.sensors(connection, [name])
    publish_scene(site.door, WIDER)
    assert directory.sensors(connection, [name], fresh=True) == Directory().sensors(connection, [name])
