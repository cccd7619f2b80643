"""``manage.py found_organisation``: a chain of stores to be."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints
from sensorapp.accounts.members import found_organisation


class Command(BaseCommand):
    help = "Found an organisation: a chain of stores, beyond which nobody sees. add_member lets people in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="first part of its pages' addresses, such as nordlicht")
        parser.add_argument("name")

    def handle(self, *args: Any, slug: str, name: str, **options: Any) -> None:
        with complaints():
            organisation = found_organisation(name, slug)
        self.stdout.write(f"{organisation.name} is founded; its pages are at /{organisation.slug}/.")
