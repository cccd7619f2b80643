"""The page of all sensors: how each is, what is set aside, and what never counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from analytics.counts.days import to_ms
from analytics.counts.snapshot import read_snapshot
from analytics.ingest.models import Cursor, Rejection
from analytics.ingest.packed import pack
from analytics.ingest.table import join
from dashboard import sensors_page as module
from dashboard.sensors_page import sensors_page
from sensorapp import columns
from sensorapp.accounts.models import User
from sensorapp.fleet.enrolment import revoke
from sensorapp.fleet.models import Sensor
from tests.cast import make_door, make_sensor
from tests.counts.site import crossing
from tests.dashboard.site import NOW, Shop, words

LIST = ".venv/bin/python manage.py list_set_aside"
SET_ASIDE = """
INSERT INTO ingest_set_aside (organisation_id, sensor_id, epoch, first_seq, received_at, first_at, config,
                              event_count, model, events)
VALUES (%s, %s, 1, %s, %s, %s, 1, 2, '', %s)
"""


def set_aside(sensor: Sensor, first_seq: int, ahead: timedelta) -> None:
    """Two events that came now."""
    at = to_ms(NOW + ahead)
    [events] = pack(join([columns.encode([crossing(NOW + ahead)] * 2)]))
    row = [sensor.store.organisation_id, sensor.pk, first_seq, NOW, at, events]
    with connection.cursor() as cursor:
        cursor.execute(SET_ASIDE, row)


def page(user: User) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get("/sensors/")
    assert answer.status_code == 200
    return words(re.search(r"<main.*</main>", answer.text, re.S)[0])  # type: ignore[index]


def refuse(sensor: Sensor, path: str, reason: str, events: int, ago: timedelta, first_seq: int = 100) -> None:
    Rejection.objects.create(
        sensor_id=sensor.pk,
        epoch=1,
        first_seq=first_seq,
        last_seq=first_seq + events - 1,
        path=path,
        reason=reason,
        received_at=NOW - ago,
    )


def test_the_troubled_come_first_and_the_clock_of_each_is_told(shop: Shop) -> None:
    """Two that are well, one never heard, one whose clock is wrong and whose events wait; a revoked one is gone."""
    make_door(shop.cast.other_store, "New door")
    gone, _ = make_sensor(shop.store, "Gone")
    revoke(gone)
    Cursor.objects.filter(pk=shop.door.pk).update(skew_ms=-400)
    Cursor.objects.filter(pk=shop.shelf.pk).update(skew_ms=12 * 60_000)
    set_aside(shop.shelf, 1000, timedelta(minutes=12))
    set_aside(shop.shelf, 2000, timedelta(days=400))
    shelf, command = shop.shelf.public_id, ".venv/bin/python manage.py"
    assert page(shop.cast.owner) == words(
        f"""
        Sensors As of 10 Jun, 12:07 UTC
        State 1 never heard 1 wrong clock 1 live
        New door Pune · {shop.cast.other_store.sensors.get().public_id} never heard
        Shelf A Hamburg · {shop.shelf.public_id} live, clock 12 min ahead , 4 events set aside
        1 without trouble
        Main door Hamburg · {shop.door.public_id} live, clock right
        4 events lay ahead of the server’s clock and do not count. Once a sensor’s clock is right, its command,
        on the server, counts them, moved back by as much as the newest of them lies ahead. What shall not count
        may stay: it is discarded 400 days after it came.
        Shelf A: 2 events, 12 min ahead; first set its clock , which is 12 min ahead
        {command} release_set_aside {shelf} --ahead=12min
        Shelf A: 2 events, 400 d ahead; first set its clock , which is 12 min ahead {command} release_set_aside {shelf} --ahead=400d
        When they came: {command} list_set_aside
        Never counted Every event of the last 90 days counts.
        """
    )


@pytest.mark.parametrize(
    ("skew_ms", "row", "box"),
    [
        (-400, "live, clock right , 2 events set aside", "71 years ahead; its clock is right"),
        (
            7_200_000,
            "live, clock 2 h ahead , 2 events set aside",
            "71 years ahead; first set its clock , which is 2 h ahead",
        ),
        (None, "live, 2 events set aside", "71 years ahead; first see that its clock is right"),
    ],
)
def test_of_what_is_set_aside_row_and_box_say_the_same_of_the_clock(
    shop: Shop, skew_ms: int | None, row: str, box: str
) -> None:
    Cursor.objects.filter(pk=shop.shelf.pk).update(skew_ms=skew_ms)
    set_aside(shop.shelf, 1000, timedelta(days=25_965))
    said = page(shop.cast.manager)
    assert row in said
    assert f"Shelf A: 2 events, {box} .venv/bin/python manage.py release_set_aside" in said


def test_silent_ones_and_those_that_catch_up_say_since_when(shop: Shop) -> None:
    Cursor.objects.filter(pk=shop.door.pk).update(received_at=NOW - timedelta(hours=5))
    Cursor.objects.filter(pk=shop.shelf.pk).update(newest_at=NOW - timedelta(minutes=40))
    said = page(shop.cast.manager)
    assert f"Main door Hamburg · {shop.door.public_id} silent for 5 h Shelf A" in said
    assert f"Shelf A Hamburg · {shop.shelf.public_id} catching up, data 40 min old Never" in said


def test_of_a_sensor_that_was_only_refused_nothing_is_counted_yet(shop: Shop) -> None:
    Cursor.objects.filter(pk=shop.shelf.pk).update(newest_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert f"Shelf A Hamburg · {shop.shelf.public_id} nothing counted yet 1 without" in page(
        shop.cast.manager
    )
    [shelf] = [one for one in read_snapshot(shop.store, NOW).sensors if one.sensor_id == shop.shelf.pk]
    assert (shelf.status, shelf.newest_at) == ("catching up", None)
    [line] = re.findall(r"<li id=.*</li>", render_to_string("dashboard/_sensor.html", {"sensor": shelf}))
    assert words(line) == "Shelf A nothing counted yet"


def test_what_never_counts_is_told_with_where_and_why_alike_ones_together(shop: Shop) -> None:
    """And with what a sender's log has of it: the epoch, the numbers and when they came."""
    line, door, shelf = (
        "the sensor has no line 7; add it to its scene",
        shop.door.public_id,
        shop.shelf.public_id,
    )
    for number in range(4):
        refuse(shop.door, "$.batches[3].events[17].line", line, 2, timedelta(days=3 + number), 10 * number)
    refuse(shop.door, "$.batches[0].events[0].line", line, 1_000, timedelta(hours=2), 1_000)
    refuse(shop.shelf, "$.batches[0].events[0].line", line, 1, timedelta(days=4))
    refuse(shop.shelf, "$.batches[0].events[2]", "Object missing required field `at`", 5, timedelta(days=5))
    refuse(
        shop.shelf, "", "lay ahead of the clock, and was not released within 400 days", 12, timedelta(days=6)
    )
    said = page(shop.cast.manager)
    assert said[said.index("newest first. ") :] == words(
        f"""
        newest first. What is refused stays with its sender: this project’s own sensor keeps it in
        dead-letter.jsonl of its outbox. Numbers are those that the sender gave its events.
        line: {line} Main door · Hamburg · {door}
          epoch 1, numbers 1000–1999, 2026-06-10 10:07:30 UTC epoch 1, numbers 0–1, 2026-06-07 12:07:30 UTC
          epoch 1, numbers 10–11, 2026-06-06 12:07:30 UTC and 2 earlier batches 1,008 events, 2 h ago
        line: {line} Shelf A · Hamburg · {shelf}
          epoch 1, number 100, 2026-06-06 12:07:30 UTC 1 event, 4 days ago
        events: object missing required field `at` Shelf A · Hamburg · {shelf}
          epoch 1, numbers 100–104, 2026-06-05 12:07:30 UTC 5 events, 5 days ago
        Lay ahead of the clock, and was not released within 400 days Shelf A · Hamburg · {shelf}
          epoch 1, numbers 100–111, 2026-06-04 12:07:30 UTC 12 events, 6 days ago
        """
    )


