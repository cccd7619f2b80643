"""Columns of integers as PostgreSQL arrays, in its binary format and without a loop in Python.

psycopg writes a list element by element as text; for the buckets of a commit that is most of the work.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

import numpy as np
import psycopg
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

from sensorapp.columns import Integers

HEAD: Final = Struct(">5i")
# Element type, array type (pg_type.oid), by size in bytes.
OIDS: Final = {2: (21, 1005), 4: (23, 1007), 8: (20, 1016)}


class IntegersDumper(Dumper):
    """A one-dimensional array of int16, int32 or int64.

    The format is that of ``array_send``: number of dimensions, a flag for nulls, the type of the elements,
    length, lower bound; then each element behind its size. All of it is big-endian.
    """

    format = Format.BINARY

    def get_key(self, obj: Integers, format: PyFormat) -> Any:
        return np.ndarray, obj.dtype.itemsize

    def upgrade(self, obj: Integers, format: PyFormat) -> Dumper:
        return DUMPERS[obj.dtype.itemsize](self.cls)

    def dump(self, obj: Integers) -> bytes:
        size = obj.dtype.itemsize
        cells = np.empty(len(obj), [("size", ">i4"), ("value", f">i{size}")])
        cells["size"] = size
        cells["value"] = obj
        return HEAD.pack(1, 0, OIDS[size][0], len(obj), 1) + cells.tobytes()


class SmallintsDumper(IntegersDumper):
    oid = OIDS[2][1]


class IntsDumper(IntegersDumper):
    oid = OIDS[4][1]


class BigintsDumper(IntegersDumper):
    oid = OIDS[8][1]


DUMPERS: Final = {2: SmallintsDumper, 4: IntsDumper, 8: BigintsDumper}


def register(connection: psycopg.Connection | AdaptContext) -> None:
    """Let a connection send arrays of NumPy integers."""
    for dumper in (*DUMPERS.values(), IntegersDumper):  # each by its type, the last for the class
        connection.adapters.register_dumper(np.ndarray, dumper)
