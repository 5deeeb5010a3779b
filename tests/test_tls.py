"""HTTPS targets: verified by the system, by a CA file, or by a pinned certificate; never not at all."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Outgoing, Tls, tls_settings


@pytest.fixture
async def endpoint(certificate: Path) -> AsyncIterator[Endpoint]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"a": 1})

    app = web.Application()
    app.router.add_get("/x", answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = TestServer(app, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=context)
    assert server.port
    yield Endpoint("https", "127.0.0.1", server.port)
    await server.close()


async def get(outgoing: Outgoing, endpoint: Endpoint, tls: Tls | None = None) -> object:
    deadline = outgoing.clock() + 30
    if tls is None:
        return await Client(outgoing, endpoint, Policy(None), deadline).get_json("/x")
    return await Client(outgoing, endpoint, Policy(None), deadline, tls=tls).get_json("/x")


async def test_the_right_pin_and_the_right_ca_are_believed(
    outgoing: Outgoing, endpoint: Endpoint, certificate: Path
) -> None:
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    pin = tls_settings(ca_file=None, fingerprint=hashlib.sha256(der).hexdigest())
    assert await get(outgoing, endpoint, pin) == {"a": 1}
    assert await get(outgoing, endpoint, tls_settings(ca_file=str(certificate), fingerprint=None)) == {"a": 1}


async def test_a_wrong_pin_and_an_unknown_certificate_are_not(outgoing: Outgoing, endpoint: Endpoint) -> None:
    for tls, words in (
        (tls_settings(ca_file=None, fingerprint="ab" * 32), "the certificate is not the pinned one"),
        (tls_settings(ca_file=None, fingerprint=None), "the certificate could not be verified"),
        (None, "the certificate could not be verified"),
    ):
        with pytest.raises(ProbeError) as caught:
            await get(outgoing, endpoint, tls)
        assert caught.value.reason is Reason.CONNECTION
        assert caught.value.detail == f"/x: {words}"


async def test_a_certificate_is_held_against_the_name_and_not_against_where_it_leads(
    endpoint: Endpoint, certificate: Path
) -> None:
    async def lookup(_: str) -> list[str]:
        return [endpoint.host]

    trusted = tls_settings(ca_file=str(certificate), fingerprint=None)
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=lookup)
        assert await get(outgoing, endpoint, trusted) == {"a": 1}
        # It is for the address alone.
        with pytest.raises(ProbeError) as caught:
            await get(outgoing, Endpoint("https", "named.test", endpoint.port), trusted)
    assert caught.value.detail == "/x: the certificate could not be verified"
