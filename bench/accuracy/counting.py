"""What this project's perception makes of a recording."""

from __future__ import annotations

from typing import NamedTuple

from bench.accuracy.recording import Recording
from sensor_sim.perception import Perception
from sensor_sim.pixels.rendered import Crossed, Happening, Stayed, Stocked
from sensorapp import wire


class Told(NamedTuple):
    """Something that a counter took to have happened, and when it said so (seconds since 1970)."""

    at: float
    what: Happening


def perceive(recording: Recording) -> list[Told]:
    perception = Perception(recording.scene)
    told = [
        Told(at, happening)
        for at, found in recording.frames()
        for event in perception.observe(at, found)
        if (happening := _happening(event))
    ]
    end = recording.times[-1]
    return told + [
        Told(end, happening) for event in perception.interrupt() if (happening := _happening(event))
    ]


def _happening(event: wire.Event) -> Happening | None:
    match event:
        case wire.Crossing():
            return Crossed(event.at / 1000, event.line, event.direction)
        case wire.Visit():
            return Stayed(event.at / 1000, event.zone, event.dwell_ms / 1000)
        case wire.Shelf():
            return Stocked(event.at / 1000, event.slot, event.units)
    return None
