"""``manage.py add_entrance``: a door of a store, through which entries and exits are counted."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints
from sensorapp.fleet.commands import STORE_HELP, find_store
from sensorapp.fleet.stores import add_entrance


class Command(BaseCommand):
    help = "Add an entrance to a store. assign_line says which line of a sensor crosses it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("store", help=STORE_HELP)
        parser.add_argument("name", help="of the entrance")

    def handle(self, *args: Any, store: str, name: str, **options: Any) -> None:
        found = find_store(store)
        with complaints():
            entrance = add_entrance(found, name)
        self.stdout.write(f"{found.name} has the entrance {entrance.name}.")
