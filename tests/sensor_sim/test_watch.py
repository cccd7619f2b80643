"""The command as its users run it, and the pipeline behind it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sensor_sim import pipeline, streams
from sensor_sim.__main__ import main
from sensor_sim.chip import Chip
from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.perception import Perception
from sensor_sim.pixels import Frame, Source
from sensor_sim.pixels.camera import Camera
from sensor_sim.pixels.video import VideoFile
from sensor_sim.stop import Stop
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.people import START

ROOT = Path(__file__).parents[2]
SCENE: dict[str, Any] = {
    "version": 5,
    "lines": [{"id": 2, "name": "middle", "points": [[0.1, 0.55], [0.9, 0.55]]}],
}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.json"
    path.write_text(json.dumps(SCENE))
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return networks.write_video(tmp_path / "walk.mp4", networks.walk_down())


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "sensor_sim", "watch", *map(str, words)]


def watch(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def watch_here(*words: object) -> subprocess.CompletedProcess[str]:
    """The same in this process: for what needs no start of its own, which takes seconds."""
    output, errors = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    with own_signals(), redirect_stdout(output), redirect_stderr(errors):
        try:
            status = main(["watch", *map(str, words)])
        except SystemExit as ended:  # argparse's way to refuse an option
            status = int(ended.code or 0)
    output.seek(0)
    return subprocess.CompletedProcess(command(*words), status, output.read(), errors.getvalue())


@contextmanager
def own_signals() -> Iterator[None]:
    """The command takes the signals that end it; afterwards they end the tests again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read(output: str) -> list[wire.Event]:
    return [wire.decode(line.encode(), wire.Event) for line in output.splitlines()]  # type: ignore[arg-type]


# --- the command -----------------------------------------------------------------------------------


def test_events_are_lines_of_json_and_nothing_else(video: Path, package: Path, scene: Path) -> None:
    """The figure's foot passes 0.55 after 2 s above the line and half of the 2 s walk."""
    ran = watch("--video", video, "--model", package, "--scene", scene, "--start", "2026-03-01T09:00:00Z")
    assert (ran.returncode, ran.stderr) == (0, "")
    crossing, heartbeat = read(ran.stdout)
    assert isinstance(crossing, wire.Crossing)
    assert (crossing.line, crossing.direction) == (2, "forward")
    assert abs(crossing.at / 1000 - START - 3.0) < 0.2
    assert isinstance(heartbeat, wire.Heartbeat)
    assert (heartbeat.at, heartbeat.observed_ms) == (round(START * 1000) + 5900, 5900)
    assert (heartbeat.frames, heartbeat.inferences) == (60, 60)
    assert heartbeat.dnn_us == 0  # the network compares, and multiplies nothing
    assert 25 <= heartbeat.temperature_c < 45


def test_without_a_start_the_video_ends_now(video: Path, package: Path, scene: Path) -> None:
    before = time.time()
    ran = watch_here("--video", video, "--model", package, "--scene", scene)
    last = read(ran.stdout)[-1]
    assert before - 0.2 <= last.at / 1000 <= time.time()


def test_a_folder_of_images(tmp_path: Path, package: Path, scene: Path) -> None:
    """The same walk as ten images a second; a damaged one at its end is told after the events."""
    (folder := tmp_path / "images").mkdir()
    for number, image in enumerate(networks.walk_down()):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), image)
    words = ("--images", folder, "--rate", "10", "--start", "2026-03-01T09:00:00Z")
    ran = watch(*words, "--model", package, "--scene", scene)
    assert (ran.returncode, ran.stderr) == (0, "")
    crossing, heartbeat = read(ran.stdout)
    assert isinstance(crossing, wire.Crossing)
    assert abs(crossing.at / 1000 - START - 3.0) < 0.2
    assert isinstance(heartbeat, wire.Heartbeat)
    assert (heartbeat.at, heartbeat.frames) == (round(START * 1000) + 5900, 60)
    (folder / "zzz.png").write_text("no image")
    again = watch(*words, "--model", package, "--scene", scene)
    assert again.returncode == 1
    assert [type(event) for event in read(again.stdout)] == [wire.Crossing, wire.Heartbeat]
    [sentence] = again.stderr.splitlines()
    assert "zzz.png: no image, or a damaged one" in sentence


