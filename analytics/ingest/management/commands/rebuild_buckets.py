"""`manage.py rebuild_buckets`: buckets again from the archived batches."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection as django_connection
from psycopg import Connection

from analytics.ingest.directory import Directory, SensorFacts
from analytics.ingest.rebuild import ALWAYS, TooEarlyError, compare, first_bucket, rebuild
from analytics.metrics import BUCKET_MS
from sensorapp.accounts.models import Organisation
from sensorapp.fleet.models import Sensor


class Command(BaseCommand):
    help = (
        "Computes buckets again from the archived batches and replaces those that differ, each"
        " sensor in a transaction of its own."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organisation", help="slug of the organisation")
        parser.add_argument(
            "--sensor", dest="sensors", action="append", metavar="ID", help="only this sensor; repeatable"
        )
        parser.add_argument(
            "--from",
            dest="begins",
            metavar="TIME",
            help="first bucket, as 2026-11-16 or 2026-11-16T08:15 (UTC); as far back as batches reach if not given",
        )
        parser.add_argument(
            "--to", dest="ends", metavar="TIME", help="end of the last bucket; open if not given"
        )
        parser.add_argument("--check", action="store_true", help="change nothing; fail if any differs")

    def handle(
        self,
        *args: Any,
        organisation: str,
        sensors: list[str] | None,
        begins: str | None,
        ends: str | None,
        check: bool,
        **options: Any,
    ) -> None:
        begins_ms, ends_ms = bound("--from", begins), bound("--to", ends)
        if begins_ms is not None and ends_ms is not None and ends_ms <= begins_ms:
            raise CommandError(f"--to: {ends} does not lie after --from, {begins}; choose a later end")
        django_connection.ensure_connection()
        connection: Connection = django_connection.connection
        differing = 0
        for sensor in chosen(connection, organisation, sensors):
            work = compare if check else rebuild
            begin = first_bucket(connection, sensor) if begins_ms is None else begins_ms
            try:
                found = work(connection, sensor, begin, ALWAYS[1] if ends_ms is None else ends_ms)
            except TooEarlyError as error:
                raise CommandError(str(error)) from None
            self.stdout.write(
                f"{sensor.public_id}: {len(found.computed)} buckets, {len(found.differing)} differed"
            )
            differing += len(found.differing)
        if check and differing:
            raise CommandError(f"{differing} buckets differ from their batches; run this without --check")


def bound(field: str, text: str | None) -> int | None:
    """A time in Unix milliseconds at which a bucket may begin."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{field}: {text} is no time; write it as 2026-11-16T08:15") from None
    at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if at_ms % BUCKET_MS:
        raise CommandError(f"{field}: {text} lies within a bucket; choose a quarter of an hour, as 08:15")
    return at_ms


def chosen(connection: Connection, slug: str, names: Sequence[str] | None) -> list[SensorFacts]:
    """The sensors of an organisation, all or those named, in the order of their ids."""
    if not Organisation.objects.filter(slug=slug).exists():
        known = ", ".join(Organisation.objects.values_list("slug", flat=True).order_by("slug"))
        raise CommandError(f"organisation: {slug} is not known; choose from: {known or 'none'}")
    there = Sensor.objects.filter(store__organisation__slug=slug).values_list("public_id", flat=True)
    wanted = set(there if names is None else names)
    if strangers := wanted - set(there):
        raise CommandError(
            f"--sensor: {', '.join(sorted(strangers))} is not one of {slug}'s; name one of its sensors by its public id"
        )
    return sorted(Directory().sensors(connection, wanted).values(), key=lambda sensor: sensor.id)
