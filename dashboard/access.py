"""Which stores a person sees, each with the version that its counts have reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from analytics.ingest.models import StoreVersion
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Store

if TYPE_CHECKING:
    from django.db.models.query import QuerySet
    from django_stubs_ext import WithAnnotations

    class Reached(TypedDict):
        version: int

    VersionedStore = WithAnnotations[Store, Reached]


def visible_stores(user: User) -> QuerySet[VersionedStore]:
    """The stores that ``user`` may see; ``version`` is 0 before a store's first commit."""
    version = StoreVersion.objects.filter(store_id=OuterRef("pk")).values("version")
    return (
        Store.objects.visible_to(user)
        .select_related("organisation")
        .annotate(version=Coalesce(Subquery(version), 0))
    )
