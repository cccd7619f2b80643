"""From the outbox to the backend: ``POST /ingest/v1/batches``."""

from __future__ import annotations

import email.utils
import logging
import random
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from sensor_sim.device.outbox import Outbox, concerned
from sensor_sim.stop import Stop
from sensorapp import wire

log = logging.getLogger(__name__)

PATH = "/ingest/v1/batches"
# No part of a name may have more than 63 letters, or it cannot be looked up.
HOST = r"(\[[\da-fA-F:.]+\]|[\w-]{1,63}(\.[\w-]{1,63})*\.?)(:\d+)?"
SERVER = rf"://{HOST}(/[^\s?#]*)?"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# A proxy that the environment names is for other machines.
DIRECT: dict[str, None] = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
# Full jitter: each wait is uniform between nothing and a doubling, capped bound, so that a fleet that lost
# its server together does not come back together.
FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0
# How long an answer that has begun may take to end.
LONGEST_ANSWER_S = 60.0
# How long whoever was told to stop waits for a request that is under way.
LAST_REQUEST_S = 2.0
BATCH_EVENTS = 1_000
REFUSED_RETRY_S = 60.0

# OpenSSL's numbers (X509_V_ERR_…) of what an authority's file does not help against.
CERTIFICATE_REMEDIES = {
    9: "check this machine's clock",
    10: "check this machine's clock, or let the server have a new one",
    62: "use the name that the certificate is for",
    64: "use the address that the certificate is for",
}
# What OpenSSL makes of an answer in plain HTTP.
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}
REMEDIES = {
    401: "check the token",
    403: "the token may not send for this sensor; check the token",
    404: "check the address",
    413: "send smaller batches",
    415: "the server takes metadata only; check that both sides have the same version",
}


class RefusedError(Exception):
    """Sending again is pointless; the message is one sentence with the remedy."""


class UnavailableError(Exception):
    """Send again later, not before ``retry_after`` seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and the public id of the sensor or gateway that it belongs to."""

    text: str
    public_id: str


def read_token(path: Path, kind: str = "s") -> Token:
    """Read a token file of a sensor (``s``) or gateway (``g``); raises :class:`RefusedError`."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"token file {path}: {getattr(error, 'strerror', 'not a text file')}") from None
    if not re.fullmatch(rf"{kind}-[0-9a-z]{{4,24}}\.[\w-]+", text, re.ASCII):
        raise RefusedError(f"token file {path}: it must hold one token such as {kind}-0123456789ab.…")
    return Token(text, text.partition(".")[0])


def address(url: str) -> str:
    """The address to post to, from a server's address such as ``https://example.org``."""
    return at_server(url, "http", PATH)


def at_server(url: str, scheme: str, path: str) -> str:
    """``path`` at the server ``url``, whose scheme is ``scheme`` or that with an s; raises :class:`RefusedError`."""
    try:
        plain = url.isascii() and re.fullmatch(rf"{scheme}s?{SERVER}", url) and urlsplit(url).port != 0
    except ValueError:  # a port beyond 65535, or brackets around what is no IPv6 address
        plain = False
    if not plain:
        raise RefusedError(
            f"address {url!r}: it must begin with {scheme}:// or {scheme}s:// and name a host in ASCII"
            " (other letters as xn--…), followed by at most a port from 1 to 65535 and a path"
        )
    url = url.rstrip("/")
    return url if url.endswith(path) else url + path


def headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": wire.MSGPACK,
        "Accept": wire.MSGPACK,
        "Accept-Encoding": "identity",
    }


