"""A picture cannot leave: nothing that holds one can be encoded, and only numbers reach perception."""

from __future__ import annotations

import argparse
import ast
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import cv2
import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

import sensor_sim
from sensor_sim import watch
from sensor_sim.detection import Box, Detection, Metadata
from sensor_sim.pixels import Frame, Raw, Rectangle
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.conftest import Command
from tests.sensor_sim.test_decoders import SHAPES

ROOMS = Path(sensor_sim.__file__).parent
START_MS = 1_772_355_600_000
PIXELS = np.zeros((4, 4, 3), np.uint8)
RAW = Raw(np.zeros((4, 4), np.uint16), Rectangle(0, 0, 8, 8), 2, 10, 64, (1.9, 1.0, 1.6))
# The rooms in which pixels exist.
INSIDE = ["pixels", "isp", "network", "chip", "package", "decoders", "picamera", "sources"]
INSIDE += ["training", "truth", "watch", "report", "deploy", "__main__"]


EVENTS: list[wire.Event] = [
    wire.Crossing(at=START_MS, line=0, direction="forward"),
    wire.Visit(at=START_MS, zone=0, dwell_ms=1),
    wire.Occupancy(at=START_MS, zone=0, count=1),
    wire.Shelf(at=START_MS, slot=0, units=1, confidence=1.0),
    wire.Heartbeat(at=START_MS, observed_ms=1, frames=1, inferences=1, temperature_c=20.0, dnn_us=1),
    wire.Deployment(at=START_MS, rollout=1, state="done"),
]


def sent_and_read(event: wire.Event, media_type: str) -> wire.Event:
    return wire.decode(wire.encode(event, media_type), type(event), media_type)


