"""`make demo`: everything at once, with a demo chain, until Ctrl-C."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sensorapp.stack import demo
from sensorapp.stack.processes import StackError


class Command(BaseCommand):
    help = "Starts PostgreSQL, Valkey, the web server, the workers and a simulated fleet, until Ctrl-C."
    # The database is not there yet when the checks would run.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"), help="default: 8000")

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        try:
            demo.run(port)
        except StackError as error:
            raise CommandError(str(error)) from None