def read_answer(response: httpx.Response, batches: int) -> wire.Answer:
    """The acknowledgements, one a batch; raises :class:`RefusedError` or :class:`UnavailableError`."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if response.status_code == 200:
        try:
            answer = wire.decode(response.content, wire.Answer, media_type)
        except wire.WireError as error:
            raise UnavailableError(f"the server's answer is not readable: {error}") from None
        if len(answer.acks) != batches:
            raise UnavailableError(f"the server answered {len(answer.acks)} of {batches} batches")
        return answer
    reason = f"the server answered {response.status_code}: {describe(response, media_type)}"
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise UnavailableError(reason, retry_after(response))
    raise RefusedError(reason)


def read_whole(response: httpx.Response) -> httpx.Response:
    """The response with its content; raises :class:`UnavailableError` for one that is too large or does not end."""
    content, deadline = bytearray(), time.monotonic() + LONGEST_ANSWER_S
    for piece in response.iter_raw():
        content += piece
        if len(content) > wire.MAX_BODY_BYTES:
            raise UnavailableError(f"the server's answer has more than {wire.MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise UnavailableError(f"the server's answer does not end within {LONGEST_ANSWER_S:.0f} s")
    headers = response.headers.copy()
    if headers.pop("Content-Encoding", "").strip().lower() not in ("", "identity"):
        if response.status_code == 200:
            raise UnavailableError(
                "the server's answer is compressed, which was not asked for; check what lies between"
            )
        content.clear()  # of a refusal the status says enough
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(content), extensions=response.extensions
    )


def describe(response: httpx.Response, media_type: str) -> str:
    """What is wrong and what to do, in the server's words where it has any."""
    try:
        problem = wire.decode(response.content, wire.Problem, media_type)
    except wire.WireError:
        problem = wire.Problem(response.reason_phrase)
    remedy = problem.detail or REMEDIES.get(response.status_code, "check the address and the versions")
    return f"{problem.title.rstrip('.')}; {remedy[0].lower()}{remedy[1:]}"


def retry_after(response: httpx.Response) -> float:
    """Seconds of the ``Retry-After`` header (RFC 9110, 10.2.3: a number or a date), 0 without one."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = (
            float(value)
            if value.isdigit()
            else email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def explain(error: BaseException, address: str) -> str:
    """Why there is no answer from ``address``; OpenSSL's words, which tell no remedy, get one."""
    match _causes(error):
        case [*_, ssl.SSLCertVerificationError() as cause]:
            remedy = CERTIFICATE_REMEDIES.get(
                cause.verify_code,
                "if it is your own, set SSL_CERT_FILE to the file of the authority that signed it",
            )
            return f"the server's certificate is not trusted: {cause.verify_message.rstrip('.')}; {remedy}"
        case [*_, ssl.SSLError(reason=str(reason))] if reason in NO_TLS:
            plain = address.partition("://")[0].removesuffix("s")
            return (
                f"TLS cannot be spoken there ({reason}); if the server has none, begin its address"
                f" with {plain}://"
            )
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it arose from, up to the first."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    return causes


@contextmanager
def failures(address: str) -> Iterator[None]:
    """What HTTPX says of a request that got no answer, as :class:`UnavailableError` or :class:`RefusedError`."""
    try:
        yield
    except httpx.HTTPError as error:
        raise UnavailableError(f"{address}: {explain(error, address)}") from None
    except (httpx.InvalidURL, UnicodeError) as error:  # the latter of a name that IDNA does not know
        raise RefusedError(f"address {address}: {error}") from None


class BackOff:
    """How long to wait before the next attempt; grows with each until :meth:`reset`."""

    def __init__(self) -> None:
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    def seconds(self, at_least: float = 0.0) -> float:
        bound = min(FIRST_BACK_OFF_S * 2**self._attempts, LONGEST_BACK_OFF_S)
        self._attempts = min(self._attempts + 1, 16)
        return at_least + random.uniform(0.0, bound)


class Link(Protocol):
    """One sensor's way to the backend."""

    address: str

    def post(self, batch: wire.Batch) -> wire.Ack:
        """Send once; raises :class:`RefusedError` or :class:`UnavailableError`."""

    def close(self) -> None: ...


class Uplink:
    """One sensor's connection to the backend."""

    def __init__(self, url: str, token: Token) -> None:
        self.address = address(url)
        self._client = httpx.Client(headers=headers(token.text), timeout=TIMEOUT, mounts=DIRECT)

    def post(self, batch: wire.Batch) -> wire.Ack:
        """Send once; raises :class:`RefusedError` or :class:`UnavailableError`."""
        body = wire.encode(wire.Upload([batch]), wire.MSGPACK)
        with failures(self.address), self._client.stream("POST", self.address, content=body) as response:
            return read_answer(read_whole(response), 1).acks[0]

    def close(self) -> None:
        self._client.close()


