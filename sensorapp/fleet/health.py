"""Is a sensor well? Judged by the age of its data, given when it was last heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from django.conf import settings

Status = Literal["live", "catching up", "silent", "never heard"]
# What is said of a sensor in short: of one that is live, also whether its clock is.
State = Literal[Status, "wrong clock"]

# The newest event's time before there is one.
NOTHING_COUNTED: Final = datetime(1970, 1, 1, tzinfo=UTC)
CATCHING_UP_AFTER: Final = timedelta(minutes=3)
# Below this, what is counted lands in the wrong quarter of an hour too rarely to be seen.
CLOCK_ERROR_FROM: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LastHeard:
    """When the newest delivery came, the time of the newest event in it, and how far heartbeats are apart."""

    received_at: datetime
    newest_at: datetime
    heartbeat_ms: int

    @property
    def counted_until(self) -> datetime | None:
        """``newest_at``; None of a sensor of which nothing has counted yet."""
        return self.newest_at if self.newest_at > NOTHING_COUNTED else None


def silent_after(heartbeat_ms: int) -> timedelta:
    """How long after its last delivery a sensor is silent: the setting, or one and a half of its heartbeats."""
    return max(timedelta(seconds=settings.SILENT_AFTER_SECONDS), timedelta(milliseconds=heartbeat_ms * 1.5))


def sensor_status(heard: LastHeard | None, at: datetime) -> Status:
    """What a sensor is doing at ``at``; None means that it was never heard.

    ``catching up``: it delivers, but its newest event is over three minutes older than the heartbeat that
    is due, so it is working off its outbox.
    """
    if heard is None:
        return "never heard"
    if at - heard.received_at > silent_after(heard.heartbeat_ms):
        return "silent"
    due = timedelta(milliseconds=heard.heartbeat_ms)
    return "catching up" if at - heard.newest_at > due + CATCHING_UP_AFTER else "live"


def clock_error(skew_ms: int | None) -> timedelta | None:
    """How far ahead a sensor's clock is, negative where it is behind; None if it is right or not told."""
    skew = timedelta(milliseconds=skew_ms or 0)
    return skew if abs(skew) >= CLOCK_ERROR_FROM else None


def sensor_state(status: Status, error: timedelta | None) -> State:
    return "wrong clock" if status == "live" and error is not None else status
