"""``manage.py release_set_aside``: count events that were set aside, when it is known how their clock was wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import pluralize

from analytics.ingest.set_aside import Released, list_set_aside, release_set_aside
from sensorapp import arguments
from sensorapp.durations import written
from sensorapp.fleet.models import Sensor

# Times are listed in whole seconds, and one that is given means all of its second.
REST_OF_SECOND: Final = timedelta(microseconds=999_999)


class Command(BaseCommand):
    help = (
        "Count the events of a sensor that are set aside, each once. Their times are moved back by its clock's"
        " error, which is how far ahead the newest of them lie, or by --shift."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sensor", help="public id, as list_set_aside shows it")
        parser.add_argument(
            "--ahead",
            type=arguments.span,
            metavar="SPAN",
            help="only the events that lie about so far ahead, as 2h; needed where list_set_aside shows several lines",
        )
        parser.add_argument(
            "--shift",
            type=arguments.span,
            metavar="SPAN",
            help="move their times so far: --shift=-1h back, as for a clock that was an hour ahead; 0 where the"
            " sensor's clock was right and the server's wrong",
        )
        for name, side in (("from", "since"), ("until", "up to")):
            parser.add_argument(
                f"--received-{name}",
                type=arguments.moment,
                metavar="TIME",
                help=f"only what came {side} this time (UTC), as 2026-11-25T06:00",
            )

    def handle(
        self,
        *args: Any,
        sensor: str,
        ahead: timedelta | None,
        shift: timedelta | None,
        received_from: datetime | None,
        received_until: datetime | None,
        **options: Any,
    ) -> None:
        found = Sensor.objects.filter(public_id=sensor).select_related("store__organisation").first()
        if found is None:
            raise CommandError(f"sensor {sensor!r} is not known; list_set_aside shows those that are")
        if received_until and not received_until.microsecond:
            received_until += REST_OF_SECOND
        try:
            done = release_set_aside(found, shift, received_from, received_until, ahead)
        except ValidationError as error:
            raise CommandError(complaint(error, sensor)) from None
        events = f"{done.events} event{pluralize(done.events)} of {sensor}"
        self.stdout.write(f"{events} {pluralize(done.events, 'is,are')} counted, {way(done)}.")


def complaint(error: ValidationError, sensor: str) -> str:
    """What is wrong with which argument, and the commands that would work."""
    lines = [f"{argument(field)}: {said[0]}" for field, said in error.message_dict.items()]
    if lots := list_set_aside([sensor]):
        lines += ["Commands that count what is set aside of it:", *(f"  {one.command}" for one in lots)]
    return "\n".join(lines)


def argument(field: str) -> str:
    return field if field == "sensor" else f"--{field.replace('_', '-')}"


def way(done: Released) -> str:
    if not done.shift:
        return "at their own times"
    return f"moved {'back' if done.shift < timedelta(0) else 'forward'} by {written(abs(done.shift))}"
