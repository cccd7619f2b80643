"""What the backend takes as a scene: the same as a sensor does."""

from __future__ import annotations

import msgspec
import pytest

from sensorapp import wire
from sensorapp.fleet.enrolment import enrol_sensor
from sensorapp.fleet.models import SceneVersion
from sensorapp.fleet.scenes import publish_scene
from tests.cast import SQUARE, build_cast

BOW_TIE = [SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]]
CROSSING = "its edges 0 and 2 cross; list the corners in order around it"


@pytest.mark.django_db
def test_a_scene_with_crossing_polygons_is_not_published() -> None:
    sensor, _ = enrol_sensor(build_cast().store, "door")
    scene = wire.Scene(version=0, zones=[wire.Zone(0, "table", SQUARE)])
    scene.zones[0].polygon = BOW_TIE  # a struct is checked again when the version is put in
    with pytest.raises(ValueError, match=CROSSING):
        publish_scene(sensor, scene)
    sensor.refresh_from_db()
    assert sensor.scene_version == 0
    assert not SceneVersion.objects.exists()


@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
def test_a_scene_says_nothing_of_a_camera_that_it_does_not_tell(media_type: str) -> None:
    """So that a sensor which does not know the field takes it."""
    assert b"camera" not in wire.encode(wire.Scene(version=0), media_type)


@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
def test_no_form_of_a_scene_may_have_crossing_polygons(media_type: str) -> None:
    slots = [wire.Slot(number, "A", "bottle", SQUARE) for number in range(2)]
    plain = msgspec.to_builtins(wire.Scene(version=0, slots=slots))
    plain["slots"][1]["polygon"] = BOW_TIE
    encoder = msgspec.msgpack if media_type == wire.MSGPACK else msgspec.json
    for read in (
        lambda: wire.decode(encoder.encode(plain), wire.Scene, media_type),
        lambda: wire.convert(plain, wire.Scene),
    ):
        with pytest.raises(wire.WireError) as caught:
            read()
        assert (caught.value.path, caught.value.reason) == ("$", f"slots[1].polygon: {CROSSING}")
