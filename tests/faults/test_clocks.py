"""Clocks that jump, forward and back, of sensors and of the backend."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter

from sensorapp.stack import paths
from tests.faults import clock
from tests.faults.device import Device
from tests.faults.site import Site, until, wait_for_progress

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def test_of_a_sensor(site: Site) -> None:
    """What it takes for later than it is, is kept and not counted; what for earlier, counts there."""
    devices = site.devices(site.shop())
    for device in devices:
        device.start()
    for ahead_ms in (-2 * HOUR_MS, 30 * MINUTE_MS, -3 * DAY_MS, 5 * HOUR_MS, 0):
        wait_for_progress(devices)
        for device in devices:
            clock.put(device.clock, ahead_ms)
    wait_until_set_aside(site, devices)
    site.settle(devices)


def test_of_a_sensor_that_lost_its_battery_and_its_disk(site: Site) -> None:
    """What waits is sent in 1970 and counted; a new outbox begins an epoch that lies before the last one."""
    devices = site.devices(site.shop())
    for device in devices:
        device.start()
    wait_for_progress(devices)
    site.web.kill()
    for device in devices:
        device.kill()
        clock.put(device.clock, -int(time.time() * 1000))
    site.web.start()
    site.settle(devices)
    for device in devices:
        assert device.dead_letters() == Counter()
        shutil.rmtree(device.outbox)
        device.life += 1
        clock.put(device.clock, -2 * HOUR_MS)
        device.start()
    wait_for_progress(devices)
    site.settle(devices)


def test_of_the_backend(site: Site, chance: random.Random) -> None:
    """While it lags, what comes is set aside, and counted as it is when somebody has seen why."""
    devices = site.devices(site.shop())
    wrong = site.folder / "web-clock"
    site.web.stop()
    clock.put(wrong, 0)
    site.web.start("tests.faults.web", str(site.port), str(wrong))
    for device in devices:
        device.start()
    jumps = [-HOUR_MS, 20 * DAY_MS, -3 * DAY_MS]
    for ahead_ms in (*chance.sample(jumps, len(jumps)), 0):
        wait_for_progress(devices)
        clock.put(wrong, ahead_ms)
        if ahead_ms == -HOUR_MS:
            wait_until_set_aside(site, devices)
    wait_for_progress(devices)
    site.settle(devices)
    release(site, devices[0].claims)
    assert [bool(site.set_aside(device.claims)) for device in devices] == [False, True, True]
    site.check(devices[:1])
    site.web.stop()
    site.web.start()


def wait_until_set_aside(site: Site, devices: list[Device]) -> None:
    """Of each sensor something that lay ahead has come by now."""
    until(lambda: all(site.set_aside(device.claims) for device in devices), "something is set aside")


def release(site: Site, sensor: str) -> None:
    command = [sys.executable, "manage.py", "release_set_aside", sensor, "--shift=0"]
    subprocess.run(command, cwd=paths.ROOT, env=site.environment, check=True, stdout=subprocess.DEVNULL)
