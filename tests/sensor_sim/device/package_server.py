"""A server that gives out one file in parts, over real HTTP, and does as it is told wrong."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class PackageServer(ThreadingHTTPServer):
    """``faults`` are used up one a request; the rest of the requests are answered properly."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.faults: list[Fault] = []
        self.ranges: list[str | None] = []  # as they were asked for

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.zip"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PackageServer

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        if self.server.faults:
            self.server.faults.pop(0)(self)
        elif self.path != "/model.zip":
            self.answer(404, b"")
        else:
            self.give(asked)

    def give(self, asked: str | None, length: int | None = None) -> None:
        """Answer as asked; after ``length`` bytes of the body the connection is cut."""
        body, headers = self.server.body, {}
        if asked:
            begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            body = body[begin:]
        self.answer(206 if asked else 200, body, headers, length)

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:length])
        if length is not None:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


Fault = Callable[[Handler], None]


def status(number: int) -> Fault:
    return lambda handler: handler.answer(number, b"")


def cut_after(length: int) -> Fault:
    """The connection breaks after ``length`` bytes of what is asked for."""
    return lambda handler: handler.give(handler.headers["Range"], length)


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def whole(handler: Handler) -> None:
    """A server that knows no ranges."""
    handler.give(None)


def other_part(handler: Handler) -> None:
    handler.answer(206, b"x" * 10, {"Content-Range": f"bytes 90-99/{len(handler.server.body)}"})


def part_beyond_numbers(handler: Handler) -> None:
    handler.answer(206, b"x" * 10, {"Content-Range": f"bytes {'9' * 5000}-99/100"})


def endless(handler: Handler) -> None:
    """More than was stated, of a length that is not."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(handler.server.body + b"and more")
    handler.close_connection = True


@contextmanager
def serving(body: bytes) -> Iterator[PackageServer]:
    with PackageServer(body) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hash_of(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def request_for(body: bytes, url: str, **changes: Any) -> dict[str, Any]:
    """The fields of a request for this package."""
    plain = {"rollout": 7, "url": url, "hash": hash_of(body), "size": len(body), "version": "1.0", "slot": 1}
    return plain | changes
