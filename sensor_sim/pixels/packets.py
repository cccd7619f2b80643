"""MPEG's transport and program streams, which say nowhere how long they are: whether they end with a whole packet."""

from __future__ import annotations

from pathlib import Path

# Bytes of a transport stream's packet in its file, and those of them before its first: none in a .ts file, a time in a
# .m2ts one.
TRANSPORT = ((188, 0), (192, 4))
ENOUGH = 8  # packets that begin alike
FIRSTS = b"\x47" * ENOUGH
PACK = b"\0\0\1\xba"
TAIL = 2**20  # in which a program stream has a pack


def ends_within_packet(path: Path) -> bool:
    """False where that cannot be told; raises :class:`OSError`."""
    with path.open("rb") as file:
        head = file.read(ENOUGH * 192)
        file.seek(max(file.seek(0, 2) - TAIL, 0))
        tail = file.read()
    if head.startswith(PACK):
        return _program_cut(tail)
    return any(_transport_cut(head, tail, size, before) for size, before in TRANSPORT)


def _transport_cut(head: bytes, tail: bytes, size: int, before: int) -> bool:
    begin, end = (_firsts(part, size) for part in (head[: ENOUGH * size], tail[-ENOUGH * size :]))
    return before in begin and bool(end) and before not in end


def _firsts(part: bytes, size: int) -> set[int]:
    """Where packets of this size may begin within :data:`ENOUGH` of them."""
    return {first for first in range(size) if part[first::size] == FIRSTS}


def _program_cut(tail: bytes) -> bool:
    """Goes from packet to packet, each of which says how long it is, and from anything else on to the next pack."""
    at = tail.find(PACK)
    while 0 <= at < len(tail):
        head = tail[at : at + 14].ljust(14, b"\0")
        if head.startswith(PACK):
            at += 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
        elif head.startswith(PACK[:3]) and head[3] > PACK[3]:
            at += 6 + int.from_bytes(head[4:6])
        else:
            at = tail.find(PACK, at)
    return at > len(tail)
