"""Looking devices up: one query for all that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

from analytics.ingest.reception import LookUps, Sender


class Table:
    """Knows everybody but ``nobody``, and answers when it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.begun, self.allowed = asyncio.Event(), asyncio.Event()

    async def read(self, public_ids: Collection[str]) -> dict[str, Sender]:
        self.asked.append(set(public_ids))
        self.begun.set()
        await self.allowed.wait()
        return {one: cast(Any, f"facts of {one}") for one in public_ids if one != "nobody"}


async def test_what_is_asked_for_while_one_query_runs_is_read_by_the_next() -> None:
    table = Table()
    look_ups = LookUps(table.read)
    first = asyncio.create_task(look_ups.find("a"))
    await table.begun.wait()
    later = [asyncio.create_task(look_ups.find(one)) for one in ("a", "b", "nobody", "b")]
    await asyncio.sleep(0)
    later[1].cancel()
    table.allowed.set()
    found = await asyncio.gather(first, *later, return_exceptions=True)
    assert isinstance(found.pop(2), asyncio.CancelledError)
    assert found == ["facts of a", "facts of a", None, "facts of b"]
    assert table.asked == [{"a"}, {"a", "b", "nobody"}]
