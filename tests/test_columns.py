import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorapp import columns, wire
from tests.ingest.strategies import MOMENTS, events

AT = 1_780_000_000_000


@given(st.lists(events(), max_size=30))
def test_events_survive_as_columns(sent: list[wire.Event]) -> None:
    assert list(columns.decode(columns.encode(sent))) == sent


@given(st.lists(events(), min_size=1, max_size=30), st.data())
def test_without_first_drops_exactly_those_events(sent: list[wire.Event], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(sent)))
    assert list(columns.decode(columns.encode(sent).without_first(count))) == sent[count:]


@given(st.lists(events(), min_size=1, max_size=30), st.sets(st.integers(1, 29)))
def test_pieces_hold_the_events_between_their_bounds(sent: list[wire.Event], places: set[int]) -> None:
    bounds = [*sorted(place for place in places if place < len(sent)), len(sent)]
    pieces = [list(columns.decode(piece)) for piece in columns.encode(sent).cut(bounds)]
    assert pieces == [sent[begin:end] for begin, end in zip([0, *bounds], bounds, strict=False)]


@given(st.lists(events(), max_size=30))
def test_columns_fit_their_database_types(sent: list[wire.Event]) -> None:
    encoded = columns.encode(sent)
    for column in (encoded.channel, encoded.value, encoded.extra):
        assert all(-(2**31) <= number < 2**31 for number in column)


@given(st.lists(events(), min_size=1, max_size=30), st.sets(st.integers(1, 29)))
def test_a_piece_is_summed_up_as_if_it_were_alone(sent: list[wire.Event], places: set[int]) -> None:
    bounds = [*sorted(place for place in places if place < len(sent)), len(sent)]
    found = [piece.summary for piece in columns.encode(sent).cut(bounds)]
    assert found == [
        columns.Summary(
            min(event.at for event in piece),
            max(event.at for event in piece),
            {(kind, channel) for kind, _, channel, _ in columns.encode(piece).rows()},
        )
        for piece in (sent[begin:end] for begin, end in zip([0, *bounds], bounds, strict=False))
    ]


# --- on the wire -------------------------------------------------------------------------------------


def short(sent: list[wire.Event]) -> wire.Columns:
    found = columns.shortened(wire.Batch("s-door", 1, 0, "0123456789abcdef", 1, sent)).columns
    assert found
    return found


@given(
    st.lists(st.lists(events(), min_size=1, max_size=20), max_size=5),
    st.sampled_from([wire.JSON, wire.MSGPACK]),
)
def test_batches_in_columns_are_read_as_they_were_sent(
    batches: list[list[wire.Event]], media_type: str
) -> None:
    sent = [wire.decode(wire.encode(short(batch), media_type), wire.Columns, media_type) for batch in batches]
    found = [one for one in columns.read(sent) if isinstance(one, columns.Columns)]
    assert [list(columns.decode(one)) for one in found] == batches


def test_a_batch_in_columns_says_all_that_it_says_one_by_one() -> None:
    sent: list[wire.Event] = [wire.Crossing(AT, 0, "forward"), wire.Visit(AT, 1, 2)]
    batch = wire.Batch("s-door", 3, 5, "0123456789abcdef", 2, sent, AT)
    found = columns.shortened(batch)
    assert found == wire.Batch("s-door", 3, 5, "0123456789abcdef", 2, [], AT, short(sent))
    assert (found.count, found.last_seq) == (2, 6)


@pytest.mark.parametrize("both", [True, False])
def test_events_come_in_one_form(both: bool) -> None:
    sent: list[wire.Event] = [wire.Crossing(AT, 0, "forward")]
    with pytest.raises(ValueError, match="events: give them one by one, or else in columns"):
        wire.Batch(
            "s-door", 1, 0, "0123456789abcdef", 1, sent if both else [], columns=short(sent) if both else None
        )


LARGE = st.integers(-(2**31), 2**31 - 1)
SMALL = st.sampled_from([0, 1, 7, 8])
NUMBERS = st.one_of(SMALL, st.sampled_from([-1, 9_999, 10_000, 20_000, 86_400_000]), LARGE)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.one_of(MOMENTS, st.sampled_from([0, 946_684_799_999, 4_102_444_800_000])),
            NUMBERS,
            NUMBERS,
            st.lists(NUMBERS, min_size=4, max_size=4),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_columns_hold_what_events_may_hold_and_nothing_else(
    rows: list[tuple[int, int, int, int, list[int]]],
) -> None:
    """Each number is allowed just where the same event is, by itself."""
    kinds, times, channels, values, extras = zip(*rows, strict=True)
    counts = [int(columns.EXTRAS[kind]) for kind in kinds]
    extra = [number for count, its in zip(counts, extras, strict=True) for number in its[:count]]
    held = (kinds, times, channels, values, extra)
    sent = wire.Columns(
        *(np.array(one, type_).tobytes() for one, type_ in zip(held, columns.TYPES.values(), strict=True))
    )
    [found] = columns.read([sent])
    assert isinstance(found, columns.Columns) == all(
        allowed(kind, at, channel, value, its[:count])
        for count, (kind, at, channel, value, its) in zip(counts, rows, strict=True)
    )


def allowed(kind: int, at: int, channel: int, value: int, extra: list[int]) -> bool:
    words = {columns.CROSSING: columns.DIRECTIONS, columns.DEPLOYMENT: columns.STATES}.get(kind)
    if (words and not 0 <= value < len(words)) or (kind == columns.HEARTBEAT and channel):
        return False
    event = columns.decode_event(kind, at, channel, value, extra)
    try:
        wire.decode(wire.encode(event), wire.Event)  # type: ignore[arg-type]
    except wire.WireError:
        return False
    return True


@pytest.mark.parametrize(
    ("wrong", "path", "reason"),
    [
        ({"kind": b"\x01\x09"}, "kind[1]", "must be from 1 to 6"),
        ({"at": bytes(15)}, "at", "must have 8 bytes for each of 2 numbers, as many as the kinds say"),
        ({"extra": bytes(4)}, "extra", "must have 4 bytes for each of 0 numbers, as many as the kinds say"),
        (
            {"value": bytes(4) + b"\x02\0\0\0"},
            "value[1]",
            "must be from 0 to 1 in an event of its kind",
        ),
        (
            {"at": AT.to_bytes(8, "little") + bytes(8)},
            "at[1]",
            "must be from 946684800000 to 4102444799999 in an event of its kind",
        ),
    ],
)
def test_what_is_wrong_is_named_and_holds_up_no_neighbour(
    wrong: dict[str, bytes], path: str, reason: str
) -> None:
    sent: list[wire.Event] = [wire.Crossing(AT, 0, "forward"), wire.Crossing(AT + 1, 0, "backward")]
    broken = msgspec.structs.replace(short(sent), **wrong)
    first, found, last = columns.read([short(sent), broken, short(sent)])
    assert isinstance(first, columns.Columns)
    assert isinstance(last, columns.Columns)
    assert list(columns.decode(first)) == list(columns.decode(last)) == sent
    assert found == columns.Problem(path, reason)
    assert columns.times(broken) == ([] if path == "at" else [AT, None] if path == "at[1]" else [AT, AT + 1])
