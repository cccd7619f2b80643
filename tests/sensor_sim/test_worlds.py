"""The command on rendered worlds: a scene, frames and the truth all come from them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sensor_sim import sources, watch
from sensor_sim.pixels.imx500 import BINNED
from sensor_sim.pixels.rendered import Happening, World
from sensor_sim.stop import Stop
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.people import START

ROOT = Path(__file__).parents[2]
WHEN = "2026-03-01T09:00:00Z"
worlds = pytest.mark.parametrize("name", ["entrance", "shelf"])


def asked(name: str, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    watch.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["watch", "--model", "none", "--world", name, "--start", WHEN, *words])
    sources.settle_options(arguments)
    return arguments


def opened(name: str, *words: str) -> World:
    world = sources.open_world(asked(name, *words))
    assert world is not None
    return world


def blind(folder: Path, labels: list[str]) -> Path:
    """A package whose network knows the labels and sees nothing."""
    nothing = networks.constant_model(boxes=[[0] * 4], scores=[0], classes=[0], count=[0])
    return networks.write_package(folder, networks.card(labels=labels), nothing)


@worlds
def test_a_world_is_watched_by_its_own_scene(name: str, tmp_path: Path) -> None:
    scene = wire.convert(dict(opened(name).scene), wire.Scene)
    labels = sorted({*scene.detect.labels, *(slot.item for slot in scene.slots)})
    truth = tmp_path / "truth.jsonl"
    words = ["--world", name, "--start", WHEN, "--seconds", "0.2", "--truth", truth]
    ran = subprocess.run(
        [sys.executable, "-m", "sensor_sim", "watch", "--model", blind(tmp_path / "model", labels), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    beat = wire.decode(ran.stdout.splitlines()[-1].encode(), wire.Heartbeat)
    assert (beat.at, beat.frames) == (round(1000 * (START + 5 / 30)), 6)
    for line in truth.read_bytes().splitlines():
        assert wire.decode(line, wire.Event).at <= beat.at  # type: ignore[arg-type, union-attr]


@worlds
def test_another_seed_is_another_world(name: str) -> None:
    plain, again, other = (opened(name, "--seed", seed).view(64, 48).image for seed in "001")
    assert np.array_equal(plain, again)
    assert not np.array_equal(plain, other)


def test_density_reaches_the_world() -> None:
    quiet, crowd = (opened("entrance", "--density", density) for density in ("low", "crowd"))
    for world in (quiet, crowd):
        world.advance(START + 20)
    assert len(crowd.view(320, 240).things) > len(quiet.view(320, 240).things)


def test_frames_are_exposed_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a frame show the world one after the other, as long as its readout takes."""
    arguments = asked("entrance", "--mode", "binned")
    world = sources.open_world(arguments)
    assert world is not None
    times: list[float] = []

    def advance(at: float) -> list[Happening]:
        times.append(at)
        return []

    monkeypatch.setattr(world, "advance", advance)
    next(iter(sources.open_source(arguments, world, Stop(), lambda happening: None)))
    readout = BINNED.delay(BINNED.size[1]) - BINNED.delay(0)
    steps = np.diff(times)
    assert steps == pytest.approx(np.full(2, readout / 3), rel=1e-3)
    assert np.mean(times) == pytest.approx(START, abs=1e-4)
