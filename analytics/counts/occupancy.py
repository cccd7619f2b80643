"""How many people are in a store."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

from analytics.counts.roster import Roster

# Less of the time since opening, and somebody may have passed unseen: of ten hours, this leaves out six minutes.
WHOLE: Final = 0.99

Doubt = Literal["not watched", "not live", "partly observed"]


class Occupancy(NamedTuple):
    """``people`` is None where not known; with a ``doubt`` it is an estimate."""

    people: int | None
    doubt: Doubt | None


def store_occupancy(
    roster: Roster, entries: int, exits: int, completeness: float | None, at: datetime
) -> Occupancy:
    """Entries minus exits since the local day began, never below zero.

    Not known where no sensor watches an entrance, and while any that does is not live, for whoever passes there is
    missing from it. A sensor that was never heard is not mounted yet and does not matter. Where a part of the time
    since opening was not observed it is an estimate; where then no more came than left, those inside came unseen, and
    how many they are is not known.
    """
    watching = {line.sensor_id for line in roster.in_use("line") if line.entrance_id is not None}
    states = {roster.sensors[sensor_id].status(at) for sensor_id in watching} - {"never heard"}
    if not states:
        return Occupancy(None, "not watched")
    if states != {"live"}:
        return Occupancy(None, "not live")
    if completeness is not None and completeness < WHOLE:
        return Occupancy(entries - exits if entries > exits else None, "partly observed")
    return Occupancy(max(entries - exits, 0), None)
