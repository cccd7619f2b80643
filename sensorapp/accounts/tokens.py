"""API tokens: making, revoking and recognising them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from sensorapp.accounts.log import record
from sensorapp.accounts.models import ApiToken, Membership, Organisation, Role, User
from sensorapp.accounts.secrets import matches, new_public_id, new_token, split

if TYPE_CHECKING:
    from django.db.models import QuerySet


@transaction.atomic
def create_api_token(
    organisation: Organisation,
    name: str,
    stores: Collection[str] | None,
    *,
    may_record_counts: bool = False,
    actor: User | None = None,
) -> tuple[ApiToken, str]:
    """Let a machine read stores, named by slug, or all of them (None).

    Returns the row and the token to present, which is shown only this once. Whoever makes a token must see
    the stores that it opens: raises PermissionDenied or ValidationError naming the field.
    """
    chosen = choose_stores(organisation, stores, actor)
    public_id = new_public_id("t")
    bearer, digest = new_token(public_id)
    token = ApiToken(
        organisation=organisation,
        name=name.strip(),
        public_id=public_id,
        digest=digest,
        all_stores=chosen is None,
        may_record_counts=may_record_counts,
        created_by=actor,
    )
    token.full_clean(exclude=["digest", "created_by"])
    token.save()
    token.stores.set([] if chosen is None else chosen)
    slugs = "all" if stores is None else sorted(set(stores))
    record(organisation, actor, "created API token", token, stores=slugs, may_record_counts=may_record_counts)
    return token, bearer


def choose_stores(
    organisation: Organisation, slugs: Collection[str] | None, actor: User | None
) -> Collection[Any] | None:
    """The rows of the stores, None for all, as far as ``actor`` sees them."""
    reachable: QuerySet[Any] = organisation.stores.all()
    if actor is not None:
        membership = Membership.objects.filter(user=actor, organisation=organisation).first()
        if membership is None:
            raise PermissionDenied(f"{actor} is not a member of {organisation}.")
        if not membership.all_stores:
            reachable = membership.stores.all()
            if slugs is None:
                raise PermissionDenied(f"{actor} does not see all stores of {organisation}; name some.")
    if slugs is None:
        return None
    return named_stores(organisation, reachable, slugs)


def named_stores(
    organisation: Organisation, reachable: QuerySet[Any], slugs: Collection[str]
) -> Collection[Any]:
    found = {store.slug: store for store in reachable.filter(slug__in=slugs)}
    missing = sorted(set(slugs) - set(found))
    if missing:
        reason = f"{organisation} has no store {', '.join(missing)} that you may see; correct the name"
        raise ValidationError({"stores": reason})
    if not found:
        raise ValidationError({"stores": "no store is named; name at least one, or ask for all"})
    return list(found.values())


@transaction.atomic
def revoke_api_token(token: ApiToken, actor: User | None = None) -> None:
    """Refuse a token from now on. Its maker may, and owners and administrators of the whole organisation."""
    if actor is not None and actor != token.created_by and not administers(actor, token.organisation):
        raise PermissionDenied(f"{actor} may not revoke {token}; ask an owner or administrator.")
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record(token.organisation, actor, "revoked API token", token)


def administers(user: User, organisation: Organisation) -> bool:
    roles = [Role.OWNER, Role.ADMINISTRATOR]
    return Membership.objects.filter(
        user=user, organisation=organisation, role__in=roles, all_stores=True
    ).exists()


def find_api_token(bearer: str) -> ApiToken | None:
    """The token that was presented, revoked or not; None where it is not known."""
    public_id, digest = split(bearer)
    token = ApiToken.objects.filter(public_id=public_id).first()
    return token if token and matches(bytes(token.digest), digest) else None
