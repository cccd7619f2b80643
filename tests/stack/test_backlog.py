"""The progress of the history, read from a real child's output."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from sensorapp.stack.backlog import Backlog
from sensorapp.stack.processes import spawn

FLEET = """
import json, sys
print("not json")
for done in map(int, sys.argv[1:]):
    print(json.dumps({"backlog_done": done, "backlog_total": 110}))
print(json.dumps({"something": "else"}))
"""


def shown(tmp_path: Path, *done: int) -> list[str]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=False, width=100)
    command = [sys.executable, "-c", FLEET, *map(str, done)]
    fleet = spawn("fleet", command, log=tmp_path / "log", cwd=tmp_path, stdout=subprocess.PIPE)
    backlog = Backlog(console, fleet)
    with backlog:
        backlog.reader.join(30)
    fleet.stop()
    return [line for line in output.getvalue().splitlines() if line.strip()]


def test_a_line_for_each_tenth_and_one_at_the_end_where_there_is_no_terminal(tmp_path: Path) -> None:
    lines = shown(tmp_path, 0, 4, 11, 12, 55, 110, 110)
    assert lines[:2] == ["  history 10 %", "  history 50 %"]
    assert re.fullmatch(r"  history loaded +\d+\.\d s", lines[2])
    assert len(lines) == 3


def test_nothing_is_said_where_the_history_was_there_already(tmp_path: Path) -> None:
    assert shown(tmp_path, 110, 110) == []
