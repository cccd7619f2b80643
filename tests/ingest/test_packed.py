from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest.columns import encode, join
from analytics.ingest.packed import pack, unpack
from sensorapp import wire
from tests.ingest.strategies import events

# Times that follow each other closely, as most do, and those that leap through a century.
NEAR = st.integers(1_780_000_000_000, 1_780_000_100_000)
SENT = st.lists(st.one_of(events(), events(NEAR, st.integers(0, 2))), min_size=1, max_size=60)


@given(st.lists(SENT, min_size=1, max_size=5))
def test_what_is_packed_comes_back(batches: list[list[wire.Event]]) -> None:
    columns = [encode(batch) for batch in batches]
    packed = pack(join(columns))
    assert [unpack(one.at[0], len(one), it) for one, it in zip(columns, packed, strict=True)] == columns


@given(st.lists(SENT, min_size=1, max_size=5))
def test_a_batch_is_packed_alike_beside_any_others(batches: list[list[wire.Event]]) -> None:
    together = pack(join([encode(batch) for batch in batches]))
    assert together == [pack(join([encode(batch)]))[0] for batch in batches]
