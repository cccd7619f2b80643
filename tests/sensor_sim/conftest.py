"""A package that finds bright spots, and the command, run in this process: a new one takes seconds to load."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor_sim.__main__ import main
from tests.sensor_sim import networks

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return networks.write_package(tmp_path / "package", networks.SPOT_CARD, networks.bright_spot_model())


@pytest.fixture
def sensor_sim(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs ``python -m sensor_sim`` with these words."""

    def run(*words: object) -> Ran:
        plain = [str(word) for word in words]
        capsys.readouterr()
        return Ran(plain, main(plain), *capsys.readouterr())

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
