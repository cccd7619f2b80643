"""Telling live pages that a store has a new version. Losing this loses no count: a page asks again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

logger = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 0.25

GroupSend = Callable[[str, dict[str, Any]], Awaitable[None]]


def group_name(store_id: int) -> str:
    return f"store.{store_id}"


class Publisher:
    """Sends each store's newest version to its group, the first at once, then at most four a second."""

    def __init__(self, group_send: GroupSend) -> None:
        self._group_send = group_send
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None

    def publish(self, versions: dict[int, int]) -> None:
        """Safe to call from any thread."""
        self._loop.call_soon_threadsafe(self._add, versions)

    def _add(self, versions: dict[int, int]) -> None:
        self._waiting.update(versions)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            versions, self._waiting = self._waiting, {}
            try:
                for store, version in versions.items():
                    message = {"type": "store.version", "version": version}
                    await self._group_send(group_name(store), message)
            except Exception as error:
                logger.warning("live pages were not told of %d new versions: %s", len(versions), error)
            await asyncio.sleep(INTERVAL_SECONDS)
