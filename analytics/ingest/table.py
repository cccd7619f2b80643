"""Many batches at once: their events in one table, from which counting sums and packing writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from sensorapp.columns import Columns, Integers, columns

NONE: Final = columns([], [], [], [], [])


@dataclass(frozen=True, slots=True)
class Table:
    """The events of many batches, one batch after the other; the columns are those of :class:`~sensorapp.columns.Columns`.

    Batch number i lies between ``bounds[i]`` and ``bounds[i + 1]``. ``batch`` tells of each event the number of its
    batch.
    """

    kind: Integers
    at: Integers
    channel: Integers
    value: Integers
    extra: Integers
    bounds: list[int]

    @property
    def batch(self) -> Integers:
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))


def join(pieces: Sequence[Columns], counts: Sequence[int] | None = None) -> Table:
    """Each piece is a batch by itself, or ``counts`` says how many events in their order make up each.

    Of no batches, an empty table.
    """
    some = [*pieces, NONE]
    return Table(
        np.concatenate([batch.kind for batch in some]),
        np.concatenate([batch.at for batch in some]),
        np.concatenate([batch.channel for batch in some]),
        np.concatenate([batch.value for batch in some]),
        np.concatenate([batch.extra for batch in some]),
        list(accumulate(counts or map(len, pieces), initial=0)),
    )
