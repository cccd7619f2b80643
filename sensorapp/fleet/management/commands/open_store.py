"""``manage.py open_store``: a store in which sensors can be enrolled."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints, find_organisation
from sensorapp.fleet.stores import open_store


class Command(BaseCommand):
    help = "Open a store. Until it has opening hours it counts as open all day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="slug of the organisation")
        parser.add_argument("slug", help="last part of its page's address, such as hamburg")
        parser.add_argument("name")
        parser.add_argument("time_zone", help="such as Europe/Berlin")
        parser.add_argument("--city", default="")
        parser.add_argument("--country", default="", help="two letters, such as DE")

    def handle(
        self,
        *args: Any,
        organisation: str,
        slug: str,
        name: str,
        time_zone: str,
        city: str,
        country: str,
        **options: Any,
    ) -> None:
        found = find_organisation(organisation)
        with complaints():
            store = open_store(found, name=name, slug=slug, time_zone=time_zone, city=city, country=country)
        self.stdout.write(f"{store.name} is open; its page is at {store.get_absolute_url()}.")