def test_all_events_are_tried() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(wire.Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("media_type", [wire.JSON, wire.MSGPACK])
def test_no_field_of_any_event_takes_pixels(event: wire.Event, media_type: str) -> None:
    assert sent_and_read(event, media_type) == event
    for field in msgspec.structs.fields(event):
        values = PIXELS.tobytes(), PIXELS.tolist(), memoryview(PIXELS.tobytes()), RAW.values.tolist()
        for pixels in (PIXELS, RAW, RAW.values, Frame(0.0, RAW), *values):
            smuggled = msgspec.structs.replace(event, **{field.name: pixels})
            with pytest.raises((wire.WireError, TypeError)):
                sent_and_read(smuggled, media_type)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_other_room_knows_pixels() -> None:
    forbidden = {"cv2", "onnxruntime", *(f"sensor_sim.{room}" for room in INSIDE)}
    outside = [
        p for p in ROOMS.rglob("*.py") if p.relative_to(ROOMS).parts[0].removesuffix(".py") not in INSIDE
    ]
    assert {p.relative_to(ROOMS).parts[0] for p in outside} >= {
        "perception",
        "device",
        "detection.py",
        "health.py",
    }
    for path in outside:
        # Perception gets plain numbers; arrays would be a way in for more.
        wanted = forbidden | {"numpy"} if "perception" in path.parts else forbidden
        reached = {
            name for name in imports(path) for bad in wanted if name == bad or name.startswith(bad + ".")
        }
        assert not reached, f"{path.relative_to(ROOMS)} imports {reached}"


def test_what_the_chip_lets_out_is_words_and_numbers() -> None:
    assert get_type_hints(Metadata) == {
        "at": float,
        "detections": Sequence[Detection] | None,
        "dnn_us": int,
        "dsp_us": int,
        "temperature_c": float,
    }
    assert get_type_hints(Detection) == {"label": str, "score": float, "box": Box}
    assert get_type_hints(Box) == dict.fromkeys(("left", "top", "right", "bottom"), float)


OPTIONS = """
    --help -h --video --camera --images --world --picamera --start --seconds --rate --region --threads --ambient
    --seed --density --mode --truth --model --slots --weights --scene --uplink --token-file --outbox
"""


def test_a_new_option_has_to_be_looked_at() -> None:
    """Could a picture get out by it? If it means something to a simulated source, it belongs into ``SETTINGS``."""
    commands = argparse.ArgumentParser().add_subparsers()
    watch.add_parser(commands)
    arguments = commands.choices["watch"]._actions
    words = [word for one in arguments for word in one.option_strings or [one.dest]]
    assert sorted(words) == sorted(OPTIONS.split())


# --- at work ---------------------------------------------------------------------------------------

# Before anything else is loaded: writing to any file, by whatever library, is deadly, and so are connections
# and other programs.
PRISON = """
import os, resource, signal, sys
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
def guard(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")):
        os._exit(99)
    if event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):  # a name could tell of a picture
        os._exit(99)
    if event == "open" and arguments[1] is None and arguments[2] & os.O_CREAT:
        os._exit(99)
sys.addaudithook(guard)
sys.dont_write_bytecode = True
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""
WATCH = "from sensor_sim.__main__ import main; sys.exit(main(sys.argv[1:]))"
RAW_FRAMES = """
import json, pathlib
from sensor_sim.chip import Chip
from sensor_sim.network import Network
from sensor_sim.package import load_package
from sensor_sim.pixels.array import Rendered
from sensor_sim.pixels.imx500 import MODES
from tests.sensor_sim.test_array import Brightening
from tests.sensor_sim.people import START
network = Network(load_package(pathlib.Path(sys.argv[1])))
for mode in MODES.values():
    [seen] = Chip(network, ["person"], 0.3).watch(Rendered(Brightening(), mode, start=START, seconds=1 / mode.rate))
    print(seen.at)
"""


def imprisoned(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRISON + code, *map(str, words)],
        cwd=ROOMS.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("escape", "status"),
    [
        ("import cv2, numpy; cv2.imwrite(sys.argv[1], numpy.zeros((9, 9), numpy.uint16))", -signal.SIGXFSZ),
        ("import numpy; numpy.save(sys.argv[1], numpy.zeros(9))", -signal.SIGXFSZ),
        ("open(sys.argv[1], 'wb').write(b'pixels')", -signal.SIGXFSZ),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", 99),
        ("import subprocess; subprocess.run(['true'])", 99),
        ("import pathlib; pathlib.Path(sys.argv[1]).touch()", 99),
        ("import pathlib; pathlib.Path(sys.argv[1]).mkdir()", 99),
    ],
)
def test_the_prison_holds(tmp_path: Path, escape: str, status: int) -> None:
    assert imprisoned(escape, tmp_path / "frame.png").returncode == status
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.json"
    path.write_text('{"version": 1, "lines": [{"id": 0, "name": "d", "points": [[0.1, 0.55], [0.9, 0.55]]}]}')
    return path


def told(*words: object) -> list[str]:
    """The types of the events that the imprisoned command prints, and it does nothing else."""
    ran = imprisoned(WATCH, "watch", *words)
    assert (ran.returncode, ran.stderr) == (0, "")
    return [type(msgspec.json.decode(line, type=wire.Event)).__name__ for line in ran.stdout.splitlines()]


# Other settings than usual, as far as they mean something to all simulated sources.
SETTINGS = ("--region", "8,8,4000,3000", "--threads", "2", "--ambient", "30")
START = "2026-03-01T09:00:00Z"


@pytest.mark.parametrize("others", [(), (*SETTINGS, "--start", START, "--seconds", "10")])
def test_watching_a_video_writes_and_sends_nothing(
    tmp_path: Path, package: Path, scene: Path, others: Sequence[str]
) -> None:
    video = networks.write_video(tmp_path / "walk.mp4", networks.walk_down())
    weights = package / "model.onnx"
    words = ("--video", video, "--model", package, "--weights", weights, "--scene", scene)
    assert told(*words, *others) == ["Crossing", "Heartbeat"]


@pytest.mark.parametrize("others", [(), (*SETTINGS, "--start", START, "--seconds", "20")])
def test_watching_images_writes_and_sends_nothing(
    tmp_path: Path, package: Path, scene: Path, others: Sequence[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(networks.walk_down()):
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    words = ("--images", folder, "--rate", "10", "--model", package, "--scene", scene)
    assert told(*words, *others) == ["Crossing", "Heartbeat"]


def test_watching_worlds_writes_and_sends_nothing(package: Path, scene: Path) -> None:
    """Three frames of the entrance's own scene, and one whole one of a shelf."""
    plain = ("--world", "entrance", "--seconds", "0.1", "--model", package)
    assert told(*plain)[-1] == "Heartbeat"
    words = ("--world", "shelf", "--seconds", "0.1", "--model", package, "--scene", scene)
    world = ("--mode", "full", "--seed", "3", "--density", "crowd", "--start", START)
    assert told(*words, *world, *SETTINGS)[-1] == "Heartbeat"


# --- what goes wrong -------------------------------------------------------------------------------

n = helper.make_node
# A picture that is easy to recognise, as numbers, as bytes and in base 64.
GLARE = np.full((64, 64, 3), 191, np.uint8)
OF_GLARE = re.compile(r"191|\bbf|xbf|¿|v7\+/")


def glaring(shapes: Sequence[Sequence[int]]) -> bytes:
    """A network that gives out zeros of these shapes for a black picture, and for any other its brightest value, in
    shapes of which all sides are 1."""
    nodes = [
        n("ReduceMax", ["image"], ["brightest"], keepdims=0),
        n("Greater", ["brightest", "zero"], ["seen"]),
    ]
    values: dict[str, Any] = {"zero": np.float32(0)}
    for i, shape in enumerate(map(np.array, shapes)):
        values |= {f"zeros{i}": np.zeros(shape, np.float32), f"begin{i}": 0 * shape}
        values |= {f"sides{i}": shape, f"ones{i}": shape**0}
        nodes += [
            n("Where", ["seen", f"ones{i}", f"sides{i}"], [f"end{i}"]),
            n("Slice", [f"zeros{i}", f"begin{i}", f"end{i}"], [f"part{i}"]),
            n("Add", [f"part{i}", "brightest"], [f"output{i}"]),
        ]
    return networks.model(nodes, [f"output{i}" for i in range(len(shapes))], values)


@pytest.fixture
def glares(tmp_path: Path) -> Path:
    (folder := tmp_path / "images").mkdir()
    cv2.imwrite(str(folder / "1.png"), GLARE)
    return folder


def complaint(ran: subprocess.CompletedProcess[str], tmp_path: Path) -> str:
    """The one sentence on stderr, without the folder, whose name has numbers of its own."""
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    return ran.stderr.replace(str(tmp_path), "")


@pytest.mark.parametrize("name", SHAPES)
def test_a_decoder_that_complains_says_nothing_of_what_it_got(
    sensor_sim: Command, tmp_path: Path, glares: Path, scene: Path, name: str
) -> None:
    decoder, shapes = SHAPES[name]
    package = networks.write_package(tmp_path / "model", networks.card(decoder=decoder), glaring(shapes))
    said = complaint(sensor_sim("watch", "--images", glares, "--model", package, "--scene", scene), tmp_path)
    assert "the network has 1" in said
    assert not OF_GLARE.search(said)


def test_a_network_that_fails_says_nothing_of_what_it_got(tmp_path: Path, glares: Path, scene: Path) -> None:
    """ONNX Runtime itself would say that 191 is no index of the table."""
    nodes = [
        n("ReduceMax", ["image"], ["brightest"], keepdims=0),
        n("Cast", ["brightest"], ["index"], to=TensorProto.INT64),
        n("Gather", ["tables", "index"], ["table"]),
    ]
    weights = networks.model(nodes, ["table"], {"tables": np.zeros((1, 6, 84), np.float32)})
    package = networks.write_package(tmp_path / "model", networks.card(decoder={"layout": "yolov8"}), weights)
    words = ("--images", glares, "--model", package, "--scene", scene)
    said = complaint(imprisoned(WATCH, "watch", *words), tmp_path)
    assert "the network runs on a black picture, but not on every other" in said
    assert not OF_GLARE.search(said)


def test_an_image_that_is_damaged_says_nothing_of_the_one_before(
    tmp_path: Path, package: Path, glares: Path, scene: Path
) -> None:
    (glares / "2.png").write_bytes((glares / "1.png").read_bytes()[:50])
    words = ("--images", glares, "--model", package, "--scene", scene)
    said = complaint(imprisoned(WATCH, "watch", *words), tmp_path)
    assert "2.png: no image, or a damaged one" in said
    assert not OF_GLARE.search(said)


def test_raw_frames_in_every_mode_end_in_the_chip(package: Path) -> None:
    ran = imprisoned(RAW_FRAMES, package)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [float(line) for line in ran.stdout.splitlines()] == [START_MS / 1000] * 3
