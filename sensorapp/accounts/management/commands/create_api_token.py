"""`manage.py create_api_token`: access for a program that reads the export."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sensorapp.accounts.commands import complaints, find_organisation
from sensorapp.accounts.tokens import create_api_token


class Command(BaseCommand):
    help = "Makes an API token and prints it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("organisation", help="slug of the organisation")
        parser.add_argument("name", help="what the token is for")
        stores = parser.add_mutually_exclusive_group(required=True)
        stores.add_argument("--store", dest="stores", action="append", help="slug of a store; repeatable")
        stores.add_argument("--all-stores", action="store_true", help="also those that are added later")
        parser.add_argument("--may-record-counts", action="store_true", help="lets it add manual counts")

    def handle(
        self,
        *args: Any,
        organisation: str,
        name: str,
        stores: list[str] | None,
        may_record_counts: bool,
        **options: Any,
    ) -> None:
        found = find_organisation(organisation)
        with complaints():
            _, bearer = create_api_token(found, name, stores, may_record_counts=may_record_counts)
        self.stdout.write(bearer)
