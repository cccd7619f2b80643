"""``manage.py list_set_aside``: events that lay ahead of the clock, by sensor and by how far, and how to count them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from analytics.ingest.set_aside import SetAside, list_set_aside
from sensorapp.durations import written

COLUMNS = ("sensor", "organisation", "store", "name", "events", "ahead", "received (UTC)")


class Command(BaseCommand):
    help = (
        "List which events are set aside, as they lay too far ahead of the server's clock, and the commands that"
        " count them. Events of a sensor that lie about as far ahead are one line."
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
        self.stdout.write("To count them, moved back by as much as the newest of them lie ahead:\n\n")
        for one in found:
            self.stdout.write(f"  {one.command}")


def cells(one: SetAside) -> tuple[str, ...]:
    lot = one.lot
    least, most = written(lot.least_ahead), written(lot.most_ahead)
    ahead = most if least == most else f"{least} – {most}"
    received = f"{lot.received_from:%Y-%m-%dT%H:%M:%S} – {lot.received_until:%Y-%m-%dT%H:%M:%S}"
    return one.sensor, one.organisation, one.store, one.name, str(lot.events), ahead, received
