"""The command that installs models, as its users run it, and the sensor that runs what was installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensor_sim.device.outbox import Outbox
from sensor_sim.device.slots import JOURNAL, read_journal
from sensor_sim.package import load_package
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.conftest import Command, Ran
from tests.sensor_sim.device import device_server
from tests.sensor_sim.device.device_server import Ledger
from tests.sensor_sim.device.package_server import request_for, serving
from tests.sensor_sim.test_bad_input import bomb
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


@pytest.fixture
def deploy(sensor_sim: Command) -> Command:
    """Runs ``deploy`` with a server for this package."""

    def run(slots: Path, body: bytes, *more: object, **changes: object) -> Ran:
        with serving(body) as server:
            return sensor_sim(*words(slots, request_for(body, server.url) | changes), *more)

    return run


def words(slots: Path, plain: dict[str, Any]) -> list[object]:
    options = [word for name, value in plain.items() for word in (f"--{name}", value)]
    return ["deploy", "--slots", slots, *options]


def states(output: str) -> list[tuple[int, str]]:
    events = [wire.decode(line.encode(), wire.Deployment) for line in output.splitlines()]
    return [(event.rollout, event.state) for event in events]


def test_what_is_deployed_is_what_watches(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes
) -> None:
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


def test_what_is_installed_already_says_so(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes
) -> None:
    """And makes its slot the active one."""
    slots = tmp_path / "slots"
    assert deploy(slots, package, slot=1, rollout=6).returncode == 0
    with serving(package) as server:
        same = words(slots, request_for(package, server.url, slot=3))
        assert sensor_sim(*same).stderr == ""
        assert sensor_sim("slots", "--slots", slots, "--activate", 1).returncode == 0
        again = sensor_sim(*same)
    assert (again.returncode, again.stdout, again.stderr) == (
        0,
        "",
        "sensor_sim: rollout 7 is installed already, and slot 3 is the active one now; give another --rollout to"
        " install the package again\n",
    )
    journal = read_journal(slots)
    assert journal
    assert journal.active == 3


def test_what_does_not_fit_leaves_the_old_model(deploy: Command, tmp_path: Path, package: bytes) -> None:
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
    ("spoil", "complaint"),
    [
        (lambda whole: whole[:-30], "the zip is cut off; copy or build it again"),
        (
            lambda whole: b"hello",
            "this is no zip; give a folder or a zip with model.json and model.onnx",
        ),
        (lambda whole: bomb(), "model.onnx is larger than 64 MiB; give a smaller model"),
        (
            lambda whole: whole.replace(b"NonMaxSuppression", b"NonMinSuppression"),
            "the zip is damaged: Bad CRC-32 for file 'model.onnx'; build the package again",
        ),
    ],
)
def test_a_package_that_is_none_is_named_by_its_address(
    sensor_sim: Command, tmp_path: Path, package: bytes, spoil: Callable[[bytes], bytes], complaint: str
) -> None:
    body = spoil(package)
    with serving(body) as server:
        plain = request_for(body, server.url)
        ran = sensor_sim(*words(tmp_path / "slots", plain))
    assert (ran.returncode, ran.stderr) == (1, f"sensor_sim: {plain['url']}: {complaint}\n")
    assert states(ran.stdout) == [(7, state) for state in [*DONE[:3], "failed"]]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"slot": 4}, "--slot: 4 is not valid; give slot number, 0 to 3"),
        (
            {"hash": "abc="},
            "--hash: 'abc=' is not valid; give the package's SHA-256 in base64, 44 characters",
        ),
        ({"size": 0}, "--size: 0 is not valid; give the package's size in bytes, 1 to 67108864"),
        ({"size": 2**30}, "--size: 1073741824 is not valid; give the package's size in bytes, 1 to"),
        ({"version": ""}, "--version: '' is not valid; give the package's version, 1 to 44 characters"),
        ({"version": "v" * 45}, f"--version: '{'v' * 45}' is not valid; give the package's version, 1 to 44"),
        ({"url": "ftp://127.0.0.1/m"}, "--url: 'ftp://127.0.0.1/m' is not valid; give http or https address"),
        ({"url": "http://a b/"}, "--url: 'http://a b/' is not valid; give http or https address"),
        ({"url": "http://a..b/"}, "--url: 'http://a..b/' is not valid; give http or https address"),
        (
            {"url": f"http://{'a' * 64}.de/"},
            f"--url: 'http://{'a' * 64}.de/' is not valid; give http or https",
        ),
        ({"url": "http://h/" + "a" * 320}, f"--url: 'http://h/{'a' * 320}' is not valid; give http or https"),
    ],
)
def test_an_invalid_argument_is_named(
    deploy: Command, tmp_path: Path, changes: dict[str, object], complaint: str
) -> None:
    ran = deploy(tmp_path / "slots", b"x", **changes)
    assert ran.returncode == 1
    assert states(ran.stdout) == [(7, "request_received"), (7, "failed_invalid_argument")]
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith(f"sensor_sim: {complaint}")


def test_the_states_reach_the_server_once(deploy: Command, tmp_path: Path, package: bytes) -> None:
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


def test_what_deploy_could_not_send_the_watching_sensor_sends(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes
) -> None:
    """Both keep their events in the outbox of the sensor, which lies beside its token."""
    token, slots, scene = tmp_path / "token", tmp_path / "slots", tmp_path / "scene.json"
    token.write_text("s-0123456789ab.c2VjcmV0")
    scene.write_text(
        json.dumps({"version": 1, "lines": [{"id": 2, "name": "m", "points": [[0, 0.55], [1, 0.55]]}]})
    )
    video = networks.write_video(tmp_path / "walk.mp4", networks.walk_down())
    with device_server.running(Ledger()) as backend:
        sending = ("--uplink", backend.url, "--token-file", token)
        backend.faults = [device_server.refuse(401)] * 100
        assert deploy(slots, package, *sending).returncode == 1
        assert backend.ledger.events == {}
        backend.faults = []
        ran = sensor_sim("watch", "--video", video, "--slots", slots, "--scene", scene, *sending)
        assert (ran.returncode, ran.stderr) == (0, "")
        events = list(backend.ledger.events.values())
    assert [event.state for event in events if isinstance(event, wire.Deployment)] == DONE
    assert [type(event) for event in events[len(DONE) :]] == [wire.Crossing, wire.Heartbeat]


def test_while_its_sensor_sends_nothing_is_deployed_with_its_outbox(
    deploy: Command, tmp_path: Path, package: bytes
) -> None:
    """Afterwards the same command goes through."""
    token = tmp_path / "token"
    token.write_text("s-0123456789ab.c2VjcmV0")
    with device_server.running(Ledger()) as backend:
        sending = ("--uplink", backend.url, "--token-file", token)
        folder = tmp_path / "s-0123456789ab.outbox"
        with Outbox(folder, "s-0123456789ab"):
            refused = deploy(tmp_path / "slots", package, *sending)
        assert (refused.returncode, refused.stdout, refused.stderr) == (
            1,
            "",
            f"sensor_sim: outbox {folder}: process {os.getpid()} is sending from it; stop that one, do this,"
            " and start it again\n",
        )
        assert read_journal(tmp_path / "slots") is None
        assert backend.ledger.events == {}
        assert json.loads(deploy(tmp_path / "slots", package, *sending).stdout)["stored"] == 4


def test_the_way_back_to_another_slot(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes
) -> None:
    slots = tmp_path / "slots"
    for slot, version in ((1, "1.0"), (3, "2.0")):
        assert deploy(slots, package, slot=slot, version=version).returncode == 0

    def rows(*more: object) -> list[list[str]]:
        ran = sensor_sim("slots", "--slots", slots, *more)
        assert (ran.returncode, ran.stderr) == (0, "")
        return [line.split()[:3] for line in ran.stdout.splitlines()]

    assert rows() == [["0", "empty"], ["1", "1.0", digest(slots)], ["2", "empty"], ["*", "3", "2.0"]]
    assert rows("--activate", 1)[1] == ["*", "1", "1.0"]
    assert rows()[3] == ["3", "2.0", digest(slots)]
    refused = sensor_sim("slots", "--slots", slots, "--activate", 2)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith("slot 2 holds no model; choose another or deploy one into it\n")


@pytest.mark.parametrize("left", [b"damaged", None])
def test_a_package_that_the_disk_has_lost_is_neither_watched_nor_activated(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes, left: bytes | None
) -> None:
    slots = tmp_path / "slots"
    assert deploy(slots, package, slot=1).returncode == 0
    [held] = (slots / "packages").iterdir()
    if left is None:
        held.unlink()
    else:
        held.write_bytes(left)
    watch = ("watch", "--world", "entrance", "--seconds", 1, "--slots", slots)
    for words in (watch, ("slots", "--slots", slots, "--activate", 1)):
        ran = sensor_sim(*words)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"sensor_sim: {held}: the package of slot 1 was lost or changed on the disk; deploy it again, or"
            " activate another slot\n"
        )
    assert deploy(slots, package, slot=1).returncode == 0
    assert held.read_bytes() == package


def digest(slots: Path) -> str:
    journal = read_journal(slots)
    assert journal
    return journal.model


def test_where_no_slots_are_none_are_made(sensor_sim: Command, tmp_path: Path) -> None:
    ran = sensor_sim("slots", "--slots", tmp_path / "nowhere", "--activate", 0)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no model slots there; install a model with" in ran.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_file_where_the_slots_should_be(sensor_sim: Command, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a folder")
    ran = sensor_sim("slots", "--slots", tmp_path / "notes")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.endswith("notes: this is a file; give the folder of the model slots\n")


def test_a_journal_with_a_request_and_none_of_its_steps(
    sensor_sim: Command, deploy: Command, tmp_path: Path, package: bytes
) -> None:
    slots = tmp_path / "slots"
    assert deploy(slots, package).returncode == 0
    journal = json.loads((slots / JOURNAL).read_text())
    (slots / JOURNAL).write_text(json.dumps(journal | {"steps": []}))
    ran = deploy(slots, package)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "not readable: steps: there are none of the request; move the folder away" in ran.stderr


def unread() -> int:
    read, write = os.pipe()
    os.close(read)
    return write


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (unread, ""),
        (full, "sensor_sim: the output could not be written: No space left on device; free some space\n"),
    ],
)
def test_who_does_not_read_does_not_stop_the_deployment(
    tmp_path: Path, package: bytes, output: Callable[[], int], complaint: str
) -> None:
    """Run as a process of its own, whose output nobody reads."""
    write = output()
    with serving(package) as server:
        command = [sys.executable, "-m", "sensor_sim"]
        command += map(str, words(tmp_path / "slots", request_for(package, server.url)))
        ran = subprocess.run(
            command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, complaint)
    journal = read_journal(tmp_path / "slots")
    assert journal
    assert journal.steps[-1].state == "done"
