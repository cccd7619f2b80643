"""Silences begin and end, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics.ingest.models import Cursor
from analytics.ingest.silence import notice_silent_sensors
from analytics.ingest.tasks import notice_silent_sensors as task
from sensorapp.fleet.models import Sensor, Silence
from tests.cast import build_cast, make_sensor

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 16, 10, 7, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def hear(sensor: Sensor, at: datetime, heartbeat_s: int = 60) -> None:
    heard = {"received_at": at, "newest_at": at, "heartbeat_ms": heartbeat_s * 1000}
    Cursor.objects.update_or_create(pk=sensor.pk, defaults={"epoch": 1, "next_seq": 1} | heard)


def silences() -> list[tuple[str, datetime, datetime, datetime | None]]:
    rows = Silence.objects.order_by("sensor__name", "began_at")
    return [*rows.values_list("sensor__name", "began_at", "noticed_at", "ended_at")]


def test_silences_begin_once_and_end() -> None:
    store = build_cast().store
    sensors = {name: make_sensor(store, name)[0] for name in ("fresh", "late", "new", "old", "revoked")}
    hear(sensors["fresh"], ago(299))
    hear(sensors["late"], ago(301))
    hear(sensors["old"], ago(90_000))
    hear(sensors["revoked"], ago(90_000))
    Sensor.objects.filter(name="revoked").update(revoked_at=ago(80_000))

    assert notice_silent_sensors(NOW) == (2, 0)
    began = [("late", ago(301), NOW, None), ("old", ago(90_000), NOW, None)]
    assert silences() == began
    assert notice_silent_sensors(NOW + timedelta(seconds=1)) == (0, 0)
    assert silences() == began

    hear(sensors["late"], NOW)
    assert notice_silent_sensors(NOW + timedelta(seconds=2)) == (1, 1)
    assert silences() == [
        ("fresh", ago(299), NOW + timedelta(seconds=2), None),
        ("late", ago(301), NOW, NOW),
        ("old", ago(90_000), NOW, None),
    ]


def test_a_sensor_is_not_silent_between_heartbeats_an_hour_apart() -> None:
    sensor, _ = make_sensor(build_cast().store, "eye")
    hear(sensor, ago(0), heartbeat_s=3600)
    assert notice_silent_sensors(NOW + timedelta(minutes=90)) == (0, 0)
    assert notice_silent_sensors(NOW + timedelta(minutes=90, seconds=1)) == (1, 0)


def test_a_sensor_heard_and_silent_again_between_two_looks_has_two_silences() -> None:
    sensor, _ = make_sensor(build_cast().store, "eye")
    hear(sensor, ago(4000))
    notice_silent_sensors(ago(3000))
    hear(sensor, ago(2000))
    assert notice_silent_sensors(NOW) == (1, 1)
    assert silences() == [
        ("eye", ago(4000), ago(3000), ago(2000)),
        ("eye", ago(2000), NOW, None),
    ]


def test_revoking_ends_a_silence() -> None:
    sensor, _ = make_sensor(build_cast().store, "eye")
    hear(sensor, ago(4000))
    notice_silent_sensors(ago(3000))
    Sensor.objects.update(revoked_at=ago(1000))
    assert notice_silent_sensors(NOW) == (0, 1)
    assert silences() == [("eye", ago(4000), ago(3000), ago(1000))]


def test_the_task_notices() -> None:
    sensor, _ = make_sensor(build_cast().store, "eye")
    hear(sensor, ago(0))
    task()
    assert [(silence[0], silence[1], silence[3]) for silence in silences()] == [("eye", NOW, None)]


def test_silences_are_seen_by_those_who_see_the_store() -> None:
    cast = build_cast()
    for store in (cast.store, cast.other_store, cast.foreign_store):
        hear(make_sensor(store, "eye")[0], ago(4000))
    notice_silent_sensors(NOW)
    seen = {
        name: {silence.sensor.store for silence in Silence.objects.visible_to(user)}
        for name, user in cast.people.items()
    }
    assert seen == cast.visible_stores
