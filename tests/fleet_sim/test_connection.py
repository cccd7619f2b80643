"""What a connection makes of answers that no backend gives."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from sensor_sim.device import uplink
from sensor_sim.device.uplink import UnavailableError
from sensor_sim.fleet.connection import Connection
from sensorapp import wire
from tests.sensor_sim.device.device_server import Fault, Handler, Ledger, Server, running

BATCH = wire.Batch("s-test0000", 1, 0, "0" * 16, 1, [wire.Crossing(1_780_000_000_000, 0, "forward")])
BODY = wire.encode(wire.Upload([BATCH]), wire.MSGPACK)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Ledger()) as server:
        yield server


def without_end(beginning: bytes, more: bytes) -> Fault:
    """Send ``beginning`` and then ``more`` until the connection is closed."""

    def fault(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        handler.close_connection = True
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + beginning)
            while True:
                handler.wfile.write(more)
        except OSError:
            return True

    return fault


@pytest.mark.parametrize(
    ("beginning", "more"),
    [
        (b"Content-Length: 999999999999\r\n\r\n", bytes(65_536)),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
        (b"", b"X: y\r\n" * 10_000),
    ],
    ids=["a body", "many pieces", "headers"],
)
async def test_an_answer_without_end_is_given_up(server: Server, beginning: bytes, more: bytes) -> None:
    server.faults = [without_end(beginning, more)]
    connection = Connection(uplink.address(server.url))
    with pytest.raises(UnavailableError) as caught:
        await connection.post("g-test0000.secret", BODY, 1)
    assert str(caught.value) == (
        f"{connection.address}: the server's answer has more than 16777216 bytes; check the address"
    )
    [ack] = await connection.post("g-test0000.secret", BODY, 1)  # over a new connection
    assert ack.status == "stored"
    connection.close()


async def test_a_packed_answer_is_not_unpacked(server: Server) -> None:
    """Nobody asked for one, and a small one may be large enough to fill the memory."""
    packed = gzip.compress(wire.encode(wire.Problem("Not so fast."), wire.MSGPACK))

    def pack(handler: BaseHTTPRequestHandler, commit: Callable[[], None]) -> bool:
        assert isinstance(handler, Handler)
        handler.reply(503, packed, wire.MSGPACK, Content_Encoding="gzip")
        return True

    server.faults = [pack]
    connection = Connection(uplink.address(server.url))
    with pytest.raises(UnavailableError, match="the server answered 503: Service Unavailable"):
        await connection.post("g-test0000.secret", BODY, 1)
    connection.close()
