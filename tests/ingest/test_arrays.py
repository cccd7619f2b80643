from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest.arrays import register

EVERY_SIZE = pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
REAL_DATABASE = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
