"""When a sensor is live, catching up, silent, or was never heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sensorapp.fleet.health import LastHeard, Status, clock_error, sensor_status

NOW = datetime(2026, 6, 16, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("received", "newest", "heartbeat_s", "status"),
    [
        (0, 0, 60, "live"),
        (300, 0, 60, "live"),
        (300.001, 0, 60, "silent"),
        (0, 240, 60, "live"),
        (0, 240.001, 60, "catching up"),
        (0, 240.001, 120, "live"),
        (0, 86_400, 60, "catching up"),
        (301, 86_400, 60, "silent"),
        # With heartbeats an hour apart, silence is to be expected for longer.
        (5400, 5400, 3600, "catching up"),
        (5400.001, 5400, 3600, "silent"),
        (3600, 3600, 3600, "live"),
        # A clock that runs ahead is not this judgement's business.
        (0, -3600, 60, "live"),
    ],
)
def test_status_by_the_age_of_the_data(
    received: float, newest: float, heartbeat_s: int, status: Status
) -> None:
    heard = LastHeard(NOW - timedelta(seconds=received), NOW - timedelta(seconds=newest), heartbeat_s * 1000)
    assert sensor_status(heard, NOW) == status


def test_a_sensor_never_heard() -> None:
    assert sensor_status(None, NOW) == "never heard"


def test_silence_is_a_setting(settings: object) -> None:
    heard = LastHeard(NOW - timedelta(seconds=61), NOW, 30_000)
    assert sensor_status(heard, NOW) == "live"
    settings.SILENT_AFTER_SECONDS = 60  # type: ignore[attr-defined]
    assert sensor_status(heard, NOW) == "silent"


@pytest.mark.parametrize(
    ("skew_ms", "seconds"), [(None, None), (0, None), (59_999, None), (60_000, 60), (-3_600_000, -3_600)]
)
def test_a_clock_error_is_told_from_a_minute_on(skew_ms: int | None, seconds: int | None) -> None:
    assert clock_error(skew_ms) == (None if seconds is None else timedelta(seconds=seconds))