def test_neither_django_nor_a_server() -> None:
    code = (
        "import sys, sensor_sim.__main__, sensor_sim.pipeline, sensor_sim.chip, sensor_sim.pixels.array;"
        "print([m for m in sys.modules if m.split('.')[0] == 'django'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_reader_that_has_had_enough(video: Path, package: Path, scene: Path) -> None:
    words = command("--video", video, "--model", package, "--scene", scene)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_disk_that_is_full(video: Path, package: Path, scene: Path) -> None:
    words = command("--video", video, "--model", package, "--scene", scene)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(words, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == (
        "sensor_sim: the output could not be written: No space left on device; free some space\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_it_still_gives_out_the_last_events(
    tmp_path: Path, package: Path, scene: Path, number: signal.Signals
) -> None:
    long = networks.write_video(tmp_path / "long.mp4", networks.walk_down() * 40)
    words = command("--video", long, "--model", package, "--scene", scene)
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    told = read(first + rest)
    assert isinstance(told[-1], wire.Heartbeat)
    assert sum(event.frames for event in told if isinstance(event, wire.Heartbeat)) < 2400


def refused(*words: object) -> str:
    ran = watch_here(*words)
    assert ran.returncode == 1
    assert ran.stdout == ""
    [sentence] = ran.stderr.splitlines()
    return sentence


def test_what_is_no_video(tmp_path: Path, package: Path, scene: Path) -> None:
    rest = ("--model", package, "--scene", scene)
    assert "nothing.mp4: cannot be read: No such file or directory" in refused(
        "--video", tmp_path / "nothing.mp4", *rest
    )
    (tmp_path / "zeros.mp4").write_bytes(bytes(10_000))
    ran = watch("--video", tmp_path / "zeros.mp4", *rest)  # FFmpeg, asked alone, has more to say
    assert (ran.returncode, ran.stdout) == (1, "")
    [sentence] = ran.stderr.splitlines()
    assert "zeros.mp4: this is no video that FFmpeg can read" in sentence


def test_a_cut_off_video_is_told_after_what_could_be_seen(tmp_path: Path, package: Path, scene: Path) -> None:
    whole = networks.write_video(tmp_path / "walk.mkv", networks.walk_down())
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 8 // 10])
    ran = watch("--video", cut, "--model", package, "--scene", scene)
    assert ran.returncode == 1
    assert [type(event) for event in read(ran.stdout)] == [wire.Crossing, wire.Heartbeat]
    [sentence] = ran.stderr.splitlines()
    assert "cut.mkv: the file is cut off" in sentence


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"lines": [{"id": -1, "name": "x", "points": [[0, 0], [1, 1]]}]},
            "lines[0].id: Expected `int` >= 0",
        ),
        (
            {"lines": [{"id": 1, "name": "x", "points": [[0, 0], [1, 1.5]]}]},
            "lines[0].points[1][1]: Expected",
        ),
        (
            {"lines": [{"id": 1, "name": "x", "points": [[0.5, 0.5]] * 2}]},
            "lines[0].points: both are the same",
        ),
        (
            {"lines": [{"id": 1, "name": "x", "points": [[0, 0], [1, 1], [0, 1]]}]},
            "lines[0].points: Expected `array` of length 2, got 3; a line has two points, [[x, y], [x, y]]",
        ),
        (
            {"camera": {"tilt_degrees": 0.9, "view_degrees": 52}},
            "camera.tilt_degrees: Expected `float` >= 5.0; give by how many degrees it looks below the horizontal, 5",
        ),
        (
            {"camera": {"tilt_degrees": 50, "view_degrees": 52, "height_metres": 3200}},
            "camera.height_metres: Expected `float` <= 20.0; give metres above the floor, 1 to 20",
        ),
        (
            {"detect": {"score": 35}},
            "detect.score: Expected `float` <= 1.0; give a fraction from 0.05 to 0.95, 0.35 unless another",
        ),
        (
            {"detect": {"score": 0}},
            "scene.json: detect.score: 0 counts everything or nothing; give a fraction",
        ),
        (
            {"detect": {"score": 1}},
            "scene.json: detect.score: 1 counts everything or nothing; give a fraction",
        ),
        ({"lines": []}, "nothing to measure"),
        (
            {"zones": [{"id": 1, "name": "z", "polygon": [[0, 0], [0.5, 0.5], [1, 1]]}]},
            "zones[0].polygon: it encloses",
        ),
        ({"detect": {"labels": ["unicorn"]}}, "detect.labels[0]: the model has no label 'unicorn'"),
        (
            {"slots": [{"id": 1, "name": "s", "item": "can", "polygon": [[0, 0], [0, 1], [1, 1]]}]},
            "slots[0].item: the model has no label 'can'; it has person, bottle",
        ),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_a_faulty_scene_is_named(
    video: Path, package: Path, scene: Path, changes: dict[str, Any], complaint: str
) -> None:
    scene.write_text(json.dumps(SCENE | changes))
    assert complaint in refused("--video", video, "--model", package, "--scene", scene)


