"""A device that loses its power again and again, while it measures and sends."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

from sensorapp import wire
from tests.sensor_sim.device.device_server import Ledger, running

TOKEN = "s-0123456789ab.c2VjcmV0"
START = 1_780_000_000_000
LIVES = 8
ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def live(folder: Path, url: str, token_file: Path, first: int, seconds: float) -> list[int]:
    """Run the device and kill it ``seconds`` after its first event; returns the durable numbers."""
    child = Path(__file__).with_name("sigkill_child.py")
    command = [sys.executable, str(child), str(folder), url, str(token_file), str(first), str(START)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        assert lines != [""], "the device did not start"
        threading.Timer(seconds, process.kill).start()
        lines += process.stdout.readlines()
    return [int(line) for line in lines if line.endswith("\n")]


def test_power_loss_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    folder, token_file = tmp_path / "outbox", tmp_path / "token"
    token_file.write_text(TOKEN)
    chance = random.Random(7)
    durable: list[int] = []
    with running(Ledger()) as server:
        for life_number in range(LIVES):
            # Each life begins at a number of its own: an event that became durable in the instant before
            # the kill was not printed, and must not be mistaken for one of the next life.
            durable += live(folder, server.url, token_file, life_number * 1_000_000, chance.uniform(0.0, 0.4))
        where = ["--outbox", str(folder), "--uplink", server.url, "--token-file", str(token_file)]
        command = [sys.executable, "-m", "sensor_sim", "send", *where]
        sent = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    stored = [at - START for at in server.ledger.moments()]
    unprinted = set(stored) - set(durable)
    assert sorted(set(stored)) == stored  # each once, in order
    assert set(durable) <= set(stored)
    assert len(unprinted) <= LIVES
    assert all(number - 1 in stored or number % 1_000_000 == 0 for number in unprinted)
    assert {epoch for epoch, _ in server.ledger.events} == {server.ledger.epoch}
    totals = json.loads(sent.stdout)
    assert (totals["pending"], totals["invalid"], totals["dropped"]) == (0, 0, 0)
    assert isinstance(next(iter(server.ledger.events.values())), wire.Crossing)
