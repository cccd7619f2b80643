"""When the database does not do its part: what all rooms that answer people and machines then go by."""

from __future__ import annotations

from typing import Final

from django.db import InternalError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction

RETRY_AFTER_SECONDS: Final = 5
# As what it comes, among other things: ask ``is_outage``.
OUTAGES: Final = (OperationalError, InternalError)


def is_outage(error: BaseException | None) -> bool:
    """Whether the database is at fault and not what was asked of it, so that it may be had later: it is away, too
    busy or full, or takes no writes, as the standby that stands in for another."""
    cause = error.__cause__ if error else None
    return isinstance(error, OperationalError) or isinstance(cause, ReadOnlySqlTransaction)
