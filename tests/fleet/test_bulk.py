"""Many sensors at once: the same rows as one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from django.forms import model_to_dict

from sensorapp import wire
from sensorapp.accounts.models import AuditEntry, Organisation
from sensorapp.fleet.bulk import Enrolment, enrol_sensors
from sensorapp.fleet.enrolment import enrol_sensor
from sensorapp.fleet.models import Channel, Entrance, SceneVersion, Sensor, Store
from sensorapp.fleet.scenes import assign_line, publish_scene
from tests.cast import make_store

pytestmark = pytest.mark.django_db

ACROSS: Any = ((0.1, 0.5), (0.9, 0.5))
SQUARE: Any = [(0.1, 0.1), (0.2, 0.1), (0.2, 0.2)]
DOOR = wire.Scene(
    version=0, privacy="counts", lines=[wire.Line(3, "door", ACROSS), wire.Line(4, "gate", ACROSS)]
)
HALL = wire.Scene(
    version=0, zones=[wire.Zone(1, "Fruit", SQUARE)], slots=[wire.Slot(9, "A-01", "bottle", SQUARE)]
)


def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Everything about the store's sensors, but for what is drawn by lot or counted up."""
    without = {"id", "store", "sensor", "public_id", "digest", "entrance", "organisation", "subject_id"}

    def plain(row: Any) -> dict[str, Any]:
        return {name: value for name, value in model_to_dict(row).items() if name not in without}

    return {
        "sensors": [plain(row) for row in Sensor.objects.filter(store=store)],
        "scenes": [
            plain(row) for row in SceneVersion.objects.filter(sensor__store=store).order_by("sensor__name")
        ],
        "channels": [
            plain(row) | {"to": row.entrance and row.entrance.name, "of": row.sensor.name}
            for row in Channel.objects.filter(sensor__store=store).order_by("sensor__name", "kind", "number")
        ],
        "log": [
            plain(row)
            for row in AuditEntry.objects.filter(
                organisation=store.organisation,
                verb__in=["enrolled sensor", "published scene", "assigned line"],
            ).order_by("verb", "subject_name")
        ],
    }


def test_the_rows_are_those_of_the_verbs_for_one() -> None:
    stores = [
        make_store(Organisation.objects.create(name=name, slug=name), "store", "UTC")
        for name in ("one", "many")
    ]
    entrances = [Entrance.objects.create(store=store, name="Front") for store in stores]
    for name, scene in (("Door", DOOR), ("Hall", HALL)):
        sensor, _ = enrol_sensor(stores[0], name)
        publish_scene(sensor, scene)
        for line in sensor.channels.filter(kind="line", number=3):
            assign_line(line, entrances[0])
    wanted = [Enrolment("Door", DOOR, {3: entrances[1]}), Enrolment("Hall", HALL)]
    assert [sensor.name for sensor in enrol_sensors(stores[1], wanted)] == ["Door", "Hall"]
    assert rows(stores[1]) == rows(stores[0])
    assert len(rows(stores[1])["channels"]) == 6
