"""Where TLS cannot be spoken, whoever sends says so and what to do, whichever way they send."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sensor_sim.device import stream
from sensor_sim.device.download import FailedError, download
from sensor_sim.device.slots import Request
from sensor_sim.device.stream import StreamUplink
from sensor_sim.device.uplink import Token, UnavailableError, Uplink, address
from sensor_sim.fleet.connection import Connection
from sensorapp import wire
from tests.sensor_sim.device.device_server import Ledger, Server, running

Send = Callable[[int], None]

TOKEN = Token("s-0123456789ab.c2VjcmV0", "s-0123456789ab")
BATCH = wire.Batch(
    sensor=TOKEN.public_id,
    epoch=1,
    first_seq=0,
    config=0,
    model="0123456789abcdef",
    events=[wire.Crossing(at=1_780_000_000_000, line=0, direction="forward")],
)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Ledger()) as server:
        yield server


@pytest.fixture
def unknown_authority(server: Server, tmp_path: Path) -> Path:
    """Makes the server speak TLS; the file of who signed its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "shop.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return file


def by_request(port: int) -> None:
    Uplink(f"https://127.0.0.1:{port}", TOKEN).post(BATCH)


def by_stream(port: int) -> None:
    StreamUplink(f"wss://127.0.0.1:{port}", TOKEN).post(BATCH)


def by_fleet(port: int) -> None:
    body = wire.encode(wire.Upload([BATCH]), wire.MSGPACK)
    asyncio.run(Connection(address(f"https://127.0.0.1:{port}")).post(TOKEN.text, body, 1))


WAYS = pytest.mark.parametrize(
    ("send", "where", "plain"),
    [
        (by_request, "https://127.0.0.1:{}/ingest/v1/batches", "http"),
        (by_stream, "wss://127.0.0.1:{}" + stream.PATH, "ws"),
        (by_fleet, "https://127.0.0.1:{}/ingest/v1/batches", "http"),
    ],
)


@WAYS
def test_that_the_server_speaks_plain_http_is_said(
    server: Server, send: Send, where: str, plain: str
) -> None:
    with pytest.raises(UnavailableError) as caught:
        send(server.server_port)
    begin, _, rest = str(caught.value).partition(" (")
    assert begin == f"{where.format(server.server_port)}: TLS cannot be spoken there"
    assert rest.partition(")")[2] == f"; if the server has none, begin its address with {plain}://"


@WAYS
@pytest.mark.usefixtures("unknown_authority")
def test_that_the_certificate_is_not_trusted_is_said(
    server: Server, send: Send, where: str, plain: str
) -> None:
    with pytest.raises(UnavailableError) as caught:
        send(server.server_port)
    assert str(caught.value) == (
        f"{where.format(server.server_port)}: the server's certificate is not trusted: self-signed certificate;"
        " if it is your own, set SSL_CERT_FILE to the file of the authority that signed it"
    )


def test_the_remedy_for_an_unknown_authority_helps(
    server: Server, unknown_authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(unknown_authority))
    by_request(server.server_port)
    by_fleet(server.server_port)


def test_a_download_says_it_too(server: Server, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{server.server_port}/model.zip"
    request = Request(rollout=1, url=url, hash="A" * 43 + "=", size=100, version="1", slot=1)
    with pytest.raises(FailedError) as caught:
        download(request, tmp_path / "package", wait=lambda seconds: None)
    assert "TLS cannot be spoken there" in str(caught.value)
    assert "begin its address with http://, also after 10 retries" in str(caught.value)
