"""A device that loses its power at any instant of a deployment, once or again and again.

The process is real and is killed for good; what it had written by then is what the next one finds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.device.outbox import Outbox
from sensor_sim.device.slots import active_package, read_journal
from sensorapp import wire
from tests.sensor_sim.device.package_server import PackageServer, cut_after, request_for, serving

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW = (random.Random(seed).randbytes(20_000) for seed in (1, 2))
STATES = ["request_received", "downloading", "installing", "done"]
NEVER = 10**9
# What a killed process leaves is the same in memory, and writing it through costs nothing there.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Devices:
    """A process that forks one device after the other."""

    def __init__(self) -> None:
        child = Path(__file__).with_name("deploy_child.py")
        self._process = subprocess.Popen(
            [sys.executable, str(child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def deploy(self, folder: Path, plain: dict[str, Any], limit: int = NEVER) -> int:
        """Calls that may change the disk until the deployment was done, 0 if the power was lost before."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{folder / 'slots'} {folder / 'outbox'} {limit} {json.dumps(plain)}\n")
        self._process.stdin.flush()
        status, calls = map(int, self._process.stdout.readline().split())
        assert status in (0, -9)
        assert (status == 0) == (calls > 0)
        return calls

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=10)


@pytest.fixture(scope="module")
def devices() -> Iterator[Devices]:
    made = Devices()
    yield made
    made.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PackageServer]:
    with serving(NEW) as server:
        yield server


@pytest.fixture(scope="module")
def before(devices: Devices) -> Iterator[Path]:
    """A device with the old model in slot 1."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, serving(OLD) as server:
        folder = Path(place)
        assert devices.deploy(folder, request_for(OLD, server.url, rollout=6))
        yield folder


def active(folder: Path) -> bytes:
    return active_package(folder / "slots").read_bytes()


def told(folder: Path) -> list[tuple[int, str]]:
    """Rollout and state of all events in the outbox, in order."""
    with Outbox(folder / "outbox", "s-0123456789ab") as outbox:
        kept = []
        while batch := outbox.pending():
            kept += [event for event in batch.events if isinstance(event, wire.Deployment)]
            outbox.settle(batch, wire.Ack(batch.sensor, batch.epoch, batch.last_seq, "stored"))
    return [(event.rollout, event.state) for event in kept]


def check_in_between(folder: Path) -> None:
    """The old model or the new one, whatever the deployment's state."""
    journal = read_journal(folder / "slots")
    assert journal
    assert journal.active == 1
    done = journal.steps[-1].rollout == 7 and journal.steps[-1].state == "done"
    assert active(folder) == (NEW if done else OLD)


def check_in_the_end(folder: Path) -> None:
    """The new model and nothing else, and each state told once."""
    assert active(folder) == NEW
    assert len(list((folder / "slots" / "packages").iterdir())) == 1
    assert not (folder / "slots" / "staged").exists()
    assert told(folder) == [(rollout, state) for rollout in (6, 7) for state in STATES]


def run(devices: Devices, server: PackageServer, before: Path, limits: list[int]) -> None:
    """Lose the power before the calls with these numbers, one life after the other; then let it be."""
    plain = request_for(NEW, server.url)
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        folder = Path(place) / "device"
        shutil.copytree(before, folder)
        for limit in limits:
            devices.deploy(folder, plain, limit)
            check_in_between(folder)
        devices.deploy(folder, plain)
        check_in_the_end(folder)


def test_at_every_instant_of_a_deployment(devices: Devices, server: PackageServer, before: Path) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        folder = Path(place) / "device"
        shutil.copytree(before, folder)
        calls = devices.deploy(folder, request_for(NEW, server.url))
    assert calls > 20
    for limit in range(1, calls + 1):
        run(devices, server, before, [limit])


@settings(max_examples=5)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.none() | st.integers(0, 19_999))
def test_again_and_again(
    devices: Devices, server: PackageServer, before: Path, limits: list[int], cut: int | None
) -> None:
    """The connection may break off as well."""
    server.faults = [] if cut is None else [cut_after(cut)]
    run(devices, server, before, limits)
