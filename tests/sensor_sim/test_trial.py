"""What a network may take at its first run, and what becomes of one that takes more."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from sensor_sim import trial
from sensor_sim.errors import SensorError
from sensor_sim.network import Network
from sensor_sim.trial import MEMORY, told, tried
from tests.sensor_sim import networks

n = helper.make_node
bounded = pytest.mark.skipif(not trial.STATUS.exists(), reason="the system does not tell how much is in use")
TOO_MUCH = "model.onnx: the network needs more than 512 MiB to run, or more than is free here, and the chip has 8 MiB; "
TOO_LONG = (
    "model.onnx: the network takes more than {} s for one picture here, and the chip has less than one; "
)
REMEDY = "take a smaller input or a smaller network"


def limit() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_DATA)


def refusal(nodes: Sequence[Any], **constants: Any) -> str:
    with pytest.raises(SensorError) as caught:
        Network(networks.package(networks.card(), networks.model(nodes, ["y"], constants)))
    return str(caught.value)


def test_what_is_tried_gives_what_it_gives() -> None:
    assert tried(lambda: 7) == 7
    with pytest.raises(SensorError, match="as it is"):
        tried(fail)


def fail() -> None:
    raise SensorError("as it is")


# --- memory ----------------------------------------------------------------------------------------


@bounded
@pytest.mark.parametrize("mebibytes", [600, 2_000, 1_000_000])
def test_a_network_that_takes_all_memory_is_refused(mebibytes: int) -> None:
    before = limit()
    big = [n("ConstantOfShape", ["shape"], ["big"]), n("Sin", ["big"], ["y"])]
    assert refusal(big, shape=np.array([mebibytes * 2**18])) == f"test: {TOO_MUCH}{REMEDY}"
    assert limit() == before


@bounded
def test_only_what_is_tried_is_bounded() -> None:
    """And a limit that the user has set stays where it is lower."""
    before = limit()
    assert tried(limit)[0] > MEMORY
    assert limit() == before
    resource.setrlimit(resource.RLIMIT_DATA, (2**40, before[1]))
    try:
        assert MEMORY < tried(limit)[0] < 2**40
        resource.setrlimit(resource.RLIMIT_DATA, (trial._in_use() + MEMORY // 2, before[1]))
        assert tried(limit) == limit()
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@bounded
def test_an_array_too_many_is_told_like_that() -> None:
    with pytest.raises(SensorError) as caught:
        tried(lambda: np.ones(2 * MEMORY, np.uint8))
    assert str(caught.value) == TOO_MUCH + REMEDY


# --- time ------------------------------------------------------------------------------------------


def test_what_takes_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    enough = threading.Event()
    with pytest.raises(SensorError) as caught:
        tried(enough.wait)
    assert str(caught.value) == TOO_LONG.format("0.1") + REMEDY
    before = limit()
    enough.set()
    wait_until(lambda: "trial" not in {thread.name for thread in threading.enumerate()})
    assert not trial.STATUS.exists() or before != limit()  # it was bounded to its end


def wait_until(is_so: Any) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def endless() -> bytes:
    """One operator that works for many minutes."""
    nodes = [
        n("Expand", ["one", "side"], ["picture"]),
        n("Expand", ["one", "half"], ["kernel"]),
        n("Conv", ["picture", "kernel"], ["y"]),
    ]
    constants = {
        "one": np.float32([1]), "side": np.array([1, 1, 4096, 4096]), "half": np.array([1, 1, 2048, 2048])
    }  # fmt: skip
    return networks.model(nodes, ["y"], constants)


PROGRAM = """
import sys
from sensor_sim import trial
from sensor_sim.__main__ import main
trial.SECONDS = 0.5
sys.exit(main(["report", sys.argv[1]]))
"""


def test_the_command_ends_although_an_operator_does_not(tmp_path: Path) -> None:
    package = networks.write_package(tmp_path / "endless", networks.card(), endless())
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(package)],
        env=os.environ | {"PYTHONPATH": str(Path(trial.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"sensor_sim: {package}: {TOO_LONG.format('0.5')}{REMEDY}\n"


def test_a_name_of_any_length_in_a_message_is_looked_through_at_once() -> None:
    """Looked through in full, it would take hours."""
    assert str(told(ValueError("/" * 2_000_000), "it does not load")) == (
        "model.onnx: it does not load: …; export it again"
    )
