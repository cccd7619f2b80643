"""The outbox against a ledger in memory, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sensor_sim.device.outbox import Outbox, OutboxError
from sensorapp import wire
from tests.sensor_sim.device.device_server import BROKEN, Ledger

SENSOR = "s-0123456789ab"
MODELS = ("0123456789abcdef", "fedcba9876543210")
START = 1_780_000_000_000


def good(number: int) -> wire.Event:
    return wire.Crossing(at=START + number, line=0, direction="forward")


def broken(number: int) -> wire.Event:
    return wire.Shelf(at=START + number, slot=0, units=BROKEN, confidence=1.0)


def append(outbox: Outbox, *numbers: int, model: str = MODELS[0], config: int = 1) -> None:
    outbox.append([good(number) for number in numbers], model=model, config=config)


def later(batch: wire.Batch) -> wire.Ack:
    """The answer of a server that has looked at nothing."""
    return wire.Ack(batch.sensor, batch.epoch, batch.first_seq - 1, "later")


def send(outbox: Outbox, ledger: Ledger, limit: int = 1_000) -> wire.AckStatus:
    batch = outbox.pending(limit)
    assert batch is not None
    ack = ledger.receive(batch)
    outbox.settle(batch, ack)
    return ack.status


def drain(outbox: Outbox, ledger: Ledger) -> None:
    """Each exchange settles something, so that a bounded number of them empties the outbox."""
    for _ in range(2 * len(outbox) + 4):
        batch = outbox.pending()
        if batch is None:
            return
        assert outbox.settle(batch, ledger.receive(batch))
    raise AssertionError("the outbox does not become empty")


def dead_letters(folder: Path) -> set[int]:
    path = folder / "dead-letter.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    batches = [wire.convert(json.loads(line)["batch"], wire.Batch) for line in lines]
    return {event.at for batch in batches for event in batch.events}


class OutboxMachine(RuleBasedStateMachine):
    """Random appends, sends, losses, crashes and a forgetful server; then everything is delivered once."""

    def __init__(self) -> None:
        super().__init__()
        # Thousands of commits: in memory where that is possible, as no power is lost here.
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-", dir=memory if memory.is_dir() else None))
        self.epoch = 1_000
        self.count = 0
        self.lost_by_server: set[int] = set()
        self.lost_with_outbox: set[int] = set()
        self.copied = self.folder.with_name(self.folder.name + "-copy")
        self.copied_at: tuple[int, int] | None = None  # the epoch, and how many events there were
        self.letters_lost: set[int] = set()
        self.snapshot: (
            tuple[dict[tuple[int, int], wire.Event], dict[tuple[int, int], tuple[int, int]], int, int] | None
        )
        self.snapshot = None

    @initialize(stores_rest=st.booleans())
    def begin(self, stores_rest: bool) -> None:
        self.ledger = Ledger(stores_rest=stores_rest)
        self.outbox = self.open()

    def open(self) -> Outbox:
        return Outbox(self.folder, SENSOR, now=lambda: self.epoch)

    @rule(kinds=st.lists(st.booleans(), min_size=1, max_size=6), model=st.sampled_from(MODELS))
    def append(self, kinds: list[bool], model: str) -> None:
        numbers = range(self.count, self.count + len(kinds))
        events = [
            broken(number) if bad and not number % 3 else good(number)
            for number, bad in zip(numbers, kinds, strict=True)
        ]
        self.outbox.append(events, model=model, config=1)
        self.count += len(kinds)

    @rule(limit=st.integers(1, 8))
    def send(self, limit: int) -> None:
        if (batch := self.outbox.pending(limit)) is not None:
            self.outbox.settle(batch, self.ledger.receive(batch))

    @rule(limit=st.integers(1, 8))
    def send_and_lose_the_answer(self, limit: int) -> None:
        if (batch := self.outbox.pending(limit)) is not None:
            self.ledger.receive(batch)

    @rule(limit=st.integers(1, 8))
    def send_twice(self, limit: int) -> None:
        if (batch := self.outbox.pending(limit)) is not None:
            self.ledger.receive(batch)
            self.outbox.settle(batch, self.ledger.receive(batch))

    @rule(limit=st.integers(1, 8))
    def settle_twice(self, limit: int) -> None:
        if (batch := self.outbox.pending(limit)) is not None:
            ack = self.ledger.receive(batch)
            self.outbox.settle(batch, ack)
            if ack.status in ("stored", "duplicate"):
                self.outbox.settle(batch, ack)

    @rule(limit=st.integers(1, 8))
    def send_to_a_busy_server(self, limit: int) -> None:
        if (batch := self.outbox.pending(limit)) is not None:
            assert not self.outbox.settle(batch, later(batch))

    @rule()
    def crash(self) -> None:
        self.outbox.close()
        self.epoch += 1
        self.outbox = self.open()

    def position(self) -> tuple[int, int]:
        state = self.outbox._state()
        return state.epoch, state.next_id

    def copy_is_sound(self) -> bool:
        """Not one of the two kinds of copies for which the outbox promises nothing."""
        state = self.outbox._state()
        return state.doubt in (None, state.next_id) and state.next_seq > 0

    @precondition(copy_is_sound)
    @rule()
    def copy_the_outbox(self) -> None:
        self.outbox.close()
        shutil.rmtree(self.copied, ignore_errors=True)
        shutil.copytree(self.folder, self.copied)
        self.outbox = self.open()
        self.copied_at = self.position()[0], self.count

    @precondition(lambda self: self.copied_at and self.copied_at[0] == self.position()[0])
    @rule()
    def put_the_copy_back(self) -> None:
        assert self.copied_at
        self.lost_with_outbox |= {
            START + number for number in range(self.copied_at[1], self.count)
        } - self.settled()
        self.outbox.close()
        self.letters_lost |= self.ledger.rejected - dead_letters(self.folder)
        letters = self.folder / "dead-letter.jsonl"
        if letters.exists():
            letters.replace(self.copied / letters.name)
        shutil.rmtree(self.folder)
        self.copied.rename(self.folder)
        self.copied_at = None
        self.epoch += 1
        self.outbox = self.open()

    def settled(self) -> set[int]:
        return {*self.ledger.moments(), *self.lost_by_server, *self.ledger.rejected}

    @rule()
    def back_up_the_server(self) -> None:
        ledger = self.ledger
        self.snapshot = dict(ledger.events), dict(ledger.refused), ledger.epoch, ledger.next_seq

    @rule(wipe=st.booleans())
    def restore_the_server(self, wipe: bool) -> None:
        events, refused, epoch, next_seq = self.snapshot if self.snapshot and not wipe else ({}, {}, 0, 0)
        self.lost_by_server |= set(self.ledger.moments()) - {event.at for event in events.values()}
        self.ledger.events, self.ledger.refused = dict(events), dict(refused)
        self.ledger.epoch, self.ledger.next_seq = epoch, next_seq
        self.snapshot = None

    @rule(ahead=st.integers(1, 1_000_000))
    def meet_a_newer_epoch(self, ahead: int) -> None:
        self.ledger.epoch, self.ledger.next_seq = self.ledger.epoch + ahead, 0

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        moments = self.ledger.moments()
        assert len(moments) == len(set(moments))

    def teardown(self) -> None:
        try:
            drain(self.outbox, self.ledger)
            assert self.outbox.pending() is None
            letters = dead_letters(self.folder)
            # A server put back may take what it has refused before, and be put back again.
            refused = self.ledger.rejected - set(self.ledger.moments()) - self.lost_by_server
            assert refused - self.letters_lost <= letters <= self.ledger.rejected
        finally:
            self.outbox.close()
            shutil.rmtree(self.folder)
            shutil.rmtree(self.copied, ignore_errors=True)
        assert not self.lost_with_outbox & set(self.ledger.moments())
        assert self.settled() | self.lost_with_outbox == {START + number for number in range(self.count)}


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=80, stateful_step_count=30)


def test_a_batch_has_consecutive_numbers_from_zero_and_the_oldest_events(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR, now=lambda: 1_700_000_000) as outbox:
        append(outbox, 0, 1, 2)
        append(outbox, 3)
        assert outbox.pending(limit=3) == wire.Batch(
            SENSOR, 1_700_000_000, 0, MODELS[0], 1, [good(0), good(1), good(2)]
        )
        assert len(outbox) == 4


def test_a_batch_has_one_model_and_one_configuration(tmp_path: Path) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 0, 1)
        append(outbox, 2, model=MODELS[1])
        append(outbox, 3, model=MODELS[1], config=2)
        seen = []
        while (batch := outbox.pending()) is not None:
            seen.append((batch.first_seq, batch.model, batch.config, len(batch.events)))
            outbox.settle(batch, ledger.receive(batch))
    assert seen == [(0, MODELS[0], 1, 2), (2, MODELS[1], 1, 1), (3, MODELS[1], 2, 1)]


def test_numbers_go_on_after_everything_was_settled_and_the_process_restarted(tmp_path: Path) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 0, 1)
        send(outbox, ledger)
        epoch = ledger.epoch
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 2)
        assert send(outbox, ledger) == "duplicate"  # asks for the server's position
        batch = outbox.pending()
    assert batch is not None
    assert (batch.epoch, batch.first_seq) == (epoch, 2)


def test_a_lost_outbox_begins_a_larger_epoch(tmp_path: Path) -> None:
    ledger = Ledger()
    for life, moment in enumerate((1_000, 2_000)):
        with Outbox(tmp_path / str(life), SENSOR, now=partial(float, moment)) as outbox:
            append(outbox, life)
            assert send(outbox, ledger) == "stored"
    assert list(ledger.events) == [(1_000, 0), (2_000, 0)]


def test_a_gap_within_the_outbox_rewinds_without_a_new_epoch(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0, 1, 2)
        batch = outbox.pending()
        assert batch is not None
        assert outbox.settle(batch, wire.Ack(SENSOR, 7, 1, "gap"))
        rest = outbox.pending()
    assert rest == wire.Batch(SENSOR, 7, 2, MODELS[0], 1, [good(2)])


def test_a_gap_before_the_outbox_begins_a_new_epoch_from_zero(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0, 1)
        send(outbox, Ledger())
        append(outbox, 2)
        assert send(outbox, Ledger()) == "gap"
        assert outbox.pending() == wire.Batch(SENSOR, 8, 0, MODELS[0], 1, [good(2)])


def test_a_stale_epoch_is_followed_by_the_next_one(tmp_path: Path) -> None:
    ledger = Ledger(epoch=50)
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0)
        assert send(outbox, ledger) == "stale_epoch"
        assert send(outbox, ledger) == "stored"
    assert list(ledger.events) == [(51, 0)]


def test_an_outbox_put_back_from_an_older_copy_loses_no_later_event(tmp_path: Path) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0)
        batch = outbox.pending()
        assert batch is not None
        outbox.settle(batch, wire.Ack(SENSOR, 7, 99, "duplicate"))
        append(outbox, 1)
        ledger.epoch, ledger.next_seq = 7, 100
        drain(outbox, ledger)
    assert ledger.events == {(8, 0): good(1)}


@pytest.mark.parametrize("restarts", [0, 1])
@pytest.mark.parametrize("waiting", [0, 2])
@pytest.mark.parametrize("later", [1, 3, 7])
def test_a_copy_put_back_delivers_what_came_since_then_once(
    tmp_path: Path, waiting: int, later: int, restarts: int
) -> None:
    """Whether fewer, as many or more events came since the copy than the lost outbox had sent after it."""
    ledger = Ledger()
    with Outbox(tmp_path / "live", SENSOR) as outbox:
        append(outbox, 0, 1)
        send(outbox, ledger)
        append(outbox, *range(10, 10 + waiting))
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    with Outbox(tmp_path / "live", SENSOR) as outbox:
        append(outbox, 20, 21, 22)
        drain(outbox, ledger)
    new = range(30, 30 + later)
    with Outbox(tmp_path / "copy", SENSOR) as outbox:
        append(outbox, *new[:1])
    for _ in range(restarts):
        Outbox(tmp_path / "copy", SENSOR).close()
    with Outbox(tmp_path / "copy", SENSOR) as outbox:
        append(outbox, *new[1:])
        batch = outbox.pending()
        assert batch is not None
        ledger.receive(batch)  # the answer is lost
        drain(outbox, ledger)
    assert [at - START for at in ledger.moments()] == [0, 1, *range(10, 10 + waiting), 20, 21, 22, *new]


@pytest.mark.parametrize("stores_rest", [False, True])
def test_a_sound_event_is_not_taken_for_one_that_the_lost_outbox_had_refused(
    tmp_path: Path, stores_rest: bool
) -> None:
    ledger = Ledger(stores_rest=stores_rest)
    with Outbox(tmp_path / "live", SENSOR) as outbox:
        append(outbox, 0)
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    with Outbox(tmp_path / "live", SENSOR) as outbox:
        send(outbox, ledger)
        outbox.append([good(1), good(2), broken(3)], model=MODELS[0], config=1)
        assert send(outbox, ledger) == "invalid"
    ledger.epoch, ledger.next_seq = ledger.epoch + 1, 0  # of somebody else who speaks for the sensor
    with Outbox(tmp_path / "copy", SENSOR) as outbox:
        append(outbox, 4)
        drain(outbox, ledger)
    assert [at - START for at in ledger.moments()] == [0, 4]
    assert dead_letters(tmp_path / "copy") == set()


def test_an_answer_that_helps_nothing_is_told(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0)
        batch = outbox.pending()
        assert batch is not None
        assert not outbox.settle(batch, wire.Ack(SENSOR, 7, -1, "gap"))
        assert not outbox.settle(batch, wire.Ack(SENSOR, 7, -1, "stored"))
        assert not outbox.settle(batch, wire.Ack(SENSOR, 6, 5, "stored"))


def test_an_invalid_batch_is_kept_with_path_and_reason_and_the_next_goes_on(tmp_path: Path) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        outbox.append([broken(0)], model=MODELS[0], config=1)
        append(outbox, 1, model=MODELS[1])
        drain(outbox, ledger)
    assert list(ledger.events.values()) == [good(1)]
    assert json.loads((tmp_path / "dead-letter.jsonl").read_text()) == {
        "path": "$.events[0].units",
        "reason": "too many",
        "batch": {
            "sensor": SENSOR,
            "epoch": 7,
            "first_seq": 0,
            "model": MODELS[0],
            "config": 1,
            "events": [{"type": "shelf", "at": START, "slot": 0, "units": BROKEN, "confidence": 1.0}],
        },
    }


@pytest.mark.parametrize("answer_was_lost", [False, True])
def test_a_full_outbox_drops_its_oldest_events_and_counts_the_rest_once(
    tmp_path: Path, answer_was_lost: bool
) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR, limit=5) as outbox:
        append(outbox, 0, 1, 2)
        if answer_was_lost:
            batch = outbox.pending()
            assert batch is not None
            ledger.receive(batch)
        append(outbox, *range(3, 9))
        assert (len(outbox), outbox.dropped) == (5, 4)
        drain(outbox, ledger)
    expected = ([0, 1, 2] if answer_was_lost else []) + [4, 5, 6, 7, 8]
    assert [at - START for at in ledger.moments()] == expected


def test_a_letter_behind_one_that_a_crash_cut_short_can_be_read(tmp_path: Path) -> None:
    letters = tmp_path / "dead-letter.jsonl"
    letters.write_text('{"path": "$.ev')
    with Outbox(tmp_path, SENSOR) as outbox:
        outbox.append([broken(0)], model=MODELS[0], config=1)
        drain(outbox, Ledger())
    cut_short, whole = letters.read_text().splitlines()
    assert cut_short == '{"path": "$.ev'
    assert json.loads(whole)["batch"]["events"][0]["at"] == START


def test_a_full_disk_is_told_and_keeps_what_was_there(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 0)
        (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
        outbox._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(OutboxError, match=r"outbox .*: database or disk is full; free some space"):
            append(outbox, *range(1, 5_000))
        append(outbox, 1)
        batch = outbox.pending()
    assert batch is not None
    assert batch.events == [good(0), good(1)]


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        Outbox(tmp_path, SENSOR),
        pytest.raises(OutboxError, match=f"process {os.getpid()} is sending from it; stop that one, do this"),
    ):
        Outbox(tmp_path, SENSOR)
    Outbox(tmp_path, SENSOR).close()


def test_another_sensor_is_refused(tmp_path: Path) -> None:
    Outbox(tmp_path, SENSOR).close()
    with pytest.raises(OutboxError, match=f"belongs to sensor {SENSOR}, not to s-another"):
        Outbox(tmp_path, "s-another")
    Outbox(tmp_path, SENSOR).close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="choose a folder that can be written"):
        Outbox(tmp_path / "file" / "outbox", SENSOR)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite3").write_bytes(b"this is no database" * 100)
    with pytest.raises(OutboxError, match="file is not a database; check the disk"):
        Outbox(tmp_path, SENSOR)


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite3").mkdir()
    for _ in range(2):  # the first has let go of the folder
        with pytest.raises(OutboxError, match="unable to open database file; check the disk, or move"):
            Outbox(tmp_path, SENSOR)


def test_every_commit_is_written_through(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR) as outbox:
        assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert sqlite3.connect(tmp_path / "outbox.sqlite3").execute("PRAGMA integrity_check").fetchone() == (
        "ok",
    )


def test_an_event_that_breaks_the_contract_is_refused_with_all_beside_it(tmp_path: Path) -> None:
    with Outbox(tmp_path, SENSOR) as outbox:
        bad: list[tuple[wire.Event, str]] = [
            (wire.Crossing(631_152_000_000, 0, "forward"), r"crossing event: at is 631152000000: .*clock"),
            (wire.Shelf(START, 0, -1, 1.0), r"shelf event: units is -1: .*correct what measures it"),
        ]
        for event, sentence in bad:
            with pytest.raises(OutboxError, match=sentence):
                outbox.append([good(0), event], model=MODELS[0], config=1)
        assert len(outbox) == 0
        append(outbox, 1)
        batch = outbox.pending()
    assert batch is not None
    assert (batch.first_seq, batch.events) == (0, [good(1)])


def test_an_answer_about_a_part_of_a_batch_settles_that_part(tmp_path: Path) -> None:
    """Its beginning was stored, what follows was refused, and nothing is known of the end."""
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, *range(6))
        batch = outbox.pending()
        assert batch is not None
        assert outbox.settle(batch, wire.Ack(SENSOR, 7, 1, "duplicate"))
        batch = outbox.pending()
        assert batch is not None
        assert (batch.first_seq, batch.events) == (2, [good(number) for number in range(2, 6)])
        assert outbox.settle(batch, wire.Ack(SENSOR, 7, 3, "invalid", "$.batches[0].events[0]", "no"))
        rest = outbox.pending()
    assert rest == wire.Batch(SENSOR, 7, 4, MODELS[0], 1, [good(4), good(5)])
    assert dead_letters(tmp_path) == {START + 2, START + 3}


def test_an_answer_about_a_part_does_not_say_how_far_the_server_is(tmp_path: Path) -> None:
    """A copy put back: the server has other events under the numbers that are stamped now."""
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0, 1)
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 2)
        batch = outbox.pending()
        assert batch is not None
        outbox.settle(batch, wire.Ack(SENSOR, 7, 0, "duplicate"))
        batch = outbox.pending()
        assert batch is not None
        assert batch.events == [good(1)]
        outbox.settle(batch, wire.Ack(SENSOR, 7, 5, "duplicate"))
        assert outbox.pending() == wire.Batch(SENSOR, 8, 0, MODELS[0], 1, [good(2)])


def test_events_under_numbers_that_are_anothers_are_numbered_anew(tmp_path: Path) -> None:
    """The answer is stale_epoch in the epoch that both use, whether or not a process has just begun."""
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        append(outbox, 0, 1)
    with Outbox(tmp_path, SENSOR) as outbox:
        batch = outbox.pending()
        assert batch is not None
        outbox.settle(batch, wire.Ack(SENSOR, 7, 9, "stale_epoch"))
        assert outbox.pending() == wire.Batch(SENSOR, 8, 0, MODELS[0], 1, [good(0), good(1)])


def test_asking_with_a_refused_event_writes_no_second_letter(tmp_path: Path) -> None:
    ledger = Ledger()
    with Outbox(tmp_path, SENSOR, now=lambda: 7) as outbox:
        outbox.append([broken(0)], model=MODELS[0], config=1)
        drain(outbox, ledger)
    with Outbox(tmp_path, SENSOR) as outbox:
        append(outbox, 1)
        batch = outbox.pending()
        assert batch is not None
        assert batch.events == [broken(0)]
        outbox.settle(batch, wire.Ack(SENSOR, 7, 0, "invalid", "$.batches[0].events[0].units", "too many"))
        drain(outbox, ledger)
    assert len((tmp_path / "dead-letter.jsonl").read_text().splitlines()) == 1
    assert list(ledger.events.values()) == [good(1)]
