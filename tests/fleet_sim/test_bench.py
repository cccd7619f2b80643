"""What the fleet's benchmark says where it cannot measure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from bench import fleet as bench
from tests.server import free_port


@pytest.fixture
def url() -> str:
    """An address where nobody answers."""
    return f"http://127.0.0.1:{free_port()}"


Child: TypeAlias = subprocess.Popen[bytes]


@contextmanager
def running(program: str) -> Iterator[Child]:
    with bench.process(min(os.sched_getaffinity(0)), "-c", program) as child:
        yield child


@pytest.fixture
def idle() -> Iterator[Child]:
    with running("import time; time.sleep(60)") as child:
        yield child


def said(caught: pytest.ExceptionInfo[SystemExit]) -> str:
    return str(caught.value).removeprefix("bench.fleet: ")


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3})
    monkeypatch.setattr("sys.argv", ["bench.fleet"])
    with pytest.raises(SystemExit) as caught:
        bench.main()
    assert said(caught) == "it needs two cores, one for the fleet and one for the server; here is one"


def test_a_server_that_ends_is_told(url: str) -> None:
    with running("raise SystemExit(7)") as child, pytest.raises(SystemExit) as caught:
        bench.wait_for(url, child)
    assert said(caught) == "the server ended with status 7; what it said stands above"


def test_a_server_that_does_not_answer_is_told(url: str, idle: Child) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.wait_for(url, idle, at_most=0.1)
    assert said(caught) == f"the server at {url} does not answer after 0.1 s; run it again"


def test_a_fleet_that_does_not_get_steady_is_told(idle: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "totals", lambda url: {"batches": 0})
    with pytest.raises(SystemExit) as caught:
        bench.wait_until_steady("", idle, 20, at_most=0.1)
    assert said(caught) == (
        "after 0.1 s a sensor sends 0.00 batches a second and not 1;"
        " give fewer --stores, or cores that do nothing else"
    )
