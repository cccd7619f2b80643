"""What management commands have in common: finding what an argument names, and saying what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import CommandError

from sensorapp.accounts.models import Organisation


def find_organisation(slug: str) -> Organisation:
    found = Organisation.objects.filter(slug=slug).first()
    if found is None:
        known = Organisation.objects.values_list("slug", flat=True).order_by("slug")
        raise CommandError(f"organisation: {slug} is not known; choose from: {listed(known)}")
    return found


def listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"


@contextmanager
def complaints() -> Iterator[None]:
    """What a verb finds wrong, as the sentence with which a command ends."""
    try:
        yield
    except ValidationError as error:
        said = ((field, " ".join(messages)) for field, messages in error.message_dict.items())
        faults = (text if field == NON_FIELD_ERRORS else f"{field}: {text}" for field, text in said)
        raise CommandError("; ".join(faults)) from None
