"""Manual counts: who may record what, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError
from django.utils.timezone import now as current_time

from analytics.audit.models import ManualCount
from analytics.audit.recording import record_manual_count
from sensorapp.accounts.models import AuditEntry
from sensorapp.accounts.tokens import create_api_token
from sensorapp.fleet.models import Channel, ChannelKind, Store
from tests.cast import Cast, build_cast, channel, make_door, make_sensor

pytestmark = pytest.mark.django_db

BEGINS = datetime(2026, 5, 4, 8, 7, 30, tzinfo=UTC)
ENDS = BEGINS + timedelta(minutes=40)


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def record(store: Store, **fields: Any) -> ManualCount:
    values: dict[str, Any] = {
        "place": None,
        "begins": BEGINS,
        "ends": ENDS,
        "counted": {"entries": 12},
        "counted_by": "Ada",
    }
    return record_manual_count(store, **(values | fields))


def refused(store: Store, **fields: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        record(store, **fields)
    assert not AuditEntry.objects.filter(verb="recorded manual count").exists()
    found: dict[str, list[str]] = error.value.message_dict
    return found


def allowed(store: Store, actor: Any, counted_by: str) -> bool:
    try:
        record(store, actor=actor, counted_by=counted_by)
    except PermissionDenied:
        return False
    return True


def test_whoever_sees_a_store_may_record_its_counts(cast: Cast) -> None:
    stores = [cast.store, cast.other_store, cast.foreign_store]
    for name, person in cast.people.items():
        recorded = {store for store in stores if allowed(store, person, name)}
        assert recorded == cast.visible_stores[name], name
        assert set(ManualCount.objects.visible_to(person).values_list("store", flat=True)) == {
            store.pk for store in recorded
        }
    assert ManualCount.objects.count() == 9


def test_a_token_needs_the_store_and_the_right(cast: Cast) -> None:
    reader, _ = create_api_token(cast.chain, "reader", None)
    writer, _ = create_api_token(cast.chain, "writer", ["hamburg"], may_record_counts=True)
    stores = [cast.store, cast.other_store, cast.foreign_store]
    assert [allowed(store, reader, "a") for store in stores] == [False, False, False]
    assert [allowed(store, writer, "a") for store in stores] == [True, False, False]
    entry = AuditEntry.objects.get(verb="recorded manual count")
    assert (entry.actor, entry.actor_name) == (None, f"API token writer ({writer.public_id})")


def test_a_count_is_kept_as_it_was_given(cast: Cast) -> None:
    door = make_door(cast.store)
    line = channel(door, ChannelKind.LINE)
    berlin = BEGINS.astimezone(cast.store.zone)
    count = record(
        cast.store, place=line, begins=berlin, counted={"forward": 3, "backward": 0}, actor=cast.manager
    )
    count.refresh_from_db()
    assert (count.store, count.line, count.entrance) == (cast.store, line, None)
    assert (count.begins, count.ends, count.counted_by) == (BEGINS, ENDS, "Ada")
    assert (count.entries, count.exits, count.forward, count.backward) == (None, None, 3, 0)
    assert count.counted == {"forward": 3, "backward": 0}
    entry = AuditEntry.objects.get(subject_type="audit.manualcount")
    assert (entry.organisation, entry.actor, entry.verb, entry.subject_id) == (
        cast.chain,
        cast.manager,
        "recorded manual count",
        count.pk,
    )
    assert entry.detail == {
        "place": "door",
        "begins": "2026-05-04 08:07:30+00:00",
        "ends": "2026-05-04 08:47:30+00:00",
        "forward": 3,
        "backward": 0,
    }


def test_what_is_refused_is_named_with_its_remedy(cast: Cast) -> None:
    now = current_time()
    door, shelf = make_door(cast.store), make_sensor(cast.store, "table", zones=["table"])[0]
    line, zone = channel(door, ChannelKind.LINE), channel(shelf, ChannelKind.ZONE)
    foreign_line = channel(make_door(cast.foreign_store), ChannelKind.LINE)
    foreign_entrance = cast.foreign_store.entrances.get()
    name = "must be a name of 1 to 80 characters that begins with a letter or digit"
    cases: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
        ({"begins": BEGINS.replace(tzinfo=None)}, {"from": ["must state its offset from UTC, as in 2026-05-01T10:00:00+02:00"]}),
        ({"ends": ENDS.replace(tzinfo=None)}, {"to": ["must state its offset from UTC, as in 2026-05-01T10:00:00+02:00"]}),
        ({"begins": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))}, {"from": ["must lie in 2000 or later"]}),
        ({"ends": BEGINS}, {"to": ["must lie after from"]}),
        (
            {"ends": BEGINS + timedelta(hours=24, seconds=1)},
            {"to": ["must lie at most 24 hours after from; record longer counts in parts"]},
        ),
        (
            {"begins": now, "ends": now + timedelta(hours=1)},
            {"to": ["must not lie in the future; record the count when it is done"]},
        ),
        ({"counted": {}}, {"entries": ["nothing was counted; give entries, exits or both"]}),
        ({"counted": {}, "place": line}, {"forward": ["nothing was counted; give forward, backward or both"]}),
        ({"counted": {"forward": 1}}, {"forward": ["is not counted at entrances; give entries or exits"]}),
        ({"counted": {"exits": 1}, "place": line}, {"exits": ["is not counted at a line; give forward or backward"]}),
        ({"counted": {"entries": -1}}, {"entries": ["must be 0 to 100000"]}),
        ({"counted": {"entries": 100_001}}, {"entries": ["must be 0 to 100000"]}),
        ({"counted": {"forward": 1}, "place": zone}, {"line": ["must be a line of a sensor in this store"]}),
        ({"counted": {"forward": 1}, "place": foreign_line}, {"line": ["must be a line of a sensor in this store"]}),
        ({"place": foreign_entrance}, {"entrance": ["must be an entrance of this store"]}),
        ({"counted_by": ""}, {"counted_by": [name]}),
        ({"counted_by": "x" * 81}, {"counted_by": [name]}),
        ({"counted_by": "=1+1"}, {"counted_by": [name]}),
        ({"counted_by": "Ada\nEve"}, {"counted_by": [name]}),
    ]  # fmt: skip
    for fields, expected in cases:
        assert refused(cast.store, **fields) == expected
    assert not ManualCount.objects.exists()


def test_the_same_count_is_recorded_once(cast: Cast) -> None:
    record(cast.store)
    with pytest.raises(ValidationError) as error:
        record(cast.store, counted={"entries": 13})
    assert error.value.message_dict == {
        "from": ["Ada has a count of the same place and time already; nothing was added"]
    }
    record(cast.store, counted_by="Grace")
    record(cast.store, place=cast.store.entrances.get())
    assert ManualCount.objects.count() == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"entries": 1, "forward": 1},
        {"forward": 1},
        {},
        {"entries": 1, "ends": BEGINS},
    ],
)
def test_the_database_keeps_the_rules_too(cast: Cast, fields: dict[str, Any]) -> None:
    values = {"begins": BEGINS, "ends": ENDS, "counted_by": "Ada"} | fields
    with pytest.raises(IntegrityError):
        ManualCount.objects.create(store=cast.store, **values)


def test_a_line_takes_no_entries_in_the_database(cast: Cast) -> None:
    line = Channel.objects.get(sensor=make_door(cast.store), kind=ChannelKind.LINE)
    with pytest.raises(IntegrityError):
        ManualCount.objects.create(
            store=cast.store, line=line, begins=BEGINS, ends=ENDS, counted_by="Ada", entries=1
        )
