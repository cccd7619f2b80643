"""A TCP proxy that cuts connections in the middle of what the server says."""

from __future__ import annotations

import socket
import threading
from types import TracebackType


class CuttingProxy:
    """For a ``with`` block. Connection number i is cut after ``cuts[i]`` bytes of the server's, later ones never."""

    def __init__(self, server_port: int, cuts: list[int]) -> None:
        self._server_port = server_port
        self._cuts = iter(cuts)
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
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for source, target, limit in ((client, server, None), (server, client, next(self._cuts, None))):
                threading.Thread(target=pass_on, args=(source, target, limit), daemon=True).start()


def pass_on(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    """Copy bytes until one side is closed or ``limit`` is reached; then close both."""
    try:
        while limit is None or limit > 0:
            data = source.recv(min(65_536, limit or 65_536))
            if not data:
                break
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
