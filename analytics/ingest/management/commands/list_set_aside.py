"""``manage.py list_set_aside``: sensors whose events lay ahead of the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from analytics.ingest.set_aside import SetAside, list_set_aside

COLUMNS = ("sensor", "organisation", "store", "name", "events", "received (UTC)", "ahead")


class Command(BaseCommand):
    help = (
        "List the sensors of which events are set aside, as they lay too far ahead of the server's clock."
        " release_set_aside counts them."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        found = list_set_aside()
        if not found:
            self.stdout.write("Nothing is set aside.")
            return
        table = Table(*COLUMNS)
        for one in found:
            table.add_row(*cells(one))
        console = Console(width=160)
        with console.capture() as printed:
            console.print(table)
        self.stdout.write(printed.get())


def cells(one: SetAside) -> tuple[str, ...]:
    received = f"{one.received_from:%Y-%m-%d %H:%M:%S} – {one.received_until:%Y-%m-%d %H:%M:%S}"
    ahead = " – ".join(seconds(span) for span in (one.least_ahead, one.most_ahead))
    return one.sensor, one.organisation, one.store, one.name, str(one.events), received, ahead


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f} s"
