"""Which stores a person sees, each with the version that its counts have reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from analytics.ingest.models import StoreVersion
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Store

if TYPE_CHECKING:
    from django.db.models.query import QuerySet

    class VersionedStore(Store):
        """``version`` is 0 before a store's first commit."""

        version: int

        class Meta:
            abstract = True


def visible_stores(user: User) -> QuerySet[VersionedStore]:
    version = StoreVersion.objects.filter(store_id=OuterRef("pk")).values("version")
    stores = (
        Store.objects.visible_to(user)
        .select_related("organisation")
        .annotate(version=Coalesce(Subquery(version), 0))
    )
    return cast("QuerySet[VersionedStore]", stores)


def find_visible_store(user: User, organisation: str, store: str) -> VersionedStore | None:
    """By the slugs in an address; None where there is none, or none that ``user`` may see."""
    return visible_stores(user).filter(organisation__slug=organisation, slug=store).first()
