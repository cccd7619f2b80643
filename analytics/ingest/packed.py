"""A batch's events as they lie in the column ``events`` of ``ingest_batch`` and ``ingest_set_aside``, to the byte.

Two to three bytes an event: the entropy of the times, and little more. The row beside it has the number of events
(``event_count``) and the time of the first (``first_at``). Columns are those of :mod:`analytics.ingest.columns`;
all numbers are little-endian, all bits of a byte are used from the least significant one on.

1. One byte: the version of this form, 1.
2. One byte: which kinds occur, kind *k* as bit *k*.
3. The head of each column: its least number, then one byte with its width in bits. The number is zigzag
   (0, -1, 1, -2 … as 0, 1, 2, 3 …) in groups of seven bits, lowest first, the eighth set where more follow.
   The columns are, in this order:

   a. ``kind``, as the position (from 0) among the kinds that occur;
   b. the gaps, each event's ``at`` less the one before; not there for a single event;
   c. for each kind that occurs, in order: ``channel``, ``value``, then what ``extra`` holds for it, each a column
      of the events of that kind alone.

4. The body of each column, in the same order: its numbers less its least, each in as many bits as the column is
   wide, filled up with zeros to a whole byte. A width of zero takes none: all are equal. Of a gap, only the low
   bits are here.
5. The gaps' high bits, to the end: for each gap as many zeros as they say, then a one (Rice's code). So a night
   between two events widens one gap and not all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.ingest.arrays import Integers
from analytics.ingest.columns import EXTRAS, KINDS, Columns, Table

VERSION: Final = 1
GAPS: Final = 1  # the number of their column, where there are any
ALL_KINDS: Final = sorted(KINDS.values())
EXTRA: Final = np.array([EXTRAS.get(kind, 0) for kind in range(max(ALL_KINDS) + 1)])
# By the set of kinds that occur and a kind: how many of them come before it.
POSITIONS: Final = np.array(
    [[(kinds & (1 << kind) - 1).bit_count() for kind in range(8)] for kinds in range(2 ** len(EXTRA))]
)


def pack(table: Table) -> list[bytes]:
    """Of each batch its events; every batch has one at least."""
    batches, owner = len(table.bounds) - 1, table.batch
    kinds = np.bitwise_or.reduceat(1 << table.kind, table.bounds[:-1])
    columns = list(split(table, kinds, owner))
    numbers = np.concatenate([column for column, _ in columns], dtype=np.int64)
    # Pieces: what a batch has in a column. They lie column by column, and in each batch by batch.
    piece = np.concatenate([batch + place * batches for place, (_, batch) in enumerate(columns)])
    begins = np.flatnonzero(np.diff(piece, prepend=-1))
    lengths, piece = np.diff(begins, append=len(numbers)), piece[begins]
    is_gaps, piece = piece // batches == GAPS, piece % batches
    least = np.minimum.reduceat(numbers, begins)
    numbers = (numbers - np.repeat(least, lengths)).astype(np.uint64)
    widths = bit_length(np.maximum.reduceat(numbers, begins))
    # The greatest power of two up to the mean: half a bit above what any code could reach.
    means = np.add.reduceat(numbers, begins) // lengths.astype(np.uint64)
    widths = np.where(is_gaps, np.maximum(bit_length(means) - 1, 0), widths)
    ends, body = put(numbers, lengths, widths)
    heads = [bytearray((VERSION, mask)) for mask in kinds.tolist()]
    bodies = [bytearray() for _ in heads]
    begin = 0
    for batch, low, width, end in zip(
        piece.tolist(), least.tolist(), widths.tolist(), ends.tolist(), strict=True
    ):
        heads[batch] += head(low, width)
        bodies[batch] += body[begin:end]
        begin = end
    chosen = np.repeat(is_gaps, lengths)
    for batch, high in zip(
        piece[is_gaps].tolist(),
        high_bits(numbers[chosen], lengths[is_gaps], widths[is_gaps]),
        strict=True,
    ):
        bodies[batch] += high
    return [bytes(one + other) for one, other in zip(heads, bodies, strict=True)]


def split(table: Table, kinds: Integers, owner: Integers) -> Iterator[tuple[Integers, Integers]]:
    """The columns of all batches, each with the number of the batch that an element belongs to."""
    yield POSITIONS[kinds[owner], table.kind], owner
    inner = np.flatnonzero(np.diff(owner) == 0)
    yield np.diff(table.at)[inner], owner[inner]
    behind = np.cumsum(EXTRA[table.kind])
    for kind in ALL_KINDS:
        chosen = np.flatnonzero(table.kind == kind)
        if len(chosen):
            batch = owner[chosen]
            yield table.channel[chosen], batch
            yield table.value[chosen], batch
            for place in range(EXTRA[kind]):
                yield table.extra[behind[chosen] - EXTRA[kind] + place], batch


def bit_length(numbers: NDArray[np.uint64]) -> Integers:
    """Of numbers below 2**53."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def put(
    numbers: NDArray[np.uint64], lengths: Integers, widths: Integers
) -> tuple[Integers, bytes]:
    """The bodies of columns that lie behind each other, and where each ends; bits above the width are left out."""
    ends = np.cumsum((lengths * widths + 7) // 8)
    wide = np.flatnonzero(np.repeat(widths, lengths))
    first = np.cumsum(lengths) - lengths
    width = np.repeat(widths, lengths)[wide]
    begin = np.concatenate(([0], ends[:-1])) * 8 - first * widths
    place = np.repeat(begin, lengths)[wide] + wide * width
    low = numbers[wide] & ((np.uint64(1) << width.astype(np.uint64)) - np.uint64(1))
    return ends, bits(low, place, int(ends[-1]))


def high_bits(gaps: NDArray[np.uint64], lengths: Integers, widths: Integers) -> Iterator[bytes]:
    """What the gaps of each batch have above their width."""
    high = (gaps >> np.repeat(widths, lengths).astype(np.uint64)).astype(np.int64)
    ones = np.cumsum(high + 1) - 1  # where each ends, were the batches not filled up to whole bytes
    last = np.cumsum(lengths) - 1
    after = ones[last] + 1
    sizes = (np.diff(after, prepend=0) + 7) // 8
    ends = np.cumsum(sizes)
    filled = (ends - sizes) * 8 - np.concatenate(([0], after[:-1]))[: len(ends)]
    written = bits(np.ones(len(ones), np.uint64), ones + np.repeat(filled, lengths), int(sizes.sum()))
    for end, size in zip(ends.tolist(), sizes.tolist(), strict=True):
        yield written[end - size : end]


def bits(numbers: NDArray[np.uint64], places: Integers, size: int) -> bytes:
    """So many bytes that hold each number from its bit on; the places rise, and no number reaches the next's."""
    words = np.zeros(size // 8 + 2, "<u8")
    if len(numbers):
        word, shift = places >> 6, (places & 63).astype(np.uint64)
        begins = np.flatnonzero(np.diff(word, prepend=-1))
        words[word[begins]] = np.bitwise_or.reduceat(numbers << shift, begins)
        # Only the last number in a word can reach into the next one.
        lasts = np.append(begins[1:], len(numbers)) - 1
        words[word[lasts] + 1] |= numbers[lasts] >> np.uint64(1) >> (np.uint64(63) - shift[lasts])
    return words.tobytes()[:size]


@lru_cache(maxsize=65_536)
def head(least: int, width: int) -> bytes:
    number = least << 1 if least >= 0 else ~(least << 1)
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes((*written, number, width))


# --- the way back ------------------------------------------------------------------------------------


def unpack(first_at: int, count: int, events: bytes) -> Columns:
    """The columns again; raises :class:`ValueError` where the form has another version."""
    if events[0] != VERSION:
        raise ValueError(f"events: version {events[0]} of their form is not known; update sensorapp")
    reader = Reader(events)
    occurring = [kind for kind in ALL_KINDS if events[1] >> kind & 1]
    heads = [reader.head() for _ in range(1 + (count > 1) + sum(2 + EXTRAS.get(kind, 0) for kind in occurring))]
    kind = np.array(occurring)[reader.column(heads.pop(0), count)]
    gaps_head = heads.pop(0) if count > 1 else (0, 0)
    gaps = reader.column(gaps_head, count - 1)
    channel, value = np.empty((2, count), np.int64)
    behind = np.cumsum(EXTRA[kind])
    extra = np.empty(behind[-1], np.int64)
    columns = iter(heads)
    for one in occurring:
        chosen = np.flatnonzero(kind == one)
        channel[chosen] = reader.column(next(columns), len(chosen))
        value[chosen] = reader.column(next(columns), len(chosen))
        for place in range(EXTRA[one]):
            extra[behind[chosen] - EXTRA[one] + place] = reader.column(next(columns), len(chosen))
    gaps += reader.high_bits(count - 1) << gaps_head[1]
    at = np.cumsum(np.concatenate(([first_at], gaps)))
    return Columns(*(column.tolist() for column in (kind, at, channel, value, extra)))


class Reader:
    """Goes through packed events from their heads on."""

    def __init__(self, events: bytes) -> None:
        self.place, self.size = 2, len(events)
        self.bytes = np.frombuffer(events + bytes(8), np.uint8)
        # What eight bytes say from each byte on.
        self.words = np.ndarray((self.size,), "<u8", self.bytes, strides=(1,))

    def head(self) -> tuple[int, int]:
        """Least number and width of a column."""
        number = shift = 0
        while (byte := int(self.bytes[self.place])) > 127:
            number |= (byte & 127) << shift
            shift, self.place = shift + 7, self.place + 1
        number |= byte << shift
        self.place += 2
        return (~(number >> 1) if number & 1 else number >> 1), int(self.bytes[self.place - 1])

    def column(self, head: tuple[int, int], count: int) -> Integers:
        least, width = head
        if not width:
            return np.full(count, least)
        place = np.arange(count) * width
        words = self.words[self.place + (place >> 3)] >> (place & 7).astype(np.uint64)
        self.place += (count * width + 7) // 8
        return (words & np.uint64((1 << width) - 1)).astype(np.int64) + least

    def high_bits(self, count: int) -> Integers:
        ones = np.flatnonzero(np.unpackbits(self.bytes[self.place : self.size], bitorder="little"))[:count]
        return np.diff(ones, prepend=-1) - 1
