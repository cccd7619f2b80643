"""A batch's events as they lie in the column ``events`` of ``ingest_batch`` and ``ingest_set_aside``, to the byte.

Two to three bytes an event: the entropy of the times, and little more. The row beside it has the number of events
(``event_count``) and the time of the first (``first_at``). Columns are those of :mod:`sensorapp.columns`;
all numbers are little-endian, all bits of a byte are used from the least significant one on.

1. One byte: the version of this form, 1.
2. One byte: which kinds occur, kind *k* as bit *k*.
3. Two bytes: in how many runs of one kind the events come.
4. The head of each column: its least number, then one byte with its width in bits. The number is zigzag
   (0, -1, 1, -2 … as 0, 1, 2, 3 …) in groups of seven bits, lowest first, the eighth set where more follow.
   The columns are, in this order:

   a. the kind of each run, as its position (from 0) among the kinds that occur;
   b. the length of each run;
   c. the gaps, each event's ``at`` less the one before; not there for a single event;
   d. for each kind that occurs, in order: ``channel``, ``value``, then what ``extra`` holds for it, each a column
      of the events of that kind alone.

5. The body of each column, in the same order: its numbers less its least, each in as many bits as the column is
   wide, filled up with zeros to a whole byte. A width of zero takes none: all are equal. Of a gap, only the low
   bits are here.
6. The gaps' high bits, to the end: for each gap as many zeros as they say, then a one (Rice's code). So a night
   between two events widens one gap and not all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytics.ingest.table import Table
from sensorapp.columns import EXTRAS, KINDS, Columns, Integers, columns

VERSION: Final = 1
GAPS: Final = 2  # the number of their column, where there are any
ALL_KINDS: Final = sorted(KINDS.values())
# By the set of kinds that occur and a kind: how many of them come before it.
POSITIONS: Final = np.array(
    [
        [(kinds & (1 << kind) - 1).bit_count() for kind in range(len(EXTRAS))]
        for kinds in range(2 ** len(EXTRAS))
    ]
)
GROUPS: Final = np.arange(10)  # of seven bits, as many as a number may have

Unsigned = NDArray[np.uint64]
Bytes = NDArray[np.uint8]


class Pieces(NamedTuple):
    """Bytes of many batches: piece after piece, each of so many bytes and part of the batch of that number."""

    written: Bytes
    sizes: Integers
    batch: Integers


def pack(table: Table) -> list[bytes]:
    """Of each batch its events; every batch has one at least."""
    batches, owner = len(table.bounds) - 1, table.batch
    kinds = np.bitwise_or.reduceat(1 << table.kind, table.bounds[:-1])
    runs = stretches(owner * len(EXTRAS) + table.kind)
    columns = list(split(table, kinds, owner, runs))
    # What a batch has in a column is a stretch of numbers: column by column, and in each batch by batch.
    numbers = np.concatenate([column for column, _ in columns], dtype=np.int64)
    stretch = np.concatenate([batch + place * batches for place, (_, batch) in enumerate(columns)])
    bounds = stretches(stretch)
    begins, lengths = bounds[:-1], bounds[1:] - bounds[:-1]
    column, batch = np.divmod(stretch[begins], batches)
    least = np.minimum.reduceat(numbers, begins)
    over = (numbers - np.repeat(least, lengths)).view(np.uint64)
    widths = bit_length(np.maximum.reduceat(over, begins))
    [gaps] = np.nonzero(column == GAPS)
    chosen = over[2 * len(runs) - 2 :][: len(owner) - batches]
    if len(gaps):
        # The greatest power of two up to the mean: a tenth of a bit above what any code could reach.
        mean = np.add.reduceat(chosen, before(lengths[gaps])) // lengths[gaps].view(np.uint64)
        widths[gaps] = np.maximum(bit_length(mean) - 1, 0)
    start = np.empty(batches, [("version", "u1"), ("kinds", "u1"), ("runs", "<u2")])
    start["version"], start["kinds"], start["runs"] = VERSION, kinds, np.bincount(owner[runs[:-1]])
    return together(
        Pieces(start.view(np.uint8), np.full(batches, 4), np.arange(batches)),
        Pieces(*heads(least, widths), batch),
        Pieces(*bodies(over, lengths, widths), batch),
        Pieces(*high_bits(chosen, lengths[gaps], widths[gaps]), batch[gaps]),
    )


def split(
    table: Table, kinds: Integers, owner: Integers, runs: Integers
) -> Iterator[tuple[Integers, Integers]]:
    """The columns of all batches, each with the number of the batch that an element belongs to."""
    batch = owner[runs[:-1]]
    yield POSITIONS[kinds[batch], table.kind[runs[:-1]]], batch
    yield runs[1:] - runs[:-1], batch
    [inner] = np.nonzero(owner[1:] == owner[:-1])
    yield (table.at[1:] - table.at[:-1])[inner], owner[inner]
    behind = np.cumsum(EXTRAS[table.kind])
    any_kinds = int(np.bitwise_or.reduce(kinds))
    for kind in occurring(any_kinds):
        [chosen] = np.nonzero(table.kind == kind)
        batch = owner[chosen]
        yield table.channel[chosen], batch
        yield table.value[chosen], batch
        for place in range(-EXTRAS[kind], 0):
            yield table.extra[behind[chosen] + place], batch


def occurring(kinds: int) -> list[int]:
    return [kind for kind in ALL_KINDS if kinds >> kind & 1]


def stretches(numbers: Integers) -> Integers:
    """The bounds between which all numbers are equal, both ends included."""
    bound = np.ones(len(numbers) + 1, np.bool_)
    bound[1:-1] = numbers[1:] != numbers[:-1]
    return bound.nonzero()[0]


def bit_length(numbers: Unsigned) -> Integers:
    """Of numbers below 2**53."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def before(sizes: Integers) -> Integers:
    """Where each begins, when they lie behind each other."""
    return np.cumsum(sizes) - sizes


