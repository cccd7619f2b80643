"""In which order files and folders are written through, which no killed process could show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sensor_sim.device.durable import make_folder, replace_file
from sensor_sim.device.slots import Slots


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, all of which really happens."""
    heard: list[str] = []
    fsync, replace = os.fsync, os.replace

    def hear_fsync(descriptor: int) -> None:
        heard.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def hear_replace(old: Path, new: Path) -> None:
        heard.append(f"{Path(old).name} -> {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", hear_fsync)
    monkeypatch.setattr(os, "replace", hear_replace)
    return heard


def test_a_file_is_written_through_before_it_takes_its_name(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"old")
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert calls == ["sync file.new", "file.new -> file", f"sync {tmp_path.name}"]


def test_each_folder_that_is_made_is_written_through_from_above(tmp_path: Path, calls: list[str]) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert calls == [f"sync {tmp_path.name}", "sync a", "sync b"]
    make_folder(tmp_path / "a" / "b" / "c")
    assert calls[3:] == ["sync b"]


def test_a_package_has_its_new_name_before_it_loses_the_old_one(tmp_path: Path, calls: list[str]) -> None:
    with Slots(tmp_path / "slots") as slots:
        slots.staged.write_bytes(b"package")
        calls.clear()
        slots.keep_staged("a" * 43 + "=")
    assert calls == [f"staged -> {'a' * 43}=.zip", "sync packages", "sync slots"]
