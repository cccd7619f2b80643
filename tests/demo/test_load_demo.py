"""The demo chain: what is in it, that it is loaded once, and what it refuses."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.test import Client

from sensor_sim.fleet import plan as fleet
from sensorapp import wire
from sensorapp.accounts import secrets
from sensorapp.accounts.models import AuditEntry, Membership, Organisation, Role
from sensorapp.demo.chain import FixtureError, Product, check, read, read_chain
from sensorapp.demo.load import PASSWORD, load_demo
from sensorapp.fleet import floor_plan
from sensorapp.fleet.enrolment import replace_token
from sensorapp.fleet.models import (
    Channel,
    ChannelKind,
    Gateway,
    PlanogramPosition,
    SceneVersion,
    Sensor,
    Store,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setenv("SENSORAPP_VAR", str(tmp_path))
    return tmp_path


def contents(var: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (var / "demo").iterdir()}


def rows() -> dict[str, int]:
    models = (
        Organisation,
        Store,
        Sensor,
        Gateway,
        Channel,
        SceneVersion,
        PlanogramPosition,
        Membership,
        AuditEntry,
    )
    return {model.__name__: model.objects.count() for model in models}


def test_sixty_sensors_in_three_stores_in_three_time_zones() -> None:
    assert load_demo() is True
    assert dict(Store.objects.values_list("slug", "time_zone")) == {
        "berlin": "Europe/Berlin",
        "bengaluru": "Asia/Kolkata",
        "san-francisco": "America/Los_Angeles",
    }
    kinds = Counter[str]()
    for sensor in Sensor.objects.prefetch_related("channels"):
        kinds[max(sensor.channels.all(), key=lambda channel: channel.kind != "device").kind] += 1
        assert None not in (sensor.x, sensor.y, sensor.heading)
        assert sensor.scene_version == 1
    assert kinds == {"line": 12, "zone": 24, "slot": 24}
    lines = Channel.objects.filter(kind=ChannelKind.LINE, entrance__isnull=False)
    assert Counter(lines.values_list("entry_direction", flat=True)) == {"forward": 7, "backward": 5}
    assert set(Store.objects.values_list("slug", flat=True)) == set(
        lines.values_list("entrance__store__slug", flat=True)
    )
    slots = Channel.objects.filter(kind=ChannelKind.SLOT)
    assert slots.count() == slots.filter(planogram__isnull=False).count() == 144
    for store in Store.objects.all():
        plan = floor_plan.read(store.floor_plan)
        assert all(0 <= s.x <= plan.width and 0 <= s.y <= plan.depth for s in store.sensors.all())  # type: ignore[operator]
        assert {door.name for door in plan.doors} == {entrance.name for entrance in store.entrances.all()}
        zones = Channel.objects.filter(sensor__store=store, kind=ChannelKind.ZONE)
        assert {zone.name for zone in zones} - {"table"} == {area.name for area in plan.areas}
        assert store.opening_hours.count() >= 6


def test_the_free_sensor_waits_with_its_token_and_its_scene(var: Path) -> None:
    load_demo()
    token = (var / "demo" / "door.token").read_text().strip()
    public_id, digest = secrets.split(token)
    sensor = Sensor.objects.get(public_id=public_id)
    assert bytes(sensor.digest) == digest
    lines = sensor.channels.filter(kind=ChannelKind.LINE).order_by("number")
    assert [(line.number, line.name, bool(line.entrance), line.entry_direction) for line in lines] == [
        (0, "door", True, "forward"),
        (1, "exit", False, "forward"),
    ]
    scene = wire.convert(sensor.scenes.get().document, wire.Scene)
    fixture = wire.decode(Path("fixtures/scenes/table.json").read_bytes(), wire.Scene)
    assert scene == fixture
    plan = fleet.read(var / "demo" / "fleet.json")
    assert public_id not in {sensor.id for store in plan.stores for sensor in store.sensors}


def test_the_scenes_of_shelves_tell_their_planograms() -> None:
    load_demo()
    slots = {
        (version.sensor_id, slot["id"]): (slot["facings"], slot["deep"])
        for version in SceneVersion.objects.all()
        for slot in version.document["slots"]
    }
    planned = {
        (position.channel.sensor_id, position.channel.number): (position.facings, position.deep)
        for position in PlanogramPosition.objects.select_related("channel")
    }
    assert slots == planned
    for position in PlanogramPosition.objects.all():
        assert position.facings * (position.deep - 1) < position.capacity <= position.facings * position.deep


def test_the_fleets_plan_names_the_other_sensors_with_valid_tokens(var: Path) -> None:
    load_demo()
    plan = fleet.read(var / "demo" / "fleet.json")
    planned = [sensor for store in plan.stores for sensor in store.sensors]
    assert len({sensor.id for sensor in planned}) == 59
    assert plan.live_from % 900_000 == 0
    for store in plan.stores:
        public_id, digest = secrets.split(store.token)
        gateway = Gateway.objects.get(public_id=public_id)
        assert bytes(gateway.digest) == digest
        assert gateway.store.slug == store.slug
        for sensor in store.sensors:
            row = Sensor.objects.get(public_id=sensor.id, store=gateway.store)
            kept = {(c.kind, c.number) for c in row.channels.exclude(kind=ChannelKind.DEVICE)}
            assert kept == {
                *(("line", line.number) for line in sensor.lines),
                *(("zone", zone.number) for zone in sensor.zones),
                *(("slot", slot.number) for slot in sensor.slots),
            }
            for line in sensor.lines:
                channel = row.channels.get(kind=ChannelKind.LINE, number=line.number)
                assert channel.entry_direction == line.entry_direction
            for slot in sensor.slots:
                channel = row.channels.get(kind=ChannelKind.SLOT, number=slot.number)
                assert channel.planogram.capacity == slot.capacity


def test_everybody_can_log_in_and_sees_what_their_role_allows(var: Path) -> None:
    load_demo()
    logins = json.loads((var / "demo" / "logins.json").read_text())
    visible = {}
    for login in logins:
        user = authenticate(None, username=login["email"], password=login["password"])
        assert user is not None
        [membership] = Membership.objects.filter(user=user)
        visible[membership.role] = set(Store.objects.visible_to(user).values_list("slug", flat=True))  # type: ignore[arg-type]
    everything = {"berlin", "bengaluru", "san-francisco"}
    assert visible == {
        Role.OWNER: everything,
        Role.MANAGER: {"berlin"},
        Role.ADMINISTRATOR: everything,
        Role.ANALYST: everything,
    }
    answer = Client().post("/accounts/login/", {"login": logins[0]["email"], "password": PASSWORD})
    assert answer.status_code == 302


def test_a_second_time_nothing_changes_and_it_is_quick(var: Path) -> None:
    load_demo()
    before, texts = rows(), contents(var)
    begun = time.process_time()
    assert load_demo() is False
    assert time.process_time() - begun < 1.0
    assert (rows(), contents(var)) == (before, texts)


def test_files_are_for_their_owner_only(var: Path) -> None:
    load_demo()
    assert {path.name: path.stat().st_mode & 0o777 for path in (var / "demo").iterdir()} == {
        "fleet.json": 0o600,
        "door.token": 0o600,
        "logins.json": 0o600,
    }


@pytest.mark.parametrize("damage", ["removed", "nonsense", "other tokens"])
def test_lost_files_come_back_with_new_tokens(var: Path, damage: str) -> None:
    load_demo()
    old = contents(var)
    for name in ("fleet.json", "door.token"):
        path = var / "demo" / name
        if damage == "removed":
            path.unlink()
        elif damage == "nonsense":
            path.write_text("nonsense")
    if damage == "other tokens":
        for device in (*Gateway.objects.all(), *Sensor.objects.filter(name="Courtyard door")):
            replace_token(device)
    assert load_demo() is False
    new = contents(var)
    assert new.keys() == old.keys()
    assert new["door.token"] != old["door.token"]
    plans = [msgspec.json.decode(texts["fleet.json"], type=fleet.Plan) for texts in (old, new)]
    for before, after in zip(plans[0].stores, plans[1].stores, strict=True):
        assert before.token != after.token
        assert msgspec.structs.replace(before, token=after.token) == after
        public_id, digest = secrets.split(after.token)
        assert bytes(Gateway.objects.get(public_id=public_id).digest) == digest
    assert msgspec.structs.replace(plans[0], stores=plans[1].stores) == plans[1]


@pytest.mark.parametrize("change", [{"schedule": fleet.SCHEDULE - 1}, {"errors": "0123456789abcdef"}])
def test_a_database_filled_by_another_schedule_is_not_continued(var: Path, change: dict[str, Any]) -> None:
    load_demo()
    path = var / "demo" / "fleet.json"
    fleet.write(msgspec.structs.replace(fleet.read(path), **change), path)
    with pytest.raises(CommandError, match="load the demo into an empty database, or create the fleet anew"):
        call_command("load_demo", verbosity=0)


def test_another_organisation_is_not_joined_unless_forced(var: Path) -> None:
    Organisation.objects.create(name="Real Shops", slug="real")
    with pytest.raises(
        CommandError, match="the database holds the organisation Real Shops; load the demo into an"
    ):
        call_command("load_demo", verbosity=0)
    assert not (var / "demo").exists()
    assert not Store.objects.exists()
    call_command("load_demo", force=True, verbosity=0)
    assert Store.objects.count() == 3


def test_the_command_says_how_to_log_in() -> None:
    out = StringIO()
    call_command("load_demo", stdout=out)
    assert (
        f"Log in with the password {PASSWORD} as\n  demo@sensorapp.example  Alex Owner, owner\n"
        in out.getvalue()
    )
    call_command("load_demo", stdout=out)
    assert "The demo chain is there already." in out.getvalue()


def test_a_chain_that_is_not_whole_is_told() -> None:
    load_demo()
    Sensor.objects.get(name="Produce").delete()
    with pytest.raises(
        CommandError, match="the demo chain is not whole: Sensor matching query does not exist"
    ):
        call_command("load_demo", verbosity=0)


# --- fixtures --------------------------------------------------------------------------------------


def broken(**changes: Any) -> Iterator[None]:
    chain = read_chain()
    check(msgspec.structs.replace(chain.store_shapes[0], **changes), chain.products)
    yield


def test_fixtures_that_name_what_is_not_there_are_told(tmp_path: Path) -> None:
    shape = read_chain().store_shapes[0]
    door = msgspec.structs.replace(shape.doors[0], entrance="Roof")
    with pytest.raises(FixtureError, match=r"berlin.yaml: there is no entrance 'Roof'"):
        next(broken(doors=[door]))
    with pytest.raises(FixtureError, match="the sensor name 'Milk shelf' is used twice"):
        next(broken(shelves=[*shape.shelves, shape.shelves[0]]))
    path = tmp_path / "store.yaml"
    path.write_text("name: Berlin\nslug: 7\n")
    with pytest.raises(FixtureError, match=r"store.yaml: Expected `str`, got `int` - at `\$.slug`"):
        read(path, type(shape))


@pytest.mark.parametrize(("field", "value"), [("facings", 0), ("facings", 101), ("capacity", 0)])
def test_a_product_that_cannot_stand_anywhere_is_told(tmp_path: Path, field: str, value: int) -> None:
    product = msgspec.to_builtins(read_chain().products["milk"]) | {field: value}
    path = tmp_path / "product.yaml"
    path.write_bytes(msgspec.yaml.encode(product))
    with pytest.raises(FixtureError, match=rf"product.yaml: Expected `int` .* - at `\$\.{field}`"):
        read(path, Product)


def test_floor_plans_end_where_they_say() -> None:
    with pytest.raises(
        wire.WireError, match=r"area Bakery: the point \(9.0, 3.0\) lies outside of 8.0 by 5.0 metres"
    ):
        floor_plan.read(
            {"width": 8, "depth": 5, "areas": [{"name": "Bakery", "polygon": [[1, 1], [9, 3], [2, 3]]}]}
        )
