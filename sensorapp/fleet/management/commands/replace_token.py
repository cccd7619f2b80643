"""``manage.py replace_token``: another token for a sensor or gateway."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.fleet.commands import find_device
from sensorapp.fleet.enrolment import replace_token


class Command(BaseCommand):
    help = "Give a sensor or gateway a new token and print it; the old one stops working within seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("device", help="id of the sensor or gateway: its token up to the dot")

    def handle(self, *args: Any, device: str, **options: Any) -> None:
        self.stdout.write(replace_token(find_device(device)))
