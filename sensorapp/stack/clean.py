"""`make clean`: removes everything that was fetched or written. Standard library only."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack

from sensorapp.stack import paths
from sensorapp.stack.processes import StackError, exclusive

FETCHED = (
    ".venv",
    "node_modules",
    "staticfiles",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
)


def main() -> int:
    if given := os.environ.pop("SENSORAPP_VAR", None):
        print(f"  {given} (SENSORAPP_VAR) may hold more than ours: remove it yourself")
    var = paths.var_folder()
    refusal = (
        "sensorapp is running here (process {pid}); stop it, with Ctrl-C where it runs, before: make clean"
    )
    try:
        with ExitStack() as held:
            for lock in [paths.lock_file(), *var.glob("*/stack.lock")]:
                if lock.exists():
                    held.enter_context(exclusive(lock, refusal))
            remove()
    except (StackError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def remove() -> None:
    folders = [paths.ROOT / name for name in FETCHED]
    folders.append(paths.var_folder())
    if paths.socket_folder().parent == paths.SHORT_FOLDER:
        folders.append(paths.socket_folder())
    for folder in folders:
        if folder.exists():
            print(f"  removing {folder}")
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
