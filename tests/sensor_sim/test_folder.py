"""Folders of images."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from sensor_sim.errors import SensorError
from sensor_sim.pixels.folder import ImageFolder


def write(path: Path, grey: int, width: int = 8, height: int = 6) -> Path:
    assert cv2.imwrite(str(path), np.full((height, width, 3), grey, np.uint8))
    return path


def test_images_come_by_name_whatever_their_size(tmp_path: Path) -> None:
    write(tmp_path / "b.PNG", 20, width=16)
    write(tmp_path / "a.jpg", 10)
    write(tmp_path / "c.bmp", 30, height=12)
    (tmp_path / "notes.txt").write_text("no image")
    frames = list(ImageFolder(tmp_path, rate=4.0, start=100.0))
    assert [(frame.at, frame.image.shape, int(frame.image.mean().round())) for frame in frames] == [
        (100.0, (6, 8, 3), 10),
        (100.25, (6, 16, 3), 20),
        (100.5, (12, 8, 3), 30),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["2.PNG", "9.png", "10.png"],
        ["day-1 9.png", "day-1_10.png"],
        ["frame9-.png", "frame10-.png", "frame011-.png"],
        ["img.png", "img1.png", "img10.png", "img9.png"],
        ["10.25.png", "10.5.png", "9.0.png"],
        ["09.png", "0a.png", "10.png"],
    ],
    ids=["a number", "two numbers", "a number within", "not all with one", "times", "another base"],
)
def test_where_one_number_is_all_that_differs_it_counts_as_such(tmp_path: Path, names: list[str]) -> None:
    for value, name in enumerate(names, 1):
        write(tmp_path / name, 40 * value)
    shades = [round(frame.image.mean() / 40) for frame in ImageFolder(tmp_path, rate=1.0)]
    assert shades == [*range(1, len(names) + 1)]


def test_grey_images_get_three_channels(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((6, 8), 77, np.uint8))
    [frame] = ImageFolder(tmp_path, rate=1.0)
    assert (frame.image.shape, set(np.unique(frame.image))) == ((6, 8, 3), {77})


def test_without_a_start_the_last_image_is_now(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.png", 0)
    before = time.time()
    times = [frame.at for frame in ImageFolder(tmp_path, rate=0.5)]
    assert np.diff(times) == pytest.approx([2.0, 2.0])
    assert before <= times[-1] <= time.time()


def test_a_folder_that_is_none_or_holds_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, reason in (
        ("gone", "No such file or directory"),
        ("file", "Not a directory"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(SensorError, match=f"{name}: cannot be read: {reason}; --images takes a folder"):
            ImageFolder(tmp_path / name, rate=1.0)
    with pytest.raises(SensorError, match=r"no images in this folder; .*\.png"):
        ImageFolder(tmp_path, rate=1.0)


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_a_damaged_image_is_named_after_those_before_it(tmp_path: Path, damage: str) -> None:
    write(tmp_path / "a.jpg", 10)
    bad = write(tmp_path / "b.jpg", 20, width=64, height=64)
    whole = bad.read_bytes()
    bad.write_bytes({"empty": b"", "text": b"no image", "cut": whole[: len(whole) // 2]}[damage])
    frames = iter(ImageFolder(tmp_path, rate=1.0))
    assert int(next(frames).image.mean().round()) == 10
    with pytest.raises(SensorError, match=r"b\.jpg: no image, or a damaged one"):
        next(frames)


def test_an_image_that_states_too_many_pixels(tmp_path: Path) -> None:
    """A PNG whose head says 70000 x 70000."""
    head = b"IHDR" + struct.pack(">2I5B", 70_000, 70_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, b"IDAT" + zlib.compress(b""))
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(SensorError, match=r"a\.png: the image is too large to be read; make it smaller"):
        list(ImageFolder(tmp_path, rate=1.0))


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(SensorError, match=r"a\.jpg: cannot be read: Is a directory"):
        list(ImageFolder(tmp_path, rate=1.0))
