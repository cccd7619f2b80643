"""The device's model slots on disk, and the journal of what is being installed into them.

A folder holds packages by their hash and one small file, the journal, that says which slot holds which and how
far a deployment has come. Packages never change; the journal is replaced as a whole. So whenever the power
fails, the journal before or the one after is there, and every package that it names.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import secrets
from pathlib import Path
from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Struct

from sensor_sim.device.durable import make_folder, replace_file, sync_folder
from sensor_sim.device.uplink import HOST
from sensor_sim.documents import LARGEST_MODEL
from sensor_sim.errors import SensorError
from sensorapp import wire

SLOTS = 4
NO_MODEL = "0" * 16
FINAL = {state for state in get_args(wire.DeploymentState) if state.startswith(("done", "failed"))}

JOURNAL, PACKAGES, STAGED, LOCK = "journal.json", "packages", "staged", "lock"

SlotNumber = Annotated[int, Meta(ge=0, lt=SLOTS)]
Hash = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{43}=$")]


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What to install where: ``hash`` is the SHA-256 of the package in base64, ``size`` its bytes."""

    rollout: Annotated[int, Meta(ge=0, lt=2**31)]
    url: Annotated[str, Meta(pattern=rf"^https?://([^/?#@\s]*@)?{HOST}([/?#]|$)", max_length=320)]
    hash: Hash
    size: Annotated[int, Meta(ge=1, le=LARGEST_MODEL)]
    version: Annotated[str, Meta(min_length=1, max_length=44)]
    slot: SlotNumber


class Slot(Struct, frozen=True):
    """What a slot holds since ``updated``; ``digest`` names the model in batches."""

    version: str
    hash: Hash
    digest: wire.PackageDigest
    updated: wire.Milliseconds


class Step(Struct, frozen=True):
    """A change of a deployment's state, while ``model`` was the active model's digest."""

    number: int
    at: wire.Milliseconds
    rollout: int
    state: wire.DeploymentState
    model: wire.PackageDigest

    def event(self) -> wire.Deployment:
        return wire.Deployment(at=self.at, rollout=self.rollout, state=self.state)


class Journal(Struct, frozen=True):
    """``name`` tells this folder from others; ``steps`` are those of the last deployment.

    ``told`` is the number of the last step that is known to be kept elsewhere, -1 before the first.
    """

    name: str
    slots: tuple[Slot | None, Slot | None, Slot | None, Slot | None] = (None, None, None, None)
    active: SlotNumber | None = None
    request: Request | None = None
    steps: tuple[Step, ...] = ()
    told: int = -1

    def __post_init__(self) -> None:
        if self.active is not None and self.slots[self.active] is None:
            raise ValueError(f"active: slot {self.active} holds no model")
        if self.request and not self.steps:
            raise ValueError("steps: there are none of the request")

    @property
    def unfinished(self) -> Request | None:
        """The deployment that is under way."""
        return self.request if self.steps and self.steps[-1].state not in FINAL else None

    @property
    def model(self) -> str:
        """The active model's digest."""
        slot = self.slots[self.active] if self.active is not None else None
        return slot.digest if slot else NO_MODEL

    def with_step(self, state: wire.DeploymentState, rollout: int, at: int) -> Journal:
        """One step further; ``request_received`` begins a new deployment."""
        number = self.steps[-1].number + 1 if self.steps else 0
        before = () if state == "request_received" else self.steps
        step = Step(number, at, rollout, state, self.model)
        return msgspec.structs.replace(self, steps=(*before, step))

    def with_slot(self, number: int, slot: Slot) -> Journal:
        """Another model in a slot, which becomes the active one."""
        slots = (*self.slots[:number], slot, *self.slots[number + 1 :])
        return msgspec.structs.replace(self, slots=slots, active=number)


