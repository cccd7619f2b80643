"""``manage.py add_member``: a person who may log in."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sensorapp.accounts.commands import complaints, find_organisation
from sensorapp.accounts.members import add_member
from sensorapp.accounts.models import Role
from sensorapp.accounts.tokens import named_stores


class Command(BaseCommand):
    help = (
        "Add a person to an organisation and print a password with which to log in; it cannot be shown again,"
        " and is changed at /accounts/password/change/."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organisation", help="slug of the organisation")
        parser.add_argument("email", help="with which the person logs in")
        parser.add_argument("name")
        parser.add_argument("role", choices=Role.values)
        parser.add_argument(
            "--store",
            dest="stores",
            action="append",
            help="slug of a store; repeatable; default: all of them",
        )

    def handle(
        self,
        *args: Any,
        organisation: str,
        email: str,
        name: str,
        role: str,
        stores: list[str] | None,
        **options: Any,
    ) -> None:
        found = find_organisation(organisation)
        password = secrets.token_urlsafe(12)
        with complaints():
            chosen = None if stores is None else named_stores(found, found.stores.all(), stores)
            add_member(found, email=email, name=name, role=Role(role), password=password, stores=chosen)
        self.stdout.write(password)