def test_a_scene_that_is_no_json(video: Path, package: Path, scene: Path) -> None:
    scene.write_text("{")
    assert "scene.json: not readable as JSON" in refused(
        "--video", video, "--model", package, "--scene", scene
    )
    scene.unlink()
    assert "scene.json: cannot be read" in refused("--video", video, "--model", package, "--scene", scene)


def test_what_lies_beyond_the_region_is_not_seen(video: Path, package: Path, scene: Path) -> None:
    """The figure walks in the middle of the picture; events of the right half tell nothing of it."""
    words = ("--video", video, "--model", package, "--scene", scene)
    seen, blind = (watch(*words, "--region", region) for region in ("1500,0,1000,3040", "2400,0,1600,3040"))
    assert [type(event) for event in read(seen.stdout)] == [wire.Crossing, wire.Heartbeat]
    assert [type(event) for event in read(blind.stdout)] == [wire.Heartbeat]
    assert blind.stderr.splitlines() == [
        "sensor_sim: scene: lines[0].points: not all of it is observed: of the picture only x from 0.59 to 0.99 and "
        "y from 0.00 to 1.00 is read; draw it there, or choose another --region or --mode"
    ]


TABLE = {"id": 3, "name": "Table", "polygon": [[0, 0.9], [1, 0.9], [1, 1]]}
SLOT = {"id": 1, "name": "A", "item": "bottle", "polygon": [[0, 0.5], [1, 0.5], [1, 1]]}


@pytest.mark.parametrize(
    ("changes", "region", "field"),
    [
        ({}, "0,1700,4056,1340", "lines[0].points"),
        (
            {"zones": [TABLE | {"polygon": [[0, 0], [0.2, 0], [0.2, 1]]}]},
            "900,0,3000,3040",
            "zones[0].polygon",
        ),
        ({"zones": [TABLE | {"polygon": [[0.9, 0], [1, 0], [1, 1]]}]}, "0,0,3600,3040", "zones[0].polygon"),
        ({"slots": [SLOT]}, "0,0,4056,1500", "slots[0].polygon"),
    ],
    ids=["above", "left", "right", "items below"],
)
def test_what_is_not_read_is_refused(
    video: Path, package: Path, scene: Path, changes: dict[str, Any], region: str, field: str
) -> None:
    """Nobody would ever be seen there, and that would look as if nobody came."""
    scene.write_text(json.dumps(({} if changes else SCENE) | {"version": 1} | changes))
    said = refused("--video", video, "--model", package, "--scene", scene, "--region", region)
    assert said.startswith(f"sensor_sim: scene: {field}: it is not observed: of the picture only x from ")
    assert said.endswith(" is read; draw it there, or choose another --region or --mode")


def test_feet_below_what_is_read_may_be_of_heads_within(video: Path, package: Path, scene: Path) -> None:
    scene.write_text(json.dumps({"version": 1, "zones": [TABLE]}))
    ran = watch("--video", video, "--model", package, "--scene", scene, "--region", "0,0,4056,2000")
    assert ran.returncode == 0
    assert ran.stderr.startswith("sensor_sim: scene: zones[0].polygon: not all of it is observed: ")


@pytest.mark.parametrize("points", [[[0, 0], [1, 0]], [[0, 1], [1, 1]], [[0, 0], [0, 1]], [[1, 1], [1, 0]]])
def test_a_line_on_the_picture_s_edge_is_within_it(
    video: Path, package: Path, scene: Path, points: list[list[int]]
) -> None:
    scene.write_text(json.dumps({"version": 1, "lines": [{"id": 0, "name": "edge", "points": points}]}))
    ran = watch_here("--video", video, "--model", package, "--scene", scene)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_world_s_own_scene_is_as_it_is(package: Path) -> None:
    """Its zone reaches below what the mode reads, and nobody can draw it anew."""
    words = ("--world", "entrance", "--seconds", "0.1", "--mode", "video", "--model", package)
    ran = watch_here(*words)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert refused(*words, "--region", "0,0,4056,400") == (
        "sensor_sim: --region: --mode video reads nothing there; choose another region or mode"
    )


