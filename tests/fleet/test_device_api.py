"""What a sensor is told when it asks for its scene."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from sensorapp import wire
from sensorapp.fleet.enrolment import enrol_gateway, enrol_sensor, replace_token, revoke
from sensorapp.fleet.scenes import publish_scene
from tests.cast import SQUARE, Cast, build_cast

pytestmark = pytest.mark.django_db

ADDRESS = "/device/v1/scene"
SCENE = wire.Scene(
    version=0,
    lines=[wire.Line(0, "door", ((0.1, 0.8), (0.9, 0.8)))],
    slots=[
        wire.Slot(1, "A-01", "bottle", SQUARE),
        wire.Slot(2, "A-02", "can", SQUARE, facings=4, deep=3),
    ],
    camera=wire.Camera(tilt_degrees=55, view_degrees=52, height_metres=3.2),
)


@pytest.fixture
def cast() -> Cast:
    return build_cast()


def get(client: Client, token: str, *, sensor: str | None = None, **headers: str) -> Any:
    query = {} if sensor is None else {"sensor": sensor}
    return client.get(ADDRESS, query, headers={"authorization": f"Bearer {token}"} | headers)


def problem(response: Any) -> tuple[int, wire.Problem]:
    assert response["Content-Type"] == "application/json"
    return response.status_code, wire.decode(response.content, wire.Problem)


@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
def test_the_newest_scene_is_what_was_published(
    cast: Cast, client: Client, media_type: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sensor, token = enrol_sensor(cast.store, "door")
    publish_scene(sensor, wire.Scene(version=0))
    publish_scene(sensor, SCENE)
    with django_assert_num_queries(2):
        response = get(client, token, accept=media_type)
    assert (response.status_code, response["Content-Type"]) == (200, media_type)
    assert response["Vary"] == "Accept, Authorization"
    newest = wire.decode(response.content, wire.Scene, media_type)
    assert newest == msgspec.structs.replace(SCENE, version=2)


def test_a_scene_that_the_sensor_has_is_not_sent_again(
    cast: Cast, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    sensor, token = enrol_sensor(cast.store, "door")
    publish_scene(sensor, SCENE)
    etag = get(client, token)["ETag"]
    assert etag == '"1-json"'
    with django_assert_num_queries(1):
        unchanged = get(client, token, **{"if-none-match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", etag)
    # The same version in another form is another thing.
    assert get(client, token, accept=wire.MSGPACK, **{"if-none-match": etag}).status_code == 200
    publish_scene(sensor, SCENE)
    assert get(client, token, **{"if-none-match": etag}).status_code == 200


def test_each_sensor_gets_its_own(cast: Cast, client: Client) -> None:
    scenes = {}
    for name, store in (("a", cast.store), ("b", cast.store), ("c", cast.foreign_store)):
        sensor, token = enrol_sensor(store, name)
        publish_scene(sensor, wire.Scene(version=0, lines=[wire.Line(0, name, ((0, 0), (1, 1)))]))
        scenes[name] = token
    for name, token in scenes.items():
        assert wire.decode(get(client, token).content, wire.Scene).lines[0].name == name


def test_a_sensor_without_a_scene_is_told_so(cast: Cast, client: Client) -> None:
    sensor, token = enrol_sensor(cast.store, "door")
    assert problem(get(client, token)) == (
        404,
        wire.Problem(f"{sensor.public_id} has no scene yet.", "Publish one, then ask again."),
    )


def test_who_is_refused(cast: Cast, client: Client) -> None:
    sensor, token = enrol_sensor(cast.store, "door")
    publish_scene(sensor, SCENE)
    missing = (401, wire.Problem("No token.", "Send the header Authorization: Bearer <token>."))
    unknown = (401, wire.Problem("The token is not known.", "Enrol the sensor or replace its token."))
    assert problem(client.get(ADDRESS)) == missing
    assert problem(client.get(ADDRESS, headers={"authorization": f"Basic {token}"})) == missing
    gateway, _ = enrol_gateway(cast.store, "box")
    for wrong in (f"{sensor.public_id}.x", sensor.public_id, "x", f"{gateway.public_id}.x"):
        response = get(client, wrong)
        assert problem(response) == unknown
        assert response["WWW-Authenticate"] == "Bearer"
    replacement = replace_token(sensor)
    assert problem(get(client, token)) == unknown
    revoke(sensor)
    assert problem(get(client, replacement)) == (
        403,
        wire.Problem(f"{sensor.public_id} is revoked.", "Enrol it again."),
    )


def test_a_gateway_asks_for_the_sensors_of_its_store(cast: Cast, client: Client) -> None:
    gateway, token = enrol_gateway(cast.store, "box")
    door, door_token = enrol_sensor(cast.store, "door")
    table, _ = enrol_sensor(cast.store, "table")
    elsewhere, _ = enrol_sensor(cast.other_store, "elsewhere")
    for sensor in (door, table, elsewhere):
        publish_scene(sensor, wire.Scene(version=0, lines=[wire.Line(0, sensor.name, ((0, 0), (1, 1)))]))

    def asked(token: str, sensor: str) -> tuple[int, str]:
        """The status, and the name of the scene's line or what is wrong."""
        response = get(client, token, sensor=sensor)
        if response.status_code == 200:
            return 200, wire.decode(response.content, wire.Scene).lines[0].name
        return response.status_code, problem(response)[1].title

    uncovered = (403, f"The token of {gateway.public_id} does not cover this sensor.")
    assert asked(token, door.public_id) == (200, "door")
    assert asked(token, table.public_id) == (200, "table")
    for other in (elsewhere.public_id, gateway.public_id, "s-nobody", "", "\0"):
        assert asked(token, other) == uncovered
    assert asked(door_token, door.public_id) == (200, "door")
    assert asked(door_token, table.public_id) == (
        403,
        f"The token of {door.public_id} does not cover this sensor.",
    )
    assert problem(get(client, token)) == (
        400,
        wire.Problem(
            f"{gateway.public_id} is a gateway and has no scene.",
            "Say which sensor's scene is asked for, as ?sensor=s-…, or ask with the sensor's own token.",
        ),
    )
    revoke(table)
    assert asked(token, table.public_id) == (403, f"{table.public_id} is revoked.")
    revoke(gateway)
    assert asked(token, door.public_id) == (403, f"{gateway.public_id} is revoked.")


def test_only_reading_and_only_known_forms(cast: Cast, client: Client) -> None:
    sensor, token = enrol_sensor(cast.store, "door")
    publish_scene(sensor, SCENE)
    assert client.post(ADDRESS, headers={"authorization": f"Bearer {token}"}).status_code == 405
    assert problem(get(client, token, accept="image/png")) == (
        406,
        wire.Problem("The scene cannot be sent so.", "Accept application/json or application/msgpack."),
    )
