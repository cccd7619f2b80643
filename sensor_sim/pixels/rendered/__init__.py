"""Rendered scenes: pictures of which every true event is known.

A world is a small simulation with a camera in it. It moves on in steps, says what truly happened in each, and
draws what the camera sees at any size. The same seed gives the same world, happening by happening and pixel by
pixel, whatever the steps and the size of the pictures.

The worlds: ``entrance.Entrance(seed, start, density)``, a shop's door with everything that is counted there;
``shelf.Shelf(seed, start, pace, varied)``, a shelf of which every item is known; ``varied.Varied(seed, start)``,
places of every kind with people in them, for training (a seed is a place; its people move on, so that several
moments of one place are cheap). Their arguments stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from sensor_sim.detection import Box
from sensor_sim.pixels import Image


class Crossed(NamedTuple):
    """Somebody crossed a line at ``at`` seconds since 1970; the direction is the contract's."""

    at: float
    line: int
    direction: Literal["forward", "backward"]


class Stayed(NamedTuple):
    """Somebody left a zone at ``at`` after ``dwell`` seconds in it."""

    at: float
    zone: int
    dwell: float


class Occupied(NamedTuple):
    """At ``at`` it became ``people`` who are in a zone for good: not only for a step, and not yet gone."""

    at: float
    zone: int
    people: int


class Stocked(NamedTuple):
    """From ``at`` on, ``units`` items of the slot's own product stand in it."""

    at: float
    slot: int
    units: int


Happening = Crossed | Stayed | Occupied | Stocked


class Thing(NamedTuple):
    """An object in view. ``box`` is its outline as if nothing stood before it, cut off at the picture's edge;
    a person's ends where the toes would be if the person stood still, unless the camera sees what is straight
    below it (``Stage._standing``). ``visible`` is the share of its pixels (those beyond the picture's edge
    included) that can be seen. ``mark`` is the part by which it is told apart from its like, where it has one:
    somebody's head and shoulders, not cut off at the edge.
    """

    number: int
    label: str
    box: Box
    visible: float
    mark: Box | None = None


class View(NamedTuple):
    """What the camera sees: height x width x 3, blue, green, red, sRGB-coded; ``light`` is the brightness of
    the scene in units of a lit shop: 1.0 by day, a few hundredths at night. The picture itself is drawn as
    if well exposed; how little light there was shows when the array exposes it.
    """

    image: Image
    light: float
    things: Sequence[Thing]


class World(Protocol):
    """``scene`` places lines, zones and slots where they make sense in this world, as a scene file would."""

    scene: Mapping[str, Any]

    def advance(self, at: float) -> Sequence[Happening]:
        """Move on to ``at`` (seconds since 1970, growing); returns what truly happened since, in order."""
        ...

    def end(self) -> Sequence[Happening]:
        """Nobody looks any longer: returns what that cuts short, with the time so far."""
        ...

    def view(self, width: int, height: int) -> View:
        """Draw the present moment, width x height pixels at 4:3 (other shapes crop the picture's middle)."""
        ...