def test_a_shelf_asks_for_its_items_alone(video: Path, package: Path, scene: Path) -> None:
    """The label that people have if nothing is said is none of a model of products, and need not be."""
    slot = {"id": 1, "name": "A", "item": "can", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    scene.write_text(json.dumps({"version": 1, "slots": [slot]}))
    card = json.loads((package / "model.json").read_text())
    (package / "model.json").write_text(json.dumps(card | {"labels": ["jar", "can"]}))
    ran = watch("--video", video, "--model", package, "--scene", scene)
    assert (ran.returncode, ran.stderr) == (0, "")
    scene.write_text(json.dumps(SCENE | {"slots": [slot]}))
    assert refused("--video", video, "--model", package, "--scene", scene) == (
        "sensor_sim: scene: detect.labels[0]: the model has no label 'person'; it has jar, can; name one of them, or "
        "give another model"
    )


def test_what_to_measure_must_be_said(video: Path, package: Path) -> None:
    assert "--scene: say what to measure" in refused("--video", video, "--model", package)


@pytest.mark.parametrize(
    ("source", "option", "remedy"),
    [
        ("--video walk.mp4", "--rate 2", "--images"),
        ("--video walk.mp4", "--seed 0", "--world"),
        ("--images .", "--mode binned", "--world"),
        ("--camera 97", "--density normal", "--world"),
        ("--camera 97", "--start 2026-03-01", "--video or --images or --world"),
        ("--world shelf", "--rate 1", "--images"),
        ("--picamera net.rpk", "--threads 1", "--video or --camera or --images or --world"),
        ("--picamera net.rpk", "--ambient 25", "--video or --camera or --images or --world"),
        ("--picamera net.rpk", "--region 0,0,9,9", "--video or --camera or --images or --world"),
        ("--picamera net.rpk", "--weights net.onnx", "--video or --camera or --images or --world"),
    ],
)
def test_an_option_that_means_nothing_to_the_source_is_refused(
    package: Path, scene: Path, source: str, option: str, remedy: str
) -> None:
    sentence = refused(*source.split(), "--model", package, "--scene", scene, *option.split())
    name, given = option.split()[0], source.split()[0]
    assert sentence == f"sensor_sim: {name}: it means nothing to {given}; leave it out or give {remedy}"


def test_only_a_rendered_scene_has_a_truth(tmp_path: Path, video: Path, package: Path, scene: Path) -> None:
    sentence = refused("--video", video, "--model", package, "--scene", scene, "--truth", tmp_path / "truth")
    assert sentence == "sensor_sim: --truth: it means nothing to --video; leave it out or give --world"
    assert not (tmp_path / "truth").exists()


def test_a_truth_is_of_the_rendered_scene_s_own_lines(tmp_path: Path, package: Path, scene: Path) -> None:
    words = ("--world", "entrance", "--model", package, "--truth", tmp_path / "truth")
    assert refused(*words, "--scene", scene) == (
        "sensor_sim: --truth: it is of the lines, zones and slots that a rendered scene has of its own; "
        "leave it or --scene out"
    )
    assert not (tmp_path / "truth").exists()


def test_seconds_end_a_video_and_a_folder_of_images(tmp_path: Path, package: Path, scene: Path) -> None:
    """Two seconds of ten frames each: the figure is not at the line yet."""
    (folder := tmp_path / "images").mkdir()
    for number, image in enumerate(networks.walk_down()):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), image)
    video = networks.write_video(tmp_path / "walk.mkv", networks.walk_down())
    rest = ("--model", package, "--scene", scene, "--start", "2026-03-01T09:00:00Z", "--seconds", "2")
    for source in (("--video", video), ("--images", folder, "--rate", "10")):
        ran = watch_here(*source, *rest)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert heartbeats(read(ran.stdout)) == [(1.9, 1900, 20)]


def test_progress_on_a_terminal_leaves_the_events_as_they_are(
    video: Path, package: Path, scene: Path
) -> None:
    """Each line of it is erased before the next event, and at the end nothing is left of it."""
    terminal, errors = os.openpty()
    words = command("--video", video, "--model", package, "--scene", scene)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors) as process:
        os.close(errors)
        assert process.stdout
        output = process.stdout.read().decode()
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert [type(event) for event in read(output)] == [wire.Crossing, wire.Heartbeat]
    assert shown.startswith(f"{streams.ERASE}1 of 60 frames in ")
    assert shown.endswith(streams.ERASE)