class Slots:
    """The slots' folder, for one process at a time that may change it.

    Raises :class:`SensorError` if the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.staged = folder / STAGED
        try:
            make_folder(folder / PACKAGES)
            self._lock_file = (folder / LOCK).open("w")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock_file.close()
            raise SensorError(
                f"{folder}: another process is installing there; wait until it is done"
            ) from None
        except OSError as error:
            raise SensorError(f"{folder}: {error.strerror}; choose a folder that can be written") from None
        self.journal = read_journal(folder) or Journal(secrets.token_hex(8))
        self.sweep()

    def save(self, journal: Journal) -> None:
        """Replace the journal; it is durable when this returns."""
        replace_file(self.folder / JOURNAL, msgspec.json.encode(journal))
        self.journal = journal

    def activate(self, number: int) -> None:
        """Run the model of this slot from the next start on; raises :class:`SensorError` if it holds none
        that is intact."""
        slot = self.journal.slots[number]
        if slot is None:
            raise SensorError(
                f"{self.folder}: slot {number} holds no model; choose another or deploy one into it"
            )
        intact_package(self.folder, number, slot)
        self.switch_to(number)

    def switch_to(self, number: int) -> None:
        """The same for a slot that is known to hold an intact package."""
        if number != self.journal.active:
            self.save(msgspec.structs.replace(self.journal, active=number))

    def package(self, hash: str) -> Path:
        return package_path(self.folder, hash)

    def keep_staged(self, hash: str) -> None:
        """Give the staged file, which is durable, its place among the packages."""
        self.staged.replace(self.package(hash))
        sync_folder(self.folder / PACKAGES)  # first the new name: rather two of them than none
        sync_folder(self.folder)

    def sweep(self) -> None:
        """Remove what neither a slot nor a deployment under way needs."""
        hashes = {slot.hash for slot in self.journal.slots if slot}
        if self.journal.unfinished:
            hashes.add(self.journal.unfinished.hash)
        else:
            self.staged.unlink(missing_ok=True)
        wanted = {self.package(hash) for hash in hashes}
        for path in (self.folder / PACKAGES).iterdir():
            if path not in wanted:
                path.unlink()

    def close(self) -> None:
        self._lock_file.close()

    def __enter__(self) -> Slots:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(folder: Path) -> Journal | None:
    """The journal of a folder, None where there is none yet; raises :class:`SensorError`."""
    try:
        return msgspec.json.decode((folder / JOURNAL).read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise SensorError(f"{folder}: this is a file; give the folder of the model slots") from None
    except OSError as error:
        raise SensorError(f"{folder / JOURNAL}: {error.strerror}; check its rights") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SensorError(
            f"{folder / JOURNAL}: not readable: {error}; move the folder away and deploy again"
        ) from None


def active_package(folder: Path) -> Path:
    """The package in the active slot; raises :class:`SensorError` if there is none."""
    match read_journal(folder):
        case Journal(active=int(number), slots=slots) if slot := slots[number]:
            return intact_package(folder, number, slot)
    raise SensorError(f"{folder}: no slot holds a model; install one with python -m sensor_sim deploy")


def intact_package(folder: Path, number: int, slot: Slot) -> Path:
    """The package that the slot ``number`` holds; raises :class:`SensorError` if the disk does not have it any more."""
    path = package_path(folder, slot.hash)
    try:
        intact = path.is_file() and hash_of(path) == slot.hash
    except OSError as error:
        raise SensorError(
            f"{path}: cannot be read: {error.strerror}; check the disk and its rights"
        ) from None
    if not intact:
        raise SensorError(
            f"{path}: the package of slot {number} was lost or changed on the disk; deploy it again, or activate"
            " another slot"
        )
    return path


def hash_of(path: Path) -> str:
    """A file's SHA-256 in base64."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, hashlib.sha256).digest()).decode()


def package_path(folder: Path, hash: str) -> Path:
    return folder / PACKAGES / (hash.translate(str.maketrans("+/", "-_")) + ".zip")
