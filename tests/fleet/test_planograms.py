"""What belongs into slots, and what of it their sensor is told."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from sensorapp import wire
from sensorapp.accounts.models import AuditEntry
from sensorapp.fleet.enrolment import enrol_sensor
from sensorapp.fleet.models import ChannelKind, PlanogramPosition, Sensor
from sensorapp.fleet.planograms import plan_slots
from sensorapp.fleet.scenes import publish_scene
from tests.cast import SQUARE, build_cast, channel

pytestmark = pytest.mark.django_db


def scene(*slots: tuple[int | None, int]) -> wire.Scene:
    return wire.Scene(
        version=0,
        slots=[
            wire.Slot(n, f"A-{n}", "can", SQUARE, facings, deep) for n, (facings, deep) in enumerate(slots)
        ],
    )


@pytest.fixture
def shelf() -> Sensor:
    """Slot 0 tells nothing of itself, slot 1 does."""
    sensor, _ = enrol_sensor(build_cast().store, "shelf")
    publish_scene(sensor, scene((None, 1), (5, 2)))
    return sensor


def position(shelf: Sensor, number: int = 0, **fields: object) -> PlanogramPosition:
    slot = channel(shelf, ChannelKind.SLOT, number)
    values = {"sku": "cola", "product": "Cola", "facings": 3, "deep": 4, "capacity": 12}
    return PlanogramPosition(channel=slot, **values | fields)


def told(shelf: Sensor) -> tuple[int, list[tuple[int | None, int]]]:
    """The version and the slots of the scene that the sensor gets."""
    newest = wire.convert(shelf.scenes.latest("version").document, wire.Scene)
    return newest.version, [(slot.facings, slot.deep) for slot in newest.slots]


def test_a_planogram_reaches_the_scene(shelf: Sensor) -> None:
    plan_slots(shelf, [position(shelf)])
    assert told(shelf) == (2, [(3, 4), (5, 2)])


def test_a_planogram_that_changes_nothing_in_the_scene_publishes_none(shelf: Sensor) -> None:
    plan_slots(shelf, [position(shelf, 1, facings=5, deep=2, capacity=10)])
    plan_slots(shelf, [position(shelf, 1, facings=5, deep=2, capacity=9, sku="tea", product="Tea")])
    plan_slots(shelf, [position(shelf, deep=None)])
    assert told(shelf) == (1, [(None, 1), (5, 2)])


def test_a_product_of_unknown_depth_takes_the_place_of_one_that_was_known(shelf: Sensor) -> None:
    plan_slots(shelf, [position(shelf), position(shelf, 1)])
    plan_slots(shelf, [position(shelf, deep=None, capacity=40)])
    assert told(shelf) == (3, [(None, 1), (3, 4)])


def test_a_scene_published_later_gets_the_planogram_too(shelf: Sensor) -> None:
    plan_slots(shelf, [position(shelf)])
    publish_scene(shelf, scene((7, 7), (8, 8)))
    assert told(shelf) == (3, [(3, 4), (8, 8)])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"facings": 0}, {"A-0.facings": ["Ensure this value is greater than or equal to 1."]}),
        ({"facings": 101}, {"A-0.facings": ["Ensure this value is less than or equal to 100."]}),
        ({"deep": 0}, {"A-0.deep": ["Ensure this value is greater than or equal to 1."]}),
        ({"deep": 101}, {"A-0.deep": ["Ensure this value is less than or equal to 100."]}),
        ({"facings": None}, {"A-0.facings": ["This field cannot be null."]}),
        ({"capacity": None}, {"A-0.capacity": ["This field cannot be null."]}),
        (
            {"capacity": 13},
            {
                "A-0.capacity": [
                    "13 do not fit into 3 facings, 4 deep;"
                    " correct them, or leave deep out where units are stacked"
                ]
            },
        ),
    ],
)
def test_what_cannot_stand_there_is_told_and_nothing_is_planned(
    shelf: Sensor, fields: dict[str, int | None], message: dict[str, list[str]]
) -> None:
    entries = AuditEntry.objects.count()
    with pytest.raises(ValidationError) as caught:
        plan_slots(shelf, [position(shelf, 1), position(shelf, **fields)])
    assert {name: reasons[:1] for name, reasons in caught.value.message_dict.items()} == message
    assert not PlanogramPosition.objects.exists()
    assert (told(shelf), AuditEntry.objects.count()) == ((1, [(None, 1), (5, 2)]), entries)


def test_a_slot_has_one_product(shelf: Sensor) -> None:
    with pytest.raises(ValidationError) as caught:
        plan_slots(shelf, [position(shelf), position(shelf, 1), position(shelf, sku="tea", product="Tea")])
    name = channel(shelf, ChannelKind.SLOT, 0).name
    assert caught.value.message_dict == {name: ["it is planned more than once; give each slot one product"]}
    assert not PlanogramPosition.objects.exists()
