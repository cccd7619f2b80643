"""Between sensor and server, somebody who sends requests twice, again much later, in another order, or in part."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Request = tuple[dict[str, str], bytes]
Answer = tuple[int, dict[str, str], bytes]
HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


class Relay:
    """For a ``with`` block. ``requests`` are all that came, ``mischief`` how often each kind was done.

    With ``gateways`` it is so many gateways as these are tokens, of which each request takes any.
    """

    def __init__(self, server_port: int, chance: random.Random, gateways: Sequence[str] = ()) -> None:
        self.server_port = server_port
        self.chance = chance
        self.gateways = gateways
        self.requests: list[Request] = []
        self.mischief = dict.fromkeys(MISCHIEF, 0)
        self._server = RelayServer(self)
        self.port = self._server.server_port

    def __enter__(self) -> Relay:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forward(self, request: Request) -> Answer | None:
        """The server's answer, None where it has none."""
        headers, body = request
        if self.gateways:
            headers = headers | {"Authorization": f"Bearer {self.chance.choice(self.gateways)}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/ingest/v1/batches", body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        return None

    # --- what becomes of a request; None: the connection is cut ---

    def once(self, request: Request) -> Answer | None:
        return self.forward(request)

    def twice(self, request: Request) -> Answer | None:
        return self.chance.choice([self.forward(request), self.forward(request)])

    def twice_at_once(self, request: Request) -> Answer | None:
        other = threading.Thread(target=self.forward, args=(request,))
        other.start()
        answer = self.forward(request)
        other.join()
        return answer

    def after_an_older_one(self, request: Request) -> Answer | None:
        self.forward(self.chance.choice(self.requests))
        return self.forward(request)

    def before_it_is_sent_again(self, request: Request) -> Answer | None:
        """The sensor sends it once more, and this one arrives after that and the next ones."""
        threading.Timer(self.chance.uniform(0.05, 0.5), self.forward, args=(request,)).start()
        return None

    def without_its_end(self, request: Request) -> Answer | None:
        headers, body = request
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.server_port)) as connection,
        ):
            connection.sendall(
                f"POST /ingest/v1/batches HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
                + body[: self.chance.randrange(len(body))]
            )
        return None

    def without_its_answer(self, request: Request) -> Answer | None:
        self.forward(request)
        return None


MISCHIEF = (
    Relay.once,
    Relay.twice,
    Relay.twice_at_once,
    Relay.after_an_older_one,
    Relay.before_it_is_sent_again,
    Relay.without_its_end,
    Relay.without_its_answer,
)


class RelayServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, relay: Relay) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.relay = relay

    def handle_error(self, request: object, client_address: object) -> None:
        """The sensor has hung up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RelayServer

    def do_POST(self) -> None:
        relay = self.server.relay
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in (*HOP, "host")}
        headers["Host"] = "127.0.0.1"
        request = headers, body
        relay.requests.append(request)
        kind = relay.chance.choice(MISCHIEF)
        relay.mischief[kind] += 1
        answer = kind(relay, request)
        if answer is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, answered, content = answer
        self.send_response(status)
        for name, value in answered.items():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
