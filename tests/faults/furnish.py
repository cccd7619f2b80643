"""A program: makes the tables, and stores with sensors and gateways; prints their tokens as JSON.

In a process of its own, as the tests' Django is set up for another database.
"""

from __future__ import annotations

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sensorapp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402  # Django must be set up before these

from sensorapp.accounts.models import Organisation  # noqa: E402
from sensorapp.fleet.enrolment import enrol_gateway, enrol_sensor  # noqa: E402
from sensorapp.fleet.models import Entrance, Sensor, Store  # noqa: E402
from sensorapp.fleet.scenes import assign_line, publish_scene  # noqa: E402
from tests.faults.sensor import SCENES  # noqa: E402

GATEWAYS = 2


def furnish(stores: int, sensors: int) -> list[dict[str, object]]:
    organisation = Organisation.objects.create(name="Faults", slug="faults")
    return [furnish_store(organisation, f"store-{number}", sensors) for number in range(stores)]


def furnish_store(organisation: Organisation, slug: str, sensors: int) -> dict[str, object]:
    store = Store.objects.create(organisation=organisation, name=slug, slug=slug, time_zone="UTC")
    entrance = Entrance.objects.create(store=store, name="Main entrance")
    return {
        "id": store.pk,
        "sensors": [furnish_sensor(entrance, f"sensor {number}") for number in range(sensors)],
        "gateways": [enrol_gateway(store, f"gateway {number}")[1] for number in range(GATEWAYS)],
    }


def furnish_sensor(entrance: Entrance, name: str) -> str:
    sensor, token = enrol_sensor(entrance.store, name)
    for scene in SCENES.values():
        publish_scene(sensor, scene)
    assign_line(Sensor.objects.get(pk=sensor.pk).channels.get(kind="line"), entrance)
    return token


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    print(json.dumps(furnish(*map(int, sys.argv[1:]))))
