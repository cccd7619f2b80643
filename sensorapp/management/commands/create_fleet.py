"""``manage.py create_fleet``: stores and sensors by the thousand, and the plan of the fleet that simulates them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import track

from sensor_sim.fleet import layout
from sensorapp.demo.chain import FixtureError
from sensorapp.demo.large import create_fleet
from sensorapp.demo.load import DemoError


class Command(BaseCommand):
    help = (
        "Enrol a large fleet in an organisation of its own, and write its plan for"
        " `python -m sensor_sim fleet --plan FILE`. Each sensor sends a batch a second."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--stores", type=int, default=500, help="default: 500")
        parser.add_argument("--sensors", type=int, default=20, help="in each store; default: 20")
        parser.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="the plan; it holds secrets"
        )
        parser.add_argument("--name", default="Load test", help="of the organisation; default: Load test")
        parser.add_argument("--slug", default="load-test", help="of the organisation; default: load-test")

    def handle(
        self,
        *args: Any,
        stores: int,
        sensors: int,
        out: Path,
        name: str,
        slug: str,
        verbosity: int,
        **options: Any,
    ) -> None:
        if stores < 1:
            raise CommandError(f"--stores {stores}: choose 1 or more")
        if sensors < layout.FEWEST:
            raise CommandError(f"--sensors {sensors}: choose {layout.FEWEST} or more, a door and zones")
        try:
            create_fleet(name, slug, stores, sensors, out, progress if verbosity else iter)
        except (DemoError, FixtureError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"--out {out}: {error.strerror}; choose a place that can be written") from None
        if verbosity:
            self.stdout.write(
                f"{stores * sensors} sensors in {stores} stores are enrolled; their plan is in {out}."
            )


def progress(numbers: range) -> Iterable[int]:
    """A bar where standard error is a terminal, and nothing at all elsewhere."""
    console, silent = Console(stderr=True), not sys.stderr.isatty()
    return track(numbers, "  stores", console=console, transient=True, disable=silent)
