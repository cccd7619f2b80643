"""A sensor that dies while it looks leaves no memory behind."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from sensor_sim import core_dumps
from tests.sensor_sim import networks

ROOT = Path(__file__).parents[2]
SCENE = '{"version": 1, "lines": [{"id": 0, "name": "d", "points": [[0.1, 0.55], [0.9, 0.55]]}]}'
MOST = resource.getrlimit(resource.RLIMIT_CORE)[1]
IDLE = "import signal; print('here', flush=True); signal.pause()"


def leaves_a_core(folder: Path, number: signal.Signals, *words: object) -> bool:
    """Whether Python with these words, run in the folder and sent the signal once it has said something, dumps core."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        preexec_fn=partial(_allow, number),
    )
    with process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(number)
        _, status = os.waitpid(process.pid, 0)  # subprocess does not tell of the core
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == -number
    return os.WCOREDUMP(status)


def _allow(number: signal.Signals) -> None:
    """A core, and the signal, which whatever runs in a shell's background ignores."""
    resource.setrlimit(resource.RLIMIT_CORE, (MOST, MOST))
    signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGQUIT])
def test_a_watch_that_is_aborted_leaves_no_core(
    tmp_path: Path, package: Path, number: signal.Signals
) -> None:
    (other := tmp_path / "other").mkdir()
    if not leaves_a_core(other, number, "-c", IDLE):
        pytest.skip("no program leaves a core here: its size is limited, or core_pattern leads nowhere")
    (scene := tmp_path / "scene.json").write_text(SCENE)
    long = networks.write_video(tmp_path / "long.mp4", networks.walk_down() * 40)
    words = ("--video", long, "--model", package, "--scene", scene)
    (own := tmp_path / "own").mkdir()
    assert not leaves_a_core(own, number, "-m", "sensor_sim", "watch", *words)
    assert [*own.iterdir()] == []


def test_without_the_switch_the_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(resource, "setrlimit", lambda *words: limits.append(words))
    core_dumps.forbid_core_dumps()
    assert limits == [(resource.RLIMIT_CORE, (0, 0))]
