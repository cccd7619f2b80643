"""Connections that wait for nothing for ever: limits that the server keeps, and one for a server that keeps none.

A lock that others hold and a statement that takes too long end with an error, and the session stays. A server that says
nothing at all, because it hangs or its machine is gone, is given up with the connection: the pool makes another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

RV = TypeVar("RV")

CONNECT_S: Final = 5
# Nothing is late by it: it is how often psycopg looks whether anything else has happened.
WAKE_S: Final = 0.1
# An answer to nothing: who does not give it now will not take a transaction either.
CHECK_S: Final = 1.0
RECONNECT_S: Final = 4.0
# Of a web process that stopped in the middle of a transaction, whose locks hold up all the others.
IDLE_IN_TRANSACTION_S: Final = 30

# What an installation has set for its role or database holds.
LIMIT: LiteralString = """
SELECT set_config(name, value || 's', false) FROM unnest(%s::text[], %s::text[]) AS ours (name, value)
WHERE current_setting(name) = '0'
"""


class SilentError(psycopg.OperationalError):
    """The server has not answered for too long; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long (seconds) to wait for a lock, for a statement, and for the server's word, whatever becomes of it."""

    lock_s: int
    statement_s: int
    word_s: float


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """Raises :class:`SilentError`, and is closed, when the server has not answered within ``word_s``."""

    word_s: float = CONNECT_S

    def wait(self, gen: PQGen[RV], interval: float = WAKE_S, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.word_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            if timeout is not None:
                raise
            self.close()
            raise SilentError(f"the server has not answered within {self.word_s:g} s") from None


def open_pool(database_url: str, connections: int, patience: Patience) -> ConnectionPool:
    names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
    seconds = [str(one) for one in (patience.lock_s, patience.statement_s, IDLE_IN_TRANSACTION_S)]

    def limit(connection: PatientConnection) -> None:
        connection.execute(LIMIT, [names, seconds])
        connection.word_s = patience.word_s

    connect_s = conninfo_to_dict(database_url).get("connect_timeout", CONNECT_S)
    pool: ConnectionPool[Any] = ConnectionPool(
        database_url,
        connection_class=PatientConnection,
        min_size=1,
        max_size=connections,
        timeout=CONNECT_S,
        # Who waits asks for another attempt; else each would come after twice the time of the one before.
        reconnect_timeout=RECONNECT_S,
        kwargs={"autocommit": True, "connect_timeout": connect_s},
        configure=limit,
        check=check,
        open=True,
    )
    return pool


def check(connection: PatientConnection) -> None:
    word_s, connection.word_s = connection.word_s, CHECK_S
    ConnectionPool.check_connection(connection)
    connection.word_s = word_s
