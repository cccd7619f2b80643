"""``manage.py publish_scene``: what a sensor looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensorapp import wire
from sensorapp.fleet.commands import find_sensor
from sensorapp.fleet.scenes import publish_scene


class Command(BaseCommand):
    help = "Publish a scene file as the newest of a sensor, whatever version the file says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sensor", help="id of the sensor: its token up to the dot")
        parser.add_argument("file", type=Path, help="JSON, as fixtures/scenes/table.json")

    def handle(self, *args: Any, sensor: str, file: Path, **options: Any) -> None:
        found = find_sensor(sensor)
        version = publish_scene(found, read_scene(file))
        self.stdout.write(f"Scene version {version.version} of {found.public_id} is published.")


def read_scene(file: Path) -> wire.Scene:
    try:
        return wire.decode(file.read_bytes(), wire.Scene)
    except OSError as error:
        raise CommandError(f"file: {file}: {error.strerror}; name a scene file") from None
    except wire.WireError as error:
        raise CommandError(f"file: {file}: {error}") from None
