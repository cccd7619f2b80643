"""What users give by mistake: one sentence that names it, exit status 1, and nothing else.

Then anything at all that has the form of a scene, a card or a package: it loads or it is refused.
"""

from __future__ import annotations

import io
import json
import os
import struct
import wave
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor_sim.errors import SensorError
from sensor_sim.package import load_package
from sensor_sim.pixels.packets import ends_within_packet
from sensor_sim.pixels.video import VideoFile
from sensor_sim.scene import load_scene
from sensorapp import wire
from tests.sensor_sim import networks
from tests.sensor_sim.networks import card, constant_model
from tests.sensor_sim.test_watch import SCENE, refused

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
BOW_TIE = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good scene, a good package and a good video."""
    path = tmp_path_factory.mktemp("good")
    (path / "scene.json").write_text(json.dumps(SCENE))
    networks.write_package(path / "package", networks.SPOT_CARD, networks.bright_spot_model())
    networks.write_video(path / "walk.mkv", networks.walk_down())
    return path


def refusal(folder: Path, **instead: Path) -> str:
    """What the command says, with something else in place of a good scene, package or video."""
    good = {"video": folder / "walk.mkv", "model": folder / "package", "scene": folder / "scene.json"}
    words = [word for name, path in (good | instead).items() for word in (f"--{name}", path)]
    sentence = refused(*words)
    assert sentence.startswith("sensor_sim: ")
    return sentence


# --- scenes -------------------------------------------------------------------------------------------


def line(*points: list[float]) -> dict[str, Any]:
    return {"lines": [{"id": 0, "name": "door", "points": points}]}


def zones(*polygons: list[list[float]]) -> dict[str, Any]:
    return {"zones": [{"id": i, "name": "z", "polygon": polygon} for i, polygon in enumerate(polygons)]}


SCENES: dict[str, tuple[dict[str, Any], str]] = {
    "crossing edges": (
        zones(SQUARE, BOW_TIE),
        "zones[1].polygon: its edges 0 and 2 cross; list the corners in order around it",
    ),
    "a slot too": (
        {"slots": [{"id": 1, "name": "s", "item": "bottle", "polygon": BOW_TIE}]},
        "slots[0].polygon: its edges 0 and 2 cross",
    ),
    "closed twice": (
        zones([*SQUARE, SQUARE[0]]),
        "zones[0].polygon: its points 0 and 4 are the same; give each corner once",
    ),
    "a spike": (
        zones([[0.25, 0.25], [0.75, 0.25], [0.5, 0.25], [0.5, 0.75]]),
        "zones[0].polygon: its edges 0 and 1 cross",
    ),
    "a corner on an edge": (
        zones([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]]),
        "zones[0].polygon: its edges 0 and 2 cross",
    ),
    "no area": (zones([[0, 0], [0.5, 0.5], [1, 1]]), "zones[0].polygon: it encloses nothing"),
    "an area of rounding": (zones([[0, 0], [0.1, 0.1], [0.3, 0.3]]), "zones[0].polygon: it encloses nothing"),
    "two points": (
        zones(SQUARE[:2]),
        "zones[0].polygon: Expected `array` of length >= 3; a polygon has 3 to 64 corners, [[x, y], [x, y], [x, y]]",
    ),
    "pixels": (
        line([700, 0.5], [0.9, 0.5]),
        "lines[0].points[0][0]: Expected `float` <= 1.0; give fractions of the picture, 0 to 1: pixels divided by its width or height",
    ),
    "pixels of a corner": (
        zones([*SQUARE[:3], [0.1, 400]]),
        "zones[0].polygon[3][1]: Expected `float` <= 1.0; give fractions of the picture, 0 to 1: pixels divided by its width or height",
    ),
    "a line of no length": (line([0.5, 0.5], [0.5, 0.5]), "lines[0].points: both are the same"),
    "a line of hardly any": (line([0.5, 0.5], [0.505, 0.5]), "lines[0].points: they are too near each other"),
    "an id twice": ({"lines": SCENE["lines"] * 2}, "lines: two of them share an id; give each its own"),
    "a camera that sees straight down": (
        {"camera": {"tilt_degrees": 70, "view_degrees": 40}},
        "camera: tilt_degrees and half of view_degrees add up to 90 or more, so it sees the floor straight below "
        "it, where people lean to all sides; correct them, or remove camera",
    ),
    "a camera that looks up": (
        {"camera": {"tilt_degrees": -10, "view_degrees": 40}},
        "camera.tilt_degrees: Expected `float` >= 5.0",
    ),
    "a camera by half": (
        {"camera": {"tilt_degrees": 50}},
        "camera: Object missing required field `view_degrees`; add it",
    ),
    "a camera on the floor": (
        {"camera": {"tilt_degrees": 50, "view_degrees": 50, "height_metres": 0.1}},
        "camera.height_metres: Expected `float` >= 1.0",
    ),
    "a line above the horizon": (
        {
            "camera": {"tilt_degrees": 10, "view_degrees": 60, "height_metres": 3},
            "lines": [{"id": 1, "name": "x", "points": [[0.1, 0.6], [0.9, 0.3]]}],
        },
        "lines[0].points: above 0.39 a camera that is mounted so sees no floor, or only far away; draw the line on the "
        "floor before it, or correct camera",
    ),
    "too many": (
        {"lines": [SCENE["lines"][0] | {"id": i} for i in range(1001)]},
        "lines: Expected `array` of length <= 1000; give fewer",
    ),
    "a line by itself": (
        {"lines": SCENE["lines"][0]},
        "lines: Expected `array`, got `object`; write it in square brackets, as in [ … ]",
    ),
    "a name for a line": (
        {"lines": ["door"]},
        "lines[0]: Expected `object`, got `str`; write it in braces, as in { … }",
    ),
    "a number for a name": (
        {"lines": [SCENE["lines"][0] | {"name": 7}]},
        'lines[0].name: Expected `str`, got `int`; write it in quotation marks, as in "…"',
    ),
    "no name": (
        {"lines": [SCENE["lines"][0] | {"name": ""}]},
        "lines[0].name: Expected `str` of length >= 1; make it longer",
    ),
    "a name for a number": (
        {"version": "1"},
        "version: Expected `int`, got `str`; write a number, without quotation marks",
    ),
}


def test_a_word_that_is_not_known_is_told_with_those_that_are(folder: Path, tmp_path: Path) -> None:
    odd = networks.SPOT_CARD | {"input": networks.SPOT_CARD["input"] | {"colour": "rgb"}}
    networks.write_package(tmp_path / "package", odd, networks.bright_spot_model())
    assert refusal(folder, model=tmp_path / "package").endswith(
        "model.json: input.colour: Invalid enum value 'rgb'; known are BGR and RGB"
    )


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_that_cannot_be_meant(folder: Path, tmp_path: Path, name: str) -> None:
    changes, complaint = SCENES[name]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(SCENE | changes))
    assert f"odd.json: {complaint}" in refusal(folder, scene=path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"colour": "red"},
            "odd.json: Object contains unknown field `colour`; known are version, upload_interval_ms, privacy, "
            "detect, lines, zones, slots and camera",
        ),
        (
            {"lines": [{"id": 1, "name": "x", "points": [[0, 0], [1, 1]], "width": 2}]},
            "odd.json: lines[0]: Object contains unknown field `width`; known are id, name and points",
        ),
        ({" - at `$.lines[0]": 1}, "unknown field"),
    ],
)
def test_whoever_invents_a_field_is_told_those_that_there_are(
    folder: Path, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(SCENE | changes))
    assert complaint in refusal(folder, scene=path)


def test_of_a_card_those_of_the_decoder_that_was_meant() -> None:
    plain = card(decoder={"layout": "nanodet", "strides": [8], "bins": 8, "anchors": 3})
    with pytest.raises(SensorError) as told:
        networks.read(plain)
    assert "decoder: Object contains unknown field `anchors`; known are layout, strides, bins" in str(
        told.value
    )


TEXTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "NaN": (b'{"version": 1, "detect": {"score": NaN}}', "NaN is no number in JSON"),
    "infinite": (b'{"version": 1, "detect": {"score": -Infinity}}', "-Infinity is no number in JSON"),
    "too large": (
        b'{"version": 1, "detect": {"score": 1e999}}',
        "detect.score: Expected `float` <= 1.0; give a",
    ),
    "a field twice": (
        b'{"version": 1, "zones": [], "zones": []}',
        "the field 'zones' is there twice; keep one of them",
    ),
    "deeply nested": (b"[" * 100_000, "not readable as JSON: maximum recursion depth"),
    "no text": (
        bytes(range(128, 256)),
        "not readable as JSON: 'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte; save it as UTF-8",
    ),
    "quotes of another language": (b"{'version': 1}", ": line 1 column 2 (char 1); correct it there"),
    "a name that moves the cursor": (b'{"version": 1, "a\\n\\u001b[2Jb": 1}', r"unknown field `a\n\x1b[2Jb`"),
    "huge": (b" " * (4 * 2**20 + 1), "larger than 4 MiB"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_scene_that_is_no_scene(folder: Path, tmp_path: Path, name: str) -> None:
    text, complaint = TEXTS[name]
    path = tmp_path / "odd.json"
    path.write_bytes(text)
    said = refusal(folder, scene=path)
    assert "odd.json: " in said
    assert complaint in said


def test_folders_and_names_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    for option in ("scene", "video"):
        assert "cannot be read: Is a directory" in refusal(folder, **{option: tmp_path})
        assert "cannot be read: File name too long" in refusal(folder, **{option: long})
    assert "the model package has no model.json" in refusal(folder, model=tmp_path)
    assert "cannot be read: File name too long" in refusal(folder, model=long)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pictures_in_a_pipe_or_a_device_are_not_waited_for(folder: Path, tmp_path: Path, kind: str) -> None:
    """Nobody may ever write into the one, and the other may never end."""
    odd = tmp_path / "odd.png"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/dev/zero")
    no_file = f"sensor_sim: {odd}: cannot be read: Is a pipe or a device, not a file; "
    assert refusal(folder, video=odd) == f"{no_file}--video takes a video file"
    assert "no model package there" in refusal(folder, model=odd)
    rest = ("--model", folder / "package", "--scene", folder / "scene.json")
    assert refused("--images", tmp_path, *rest) == f"{no_file}check its rights or take it out of the folder"
    assert "Not a directory; --images takes a folder" in refused("--images", odd, *rest)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_editors_on_windows_write_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "scene.json").write_text(json.dumps(SCENE), encoding)
    assert load_scene(tmp_path / "scene.json") == wire.convert(SCENE, wire.Scene)


# --- cards and packages -------------------------------------------------------------------------------

NOTHING = {"boxes": [[0] * 4], "scores": [0], "classes": [0], "count": [0]}
CARDS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown decoder": (
        {"decoder": {"layout": "yolo"}},
        "decoder.layout: Invalid value 'yolo'; choose one of imx500_pp, nanodet, ssd, yolov8, yolox",
    ),
    "another decoder": ({"decoder": {"layout": "yolox"}}, "decoder: yolox with strides 8, 16, 32 reads one"),
    "another size": (
        {"input": card()["input"] | {"width": 32}},
        "input: the card says 1x3x64x32 (NCHW), the network takes 1x3x64x64",
    ),
    "a mean that is no colour": (
        {"input": card()["input"] | {"mean": [1e300, 0, 0]}},
        "input.mean[0]: Expected `float` <= 1000",
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_that_does_not_fit(folder: Path, tmp_path: Path, name: str) -> None:
    changes, complaint = CARDS[name]
    odd = networks.write_package(tmp_path / "odd", card(**changes), constant_model(**NOTHING))
    assert complaint in refusal(folder, model=odd)


def test_labels_of_the_wrong_number(folder: Path, tmp_path: Path) -> None:
    three = constant_model(output=np.zeros((1, 84, 5 + 3)))
    odd = networks.write_package(tmp_path / "odd", card(decoder={"layout": "yolox"}), three)
    assert "labels: the card has 2, the network scores 3 classes" in refusal(folder, model=odd)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CARD_TEXT = json.dumps(card()).encode()
GOOD = {"model.json": CARD_TEXT, "model.onnx": b"weights"}


def bomb() -> bytes:
    return zipped(GOOD | {"model.onnx": bytes(65 * 2**20)})


ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "out of the folder": (
        lambda: zipped({f"../{name}": content for name, content in GOOD.items()}),
        "the model package has no model.json",
    ),
    "too deep": (lambda: zipped({f"a/b/{n}": c for n, c in GOOD.items()}), "has no model.json"),
    "two models": (
        lambda: zipped(GOOD | {f"a/{name}": content for name, content in GOOD.items()}),
        "the zip has model.json twice; put one model into a package",
    ),
    "torn apart": (
        lambda: zipped({"a/model.json": CARD_TEXT, "b/model.onnx": b""}),
        "the zip has its files in different folders",
    ),
    "a bomb": (bomb, "model.onnx is larger than 64 MiB"),
    "packed oddly": (lambda: zipped(GOOD, zipfile.ZIP_BZIP2), "packed in an unusual way"),
    "cut off": (lambda: zipped(GOOD)[:-30], "the zip is cut off; copy or build it again"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_that_is_no_package(folder: Path, tmp_path: Path, name: str) -> None:
    make, complaint = ZIPS[name]
    (tmp_path / "odd.zip").write_bytes(make())
    said = refusal(folder, model=tmp_path / "odd.zip")
    assert "odd.zip: " in said
    assert complaint in said


def test_the_zip_of_a_folder_is_the_package(tmp_path: Path) -> None:
    """As file managers make it, with what macOS adds."""
    (tmp_path / "flat.zip").write_bytes(zipped(GOOD))
    inside = {f"people/{name}": content for name, content in GOOD.items()}
    (tmp_path / "nested.zip").write_bytes(zipped(inside | {"__MACOSX/model.json": b"", "people/notes": b""}))
    assert load_package(tmp_path / "nested.zip") == load_package(tmp_path / "flat.zip")


# --- videos -------------------------------------------------------------------------------------------


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return buffer.getvalue()


NO_VIDEOS = {
    "sound.mp4": sound(),
    "text.mp4": b"This is a text.\n" * 100,
    "text.txt": b"FFmpeg would show this as a picture.\n" * 100,
    "empty.mp4": b"",
    "zeros.mp4": bytes(10_000),
    "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "header.gif": b"GIF89a",
}


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_what_is_no_video(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(NO_VIDEOS[name])
    assert f"{name}: this is no video that FFmpeg can read" in refusal(folder, video=tmp_path / name)


def test_an_mp4_without_its_end_is_no_video(folder: Path, tmp_path: Path) -> None:
    whole = networks.write_video(tmp_path / "walk.mp4", networks.walk_down()).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 9 // 10])
    assert "cut.mp4: this is no video that FFmpeg can read, or it is cut off" in refusal(
        folder, video=tmp_path / "cut.mp4"
    )


def test_a_length_that_cannot_be_needs_a_start(folder: Path, tmp_path: Path) -> None:
    """Two thousand million frames of a second each, of which there are two."""
    path = networks.write_video(tmp_path / "long.avi", networks.walk_down()[:2], rate=1.0, codec="MJPG")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"avih") + 8 + 16, 2**31 - 1)
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, 2**31 - 1)
    path.write_bytes(content)
    assert refusal(folder, video=path) == (
        f"sensor_sim: {path}: the file states a length of 2147483647 s, so it cannot have begun in time to end now; "
        "say with --start when it began"
    )
    seen, said = times(path)
    assert seen == [0.0, 1.0]
    assert "the file is cut off" in said


def times(path: Path) -> tuple[list[float], str]:
    """The frames' times in seconds, and what is said at the end."""
    seen = []
    try:
        for frame in VideoFile(path, 0.0):
            assert frame
            seen.append(frame.at)
    except SensorError as error:
        return seen, str(error)
    return seen, ""


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_video_cut_in_a_frame_gives_the_frames_before(folder: Path, tmp_path: Path, share: float) -> None:
    whole = (folder / "walk.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: round(len(whole) * share)])
    seen, said = times(tmp_path / "cut.mkv")
    assert "the file is cut off" in said
    assert seen == pytest.approx([i / 10 for i in range(len(seen))])
    assert 0 < len(seen) < 60


def stream(path: Path) -> bytes:
    """Sixty frames in a format that says nowhere how many there are."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    pictures = [np.roll(noise, i, axis=1) for i in range(60)]
    return networks.write_video(path, pictures, rate=25.0, codec="mpg2").read_bytes()


@pytest.mark.parametrize("name", ["walk.ts", "walk.m2ts", "walk.mpg", "walk.vob"])
def test_a_stream_cut_in_a_packet_gives_the_frames_before(tmp_path: Path, name: str) -> None:
    whole = stream(tmp_path / name)
    assert times(tmp_path / name)[1] == ""
    for share in (0.5, 0.7, 0.95, 0.99):
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share) | 1])
        seen, said = times(tmp_path / name)
        assert share * 60 - 15 < len(seen) <= 60
        assert f"{name}: the file is cut off " in said


@pytest.mark.parametrize(("name", "size"), [("a.ts", 188), ("a.m2ts", 192), ("a.mpg", 2048), ("a.vob", 2048)])
def test_whether_a_stream_s_last_packet_is_whole(tmp_path: Path, name: str, size: int) -> None:
    whole = stream(tmp_path / name)
    cut = tmp_path / "cut"
    for packets in (9, 12, len(whole) // size - 1):
        for over in (0, 4, 5, 20, size // 2, size - 1):
            cut.write_bytes(whole[: packets * size + over])
            assert ends_within_packet(cut) == (over > 0), (packets, over)
    cut.write_bytes(whole + bytes(5000))
    assert not ends_within_packet(cut)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_a_picture_is_no_video(folder: Path, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"picture.{suffix}"
    assert cv2.imwrite(str(picture), networks.walker(0.5))
    assert refusal(folder, video=picture) == (
        f"sensor_sim: {picture}: it holds a single picture; --video takes a video, a folder of pictures is given with "
        "--images"
    )


def test_two_videos_in_one_file_whose_time_goes_back(tmp_path: Path) -> None:
    half = networks.write_video(tmp_path / "half.ts", networks.walk_down()[:30]).read_bytes()
    (tmp_path / "both.ts").write_bytes(half + half)
    seen, said = times(tmp_path / "both.ts")
    assert len(seen) == 30
    assert "the time goes back within it, 30 of its 60 frames had to be left out" in said


def test_pictures_that_change_their_size(tmp_path: Path) -> None:
    """They come scaled to the first one, and a container that does not know its length still has a start."""
    sizes = [64] * 5 + [128] * 5
    pictures = [cv2.imencode(".jpg", np.full((n, n, 3), 255, np.uint8))[1].tobytes() for n in sizes]
    (tmp_path / "both.mjpeg").write_bytes(b"".join(pictures))
    frames = [frame for frame in VideoFile(tmp_path / "both.mjpeg") if frame]
    assert [frame.image.shape for frame in frames] == [(64, 64, 3)] * 10
    assert min(frame.image.mean() for frame in frames) > 250
    assert 1.6e9 < frames[0].at < 4.1e9


# --- anything -----------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FULL = SCENE | {
    "privacy": "zones",
    "detect": {"labels": ["person"], "score": 0.5},
    **zones(SQUARE),
    "slots": [{"id": 1, "name": "s", "item": "bottle", "polygon": SQUARE}],
}
LAYOUTS: list[dict[str, Any]] = [
    {"layout": "imx500_pp", "outputs": ["boxes", "scores", "classes", "count"]},
    {"layout": "nanodet", "strides": [8], "bins": 8, "origin": "corner", "outputs": "joined"},
    {"layout": "yolox", "strides": [8, 16], "nms_overlap": 0.5},
    {"layout": "yolov8", "transposed": True},
    {"layout": "ssd", "activation": "sigmoid", "maps": [{"cells": [2, 2], "shapes": [[0.5, 1.0]]}]},
]


@st.composite
def changed(draw: st.DrawFn, plain: Any) -> Any:
    """``plain`` with something else in one place, something more or something less."""
    if not isinstance(plain, dict | list) or not plain or draw(st.integers(0, 4)) == 0:
        return draw(anything)
    copy: Any = plain.copy()
    key = draw(st.sampled_from(sorted(plain) if isinstance(plain, dict) else range(len(plain))))
    what = draw(st.sampled_from(["change", "remove", "add"]))
    if what == "change":
        copy[key] = draw(changed(plain[key]))
    elif what == "remove":
        del copy[key]
    elif isinstance(copy, dict):
        copy[draw(st.text(max_size=5))] = draw(anything)
    else:
        copy.insert(key, draw(st.one_of(anything, st.just(plain[key]))))
    return copy


def loads_or_is_refused(load: Callable[[], object]) -> None:
    try:
        load()
    except SensorError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017


@given(changed(FULL))
@settings(max_examples=300)
def test_any_scene_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, plain: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(plain))
    loads_or_is_refused(lambda: load_scene(path))


@given(st.sampled_from(LAYOUTS).flatmap(lambda layout: changed(card(decoder=layout))))
@settings(max_examples=300)
def test_any_card_loads_or_is_refused(plain: Any) -> None:
    loads_or_is_refused(lambda: networks.read(plain))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_text_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(text)
    loads_or_is_refused(lambda: load_scene(path))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=300)
def test_any_zip_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(zipped(GOOD))
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "any.zip"
    path.write_bytes(content)
    loads_or_is_refused(lambda: load_package(path))


# --- crossing polygons, by an independent judgement ---------------------------------------------------

grid_points = st.tuples(st.integers(0, 8), st.integers(0, 8))


def shared_points(a: Any, b: Any, c: Any, d: Any) -> int:
    """How many points the segments ab and cd share, 2 for many: solved with exact fractions."""
    across, down, to = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1]), (c[0] - a[0], c[1] - a[1])
    determinant = across[0] * down[1] - across[1] * down[0]
    if determinant:
        s = Fraction(to[0] * down[1] - to[1] * down[0], determinant)
        t = Fraction(to[0] * across[1] - to[1] * across[0], determinant)
        return int(0 <= s <= 1 and 0 <= t <= 1)
    if to[0] * across[1] - to[1] * across[0]:
        return 0  # parallel
    length = across[0] ** 2 + across[1] ** 2
    on = sorted(Fraction((p[0] - a[0]) * across[0] + (p[1] - a[1]) * across[1], length) for p in (c, d))
    begin, end = max(on[0], Fraction(0)), min(on[1], Fraction(1))
    return 2 if begin < end else int(begin == end)


@given(st.lists(grid_points, min_size=3, max_size=7, unique=True))
@settings(max_examples=400)
def test_crossing_edges_are_found_and_no_others(points: list[tuple[int, int]]) -> None:
    count = len(points)
    edges = [(points[i], points[(i + 1) % count]) for i in range(count)]
    simple = all(
        shared_points(*edges[i], *edges[j]) == (j == i + 1 or (i, j) == (0, count - 1))
        for i in range(count)
        for j in range(i + 1, count)
    )
    polygon = [(x / 8, y / 8) for x, y in points]
    scene = {"version": 1, **zones([list(point) for point in polygon])}
    try:
        wire.convert(scene, wire.Scene)
    except wire.WireError as error:
        accepted, reason = False, error.reason
    else:
        accepted, reason = True, ""
    assert accepted == simple, reason
