from itertools import pairwise
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest.arrays import pack, register

EVERY_SIZE = pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
REAL_DATABASE = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def columns(kind: type[Any]) -> st.SearchStrategy[list[int]]:
    limits = np.iinfo(kind)
    return st.lists(st.integers(int(limits.min), int(limits.max)), max_size=20)


@EVERY_SIZE
@REAL_DATABASE
@given(data=st.data())
def test_the_database_reads_back_what_was_written(
    connection: psycopg.Connection, kind: type[Any], data: st.DataObject
) -> None:
    values = data.draw(columns(kind))
    register(connection)
    assert connection.execute("SELECT %s", [np.array(values, kind)]).fetchone() == (values,)


@EVERY_SIZE
@REAL_DATABASE
@given(data=st.data())
def test_pieces_of_a_column_are_arrays_of_their_own(
    connection: psycopg.Connection, kind: type[Any], data: st.DataObject
) -> None:
    values = data.draw(columns(kind))
    bounds = sorted(data.draw(st.lists(st.integers(0, len(values)), min_size=2, max_size=6)))
    array = f"int{np.dtype(kind).itemsize}[]"
    connection.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {kind.__name__}_pieces (piece {array})")
    connection.execute(f"TRUNCATE {kind.__name__}_pieces")
    with connection.cursor().copy(f"COPY {kind.__name__}_pieces FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["bytea"])
        for piece in pack(np.array(values, kind), bounds):
            copy.write_row([piece])
    read = [piece for (piece,) in connection.execute(f"SELECT piece FROM {kind.__name__}_pieces")]
    assert read == [values[begin:end] for begin, end in pairwise(bounds)]
