"""A program: the web server with a clock that may be wrong."""

from __future__ import annotations

import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path

import uvicorn

from tests.faults import clock


class Clock(datetime):
    """The datetime of a module whose clock may be wrong."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(time.time(), tz)


if __name__ == "__main__":
    port, clock_file = sys.argv[1:]
    clock.follow(Path(clock_file))
    from sensorapp.asgi import application

    for module in ("commit", "committer"):
        sys.modules[f"analytics.ingest.{module}"].datetime = Clock  # type: ignore[attr-defined]
    uvicorn.run(application, port=int(port), log_level="warning", access_log=False)
