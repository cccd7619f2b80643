"""Child processes that start in order, stop in order, and never outlive their parent.

Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class StackError(Exception):
    """What went wrong and what to do about it, in one sentence for a person."""


# --- what a child is before it runs its program ---

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
# Only the first is needed, but containers usually hold only the second.
CAP_DAC_READ_SEARCH = 2
CAP_DAC_OVERRIDE = 1

# Looked up before any fork: the loader takes locks that a child must not wait for.
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(signum: signal.Signals) -> Callable[[], None]:
    """For a child about to run its program: have the kernel send `signum` when the parent dies.

    Linux only; elsewhere the next start finds and stops what was left behind.
    """
    parent = os.getpid()

    def prepare() -> None:
        if sys.platform != "linux":
            return
        _libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return prepare


@dataclass(frozen=True)
class Identity:
    """The user a program runs as, and whether it may pass folders that are closed to that user."""

    uid: int
    gid: int
    may_pass: bool

    @classmethod
    def nobody(cls, *needed: Path) -> Identity:
        """The user `nobody`, able to reach the `needed` files and folders."""
        user = pwd.getpwnam("nobody")
        return cls(user.pw_uid, user.pw_gid, not all(anybody_can_reach(path) for path in needed))

    def take(self) -> None:
        """For a child about to run its program: stop being root.

        Raises:
            OSError: the system does not let this process become that user.
        """
        if self.may_pass:
            # Capabilities survive the change of user, and access(2) heeds them, which initdb calls.
            refused = _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
            if refused:
                raise PermissionError("no capability to keep capabilities")
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if self.may_pass and not (keep(CAP_DAC_READ_SEARCH) or keep(CAP_DAC_OVERRIDE)):
            raise PermissionError("no capability to pass closed folders")


def anybody_can_reach(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def keep(capability: int) -> bool:
    """Keeps one capability of root, and no other, over the change of user and the exec that follow.

    See capabilities(7), "ambient". False where the process does not hold it.
    """
    mask = 1 << capability
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(_CapabilityData(mask, mask, mask))
    if _libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        return False
    return bool(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


# --- children ---


@dataclass
class Child:
    """A running program with its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals
    patience: float = 10.0

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Asks it to stop, waits, and ends what is left of its process group."""
        if self.running:
            self.process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def obituary(self) -> str:
        """How it ended, its last words, and where to read all of them."""
        code = self.process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        last = "\n".join(f"    {line}" for line in tail(self.log))
        return f"{self.name} {how}; its last lines in {self.log}:\n{last}"


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    identity: Identity | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    orphan_signal: signal.Signals = signal.SIGKILL,
    patience: float = 10.0,
    stdout: int | None = None,
    niceness: int = 0,
) -> Child:
    """Starts a program in its own session, so that Ctrl-C reaches only the parent.

    Must be called from the main thread: Linux ties the child's life to the thread that started it.

    Args:
        log: takes its error output, and its output unless `stdout` says otherwise.
        stop_signal: asks the program to stop.
        orphan_signal: sent when the parent dies. Nobody would notice a program that hangs while it stops.
        patience: seconds it has to stop before it is killed.
        niceness: how far it stands back when the processor is busy.
    """
    watch = die_with_parent(orphan_signal)

    def prepare() -> None:
        if identity is not None:
            identity.take()
        os.nice(niceness)
        watch()  # last: a change of user forgets it

    with open_log(log) as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else output,
            stderr=output,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=prepare,
        )
    return Child(name, process, log, stop_signal, patience)


def open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def tail(path: Path, lines: int = 12) -> list[str]:
    return path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []


def wait_until(
    ready: Callable[[], bool], child: Child | None, seconds: float, what: str, pause: float = 0.02
) -> None:
    """Waits for a child to be ready.

    Raises:
        StackError: it ended, or the time is over.
    """
    end = time.monotonic() + seconds
    while not ready():
        if child is not None and not child.running:
            raise StackError(child.obituary())
        if time.monotonic() > end:
            raise StackError(f"{what} after {seconds:.0f} s" + (f"; see {child.log}" if child else ""))
        time.sleep(pause)


# --- processes of an earlier start ---


def command_line(pid: int) -> str:
    """What a process was started as; empty when there is none."""
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    return answer.stdout.strip()


@contextlib.contextmanager
def exclusive(lock: Path, refusal: str) -> Iterator[None]:
    """Holds a lock file for the length of the block.

    Raises:
        StackError: another process holds it; `refusal` may name it as `{pid}`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StackError(refusal.format(pid=file.read().strip() or "?")) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