def test_seconds_end_a_camera_that_is_away() -> None:
    """Where nothing comes the clock counts, or it would be waited for forever."""

    def away() -> Iterator[Frame | None]:
        while True:
            time.sleep(0.01)
            yield None

    lost = list(streams.first(away(), 0.1))
    assert 1 <= len(lost) <= 11
    assert set(lost) == {None}


def test_a_model_that_is_not_what_its_card_says(video: Path, tmp_path: Path, scene: Path) -> None:
    wrong = networks.write_package(
        tmp_path / "wrong", networks.card(), networks.constant_model(boxes=[[0, 0, 1, 1]])
    )
    assert "imx500_pp reads 4 outputs" in refused("--video", video, "--model", wrong, "--scene", scene)


@pytest.mark.parametrize("camera", ["/dev/video97", "97", "9" * 14])
def test_a_camera_that_is_not_there(package: Path, scene: Path, camera: str) -> None:
    assert f"camera {camera}: cannot be opened" in refused(
        "--camera", camera, "--model", package, "--scene", scene
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--start", "yesterday"],
        ["--start", "1999-12-31T23:59:59Z"],
        ["--start", "2099-01-01"],
        ["--threads", "0"],
        ["--ambient", "75"],
        ["--ambient", "-20"],
        ["--ambient", "nan"],
        ["--seed", "-1"],
        ["--rate", "0.4"],
        ["--seconds", "nan"],
        ["--region", "0,0,9"],
        ["--region", "0,1,4056,3040"],
    ],
)
def test_options_are_checked(video: Path, package: Path, scene: Path, words: list[str]) -> None:
    ran = watch_here("--video", video, "--model", package, "--scene", scene, *words)
    assert ran.returncode == 2
    assert f"argument {words[0]}: '{words[1]}' is no " in ran.stderr


def test_it_is_told_how_hot_and_how_cold_it_may_be(video: Path, package: Path, scene: Path) -> None:
    """Up to where a chip that has stopped can go on, and down to where one that is cold can start."""
    words = ("--video", video, "--model", package, "--scene", scene, "--seconds", "0.1", "--ambient")
    for ambient in ("74.9", "-19.9"):
        assert watch_here(*words, ambient).returncode == 0
    for ambient in ("90", "-60"):
        assert watch_here(*words, ambient).stderr.endswith(
            f"argument --ambient: '{ambient}' is no temperature to work in; give more than -20 degrees Celsius, at which "
            "a chip stands still, and less than 75, below which one that was too hot goes on\n"
        )


# --- the pipeline ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(networks.package(networks.SPOT_CARD, networks.bright_spot_model()))


def events(source: Source, network: Network) -> Iterator[wire.Event]:
    """What a sensor with the line of ``SCENE`` says of these frames."""
    perception = Perception(wire.convert(SCENE, wire.Scene))
    return pipeline.events(Chip(network, perception.labels, perception.least_score).watch(source), perception)


def still(begin: float, seconds: float) -> Iterator[Frame]:
    """Ten frames a second of somebody who stands above the line, the last at ``begin`` + ``seconds``."""
    image = networks.walker(0.35)
    for i in range(round(seconds * 10) + 1):
        yield Frame(START + begin + i / 10, image)


def heartbeats(told: list[wire.Event]) -> list[tuple[float, int, int]]:
    """(seconds, observed milliseconds, frames) of events that are all heartbeats."""
    beats = [event for event in told if isinstance(event, wire.Heartbeat)]
    assert beats == told
    return [(round(beat.at / 1000 - START, 3), beat.observed_ms, beat.frames) for beat in beats]


def test_a_heartbeat_a_minute_and_one_at_the_end(network: Network) -> None:
    told = list(events(still(0, 150), network))
    assert heartbeats(told) == [(60, 60000, 601), (120, 60000, 600), (150, 30000, 300)]


def test_lost_time_is_not_observed(network: Network) -> None:
    """Nothing to see from 10 to 40 s: no heartbeat covers it, and the next covers the time since then."""
    source = [*still(0, 10), None, None, *still(40, 10)]
    assert heartbeats(list(events(source, network))) == [(10, 10000, 101), (50, 10000, 101)]


def test_frames_far_apart_are_an_interruption(network: Network) -> None:
    source = [*still(0, 10), *still(40, 10)]
    assert heartbeats(list(events(source, network))) == [(10, 10000, 101), (50, 10000, 101)]


