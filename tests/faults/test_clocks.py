"""Clocks that jump, forward and back, of sensors and of the backend."""

from __future__ import annotations

import random
import subprocess
import sys

from sensorapp.stack import paths
from tests.faults import clock
from tests.faults.site import Site, wait_for_progress

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def release(site: Site, sensor: str, shift_s: int) -> None:
    command = [sys.executable, "manage.py", "release_set_aside", sensor, "--shift", str(shift_s)]
    subprocess.run(command, cwd=paths.ROOT, env=site.environment, check=True, stdout=subprocess.DEVNULL)


def test_of_a_sensor(site: Site, chance: random.Random) -> None:
    """What it takes for later than it is, is kept and not counted; what for earlier, counts then."""
    devices = site.devices(site.shop())
    for device in devices:
        device.start()
    for ahead_ms in (-2 * HOUR_MS, 30 * MINUTE_MS, -3 * DAY_MS, 5 * HOUR_MS, 0):
        wait_for_progress(devices)
        for device in devices:
            clock.put(device.folder / "clock", ahead_ms)
    wait_for_progress(devices)
    site.settle(devices)
    assert all(site.set_aside(device.claims) for device in devices)
