import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest.arrays import bigints, integers, register, smallints


@pytest.mark.parametrize(("make", "bits"), [(smallints, 15), (integers, 31), (bigints, 63)])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_database_reads_back_what_was_written(
    connection: psycopg.Connection, make: type, bits: int, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.integers(-(2**bits), 2**bits - 1), max_size=20))
    register(connection)
    assert connection.execute("SELECT %s", [make(values)]).fetchone() == (values,)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        integers([2**31])
    assert smallints([1]).dtype == np.int16
