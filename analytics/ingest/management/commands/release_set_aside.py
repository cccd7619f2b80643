"""``manage.py release_set_aside``: count events that were set aside, when it is known how their clock was wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from analytics.ingest.set_aside import release_set_aside
from sensorapp.fleet.models import Sensor


class Command(BaseCommand):
    help = "Count the events of a sensor that are set aside, each once, at their times or moved by --shift."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sensor", help="public id, as list_set_aside shows it")
        parser.add_argument(
            "--shift",
            type=int,
            default=0,
            metavar="SECONDS",
            help="move their times; -3600 where the sensor's clock was an hour ahead",
        )
        for name, side in (("from", "since"), ("until", "up to")):
            parser.add_argument(
                f"--received-{name}",
                type=moment,
                metavar="TIME",
                help=f"only what came {side} this time (UTC)",
            )

    def handle(
        self,
        *args: Any,
        sensor: str,
        shift: int,
        received_from: datetime | None,
        received_until: datetime | None,
        **options: Any,
    ) -> None:
        found = Sensor.objects.filter(public_id=sensor).select_related("store__organisation").first()
        if found is None:
            raise CommandError(f"sensor {sensor!r} is not known; list_set_aside shows those that are")
        try:
            events = release_set_aside(found, timedelta(seconds=shift), received_from, received_until)
        except ValidationError as error:
            faults = (f"--{field}: {said[0]}" for field, said in error.message_dict.items())
            raise CommandError("; ".join(faults)) from None
        self.stdout.write(f"{events} events of {sensor} are counted.")


def moment(text: str) -> datetime:
    """A time such as 2026-11-25T06:00; raises :class:`CommandError`."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"time {text!r}: write it as 2026-11-25T06:00")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