def now_ms() -> int | None:
    """This machine's clock, None where it cannot be right: events that wait must not be refused for it."""
    try:
        return wire.convert(time.time_ns() // 1_000_000, wire.Milliseconds)
    except wire.WireError:
        return None


@dataclass(slots=True)
class Totals:
    """Events by what became of them."""

    stored: int = 0
    duplicate: int = 0
    invalid: int = 0
    pending: int = 0
    dropped: int = 0


class Delivery:
    """Sends what is in an outbox, in the background every ``interval`` seconds, or at once with :meth:`drain`.

    As a context manager it sends in the background; leaving it waits until everything is settled, or,
    after an exception or :meth:`stop`, leaves the rest in the outbox. What the server refuses waits there as well, as a
    token may be put right: it is told at once, tried again slowly, and raised on leaving if it still holds.
    """

    def __init__(
        self, outbox: Outbox, uplink: Link, *, interval: float = 1.0, batch_events: int = BATCH_EVENTS
    ) -> None:
        self.outbox = outbox
        self.uplink = uplink
        self.interval = interval
        self.batch_events = batch_events
        self._totals = Totals()
        self._stop = Stop()
        self._finish = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)

    @property
    def totals(self) -> Totals:
        counted = asdict(self._totals) | {"pending": len(self.outbox), "dropped": self.outbox.dropped}
        return Totals(**counted)

    @property
    def failure(self) -> Exception | None:
        """Why the background thread gave up, such as :class:`OutboxError`."""
        return self._failure

    def drain(self) -> Totals:
        """Send until nothing is left, however long the server is away; raises :class:`RefusedError`."""
        back_off = BackOff()
        while not self._stop.is_set() and (batch := self.outbox.pending(self.batch_events)):
            try:
                if self._deliver(batch):
                    back_off.reset()
                    continue
                wait, reason = back_off.seconds(), "the server's answer changed nothing"
            except UnavailableError as error:
                wait, reason = back_off.seconds(error.retry_after), str(error)
            kept = f"{len(self.outbox)} events are kept in {self.outbox.folder}"
            log.warning("%s; %s, trying again in %.1f s", reason, kept, wait)
            self._stop.wait(wait)
        return self.totals

    def stop(self) -> None:
        """Give up waiting; what is not settled stays in the outbox."""
        self._stop.set()

    def __enter__(self) -> Delivery:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop()
        self._finish.set()
        try:
            # In slices, so that Ctrl-C is heard.
            while self._thread.is_alive() and not self._stop.is_set():
                self._thread.join(0.2)
            self._thread.join(LAST_REQUEST_S)  # it may hang in a request, whose events stay in the outbox
        except BaseException:
            self.stop()
            raise
        if self._failure is not None and kind is None:
            raise self._failure

    def _deliver(self, batch: wire.Batch) -> bool:
        batch.sent_at = now_ms()
        ack = self.uplink.post(batch)
        if ack.status == "later":
            raise UnavailableError("the server takes no more from this sensor for now")
        if ack.status in ("gap", "stale_epoch"):
            log.warning("%s: the server has epoch %d up to %d", ack.status, ack.epoch, ack.acked_seq)
        elif self.outbox.holds(batch):  # else it was settled before, and only asks how far the server is
            self._count(batch, ack)
        return self.outbox.settle(batch, ack)

    def _count(self, batch: wire.Batch, ack: wire.Ack) -> None:
        events = concerned(batch, ack)
        if ack.status == "stored":
            self._totals.stored += events
        elif ack.status == "duplicate":
            self._totals.duplicate += events
        else:
            self._totals.invalid += events
            log.error("events refused as invalid: %s: %s", ack.path, ack.reason)

    def _run(self) -> None:
        wait, told = self.interval, ""
        try:
            while not self._stop.is_set():
                last_round = self._finish.wait(wait)
                try:
                    self.drain()
                    wait, told = self.interval, ""
                except RefusedError as error:
                    if last_round:
                        raise
                    if str(error) != told:
                        log.error("%s; events wait in %s", error, self.outbox.folder)
                    wait, told = REFUSED_RETRY_S, str(error)
                if last_round:
                    return
        except Exception as error:  # whatever it is, whoever waits for this thread must hear of it
            self._failure = error
