"""``manage.py load_demo``: the demo chain and the credentials of its fleet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensorapp.demo.chain import FixtureError, read_chain
from sensorapp.demo.load import PASSWORD, DemoError, files, load_demo


class Command(BaseCommand):
    help = "Load the demo chain from fixtures/demo, if it is not there yet, and write var/demo."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--force", action="store_true", help="load it even if the database holds other organisations"
        )

    def handle(self, *args: Any, force: bool, verbosity: int, **options: Any) -> None:
        try:
            is_new = load_demo(force)
        except (DemoError, FixtureError) as error:
            raise CommandError(str(error)) from None
        if verbosity:
            self.stdout.write(
                f"The demo chain is {'loaded' if is_new else 'there already'}. Log in with the password {PASSWORD} as"
            )
            for person in read_chain().people:
                self.stdout.write(f"  {person.email}  {person.name}, {person.role.label.lower()}")
            self.stdout.write(f"The fleet's credentials are in {files().plan}.")
