"""A TCP proxy that cuts connections in the middle of what is said, and delays it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple


class Fate(NamedTuple):
    """A connection is cut after so many bytes of the client's or the server's; each piece waits ``delay_s``."""

    sent: int | None = None
    answered: int | None = None
    delay_s: float = 0.0


class CuttingProxy:
    """For a ``with`` block. Connection number i meets ``fates[i]``, a number being ``answered``; later ones none.

    ``fates`` may be exchanged at any time. A server that is away closes the connection.
    """

    def __init__(self, server_port: int, fates: Iterable[int | Fate] = ()) -> None:
        self._server_port = server_port
        self.fates = iter(fates)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            fate = next(self.fates, Fate())
            fate = fate if isinstance(fate, Fate) else Fate(answered=fate)
            for source, target, limit in ((client, server, fate.sent), (server, client, fate.answered)):
                threading.Thread(
                    target=pass_on, args=(source, target, limit, fate.delay_s), daemon=True
                ).start()


def pass_on(source: socket.socket, target: socket.socket, limit: int | None, delay_s: float = 0.0) -> None:
    """Copy bytes until one side is closed or ``limit`` is reached; then close both."""
    try:
        while limit is None or limit > 0:
            data = source.recv(min(65_536, limit or 65_536))
            if not data:
                break
            time.sleep(delay_s)
            target.sendall(data)
            limit = None if limit is None else limit - len(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
        finally:
            end.close()
