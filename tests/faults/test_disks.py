"""Disks that are full, and a disk that is an old copy."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.site import CATCHING_UP, Site, until, wait_for_progress, wait_for_refusal
from tests.faults.small_disk import MountError, SmallDisk, small_disk


def test_full_under_postgres(site: Site, postgres_disk: SmallDisk | None, chance: random.Random) -> None:
    """First tables cannot grow, then not even the log, whereupon PostgreSQL ends."""
    if postgres_disk is None:
        pytest.skip("a disk that can be filled needs the right to mount")
    devices = site.devices(site.shop())
    for device in devices:
        device.start()
    wait_for_progress(devices)
    for log_as_well in (False, True):
        with postgres_disk.full():
            wait_for_refusal(devices)
            time.sleep(chance.uniform(0.0, 0.3))
            if log_as_well:
                site.use_up_the_log()
                until(lambda: not site.postgres_runs, "PostgreSQL ends")
        site.recover_postgres()
        wait_for_progress(devices)
    site.settle(devices)


def test_full_under_an_outbox(site: Site, tmp_path: Path) -> None:
    """Neither an event nor an acknowledgement nor a dead letter can be kept."""
    try:
        with small_disk(tmp_path / "disk", "1m") as disk:
            fill_and_free(site, disk)
    except MountError as error:
        pytest.skip(str(error))


def fill_and_free(site: Site, disk: SmallDisk) -> None:
    shop = site.shop()
    device = site.device(shop.sensors[0], "--poison", "40")
    device.outbox = disk.folder / "outbox"
    for _ in range(2):
        device.start()
        wait_for_progress([device])
        with disk.full():
            until(lambda: not device.running, "the sensor gives up")
            device.start()
            until(lambda: not device.running, "a sensor with a full disk does not begin")
        assert device.log.read_text().count("free some space") >= 2
        site.check_nothing_lost(device)
    site.settle([device])


def test_an_old_image_of_a_disk(site: Site, chance: random.Random) -> None:
    devices = site.devices(site.shop(), *CATCHING_UP)
    for device in devices:
        device.start()
    wait_for_progress(devices)
    for device in devices:
        device.kill()
        device.copy_disk()
        device.start()
    wait_for_progress(devices)
    time.sleep(chance.uniform(0.0, 0.2))
    for device in devices:
        device.kill()
        device.restore_disk()
        device.start()
    wait_for_progress(devices)
    site.settle(devices)