def heads(least: Integers, widths: Integers) -> tuple[Bytes, Integers]:
    number = (least << 1 ^ least >> 63).view(np.uint64)
    groups = np.maximum((bit_length(number) + 6) // 7, 1)
    written = (number[:, None] >> (7 * GROUPS).astype(np.uint64) & np.uint64(127)).astype(np.uint8)
    written[groups[:, None] - 1 > GROUPS] |= 128
    written[np.arange(len(groups)), groups] = widths
    return written[groups[:, None] >= GROUPS], groups + 1


def bodies(numbers: Unsigned, lengths: Integers, widths: Integers) -> tuple[Bytes, Integers]:
    """Of each number so many of its lowest bits as its stretch is wide."""
    sizes = (lengths * widths + 7) // 8
    width = np.repeat(widths, lengths)
    [some] = np.nonzero(width != 0)
    width = width[some]
    place = np.repeat(before(sizes) * 8 - before(lengths) * widths, lengths)[some] + some * width
    low = numbers[some] & ((np.uint64(1) << width.view(np.uint64)) - np.uint64(1))
    return bits(low, place, int(sizes.sum())), sizes


def bits(numbers: Unsigned, places: Integers, size: int) -> Bytes:
    """So many bytes that hold each number from its bit on; the places rise, and no number reaches the next's."""
    words = np.zeros(size // 8 + 2, "<u8")
    if len(numbers):
        word, shift = places >> 6, (places & 63).view(np.uint64)
        bounds = stretches(word)
        begins, lasts = bounds[:-1], bounds[1:] - 1
        words[word[begins]] = np.bitwise_or.reduceat(numbers << shift, begins)
        # Only the last number in a word can reach into the next one.
        words[word[lasts] + 1] |= numbers[lasts] >> np.uint64(1) >> (np.uint64(63) - shift[lasts])
    return words.view(np.uint8)[:size]


def high_bits(gaps: Unsigned, lengths: Integers, widths: Integers) -> tuple[Bytes, Integers]:
    """Of each gap what it has above its stretch's width: as many zeros, then a one."""
    if not len(gaps):
        return np.empty(0, np.uint8), lengths
    high = (gaps >> np.repeat(widths, lengths).view(np.uint64)).view(np.int64) + 1
    counts = np.add.reduceat(high, before(lengths))
    sizes = (counts + 7) // 8
    written = np.zeros(int(sizes.sum()) * 8, np.uint8)
    written[np.cumsum(high) - 1 + np.repeat(before(sizes) * 8 - before(counts), lengths)] = 1
    return np.packbits(written, bitorder="little"), sizes


def together(*parts: Pieces) -> list[bytes]:
    """Of each batch its pieces in their order."""
    written, sizes, batch = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(batch, kind="stable")
    ordered = sizes[order]
    moved = np.repeat(before(sizes)[order] - before(ordered), ordered)
    all_bytes = written[np.arange(len(moved)) + moved].tobytes()
    begins = before(ordered)[stretches(batch[order])[:-1]].tolist()
    return [all_bytes[begin:end] for begin, end in pairwise([*begins, len(all_bytes)])]


# --- the way back ------------------------------------------------------------------------------------


def unpack(first_at: int, count: int, events: bytes) -> Columns:
    """The columns of a batch again; raises :class:`ValueError` where the form has another version."""
    if events[0] != VERSION:
        raise ValueError(f"events: version {events[0]} of their form is not known; update sensorapp")
    reader = Reader(events)
    kinds = occurring(events[1])
    runs = int.from_bytes(events[2:4], "little")
    positions, lengths = reader.head(), reader.head()
    gaps_head = reader.head() if count > 1 else (0, 0)
    heads = {one: [reader.head() for _ in range(2 + EXTRAS[one])] for one in kinds}
    places = zip(reader.column(*positions, runs), reader.column(*lengths, runs), strict=True)
    kind = [kinds[place] for place, length in places for _ in range(length)]
    low, width = reader.column(*gaps_head, count - 1), gaps_head[1]
    its_columns = {one: [reader.column(*head, kind.count(one)) for head in its] for one, its in heads.items()}
    gaps = [below + (high << width) for below, high in zip(low, reader.high_bits(), strict=True)]
    channel, value = ({one: iter(its[place]) for one, its in its_columns.items()} for place in (0, 1))
    extra = {one: zip(*its[2:], strict=True) for one, its in its_columns.items() if EXTRAS[one]}
    return columns(
        kind,
        list(accumulate(gaps, initial=first_at)),
        [next(channel[one]) for one in kind],
        [next(value[one]) for one in kind],
        [number for one in kind if one in extra for number in next(extra[one])],
    )


class Reader:
    """Goes through packed events from their heads on."""

    def __init__(self, events: bytes) -> None:
        self.events, self.place = events, 4

    def head(self) -> tuple[int, int]:
        """Least number and width of a column."""
        number = shift = 0
        while (byte := self.events[self.place]) > 127:
            number |= (byte & 127) << shift
            shift, self.place = shift + 7, self.place + 1
        number |= byte << shift
        self.place += 2
        return number >> 1 ^ -(number & 1), self.events[self.place - 1]

    def column(self, least: int, width: int, count: int) -> list[int]:
        if not width:
            return [least] * count
        numbers: list[int] = []
        mask = (1 << width) - 1
        # So many end with a byte, and shifting a longer number takes longer.
        for begin in range(0, count, 64):
            place = self.place + begin // 8 * width
            some = int.from_bytes(self.events[place : place + 8 * width], "little")
            shifts = range(0, width * min(64, count - begin), width)
            numbers += [least + (some >> shift & mask) for shift in shifts]
        self.place += (count * width + 7) // 8
        return numbers

    def high_bits(self) -> list[int]:
        """How many zeros there are before each one of the rest."""
        rest = int.from_bytes(self.events[self.place :], "little")
        return [len(zeros) for zeros in f"{rest:b}".split("1")[:0:-1]]
