"""``manage.py revoke_device``: refuse what a sensor or gateway sends."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.fleet.commands import find_device
from sensorapp.fleet.enrolment import revoke


class Command(BaseCommand):
    help = "Refuse whatever a sensor or gateway sends from now on. What it has sent stays, and counts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("device", help="id of the sensor or gateway: its token up to the dot")

    def handle(self, *args: Any, device: str, **options: Any) -> None:
        found = find_device(device)
        revoke(found)
        self.stdout.write(f"{found.public_id} is revoked.")
