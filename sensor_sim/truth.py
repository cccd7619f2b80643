"""What truly happens in a rendered world, in the form of the events that a sensor makes of its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sensor_sim.errors import SensorError
from sensor_sim.pixels.rendered import Crossed, Happening, Occupied, Stayed
from sensorapp import wire


def as_event(happening: Happening) -> wire.Event:
    at = round(happening.at * 1000)
    if isinstance(happening, Crossed):
        return wire.Crossing(at, happening.line, happening.direction)
    if isinstance(happening, Stayed):
        return wire.Visit(at, happening.zone, round(happening.dwell * 1000))
    if isinstance(happening, Occupied):
        return wire.Occupancy(at, happening.zone, happening.people)
    return wire.Shelf(at, happening.slot, happening.units, 1.0)


def writer(path: Path | None) -> Callable[[Happening], None]:
    """Takes what happens and writes it to a file, one event a line; both raise :class:`SensorError`."""
    if path is None:
        return lambda happening: None
    try:
        file = path.open("wb", buffering=0)
    except OSError as error:
        raise SensorError(f"{path}: cannot be written: {error.strerror}; --truth takes a file name") from None

    def write(happening: Happening) -> None:
        try:
            file.write(wire.encode(as_event(happening)) + b"\n")
        except OSError as error:
            raise SensorError(
                f"{path}: cannot be written: {error.strerror}; free some space, or leave out --truth"
            ) from None

    return write
