"""The command that installs models, as its users run it, and the sensor that runs what was installed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sensor_sim.device.slots import read_journal
from sensor_sim.package import load_package
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.device import device_server
from tests.sensor_sim.device.device_server import Ledger
from tests.sensor_sim.device.package_server import request_for, serving
from tests.sensor_sim.test_memory import wide_package

ROOT = Path(__file__).parents[2]
DONE = ["request_received", "downloading", "installing", "done"]


def zipped(folder: Path) -> bytes:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("model.json", "model.onnx"):
            archive.write(folder / name, name)
    return path.read_bytes()


@pytest.fixture
def package(tmp_path: Path) -> bytes:
    return zipped(
        networks.write_package(tmp_path / "package", networks.SPOT_CARD, networks.bright_spot_model())
    )


def sensor_sim(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sensor_sim", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def deploy(slots: Path, body: bytes, *more: object, **changes: object) -> subprocess.CompletedProcess[str]:
    """Run ``deploy`` with a server for this package."""
    with serving(body) as server:
        plain = request_for(body, server.url) | changes
        options = [word for name, value in plain.items() for word in (f"--{name}", value)]
        return sensor_sim("deploy", "--slots", slots, *options, *more)


def states(output: str) -> list[tuple[int, str]]:
    events = [wire.decode(line.encode(), wire.Deployment) for line in output.splitlines()]
    return [(event.rollout, event.state) for event in events]


def test_what_is_deployed_is_what_watches(tmp_path: Path, package: bytes) -> None:
    slots = tmp_path / "slots"
    ran = deploy(slots, package)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert states(ran.stdout) == [(7, state) for state in DONE]
    journal = read_journal(slots)
    assert journal
    assert journal.model == load_package(tmp_path / "package").digest
    scene = tmp_path / "scene.json"
    scene.write_text(
        json.dumps({"version": 1, "lines": [{"id": 2, "name": "m", "points": [[0, 0.55], [1, 0.55]]}]})
    )
    video = networks.write_video(tmp_path / "walk.mp4", networks.walk_down())
    watched = sensor_sim("watch", "--video", video, "--slots", slots, "--scene", scene)
    assert (watched.returncode, watched.stderr) == (0, "")
    assert '"crossing"' in watched.stdout


def test_what_does_not_fit_leaves_the_old_model(tmp_path: Path, package: bytes) -> None:
    slots = tmp_path / "slots"
    deploy(slots, package)
    before = read_journal(slots)
    ran = deploy(slots, zipped(wide_package(tmp_path / "wide")), rollout=8)
    assert ran.returncode == 1
    assert states(ran.stdout) == [(8, state) for state in [*DONE[:3], "failed"]]
    [sentence] = ran.stderr.splitlines()
    assert (
        "the network needs 36.11 MiB of the chip's 8.00 MiB (runtime 27.11 MiB, model 9.00 MiB)" in sentence
    )
    after = read_journal(slots)
    assert before
    assert after
    assert (after.slots, after.active) == (before.slots, before.active)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"slot": 4}, "--slot: Expected `int` <= 3"),
        ({"hash": "abc="}, "--hash: Expected `str` matching regex"),
        ({"size": 0}, "--size: Expected `int` >= 1"),
        ({"size": 2**30}, "--size: Expected `int` <= 67108864"),
        ({"version": "v" * 45}, "--version: Expected `str` of length <= 44"),
        ({"url": "ftp://127.0.0.1/model.zip"}, "--url: Expected `str` matching regex"),
        ({"url": "http://127.0.0.1/" + "a" * 320}, "--url: Expected `str` of length <= 320"),
    ],
)
def test_an_invalid_argument_is_named(tmp_path: Path, changes: dict[str, object], complaint: str) -> None:
    ran = deploy(tmp_path / "slots", b"x", **changes)
    assert ran.returncode == 1
    assert states(ran.stdout) == [(7, "request_received"), (7, "failed_invalid_argument")]
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith(f"sensor_sim: {complaint}")


def test_the_states_reach_the_server_once(tmp_path: Path, package: bytes) -> None:
    token = tmp_path / "token"
    token.write_text("s-0123456789ab.c2VjcmV0")
    with device_server.running(Ledger()) as backend:
        sending = ("--uplink", backend.url, "--token-file", token)
        ran = deploy(tmp_path / "slots", package, *sending)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert json.loads(ran.stdout)["stored"] == 4
        again = deploy(tmp_path / "slots", package, *sending, rollout=8)
        assert json.loads(again.stdout)["stored"] == 4
        events = list(backend.ledger.events.values())
    assert all(isinstance(event, wire.Deployment) for event in events)
    assert [(event.rollout, event.state) for event in events if isinstance(event, wire.Deployment)] == [
        (rollout, state) for rollout in (7, 8) for state in DONE
    ]
