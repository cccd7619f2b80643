"""Bearer tokens: ``<public id>.<secret>``, of which the database keeps the identifier and a digest only."""

from __future__ import annotations

import hashlib
import hmac
import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_public_id(prefix: str) -> str:
    return prefix + "-" + "".join(secrets.choice(ALPHABET) for _ in range(12))


def new_token(public_id: str) -> tuple[str, bytes]:
    """A token to hand out once, and the digest to keep."""
    secret = secrets.token_urlsafe(32)
    return f"{public_id}.{secret}", digest(secret)


def digest(secret: str) -> bytes:
    """SHA-256 suffices: the secret has 256 random bits, so that there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


def split(token: str) -> tuple[str, bytes]:
    """The public id of a token and the digest of its secret."""
    public_id, _, secret = token.partition(".")
    return public_id, digest(secret)


def bearer(authorization: str) -> tuple[str, bytes] | None:
    """The same of an ``Authorization`` header's bearer token (RFC 6750, 2.1); None where it has none."""
    scheme, _, token = authorization.partition(" ")
    return split(token.strip()) if scheme.lower() == "bearer" and token else None


def matches(left: bytes, right: bytes) -> bool:
    return hmac.compare_digest(left, right)
