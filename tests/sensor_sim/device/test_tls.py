"""Where TLS cannot be spoken, whoever sends says so and what to do, whichever way they send."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
DAY = timedelta(days=1)

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


def speak_tls(server: Server, folder: Path, begins: timedelta = -DAY, address: str = "127.0.0.1") -> Path:
    """Makes the server speak TLS with a certificate that is valid for two days; the file of who signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop")])
    begin = datetime.now(UTC) + begins
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), begin, begin + 2 * DAY
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "shop.pem"
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
def test_that_the_certificate_is_not_trusted_is_said(
    server: Server, tmp_path: Path, send: Send, where: str, plain: str
) -> None:
    speak_tls(server, tmp_path)
    with pytest.raises(UnavailableError) as caught:
        send(server.server_port)
    assert str(caught.value) == (
        f"{where.format(server.server_port)}: the server's certificate is not trusted: self-signed certificate;"
        " if it is your own, set SSL_CERT_FILE to the file of the authority that signed it"
    )


@pytest.mark.parametrize(
    ("certificate", "complaint"),
    [
        ({"begins": DAY}, "certificate is not yet valid; check this machine's clock"),
        (
            {"begins": -3 * DAY},
            "certificate has expired; check this machine's clock, or let the server have a new one",
        ),
        (
            {"address": "127.0.0.2"},
            "IP address mismatch, certificate is not valid for '127.0.0.1'; use the address that the certificate"
            " is for",
        ),
    ],
)
def test_what_the_authority_s_file_does_not_help_against(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificate: dict[str, Any],
    complaint: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(speak_tls(server, tmp_path, **certificate)))
    with pytest.raises(UnavailableError) as caught:
        by_request(server.server_port)
    assert str(caught.value).endswith(f": the server's certificate is not trusted: {complaint}")


def test_the_remedy_for_an_unknown_authority_helps(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(speak_tls(server, tmp_path)))
    by_request(server.server_port)
    by_fleet(server.server_port)


def test_a_download_says_it_too(server: Server, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{server.server_port}/model.zip"
    request = Request(rollout=1, url=url, hash="A" * 43 + "=", size=100, version="1", slot=1)
    with pytest.raises(FailedError) as caught:
        download(request, tmp_path / "package", wait=lambda seconds: None)
    assert "TLS cannot be spoken there" in str(caught.value)
    assert "begin its address with http://, also after 10 retries" in str(caught.value)
