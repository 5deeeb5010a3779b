"""Signed requests: who knows ``server.hmac_secret`` may reload without a password.

``X-Timestamp`` is in Unix seconds, ``X-Signature`` the hexadecimal SHA-256 HMAC of ``timestamp:body``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable

from aiohttp import web

TIMESTAMP_HEADER = "X-Timestamp"
SIGNATURE_HEADER = "X-Signature"
WINDOW_SECONDS = 300
MAX_REMEMBERED = 1000
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class RefusedError(Exception):
    """A signature that is not accepted; the text says why, without it."""


class Signatures:
    """Checks signatures made with one secret, and accepts each once while the process lives."""

    def __init__(self, secret: str, wall_clock: Callable[[], float]) -> None:
        self._secret = secret.encode()
        self._wall_clock = wall_clock
        # When each accepted signature's timestamp leaves the window; after that it needs no memory.
        self._seen: dict[bytes, int] = {}

    def check(self, timestamp: str, signature: str, body: bytes) -> None:
        """Accept a signature of *body*, this once.

        Raises:
            RefusedError: it is not right, not of now, or was accepted before.
        """
        now = self._wall_clock()
        if not _SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > WINDOW_SECONDS:
            raise RefusedError(
                f"expected {TIMESTAMP_HEADER} in Unix seconds, within {WINDOW_SECONDS} s of now"
            )
        right = hmac.digest(self._secret, timestamp.encode() + b":" + body, hashlib.sha256)
        given = bytes.fromhex(signature) if _SHA256.fullmatch(signature) else b""
        if not hmac.compare_digest(given, right):
            raise RefusedError(
                f"expected {SIGNATURE_HEADER} to be the SHA-256 HMAC of timestamp:body in hexadecimal"
            )
        if right in self._seen:
            raise RefusedError("this signature was used already; sign again with the time of now")
        self._seen = {known: until for known, until in self._seen.items() if until >= now}
        if len(self._seen) >= MAX_REMEMBERED:
            raise RefusedError("too many signed requests within ten minutes")
        self._seen[right] = int(timestamp) + WINDOW_SECONDS


def is_signed(request: web.Request) -> bool:
    """Whether *request* is one that a signature can stand for, and has one; it may still be wrong."""
    return (
        request.app[SIGNATURES] is not None
        and (request.method, request.path) == ("POST", "/-/reload")
        and SIGNATURE_HEADER in request.headers
    )


SIGNATURES = web.AppKey[Signatures | None]("signatures")
