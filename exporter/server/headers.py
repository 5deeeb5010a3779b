"""The headers every answer carries, whoever writes it: pages, refusals, and what never became a request."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

# What is shown is nobody's to keep, to guess a type for, to frame, or to run scripts in.
HARDENING: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Add them as an answer is about to be sent; a page's own are kept."""
    for name, value in HARDENING.items():
        response.headers.setdefault(name, value)
