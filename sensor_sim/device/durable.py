"""What is on the disk when a call returns, and still there after a power loss."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing."""
    missing = [place for place in folder.parents if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in (*reversed(missing), folder):
        sync_folder(made.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Give a file another content: whenever the power fails, the old or the new one is there."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:  # what is there of it only takes the room that is missing
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write through the names in a folder, without which its files are not found again."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
