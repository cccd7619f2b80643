"""``manage.py assign_line``: let a line count the entries and exits of its store."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensorapp.accounts.commands import listed
from sensorapp.fleet.commands import find_sensor
from sensorapp.fleet.models import Channel, ChannelKind, Entrance, Sensor
from sensorapp.fleet.scenes import assign_line


class Command(BaseCommand):
    help = (
        "Say which line crosses an entrance: its crossings then count as the store's entries and exits, also those"
        " that came before."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sensor", help="id of the sensor: its token up to the dot")
        parser.add_argument("line", type=int, help="number of the line in the sensor's scene")
        parser.add_argument("entrance", help="name of an entrance of its store")
        parser.add_argument(
            "--entry-direction",
            choices=[Channel.FORWARD, Channel.BACKWARD],
            default=Channel.FORWARD,
            help="which way is in; default: forward",
        )

    def handle(
        self, *args: Any, sensor: str, line: int, entrance: str, entry_direction: str, **options: Any
    ) -> None:
        found = find_sensor(sensor)
        channel = find_line(found, line)
        assign_line(channel, find_entrance(found, entrance), entry_direction)
        self.stdout.write(f"Line {line} of {found.public_id} counts at {entrance}.")


def find_line(sensor: Sensor, number: int) -> Channel:
    lines = sensor.channels.filter(kind=ChannelKind.LINE)
    found = lines.filter(number=number).first()
    if found is None:
        known = listed(lines.values_list("number", flat=True))
        raise CommandError(
            f"line: {sensor.public_id} has no line {number}; choose from: {known}, or publish a scene that has it"
        )
    return found


def find_entrance(sensor: Sensor, name: str) -> Entrance:
    entrances = sensor.store.entrances.all()
    found = entrances.filter(name=name).first()
    if found is None:
        known = listed(entrances.values_list("name", flat=True))
        raise CommandError(
            f"entrance: {sensor.store.slug} has no {name}; choose from: {known}, or add it with add_entrance"
        )
    return found
