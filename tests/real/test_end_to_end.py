"""A real video becomes an exact number on a page: through outbox, uplink, gateway, buckets and view.

A person counted six people coming in.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from django.test import Client

from analytics.counts.snapshot import store_snapshot
from sensorapp import wire
from sensorapp.accounts.models import User
from sensorapp.fleet.enrolment import enrol_sensor
from sensorapp.fleet.models import Entrance, Sensor, Store
from sensorapp.fleet.scenes import publish_scene
from tests.cast import build_cast
from tests.ingest.site import clear, database_url
from tests.real.clips import WEIGHTS, missing, video
from tests.server import ROOT, Server

NAME = "one-by-one-person-detection"
CLIP = video(NAME)
SCENE = ROOT / "fixtures" / "scenes" / "table.json"

pytestmark = pytest.mark.skipif(bool(missing(NAME)), reason=missing(NAME) or "it is there")


@dataclass
class Door:
    store: Store
    sensor: Sensor
    manager: User
    token_file: Path
    connection: psycopg.Connection

    def entries(self) -> int:
        row = self.connection.execute(
            "SELECT coalesce(sum(value), 0) FROM ingest_bucket JOIN fleet_channel channel"
            " ON channel.id = channel_id WHERE metric = 1 AND channel.kind = 'line'"
            " AND channel.number = 0 AND channel.sensor_id = %s",
            [self.sensor.pk],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def statuses(self) -> dict[str, int]:
        """How many events of this sensor are archived, and how many of them twice."""
        rows = self.connection.execute(
            "SELECT epoch, first_seq + place - 1 FROM ingest_batch,"
            " generate_series(1, event_count) AS place WHERE sensor_id = %s",
            [self.sensor.pk],
        ).fetchall()
        return {"archived": len(rows), "twice": len(rows) - len(set(rows))}


def where_it_is_noon(now: datetime) -> str:
    """A time zone in which no midnight falls into the test, which reads today's figures. POSIX counts westwards."""
    return f"Etc/GMT{now.hour - 12:+d}"


@pytest.fixture
def door(transactional_db: None, tmp_path: Path) -> Iterator[Door]:
    cast = build_cast()
    cast.store.time_zone = where_it_is_noon(datetime.now(UTC))
    cast.store.save()
    sensor, token = enrol_sensor(cast.store, "Own video")
    publish_scene(sensor, wire.decode(SCENE.read_bytes(), wire.Scene))
    entrance = Entrance.objects.create(store=cast.store, name="Front")
    sensor.channels.filter(kind="line", number=0).update(entrance=entrance)
    token_file = tmp_path / "door.token"
    token_file.write_text(token)
    with psycopg.connect(database_url(), autocommit=True) as connection:
        clear(connection)
        yield Door(cast.store, sensor, cast.manager, token_file, connection)
        clear(connection)


@pytest.fixture
def server(door: Door) -> Iterator[Server]:
    with Server(database_url()) as server:
        yield server


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "sensor_sim", *map(str, words)]


@contextmanager
def watching(door: Door, url: str, outbox: Path) -> Iterator[subprocess.Popen[str]]:
    """The sensor at work on the clip; it is killed if the test fails meanwhile."""
    words = command(
        *("watch", "--video", CLIP, "--model", ROOT / "fixtures/models/nanodet", "--weights", WEIGHTS),
        *("--scene", SCENE, "--uplink", url, "--token-file", door.token_file, "--outbox", outbox),
    )
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def totals(process: subprocess.Popen[str]) -> dict[str, int]:
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0
    return {str(key): int(value) for key, value in json.loads(output).items()}


def shown_on_the_page(door: Door, server: Server) -> int:
    """The entries that the store's manager reads, fetched from the server by a session of hers."""
    session = Client()
    session.force_login(door.manager)
    page = httpx.get(
        f"{server.url}{door.store.get_absolute_url()}",
        cookies={"sessionid": session.cookies["sessionid"].value},
    )
    assert page.status_code == 200
    found = re.search(r'data-figure="entries"[^>]*>\s*([\d\u202f,]+)', page.text)
    assert found, "the page shows no entries"
    return int(re.sub(r"\D", "", found[1]))


def test_six_people_are_six_entries_also_when_the_server_is_killed_halfway(
    door: Door, server: Server, tmp_path: Path
) -> None:
    with watching(door, server.url, tmp_path / "outbox") as process:
        deadline = time.monotonic() + 500
        while door.entries() < 2:
            assert time.monotonic() < deadline, "two people never arrived"
            time.sleep(0.05)
        server.kill()
        time.sleep(3)
        assert 2 <= door.entries() < 6
        server.start()
        sent = totals(process)
    assert sent["pending"] == sent["invalid"] == sent["dropped"] == 0
    assert door.entries() == 6
    assert door.statuses() == {"archived": sent["stored"] + sent["duplicate"], "twice": 0}
    snapshot = store_snapshot(door.store, datetime.now(UTC))
    assert (snapshot.today.entries_so_far, snapshot.today.exits_so_far) == (6, 0)
    assert [(zone.name, zone.visits) for zone in snapshot.zones if zone.visits] == [("table", 6)]
    assert shown_on_the_page(door, server) == 6


def test_the_same_outbox_sent_twice_counts_once(door: Door, server: Server, tmp_path: Path) -> None:
    """Measured while the server is away; then sent from the outbox, and again from a copy of it."""
    outbox, copy = tmp_path / "outbox", tmp_path / "copy"
    server.kill()
    with watching(door, server.url, outbox) as process:
        deadline = time.monotonic() + 500
        while crossings_in(outbox) < 12:
            assert time.monotonic() < deadline, "the clip was not measured in time"
            time.sleep(0.2)
        process.terminate()
        assert totals(process)["stored"] == 0
    shutil.copytree(outbox, copy)
    server.start()
    for folder, fate in ((outbox, "stored"), (copy, "duplicate")):
        words = command("send", "--uplink", server.url, "--token-file", door.token_file, "--outbox", folder)
        sent = totals(subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert sent == {"stored": 0, "duplicate": 0, "invalid": 0, "pending": 0, "dropped": 0} | {
            fate: door.statuses()["archived"]
        }
        assert door.entries() == 6
    assert door.statuses()["twice"] == 0
    assert shown_on_the_page(door, server) == 6


def crossings_in(outbox: Path) -> int:
    """How many line crossings wait in an outbox that another process is filling."""
    file = outbox / "outbox.sqlite3"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            rows = database.execute("SELECT body FROM event").fetchall()
        except sqlite3.OperationalError:  # the tables are being made
            return 0
    return sum(b"crossing" in body for (body,) in rows)
