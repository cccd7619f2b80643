"""Store and forward: events wait on disk until the backend has acknowledged them.

An event gets its epoch and sequence number when it is appended, in the transaction that makes it durable,
and keeps them however often it is sent. A power loss at any instant loses no appended event and gives no
number twice. A new epoch begins only when the backend and the outbox no longer know the same past: the
outbox was lost, the backend was, or the outbox overflowed.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import msgspec

from sensor_sim.device.durable import make_folder, sync_folder
from sensorapp import wire

DEFAULT_LIMIT = 1_000_000
DEAD_LETTER_BYTES = 16 * 1024 * 1024

# An event's sequence number is its id minus `base`: a new epoch moves the base and touches no event.
TABLES = """
CREATE TABLE IF NOT EXISTS state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    sensor TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    base INTEGER NOT NULL,
    next_id INTEGER NOT NULL,
    dropped INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    config INTEGER NOT NULL,
    body BLOB NOT NULL
);
-- The last event forgotten, and the first id stamped since a process opened the file and has not yet heard
-- from the server: at most one row each.
CREATE TABLE IF NOT EXISTS witness (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    config INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS doubt (
    id INTEGER PRIMARY KEY
);
-- The number of the last event taken from a source that numbers its own.
CREATE TABLE IF NOT EXISTS source (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
);
"""


class OutboxError(Exception):
    """The outbox cannot be used; the message is one sentence with the remedy."""


class DeadLetter(msgspec.Struct):
    """A line of ``dead-letter.jsonl``: a batch that the backend refused, and why."""

    path: str
    reason: str
    batch: wire.Batch


def checked(event: wire.Event) -> bytes:
    """The event as MessagePack; raises :class:`OutboxError` if it does not keep the contract."""
    body = msgspec.msgpack.encode(event)
    try:
        wire.decode(body, wire.Event, wire.MSGPACK)  # type: ignore[arg-type]
    except wire.WireError as error:
        field = error.path.removeprefix("$.")
        value = getattr(event, field, None)
        remedy = (
            "set this machine's clock, or the start of the video"
            if field == "at"
            else "correct what measures it"
        )
        raise OutboxError(
            f"{type(event).__name__.lower()} event: {field} is {value}: {error.reason}; {remedy}"
        ) from None
    return body


def concerned(batch: wire.Batch, ack: wire.Ack) -> int:
    """How many of the batch's events the answer is about, from the first on.

    All, unless it names one of them as the last: then the server has something else to say about the rest.
    """
    if batch.first_seq <= ack.acked_seq < batch.last_seq:
        return ack.acked_seq + 1 - batch.first_seq
    return len(batch.events)


def tells_position(batch: wire.Batch, ack: wire.Ack) -> bool:
    """Whether the answer says how far the server is in the batch's epoch; it does not if nothing was looked at."""
    partly = ack.status in ("duplicate", "invalid") and concerned(batch, ack) < len(batch.events)
    return ack.epoch == batch.epoch and ack.status not in ("stale_epoch", "later") and not partly


def is_torn(file: BinaryIO) -> bool:
    """Whether a crash or a full disk ended the last line before its end."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


@dataclass(frozen=True, slots=True)
class State:
    epoch: int
    base: int
    next_id: int
    dropped: int
    doubt: int | None

    @property
    def next_seq(self) -> int:
        return self.next_id - self.base


class Outbox:
    """The events of one sensor, in one folder, for one process at a time.

    ``limit`` bounds the number of events kept. Beyond it the oldest are dropped and counted: the backend
    notices the gap, and the sensor answers with a new epoch, so that nothing is counted twice.

    The file may be an old copy that was put back, and the server may hold other events under the numbers
    that this process stamps. So until the server has answered once, only what was stamped before the file
    was opened is sent, or the last event forgotten once more if nothing of that is left: as no number from
    there on was sent, a server that has one got it from the outbox that the copy was made of. Then what was
    stamped before is known to the server, and what was stamped since begins a new epoch.

    Two limits: of a copy made before its process had heard from the server, the events stamped in between
    count as new, and of a copy older than the outbox's last new epoch, the events that waited in it;
    either may then be counted twice.

    The methods may be called from several threads. They raise :class:`OutboxError`.
    """

    def __init__(
        self, folder: Path, sensor: str, *, limit: int = DEFAULT_LIMIT, now: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self.sensor = sensor
        self.limit = limit
        self._mutex = threading.RLock()
        with ExitStack() as opened:
            try:
                make_folder(folder)
                self._lock_file = opened.enter_context((folder / "lock").open("a+"))
                self._lock()
            except OSError as error:
                raise OutboxError(
                    f"outbox {folder}: {error.strerror}; choose a folder that can be written"
                ) from None
            with self._explained():
                self._db = sqlite3.connect(
                    folder / "outbox.sqlite3", isolation_level=None, check_same_thread=False
                )
            opened.callback(self._db.close)
            self._prepare(int(now()))
            opened.pop_all()

    def append(self, events: Iterable[wire.Event], *, model: str, config: int) -> None:
        """Stamp and keep ``events``, all or none; they are durable when this returns.

        ``model`` is the digest of the package and ``config`` the version of the scene they were measured
        with. An event that breaks the contract is refused here, where its cause is near: the server would
        refuse it, and the whole batch around it, later.
        """
        bodies = [checked(event) for event in events]
        if not bodies:
            return
        with self._transaction():
            self._keep(bodies, model, config)

    def append_once(self, source: str, number: int, event: wire.Event, *, model: str, config: int) -> None:
        """Like :meth:`append`, but an event of which this number of the source, or a higher one, is known is left.

        So who numbers events and keeps them until this returns may give them again after a power loss.
        """
        body = checked(event)
        with self._transaction():
            known = self._db.execute("SELECT number FROM source WHERE name = ?", [source]).fetchone()
            if known is None or known[0] < number:
                self._db.execute(
                    "INSERT OR REPLACE INTO source (name, number) VALUES (?, ?)", [source, number]
                )
                self._keep([body], model, config)

    def pending(self, limit: int = 1_000) -> wire.Batch | None:
        """The oldest events not yet settled, at most ``limit``, as the batch to send next."""
        with self._transaction():
            state = self._state()
            rows = self._first(min(limit, wire.MAX_EVENTS_PER_BATCH), state)
        if not rows:
            return None
        model, config, _, first = rows[0]
        alike = takewhile(lambda row: row[:2] == (model, config), rows)
        return wire.Batch(
            sensor=self.sensor,
            epoch=state.epoch,
            first_seq=first - state.base,
            model=model,
            config=config,
            events=[msgspec.msgpack.decode(body, type=wire.Event) for _, _, body, _ in alike],
        )

    def settle(self, batch: wire.Batch, ack: wire.Ack) -> bool:
        """Act on the backend's answer to ``batch``; False if it changed nothing, so that sending again is idle."""
        if ack.status == "invalid" and self.holds(batch):
            refused = msgspec.structs.replace(batch, events=batch.events[: concerned(batch, ack)])
            self._keep_dead_letter(DeadLetter(ack.path, ack.reason, refused))
        with self._transaction():
            before = self._state(), self._oldest()
            if batch.epoch == before[0].epoch:
                self._act(batch, ack, before[0])
            return before != (self._state(), self._oldest())

    def _act(self, batch: wire.Batch, ack: wire.Ack, state: State) -> None:
        if state.doubt is not None and tells_position(batch, ack):
            self._db.execute("DELETE FROM doubt")
            if ack.acked_seq + state.base >= state.doubt:  # this is an older copy that was put back
                self._forget(state.doubt - 1)
                self._begin_epoch(above=state.epoch)
                return
        match ack.status:
            case "stored" | "duplicate" if ack.epoch == state.epoch:
                self._forget(ack.acked_seq + state.base)
                if ack.acked_seq >= state.next_seq:  # it was put back without having been opened since
                    self._begin_epoch(above=state.epoch)
            case "invalid":
                self._forget(batch.first_seq + concerned(batch, ack) - 1 + state.base)
            case "gap" if ack.epoch <= state.epoch:
                # A backend that knows an older epoch expects this one from its beginning.
                expected = ack.acked_seq + 1 if ack.epoch == state.epoch else 0
                if self._oldest() - state.base <= expected <= state.next_seq:
                    self._forget(expected - 1 + state.base)
                else:
                    self._begin_epoch(above=state.epoch)
            case "gap" | "stale_epoch":
                self._begin_epoch(above=max(state.epoch, ack.epoch))

    def holds(self, batch: wire.Batch) -> bool:
        """False for the last event forgotten, with which an outbox asks how far the server is."""
        with self._transaction():
            state = self._state()
            return batch.epoch != state.epoch or batch.last_seq + state.base >= self._oldest()

    def __len__(self) -> int:
        with self._transaction():
            return self._state().next_id - self._oldest()

    @property
    def dropped(self) -> int:
        """How many events were dropped in this outbox's life because it was full."""
        with self._transaction():
            return self._state().dropped

    @property
    def dead_letters(self) -> Path:
        return self.folder / "dead-letter.jsonl"

    def close(self) -> None:
        with self._mutex:
            self._db.close()
            self._lock_file.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside ---

    def _lock(self) -> None:
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock_file.seek(0)
            holder = f"process {self._lock_file.read().strip() or '?'}"
            raise OutboxError(
                f"outbox {self.folder}: {holder} is sending from it; stop that one, do this, and start it again"
            ) from None
        with suppress(OSError):  # a full disk keeps the number from whoever comes next, and nothing else
            os.ftruncate(self._lock_file.fileno(), 0)
            os.write(self._lock_file.fileno(), b"%d" % os.getpid())

    def _prepare(self, epoch: int) -> None:
        with self._explained():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(TABLES)
        with self._transaction():
            # Unix seconds: larger than any epoch of an outbox that was here before and is lost.
            self._db.execute(
                "INSERT OR IGNORE INTO state (one, sensor, epoch, base, next_id, dropped) VALUES (1, ?, ?, 0, 0, 0)",
                [self.sensor, max(epoch, 1)],
            )
            self._doubt(epoch)
            (owner,) = self._db.execute("SELECT sensor FROM state").fetchone()
        if owner != self.sensor:
            raise OutboxError(
                f"outbox {self.folder}: it belongs to sensor {owner}, not to {self.sensor};"
                " use that sensor's token or choose another folder"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            remedy = (
                "free some space" if full else "check the disk, or move the folder away to begin a new one"
            )
            raise OutboxError(f"outbox {self.folder}: {error}; {remedy}") from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _state(self) -> State:
        row = self._db.execute(
            "SELECT epoch, base, next_id, dropped, (SELECT id FROM doubt) FROM state"
        ).fetchone()
        return State(*row)

    def _doubt(self, epoch: int) -> None:
        """From here on numbers are stamped that the server may have for other events."""
        state = self._state()
        if state.next_seq == 0:  # no number of this epoch is in use here, so that a later one does as well
            self._db.execute("UPDATE state SET epoch = ?", [max(epoch, state.epoch)])
        elif state.doubt is None:
            self._db.execute("INSERT INTO doubt (id) VALUES (?)", [state.next_id])

    def _first(self, limit: int, state: State) -> list[tuple[str, int, bytes, int]]:
        """What may be sent first: model, configuration, body and id of each event."""
        first = "SELECT model, config, body, id FROM {} WHERE id < ? ORDER BY id LIMIT ?"
        if self._oldest() == state.next_id:
            return []
        if state.doubt is not None:
            for table in ("event", "witness"):
                rows = self._db.execute(first.format(table), [state.doubt, limit]).fetchall()
                if rows:
                    return rows
        return self._db.execute(first.format("event"), [state.next_id, limit]).fetchall()

    def _oldest(self) -> int:
        """Id of the oldest event kept, or of the next one to come."""
        (oldest,) = self._db.execute(
            "SELECT coalesce((SELECT min(id) FROM event), (SELECT next_id FROM state))"
        ).fetchone()
        return int(oldest)

    def _keep(self, bodies: Sequence[bytes], model: str, config: int) -> None:
        first = self._state().next_id
        self._db.executemany(
            "INSERT INTO event (id, model, config, body) VALUES (?, ?, ?, ?)",
            ((first + i, model, config, body) for i, body in enumerate(bodies)),
        )
        self._db.execute("UPDATE state SET next_id = next_id + ?", [len(bodies)])
        self._drop_oldest()

    def _forget(self, last_id: int) -> None:
        state = self._state()
        witness = last_id if state.doubt is None else min(last_id, state.doubt - 1)
        kept = self._db.execute(
            "SELECT id, model, config, body FROM event WHERE id <= ? ORDER BY id DESC LIMIT 1", [witness]
        ).fetchone()
        if kept:
            self._db.execute("DELETE FROM witness")
            self._db.execute("INSERT INTO witness (id, model, config, body) VALUES (?, ?, ?, ?)", kept)
        self._db.execute("DELETE FROM event WHERE id <= ?", [last_id])

    def _begin_epoch(self, above: int) -> None:
        """Number the events that are left from zero; nobody has used the new epoch's numbers."""
        self._db.execute("DELETE FROM doubt")
        self._db.execute("DELETE FROM witness")
        self._db.execute("UPDATE state SET epoch = ?, base = ?", [above + 1, self._oldest()])

    def _drop_oldest(self) -> None:
        excess = self._state().next_id - self._oldest() - self.limit
        if excess > 0:
            self._forget(self._oldest() + excess - 1)
            self._db.execute("UPDATE state SET dropped = dropped + ?", [excess])

    def _keep_dead_letter(self, letter: DeadLetter) -> None:
        """Durable before the batch is forgotten; one older file is kept beside the current one."""
        path = self.dead_letters
        try:
            if path.exists() and path.stat().st_size > DEAD_LETTER_BYTES:
                path.replace(path.with_name("dead-letter.1.jsonl"))
            with path.open("a+b") as file:
                if is_torn(file):
                    file.write(b"\n")
                file.write(msgspec.json.encode(letter) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.folder)
        except OSError as error:
            raise OutboxError(
                f"outbox {self.folder}: {path.name}: {error.strerror}; free some space"
            ) from None
