"""How many people are in a store."""

from __future__ import annotations

from datetime import datetime

from analytics.counts.roster import Roster


def store_occupancy(roster: Roster, entries: int, exits: int, at: datetime) -> int | None:
    """Entries minus exits since the local day began, never below zero.

    None while any entrance in use is not watched live, for whoever passes there is missing from it. A
    sensor that was never heard is not mounted yet and does not matter.
    """
    watching = {line.sensor_id for line in roster.in_use("line") if line.entrance_id is not None}
    states = {roster.sensors[sensor_id].status(at) for sensor_id in watching} - {"never heard"}
    return max(entries - exits, 0) if states == {"live"} else None