def test_everybody_sees_the_sensors_of_their_stores_and_no_other(shop: Shop) -> None:
    cast = shop.cast
    sensors = {
        store: make_sensor(store, f"of {store.slug}")[0]
        for store in (cast.store, cast.other_store, cast.foreign_store)
    }
    for sensor in sensors.values():
        refuse(sensor, "$.batches[0].config", f"refused {sensor.public_id}", 1, timedelta(hours=1))
    for person, visible in cast.visible_stores.items():
        said = page(cast.people[person])
        for mark in ("· {}", "config: refused {}"):
            shown = {store for store, one in sensors.items() if mark.format(one.public_id) in said}
            assert shown == visible, f"{person}: {mark}"


def test_a_page_for_nobody_leads_to_the_login(db: None) -> None:
    assert Client().get("/sensors/").headers["location"] == "/accounts/login/?next=/sensors/"


def test_lists_end_where_nobody_reads_on_but_all_are_counted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TROUBLED_AT_ONCE", 2)
    monkeypatch.setattr(module, "LIVE_AT_ONCE", 1)
    monkeypatch.setattr(module, "NEVER_COUNTED_AT_ONCE", 1)
    for number in range(2):
        refuse(shop.door, "$.batches[0].config", f"reason {number}", 1, timedelta(hours=number))
    for number in range(3):
        make_sensor(shop.store, f"New {number}")
    shown = sensors_page([shop.store], NOW)
    assert [sensor.name for sensor in shown.troubled] == ["New 0", "New 1"]
    assert [sensor.name for sensor in shown.live] == ["Main door"]
    assert (shown.troubled_in_all, shown.live_in_all) == (3, 2)
    assert [one.why for one in shown.never_counted] == ["reason 0"]
    assert shown.tally == [("never heard", 3), ("live", 2)]
    said = page(shop.cast.manager)
    assert "The first 2 of 3." in said
    assert "2 without trouble Main door" in said
    assert "The first 1 of 2." in said


def test_of_more_than_can_be_looked_at_only_the_command_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOTS_AT_ONCE", 1)
    for first_seq, hours in ((1000, 1), (2000, 2)):
        set_aside(shop.shelf, first_seq, timedelta(hours=hours))
    said = page(shop.cast.manager)
    assert f"--ahead=1h These are the first 1 of 2; all of them, and when they came: {LIST} Never" in said
    monkeypatch.setattr(module, "EVENTS_LOOKED_AT", 3)
    said = page(shop.cast.manager)
    assert f"came. Which came, and the commands that count them: {LIST} Never" in said
    assert "--ahead" not in said


# Two for the session and the person, one for the stores, one for their sensors, one for what never counts; and one for what is set
# aside, where something is.
@pytest.mark.parametrize("more", [0, 5])
def test_queries_of_the_page(
    shop: Shop, more: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(more):
        sensor, _ = make_sensor(shop.store, f"New {number}")
        refuse(sensor, "$.batches[0].config", "unknown", 1, timedelta(hours=1))
        set_aside(sensor, 1000, timedelta(hours=number + 1))
    client = Client()
    client.force_login(shop.cast.owner)
    with django_assert_num_queries(2 + 1 + 1 + 1 + bool(more)):
        client.get("/sensors/")
