from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest import columns
from sensorapp import wire
from tests.ingest.strategies import events


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
