"""Organisations and the people in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction

from sensorapp.accounts.log import record
from sensorapp.accounts.models import Membership, Organisation, Role, User

if TYPE_CHECKING:
    from sensorapp.fleet.models import Store


# First parts of addresses that are not an organisation's.
RESERVED_SLUGS: Final = frozenset(
    {
        "accounts",
        "api",
        "cards",
        "device",
        "healthz",
        "ingest",
        "live",
        "metrics",
        "readyz",
        "sensors",
        "static",
    }
)


@transaction.atomic
def found_organisation(name: str, slug: str, actor: User | None = None) -> Organisation:
    """Raises :class:`~django.core.exceptions.ValidationError` naming the field."""
    if slug in RESERVED_SLUGS:
        raise ValidationError({"slug": f"{slug!r} is an address of the server itself; choose another"})
    organisation = Organisation(name=name, slug=slug)
    organisation.full_clean()
    organisation.save()
    record(organisation, actor, "founded organisation", organisation)
    return organisation


@transaction.atomic
def add_member(
    organisation: Organisation,
    *,
    email: str,
    name: str,
    role: Role,
    password: str | None = None,
    stores: Iterable[Store] | None = None,
    actor: User | None = None,
) -> Membership:
    """Give a new person a role, in all stores or in the listed ones. Their e-mail address counts as verified.

    Raises :class:`~django.core.exceptions.ValidationError` naming the field.
    """
    if User.objects.filter(email__iexact=email).exists():
        raise ValidationError({"email": f"{email} has an account already; give another address"})
    user = User(email=email, name=name)
    user.set_password(password)
    user.full_clean()
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    membership = Membership.objects.create(
        user=user, organisation=organisation, role=role, all_stores=stores is None
    )
    membership.stores.set(stores or [])
    record(organisation, actor, "added member", user, role=role)
    return membership
