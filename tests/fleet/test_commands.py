"""From an empty database to a sensor that sends: the commands of whoever runs the server."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sensorapp import wire
from sensorapp.accounts import secrets
from sensorapp.accounts.models import AuditEntry, Organisation, User
from sensorapp.fleet.models import Channel, Entrance, Gateway, Sensor, Store
from tests.cast import Cast, build_cast, make_sensor

pytestmark = pytest.mark.django_db

SCENE = Path("fixtures/scenes/table.json")


def run(*arguments: str) -> str:
    """What a command prints; nothing is said beside it."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    assert err.getvalue() == ""
    return out.getvalue()


def token_of(device: Sensor | Gateway, printed: str) -> bool:
    """Whether a token, and nothing else, was printed that is the device's."""
    borne = secrets.bearer(f"Bearer {printed.removesuffix(chr(10))}")
    device.refresh_from_db()
    return borne == (device.public_id, bytes(device.digest))


def test_from_nothing_to_a_sensor_that_counts(client: Client) -> None:
    assert run("found_organisation", "nordlicht", "Nordlicht").endswith("its pages are at /nordlicht/.\n")
    password = run("add_member", "nordlicht", "ada@nordlicht.example", "Ada", "owner").strip()
    assert run("open_store", "nordlicht", "hamburg", "Hamburg", "Europe/Berlin").endswith(
        "its page is at /nordlicht/hamburg/.\n"
    )
    run("add_entrance", "hamburg", "Main entrance")
    door = run("enrol_sensor", "hamburg", "door")
    box = run("enrol_gateway", "nordlicht/hamburg", "box")
    sensor, gateway = Sensor.objects.get(name="door"), Gateway.objects.get(name="box")
    assert token_of(sensor, door)
    assert token_of(gateway, box)
    published = run("publish_scene", sensor.public_id, str(SCENE))
    assert published == f"Scene version 1 of {sensor.public_id} is published.\n"
    run("assign_line", sensor.public_id, "0", "Main entrance", "--entry-direction", "backward")

    line = sensor.channels.get(kind="line", number=0)
    assert (str(line.entrance), line.entry_direction) == ("Main entrance", Channel.BACKWARD)
    answer = client.get("/device/v1/scene", headers={"authorization": f"Bearer {door.strip()}"})
    expected = wire.decode(SCENE.read_bytes(), wire.Scene)
    expected.version = 1
    assert wire.decode(answer.content, wire.Scene) == expected
    client.post("/accounts/login/", {"login": "ada@nordlicht.example", "password": password})
    assert client.get("/nordlicht/hamburg/").status_code == 200

    assert token_of(sensor, run("replace_token", sensor.public_id))
    assert token_of(gateway, run("replace_token", gateway.public_id))
    run("revoke_device", sensor.public_id)
    sensor.refresh_from_db()
    assert sensor.revoked_at is not None
    assert [*AuditEntry.objects.order_by("pk").values_list("actor_name", "verb", "subject_name")] == [
        ("system", verb, name)
        for verb, name in (
            ("founded organisation", "Nordlicht"),
            ("added member", "Ada"),
            ("opened store", "Hamburg"),
            ("added entrance", "Main entrance"),
            ("enrolled sensor", "door"),
            ("enrolled gateway", "box"),
            ("published scene", "door"),
            ("assigned line", str(line)),
            ("replaced token", "door"),
            ("replaced token", "box"),
            ("revoked", "door"),
        )
    ]


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def test_a_member_of_some_stores(cast: Cast) -> None:
    run("add_member", "nordlicht", "eve@nordlicht.example", "Eve", "manager", "--store", "pune")
    assert set(Store.objects.visible_to(User.objects.get(email="eve@nordlicht.example"))) == {
        cast.other_store
    }


def test_a_slug_of_several_organisations_needs_its_own(cast: Cast) -> None:
    Store.objects.create(organisation=cast.other_chain, name="Hamburg", slug="hamburg", time_zone="UTC")
    with pytest.raises(CommandError) as refused:
        run("enrol_sensor", "hamburg", "door")
    assert str(refused.value) == (
        "store: several organisations have a store hamburg; choose from: nordlicht/hamburg, sunrise/hamburg"
    )
    run("enrol_sensor", "sunrise/hamburg", "door")
    assert Sensor.objects.get().store.organisation == cast.other_chain


