"""``manage.py enrol_gateway``: the token of a box that sends for all sensors of a store."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints
from sensorapp.fleet.commands import STORE_HELP, find_store
from sensorapp.fleet.enrolment import enrol_gateway


class Command(BaseCommand):
    help = "Enrol a gateway, which may send for every sensor of the store, and print its token; it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("store", help=STORE_HELP)
        parser.add_argument("name", help="of the gateway")

    def handle(self, *args: Any, store: str, name: str, **options: Any) -> None:
        found = find_store(store)
        with complaints():
            _, token = enrol_gateway(found, name)
        self.stdout.write(token)
