"""Fetching a package, piece by piece if the connection breaks off."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from sensor_sim.device.durable import sync_folder
from sensor_sim.device.slots import Request, hash_of
from sensor_sim.device.uplink import DIRECT, TIMEOUT, explain
from sensorapp import wire

log = logging.getLogger(__name__)

# What the real device waits before each of its ten retries.
BACK_OFFS_S = (1, 2, 4, 8, 16, 32, 64, 128, 256, 256)


class FailedError(Exception):
    """The deployment ends in ``state``; the message is one sentence with the remedy."""

    def __init__(self, state: wire.DeploymentState, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class _BrokenOffError(Exception):
    """Another attempt may bring what is missing."""


def download(request: Request, target: Path, wait: Callable[[float], object] = time.sleep) -> None:
    """Fetch a package into ``target``; it is durable when this returns, and has the size and hash asked for.

    What ``target`` already holds of it is not fetched again. Raises :class:`FailedError`.
    """
    in_one = _fetch(request, target, wait)
    if not in_one and not is_intact(target, request):
        # Pieces need not fit together: the package may have changed in between, and after a power loss the end
        # of a file may be anything.
        target.unlink()
        _fetch(request, target, wait)
    if not is_intact(target, request):
        raise FailedError(
            "failed", f"{request.url}: the package's hash is not {request.hash}; publish it again"
        )
    sync_folder(target.parent)


def is_intact(path: Path, request: Request) -> bool:
    return path.is_file() and path.stat().st_size == request.size and hash_of(path) == request.hash


def _fetch(request: Request, target: Path, wait: Callable[[float], object]) -> bool:
    """Fetch what is missing; returns whether all of the package came in one answer."""
    with httpx.Client(timeout=TIMEOUT, mounts=DIRECT, follow_redirects=True) as client:
        for back_off in (*BACK_OFFS_S, None):
            try:
                return _attempt(client, request, target)
            except (_BrokenOffError, httpx.TransportError) as error:
                reason = explain(error, request.url)
            except httpx.HTTPError as error:
                raise FailedError("failed", f"{request.url}: {error}; check the address") from None
            except (httpx.InvalidURL, UnicodeError) as error:  # the latter of a name that IDNA does not know
                raise FailedError("failed_invalid_argument", f"url: {error}; check the address") from None
            if back_off is not None:
                log.warning("%s: %s; trying again in %d s", request.url, reason, back_off)
                wait(back_off)
    raise FailedError(
        "failed_download_retry_exceeded",
        f"{request.url}: {reason}, also after {len(BACK_OFFS_S)} retries; deploy again when the server is well",
    )


def _attempt(client: httpx.Client, request: Request, target: Path) -> bool:
    """One try of :func:`_fetch`; raises what that answers."""
    have = target.stat().st_size if target.exists() else 0
    if have >= request.size:
        return False
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", request.url, headers=headers) as response:
        begin = _begin(response, request, have)
        with target.open("ab") as file:
            file.truncate(begin)
            try:
                _receive(response, file.write, request.size - begin)
            finally:
                file.flush()
                os.fsync(file.fileno())
    if target.stat().st_size < request.size:
        raise _BrokenOffError("the answer ends too early")
    return begin == 0


def _begin(response: httpx.Response, request: Request, have: int) -> int:
    """From which byte of the package on the answer goes."""
    match response.status_code:
        case 200:
            _check_size(response.headers.get("Content-Length"), request)
            return 0
        case 206:
            found = re.fullmatch(
                r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)",
                response.headers.get("Content-Range", ""),
                re.ASCII,
            )
            if not found or int(found[1]) > have:
                raise FailedError(
                    "failed", f"{request.url}: the server answers with another part; check the server"
                )
            _check_size(found[2] if found[2] != "*" else None, request)
            return int(found[1])
        case 403:
            raise FailedError(
                "failed_token_expired", f"{request.url}: the address has expired; ask for a new one"
            )
        case 408 | 425 | 429:
            raise _BrokenOffError(f"the server answered {response.status_code}")
        case status if status >= 500:
            raise _BrokenOffError(f"the server answered {status}")
        case status:
            raise FailedError("failed", f"{request.url}: the server answered {status}; check the address")


def _check_size(text: str | None, request: Request) -> None:
    if text is not None and re.fullmatch(r"\d{1,18}", text, re.ASCII) and int(text) != request.size:
        raise FailedError(
            "failed", f"{request.url}: the package has {text} bytes, not {request.size}; correct the size"
        )


def _receive(response: httpx.Response, write: Callable[[bytes], object], missing: int) -> None:
    for piece in response.iter_raw():
        missing -= len(piece)
        if missing < 0:
            raise FailedError(
                "failed", f"{response.url}: the package is larger than stated; correct the size"
            )
        write(piece)
