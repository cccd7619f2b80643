"""Uploads that are not taken, and how that is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from analytics.ingest.decode import Broken
from sensorapp import wire

Batches = Sequence[wire.Batch | Broken]
# Status, headers and body.
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

RETRY_AFTER_SECONDS: Final = 1


class HungUpError(Exception):
    """The sender waits for no answer any more."""


class RefusedError(Exception):
    """An upload that is answered with a problem instead of acknowledgements.

    Where ``retry_after`` (seconds) is given, the same upload may be taken after that time. ``allow`` lists the
    methods that an address knows.
    """

    def __init__(
        self, status: int, title: str, detail: str = "", retry_after: float = 0.0, allow: str = ""
    ) -> None:
        super().__init__(title)
        self.status = status
        self.problem = wire.Problem(title, detail)
        self.retry_after = retry_after
        self.allow = allow

    def response(self) -> Response:
        """The answer over HTTP."""
        body = wire.encode(self.problem)
        headers = {"content-type": wire.JSON, "content-length": str(len(body))}
        if self.retry_after:
            headers["retry-after"] = str(math.ceil(self.retry_after))
        if self.allow:
            headers["allow"] = self.allow
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status == 426:
            headers["upgrade"] = "websocket"
        return self.status, [(name.encode(), value.encode()) for name, value in headers.items()], body


def later(title: str, detail: str = "Send it again later.") -> RefusedError:
    """What is about the backend, for now: the same upload may be taken soon."""
    return RefusedError(503, title, detail, RETRY_AFTER_SECONDS)
