import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest.packed import pack, unpack
from analytics.ingest.table import join
from sensorapp import wire
from sensorapp.columns import TYPES, Columns, encode
from tests.ingest.strategies import MOMENTS, events

AT = 1_780_000_000_000
# Times that follow each other closely, as most do, beside those that leap through a century.
NEAR = st.integers(AT, AT + 100_000)
ENDS = st.sampled_from([946_684_800_000, 4_102_444_799_999])
SENT = st.lists(st.one_of(events(), events(NEAR, st.integers(0, 2)), events(ENDS)), min_size=1, max_size=60)


@given(st.lists(SENT, min_size=1, max_size=5))
def test_what_is_packed_comes_back(batches: list[list[wire.Event]]) -> None:
    columns = [encode(batch) for batch in batches]
    packed = pack(join(columns))
    unpacked = [unpack(int(one.at[0]), len(one), it) for one, it in zip(columns, packed, strict=True)]
    assert list(map(numbers, unpacked)) == list(map(numbers, columns))


def numbers(columns: Columns) -> list[list[int]]:
    return [getattr(columns, name).tolist() for name in TYPES]


@given(st.lists(SENT, min_size=1, max_size=5))
def test_a_batch_is_packed_alike_beside_any_others(batches: list[list[wire.Event]]) -> None:
    together = pack(join([encode(batch) for batch in batches]))
    assert together == [pack(join([encode(batch)]))[0] for batch in batches]


@given(
    st.lists(MOMENTS, min_size=wire.MAX_EVENTS_PER_BATCH // 100, max_size=wire.MAX_EVENTS_PER_BATCH // 100)
)
def test_the_longest_batch_comes_back_however_its_times_leap(times: list[int]) -> None:
    columns = encode([wire.Visit(at, 9_999, at % 86_400_001) for at in times * 100])
    assert numbers(unpack(times[0], len(columns), pack(join([columns]))[0])) == numbers(columns)


def test_each_byte_is_what_the_page_says() -> None:
    sent = [
        wire.Crossing(AT, 2, "forward"),
        wire.Crossing(AT + 5, 2, "backward"),
        wire.Crossing(AT + 4, 2, "forward"),
        wire.Shelf(AT + 40, 300, 7, 0.5),
    ]
    written = (
        "01 12 0200"  # the version; kinds 1 and 4; two runs
        "0001 0202"  # which are of the kinds at 0 and 1, and 1 + 2 and 1 + 0 events long
        "0103"  # gaps: -1 and above, three bits each at first
        "0400 0001"  # crossings: all of line 2; values from 0, one bit each
        "d80400 0e00 904e00"  # shelf: slot 300, 7 units, a confidence of 5000
        "02 02"  # the runs
        "4601"  # 6, 0 and 37 above -1, of which three bits are 6, 0, 5
        "05"  # forward, backward, forward
        "43"  # nothing above 6 and 0, and 4 times eight above 5
    )
    assert pack(join([encode(sent)])) == [bytes.fromhex(written)]


def test_another_version_is_not_read() -> None:
    with pytest.raises(ValueError, match="version 2 of their form is not known; update sensorapp"):
        unpack(AT, 1, bytes.fromhex("02 02 0100 0000 0200 0000 0000"))
