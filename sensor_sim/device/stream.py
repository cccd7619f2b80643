"""From the outbox to the backend over one WebSocket: ``/ingest/v1/stream``."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from sensor_sim.device.uplink import (
    LONGEST_RETRY_AFTER_S,
    RefusedError,
    Token,
    UnavailableError,
    at_server,
    explain,
    read_answer,
)
from sensorapp import wire

PATH: Final = "/ingest/v1/stream"
CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0
# How often the server is asked whether it is still there, and how long its answer may take.
PING_S: Final = 20.0
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def address(url: str) -> str:
    """The address of the stream, from a server's address such as ``wss://example.org``."""
    return at_server(url, "ws", PATH)


class StreamUplink:
    """One sensor's connection to the backend, opened when there is something to send and kept open.

    It has one batch on its way at a time, so that it never needs more of the window than there always is.
    """

    def __init__(self, url: str, token: Token) -> None:
        self.address = address(url)
        self._token = token.text
        self._socket: ClientConnection | None = None
        self._open_until = ExitStack()

    def post(self, batch: wire.Batch) -> wire.Ack:
        """Send once; raises :class:`RefusedError` or :class:`UnavailableError`."""
        body = wire.encode(wire.Upload([batch]), wire.MSGPACK)
        try:
            with failures(self.address):
                socket = self._socket or self._open()
                socket.send(body)
                return self._ack(socket)
        except BaseException:
            self.close()  # the answer may still come, and would be taken for that to the next batch
            raise

    def close(self) -> None:
        self._socket = None
        self._open_until.close()

    def _open(self) -> ClientConnection:
        connection = connect(self.address, **options(self.address, self._token))
        self._socket = self._open_until.enter_context(connection)
        return self._socket

    def _ack(self, socket: ClientConnection) -> wire.Ack:
        """Wait for the answer, longer where the server asks for it."""
        deadline = time.monotonic() + ANSWER_S
        while isinstance(
            said := answer(socket.recv(timeout=max(0.0, deadline - time.monotonic())), 1), float
        ):
            deadline = max(deadline, time.monotonic() + said + ANSWER_S)
        return said[0]


def options(address: str, token: str) -> dict[str, Any]:
    """How to connect, for either of websockets' clients."""
    return {
        "additional_headers": {"Authorization": f"Bearer {token}"},
        "open_timeout": CONNECT_S,
        "close_timeout": 1.0,
        "ping_interval": PING_S,
        "ping_timeout": PING_S,
        "max_size": wire.MAX_BODY_BYTES,
        # A proxy that the environment names is for other machines.
        "proxy": None if urlsplit(address).hostname in LOOPBACK else True,
    }


def answer(frame: str | bytes, batches: int) -> list[wire.Ack] | float:
    """The acknowledgements, one a batch, or for how many seconds the server asks to wait for them.

    Raises :class:`RefusedError` or :class:`UnavailableError`.
    """
    match read(frame):
        case wire.Answered(acks=acks):
            if len(acks) == batches:
                return acks
            raise UnavailableError(f"the server answered {len(acks)} of {batches} batches")
        case wire.Refusal() as refusal:
            raise refused(refusal)
        case wire.Window(retry_after=seconds):
            return min(float(seconds), LONGEST_RETRY_AFTER_S)


def read(frame: str | bytes) -> wire.StreamMessage:
    media_type, body = (wire.JSON, frame.encode()) if isinstance(frame, str) else (wire.MSGPACK, frame)
    try:
        return wire.decode(body, wire.StreamMessage, media_type)  # type: ignore[arg-type]
    except wire.WireError as error:
        raise UnavailableError(f"the server's answer is not readable: {error}") from None


def refused(refusal: wire.Refusal) -> Exception:
    """The error that the same refusal over HTTP would be."""
    problem = wire.encode(wire.Problem(refusal.title, refusal.detail))
    headers = [("Content-Type", wire.JSON), ("Retry-After", str(math.ceil(refusal.retry_after)))]
    return not_taken(refusal.status, headers, problem)


def not_taken(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Exception:
    try:
        read_answer(httpx.Response(status, headers=list(headers), content=body), 1)
    except (RefusedError, UnavailableError) as error:
        return error
    return UnavailableError(f"the server answered {status}")


@contextmanager
def failures(address: str) -> Iterator[None]:
    """What WebSockets says of a batch that got no answer, as :class:`UnavailableError` or :class:`RefusedError`."""
    try:
        yield
    except InvalidURI as error:
        raise RefusedError(f"address {address}: {error}") from None
    except InvalidStatus as error:
        response = error.response
        raise not_taken(response.status_code, response.headers.raw_items(), bytes(response.body)) from None
    except ConnectionClosed as error:
        if error.rcvd and error.rcvd.code == CloseCode.MESSAGE_TOO_BIG:
            raise not_taken(413, [], b"") from None
        raise UnavailableError(f"{address}: {error}") from None
    except (WebSocketException, OSError) as error:  # a timeout is an OSError, too
        raise UnavailableError(f"{address}: {explain(error, address)}") from None
