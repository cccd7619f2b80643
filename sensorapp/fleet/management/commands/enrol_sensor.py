"""``manage.py enrol_sensor``: a sensor's id and token."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints
from sensorapp.fleet.commands import STORE_HELP, find_store
from sensorapp.fleet.enrolment import enrol_sensor


class Command(BaseCommand):
    help = (
        "Enrol a sensor and print its token, which cannot be shown again; up to the dot it is the sensor's id."
        " publish_scene says what it looks at."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("store", help=STORE_HELP)
        parser.add_argument("name", help="of the sensor")

    def handle(self, *args: Any, store: str, name: str, **options: Any) -> None:
        found = find_store(store)
        with complaints():
            _, token = enrol_sensor(found, name)
        self.stdout.write(token)
