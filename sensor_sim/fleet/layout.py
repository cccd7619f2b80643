"""The sensors of a store that nobody drew: a fifth of them at doors, two fifths over zones, the rest at shelves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sensor_sim.fleet.plan import Line, Sensor, Slot, Zone
from sensorapp import wire

ZONES_PER_SENSOR, SLOTS_PER_SENSOR = 2, 6
CAPACITY = 12
DWELL_S, CHECKOUT_S = 40.0, 80.0
# Units that a buyer takes at each stop in a zone with a shelf.
PICKS = 1.0
FEWEST = 2
PERSON, PRODUCT = "5ca1ab1e0c0ffee0", "0ddba11f00dcafe1"


def names(count: int) -> list[str]:
    """The names of ``count`` sensors, at least two: doors, then zones, then shelves."""
    if count < FEWEST:
        raise ValueError(f"a store needs a door and zones, so {FEWEST} sensors or more, not {count}")
    doors, zones = max(1, count // 5), max(1, count * 2 // 5)
    kinds = {"Door": doors, "Zone": zones, "Shelf": count - doors - zones}
    return [f"{kind} {number}" for kind, many in kinds.items() for number in range(1, many + 1)]


def sensors(ids: Sequence[wire.SensorId]) -> list[Sensor]:
    """As many sensors as ``ids``, under :func:`names`; the last zone is the checkout."""
    named = list(zip(ids, names(len(ids)), strict=True))
    doors, zones, shelves = (
        [one for one in named if one[1].startswith(kind)] for kind in ("Door", "Zone", "Shelf")
    )
    areas = [f"{name}, area {number}" for _, name in zones for number in range(1, ZONES_PER_SENSOR + 1)]
    homes = areas[:-1]
    stocked = set(homes[: len(shelves)])
    return [
        *(Sensor(id_, name, PERSON, 1, lines=[Line(0, "forward", 1 / len(doors))]) for id_, name in doors),
        *(Sensor(id_, name, PERSON, 1, zones=list(zones_of(name, areas, stocked))) for id_, name in zones),
        *(
            Sensor(id_, name, PRODUCT, 1, slots=slots_in(homes[place % len(homes)]))
            for place, (id_, name) in enumerate(shelves)
        ),
    ]


def zones_of(sensor: str, areas: list[str], stocked: set[str]) -> Iterator[Zone]:
    for number, area in enumerate((a for a in areas if a.startswith(f"{sensor},")), 1):
        if area == areas[-1]:
            yield Zone(number, area, 1.0, CHECKOUT_S, checkout=True)
        else:
            yield Zone(number, area, 1.0, DWELL_S, picks=PICKS if area in stocked else 0.0)


def slots_in(zone: str) -> list[Slot]:
    return [Slot(number, zone, CAPACITY) for number in range(1, SLOTS_PER_SENSOR + 1)]
