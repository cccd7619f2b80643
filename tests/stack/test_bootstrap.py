"""What the bootstrap says where it cannot go on. That it can is what `make test` itself shows."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sensorapp.stack.bootstrap import GROUPS
from sensorapp.stack.paths import ROOT

SCRIPT = Path("sensorapp/stack/bootstrap.py")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the bootstrap reads, in a folder where nothing has been fetched yet."""
    shutil.copytree(ROOT / "sensorapp" / "stack", tmp_path / "sensorapp" / "stack")
    for name in ("requirements.lock", "requirements-dev.lock", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def bootstrap(clone: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=clone, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("minor", [7, 10])
def test_an_old_python_can_read_it(minor: int) -> None:
    ast.parse((ROOT / SCRIPT).read_text(), feature_version=(3, minor))


def test_an_old_python_is_told_so(clone: Path) -> None:
    pretend = (
        f"import sys, runpy; sys.version_info = (3, 9, 2); sys.argv = ['{SCRIPT}']; "
        f"runpy.run_path('{SCRIPT}', run_name='__main__')"
    )
    answer = bootstrap(clone, sys.executable, "-c", pretend)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"\nsensorapp needs Python 3.11 or newer, and {sys.executable} is 3.9.2; "
        "name a newer one, for example: make PYTHON=python3.12\n"
    )
    assert not (clone / ".venv").exists()


def test_a_python_without_pip_is_named_with_the_remedy(clone: Path) -> None:
    # The tests' own environment was made by uv, which puts no pip into it.
    answer = bootstrap(clone, sys.executable, str(SCRIPT))
    assert answer.returncode == 1
    assert answer.stderr == (
        f"\npip is missing for {sys.executable}; install it (on Debian and Ubuntu: apt install python3-pip) "
        "and run make again\n"
    )


def test_a_closed_network_is_one_sentence_with_pips_reason(clone: Path) -> None:
    with_pip = Path(sys.base_prefix) / "bin" / "python3"
    if subprocess.run([with_pip, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"{with_pip} has no pip")
    answer = bootstrap(
        clone,
        str(with_pip),
        str(SCRIPT),
        PIP_CONFIG_FILE=os.devnull,
        PIP_FIND_LINKS="",
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert answer.returncode == 1
    sentence, *lines = answer.stderr.strip().split("\n")
    assert sentence == (
        "pip could not do its part; see that this machine reaches the package registries (HTTPS_PROXY names a "
        f"proxy) and run make again. Its last lines in {clone}/var/log/bootstrap.log:"
    )
    assert lines[-1].startswith("    ERROR: No matching distribution found for uv==")
    assert "Traceback" not in answer.stderr


def test_what_is_in_place_is_left_alone_without_a_word() -> None:
    stamp = ROOT / ".venv" / "sensorapp-stamp"
    if not stamp.exists():
        pytest.skip("these packages were not installed by the bootstrap")
    bootstrap(ROOT, sys.executable, str(SCRIPT))
    answer = bootstrap(ROOT, sys.executable, str(SCRIPT), PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_no_lock_file_names_a_download_address() -> None:
    locks = [*ROOT.glob("requirements*.lock"), *(ROOT / "sensorapp" / "stack").glob("*.lock")]
    assert len(locks) >= 5
    for lock in (*locks, ROOT / "package-lock.json"):
        assert "://" not in lock.read_text(), lock


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_group_adds_leaves_the_versions_of_the_tests_packages(group: str) -> None:
    """Both are installed into one environment, and the later one must not undo the earlier."""
    ours, added = (pinned(ROOT / f"requirements-{name}.lock") for name in ("dev", group))
    assert added.keys() - ours.keys()
    assert {name: added[name] for name in added.keys() & ours.keys()} == {
        name: ours[name] for name in added.keys() & ours.keys()
    }


def pinned(lock: Path) -> dict[str, set[str]]:
    """The versions of each package; several for different versions of Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found
