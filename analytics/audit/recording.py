"""Recording manual counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from analytics.audit.models import AT_A_LINE, AT_ENTRANCES, ManualCount
from sensorapp.accounts.log import Actor, record
from sensorapp.accounts.models import User
from sensorapp.fleet.models import Channel, ChannelKind, Entrance, Store

LONGEST: Final = timedelta(hours=24)
HIGHEST: Final = 100_000
FIRST_YEAR: Final = 2000
# Spreadsheets run what begins with a sign as a formula.
PERSON: Final = re.compile(r"\w[^\x00-\x1f\x7f]{0,79}")


@transaction.atomic
def record_manual_count(
    store: Store,
    place: Entrance | Channel | None,
    begins: datetime,
    ends: datetime,
    counted: Mapping[str, int],
    counted_by: str,
    actor: Actor = None,
) -> ManualCount:
    """Keep what ``counted_by`` counted at an entrance, at a line, or at all entrances of the store (None).

    ``actor`` is who hands it in: a person who sees the store, or an API token that may record counts.
    Raises PermissionDenied, or ValidationError naming the field and what it must be.
    """
    if not may_record(actor, store):
        raise PermissionDenied("You may not record counts of this store; ask its administrator for access.")
    check_span(begins, ends)
    check_place(store, place)
    check_counted(place, counted)
    if not PERSON.fullmatch(counted_by):
        raise ValidationError(
            {"counted_by": "must be a name of 1 to 80 characters that begins with a letter or digit"}
        )
    count = save(
        ManualCount(
            store=store,
            entrance=place if isinstance(place, Entrance) else None,
            line=place if isinstance(place, Channel) else None,
            begins=begins.astimezone(UTC),
            ends=ends.astimezone(UTC),
            counted_by=counted_by,
            **counted,
        )
    )
    detail = {"place": str(place or store), "begins": str(count.begins), "ends": str(count.ends)}
    record(store.organisation, actor, "recorded manual count", count, **detail, **counted)
    return count


def save(count: ManualCount) -> ManualCount:
    try:
        with transaction.atomic():
            count.save()
    except IntegrityError:
        reason = f"{count.counted_by} has a count of the same place and time already; nothing was added"
        raise ValidationError({"from": ValidationError(reason, code="exists")}) from None
    return count


def may_record(actor: Actor, store: Store) -> bool:
    match actor:
        case None:
            return True
        case User():
            visible = Store.objects.visible_to(actor)
        case _:
            if not actor.may_record_counts:
                return False
            visible = Store.objects.visible_to_token(actor)
    return visible.filter(pk=store.pk).exists()


def check_span(begins: datetime, ends: datetime) -> None:
    for field, moment in (("from", begins), ("to", ends)):
        if timezone.is_naive(moment):
            raise ValidationError({field: "must state its offset from UTC, as in 2026-05-01T10:00:00+02:00"})
    if begins.year < FIRST_YEAR:
        raise ValidationError({"from": f"must lie in {FIRST_YEAR} or later"})
    if begins >= ends:
        raise ValidationError({"to": "must lie after from"})
    if ends - begins > LONGEST:
        raise ValidationError({"to": "must lie at most 24 hours after from; record longer counts in parts"})
    if ends > timezone.now():
        raise ValidationError({"to": "must not lie in the future; record the count when it is done"})


def check_place(store: Store, place: Entrance | Channel | None) -> None:
    match place:
        case Entrance():
            if place.store_id != store.pk:
                raise ValidationError({"entrance": "must be an entrance of this store"})
        case Channel():
            if place.kind != ChannelKind.LINE or place.sensor.store_id != store.pk:
                raise ValidationError({"line": "must be a line of a sensor in this store"})


def check_counted(place: Entrance | Channel | None, counted: Mapping[str, int]) -> None:
    fitting = AT_A_LINE if isinstance(place, Channel) else AT_ENTRANCES
    where = "at a line" if isinstance(place, Channel) else "at entrances"
    for direction, value in counted.items():
        if direction not in fitting:
            raise ValidationError({direction: f"is not counted {where}; give {' or '.join(fitting)}"})
        if not 0 <= value <= HIGHEST:
            raise ValidationError({direction: f"must be 0 to {HIGHEST}"})
    if not counted:
        raise ValidationError({fitting[0]: f"nothing was counted; give {fitting[0]}, {fitting[1]} or both"})