def test_a_clock_set_back_is_an_interruption(network: Network) -> None:
    source = [*still(100, 10), *still(0, 10)]
    assert heartbeats(list(events(source, network))) == [(110, 10000, 101), (10, 10000, 101)]


def test_nobody_crosses_a_line_in_lost_time(network: Network) -> None:
    below = [Frame(frame.at, networks.walker(0.8)) for frame in still(12, 3)]
    assert len(heartbeats(list(events([*still(0, 10), None, *below], network)))) == 2


def test_no_frames_no_events(network: Network) -> None:
    assert list(events([], network)) == []
    assert list(events([None, None], network)) == []


def test_video_times_come_from_the_file(tmp_path: Path) -> None:
    path = networks.write_video(tmp_path / "v.mp4", [networks.walker(0.5)] * 7, rate=5.0)
    frames = [frame for frame in VideoFile(path, start=100.0) if frame]
    assert [round(frame.at, 3) for frame in frames] == [100.0, 100.2, 100.4, 100.6, 100.8, 101.0, 101.2]
    assert {frame.image.shape for frame in frames} == {(96, 128, 3)}


# --- cameras ---------------------------------------------------------------------------------------


class Plug:
    """Stands in for the V4L2 driver: each opening is a real capture of a file that ends, or fails."""

    def __init__(self, *paths: Path) -> None:
        self.paths = list(paths)
        self.opened = 0

    def __call__(self, device: str) -> cv2.VideoCapture:
        path = self.paths[min(self.opened, len(self.paths) - 1)]
        self.opened += 1
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


def test_a_camera_that_disappears_is_tried_again(
    tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Stop()
    plug = Plug(video, tmp_path / "gone", tmp_path / "gone", video)
    seen: list[bool] = []
    for frame in Camera("0", stop, retry=0.01, opener=plug):
        seen.append(frame is not None)
        if len(seen) == 60 + 3 + 60:
            stop.set()
    assert seen == [True] * 60 + [False] * 3 + [True] * 60
    assert plug.opened == 4
    assert [record.getMessage() for record in caplog.records] == [
        "camera 0: no picture; trying again every 0.01 s",
        "camera 0: here again",
    ]


def test_a_camera_that_opens_but_shows_nothing(video: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each try is one None, with the wait before it: a broken camera neither ends the source nor spins, and is told
    once."""

    def dead(device: str) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
        while capture.grab():
            pass
        return capture

    stop = Stop()
    source = iter(Camera("0", stop, retry=0.05, opener=dead))
    before = time.monotonic()
    assert [next(source) for _ in range(4)] == [None] * 4
    assert time.monotonic() - before >= 3 * 0.05
    stop.set()
    assert list(source) == []
    assert [record.getMessage() for record in caplog.records] == [
        "camera 0: no picture; trying again every 0.05 s"
    ]


def test_time_without_the_camera_is_not_observed(tmp_path: Path, video: Path, network: Network) -> None:
    """Heartbeats cover the frames before and after the loss and not what lies between."""
    stop = Stop()
    plug = Plug(video, tmp_path / "gone", tmp_path / "gone", video, tmp_path / "gone")
    lost = 0

    def until_lost_again() -> Iterator[Frame | None]:
        nonlocal lost
        for frame in Camera("0", stop, retry=0.4, opener=plug):
            lost += frame is None
            if lost == 4:
                stop.set()
            yield frame

    before = time.time()
    told = [event for event in events(until_lost_again(), network) if isinstance(event, wire.Heartbeat)]
    assert [beat.frames for beat in told] == [60, 60]
    observed = sum(beat.observed_ms for beat in told) / 1000
    assert observed <= time.time() - before - 3 * 0.4


def test_a_camera_gives_the_time_of_each_picture(video: Path) -> None:
    stop = Stop()
    before = time.time()
    times = []
    for frame in Camera("0", stop, opener=Plug(video)):
        if frame is None:
            stop.set()
        else:
            times.append(frame.at)
            assert frame.image.dtype == np.uint8
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time()


def test_a_camera_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SensorError, match="camera 0: cannot be opened"):
        Camera("0", opener=Plug(tmp_path / "gone"))


@pytest.mark.skipif(not os.path.exists("/dev/video0"), reason="no camera at /dev/video0")  # noqa: PTH110
def test_a_real_camera() -> None:
    frame = next(iter(Camera("/dev/video0")))
    assert frame is not None
    assert frame.image.ndim == 3
