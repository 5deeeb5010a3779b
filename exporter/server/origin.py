"""Where a request comes from: a page of ours or of others, this machine or another."""

from __future__ import annotations

import re

from aiohttp import web

from exporter.address import address_of

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::(\d{1,5}))?", re.ASCII | re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def crosses_origins(request: web.Request) -> bool:
    """Whether a browser sends *request* for a page that is not the exporter's own.

    ``Sec-Fetch-Site`` is the browser's word and no page can change it; browsers without it send ``Origin``.
    What sends neither is no browser.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    scheme, _, authority = origin.lower().partition("://")
    port = _PORTS.get(scheme)
    ours = _host_and_port(request.headers.get("Host", ""), port)
    return ours is None or _host_and_port(authority, port) != ours


def is_of_this_machine(request: web.Request) -> bool:
    """Whether *request* was made on this machine, for itself.

    The ``Host`` must be one of this machine's own names: a page whose name an attacker's name server has led
    to 127.0.0.1 is of the same origin for the browser, yet sends that name. A proxy asks for others.
    """
    remote = address_of(request.remote or "")
    if remote is None or not remote.is_loopback:
        return False
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    asked = _host_and_port(request.headers.get("Host", ""), None)
    if asked is None:
        return False
    address = address_of(asked[0].strip("[]"))
    return address.is_loopback if address else asked[0] == "localhost"


def _host_and_port(text: str, default: int | None) -> tuple[str, int | None] | None:
    """The two parts of an authority; ``None`` if it is none."""
    match = _HOST.fullmatch(text.lower())
    if match is None:
        return None
    return match[1], int(match[2]) if match[2] else default
