"""A large fleet, made small: enrolled at once, and its first seconds against the real server."""

from __future__ import annotations

import asyncio
import time
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from sensor_sim.fleet import plan as fleet
from sensor_sim.fleet import sender
from sensor_sim.fleet.sender import Clock
from sensorapp.accounts.models import Organisation
from sensorapp.fleet.models import Channel, Sensor, Store
from tests.ingest.site import clear, database_url
from tests.server import Server

HEARD = """
SELECT sensor.public_id, cursor.next_seq FROM ingest_cursor cursor
JOIN fleet_sensor sensor ON sensor.id = cursor.sensor_id
"""


@pytest.mark.django_db
def test_the_command_enrols_a_fleet_in_an_organisation_of_its_own(tmp_path: Path) -> None:
    Organisation.objects.create(name="Real Shops", slug="real")
    path, out = tmp_path / "fleet.json", StringIO()
    call_command("create_fleet", stores=4, sensors=7, out=path, stdout=out)
    assert out.getvalue() == f"28 sensors in 4 stores are enrolled; their plan is in {path}.\n"
    assert path.stat().st_mode & 0o777 == 0o600
    plan = fleet.read(path)
    assert (plan.heartbeat_ms, plan.upload_ms) == (1_000, 1_000)
    stores = Store.objects.filter(organisation__slug="load-test")
    assert {store.slug for store in stores} == {"berlin-1", "bengaluru-2", "san-francisco-3", "berlin-4"}
    for one in plan.stores:
        rows = {sensor.public_id: sensor for sensor in Sensor.objects.filter(store__slug=one.slug)}
        assert {sensor.id: sensor.name for sensor in one.sensors} == {
            id_: row.name for id_, row in rows.items()
        }
        for sensor in one.sensors:
            channels = Channel.objects.filter(sensor=rows[sensor.id]).exclude(kind="device")
            assert {(channel.kind, channel.number) for channel in channels} == {
                *(("line", line.number) for line in sensor.lines),
                *(("zone", zone.number) for zone in sensor.zones),
                *(("slot", slot.number) for slot in sensor.slots),
            }
            assert sensor.config == rows[sensor.id].scene_version == 1
    with pytest.raises(
        CommandError, match="there is an organisation 'load-test' already; choose another with --slug"
    ):
        call_command("create_fleet", stores=1, sensors=7, out=path)


@pytest.mark.django_db
def test_another_fleet_s_tokens_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text("tokens")
    with pytest.raises(CommandError) as caught:
        call_command("create_fleet", stores=1, sensors=2, out=path)
    assert str(caught.value) == (
        f"--out {path}: the file exists, and may hold another fleet's tokens; choose another name"
    )
    assert path.read_text() == "tokens"
    with pytest.raises(CommandError) as caught:
        call_command("create_fleet", stores=1, sensors=2, out=Path("/proc/fleet.json"))
    assert str(caught.value) == (
        "--out /proc/fleet.json: No such file or directory; choose a place that can be written"
    )
    assert not Organisation.objects.exists()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("output", "verbosity", "shown"), [(Terminal(), 1, True), (Terminal(), 0, False), (StringIO(), 1, False)]
)
def test_progress_is_shown_on_a_terminal_only(
    output: StringIO, verbosity: int, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", output)
    call_command(
        "create_fleet", stores=3, sensors=2, out=tmp_path / "p.json", verbosity=verbosity, stdout=StringIO()
    )
    assert bool(output.getvalue()) is shown
    assert ("stores" in output.getvalue()) is ("100%" in output.getvalue()) is shown


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("stores", "sensors", "reason"),
    [(0, 20, "--stores 0: choose 1 or more"), (1, 1, "--sensors 1: choose 2 or more, a door and zones")],
)
def test_a_fleet_of_nothing_is_told(stores: int, sensors: int, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("create_fleet", stores=stores, sensors=sensors, out=tmp_path / "fleet.json")
    assert not Organisation.objects.exists()


@pytest.fixture
def plan(transactional_db: None, tmp_path: Path) -> fleet.Plan:
    path = tmp_path / "fleet.json"
    call_command("create_fleet", stores=3, sensors=5, out=path, verbosity=0)
    return fleet.read(path)


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_the_real_server_takes_what_the_fleet_sends(plan: fleet.Plan, scheme: str) -> None:
    with Server(database_url()) as server, psycopg.connect(database_url(), autocommit=True) as connection:
        task = asyncio.create_task(sender.run(plan, server.url.replace("http", scheme), Clock()))
        deadline = time.monotonic() + 60
        heard: dict[str, int] = {}
        while len(heard) < 15 or min(heard.values()) < 5:
            assert not task.done(), task.result()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
            heard = dict(connection.execute(HEARD).fetchall())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert connection.execute("SELECT count(*) FROM ingest_rejection").fetchone() == (0,)
        clear(connection)
    assert set(heard) == {sensor.id for store in plan.stores for sensor in store.sensors}