LONG = "x" * 81
TOO_LONG = "name: Ensure this value has at most 80 characters (it has 81)."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["found_organisation", "api", "API"], "slug: 'api' is an address of the server itself; choose another"),
        (["found_organisation", "sunrise", "Sun"], "slug: Organisation with this Slug already exists."),
        (["add_member", "none", "a@b.example", "A", "owner"], "organisation: none is not known; choose from: nordlicht, sunrise"),
        (["add_member", "nordlicht", "OWNER@nordlicht.example", "A", "owner"], "email: OWNER@nordlicht.example has an account already; give another address"),
        (["add_member", "nordlicht", "nobody", "A", "owner"], "email: Enter a valid email address."),
        (["add_member", "nordlicht", "a@b.example", "A", "owner", "--store", "sydney"], "stores: Nordlicht has no store sydney that you may see; correct the name"),
        (["open_store", "none", "mitte", "Mitte", "UTC"], "organisation: none is not known; choose from: nordlicht, sunrise"),
        (["open_store", "nordlicht", "hamburg", "Mitte", "UTC"], "slug: Nordlicht has a store 'hamburg' already; choose another"),
        (["open_store", "nordlicht", "mitte", "Mitte", "Berlin"], "time_zone: time zone: 'Berlin' is not known; use a name like Europe/Berlin"),
        (["add_entrance", "none", "Door"], "store: none is not known; choose from: hamburg, pune, sydney"),
        (["add_entrance", "hamburg", "Main entrance"], "name: Hamburg has an entrance 'Main entrance' already; choose another"),
        (["add_entrance", "hamburg", LONG], TOO_LONG),
        (["enrol_sensor", "none", "door"], "store: none is not known; choose from: hamburg, pune, sydney"),
        (["enrol_sensor", "nordlicht/sydney", "door"], "store: nordlicht/sydney is not known; choose from: hamburg, pune"),
        (["enrol_sensor", "none/sydney", "door"], "organisation: none is not known; choose from: nordlicht, sunrise"),
        (["enrol_sensor", "hamburg", LONG], TOO_LONG),
        (["enrol_sensor", "hamburg", ""], "name: This field cannot be blank."),
        (["enrol_gateway", "hamburg", LONG], TOO_LONG),
        (["publish_scene", "s-none", "scene.json"], "sensor: s-none is not known; give its id, such as s-0123456789ab, with which its token begins"),
        (["publish_scene", "{door}", "none.json"], "file: none.json: No such file or directory; name a scene file"),
        (["publish_scene", "{door}", "README.md"], "file: README.md: $: not readable as application/json: JSON is malformed: invalid character (byte 0)"),
        (["assign_line", "{door}", "7", "Main entrance"], "line: {door} has no line 7; choose from: 0, or publish a scene that has it"),
        (["assign_line", "{door}", "0", "Side"], "entrance: hamburg has no Side; choose from: Main entrance, or add it with add_entrance"),
        (["replace_token", "g-none"], "gateway: g-none is not known; give its id, such as g-0123456789ab, with which its token begins"),
        (["revoke_device", "none"], "sensor: none is not known; give its id, such as s-0123456789ab, with which its token begins"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_changes_nothing(cast: Cast, arguments: list[str], sentence: str) -> None:
    door, _ = make_sensor(cast.store, "door", lines=["door"])
    everything = (Organisation, User, Store, Entrance, Sensor, Gateway, Channel, AuditEntry)
    before = [[*kind.objects.order_by("pk").values()] for kind in everything]  # type: ignore[attr-defined]
    with pytest.raises(CommandError) as refused:
        run(*(argument.replace("{door}", door.public_id) for argument in arguments))
    assert str(refused.value) == sentence.replace("{door}", door.public_id)
    assert before == [[*kind.objects.order_by("pk").values()] for kind in everything]  # type: ignore[attr-defined]
