"""The quiet failures of pools, each with its own reason, over a real socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Outgoing
from exporter.pools.answers import MAX_BYTES, ask

KEY = "k3y-that-must-not-be-shown"
Seen = list[tuple[str, str, str | None, dict[str, str], str]]


@contextlib.asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[tuple[TestServer, Seen]]:
    """A pool that answers everything with *body*, and what it was asked."""
    seen: Seen = []

    async def answer(request: web.Request) -> web.Response:
        sent = await request.text()
        seen.append((request.method, request.path, request.headers.get("X-Key"), dict(request.query), sent))
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        yield server, seen


def ready(outgoing: Outgoing, server: TestServer) -> Client:
    endpoint = Endpoint.parse(f"127.0.0.1:{server.port}")
    return Client(outgoing, endpoint, Policy(None), outgoing.clock() + 60)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "", Reason.EMPTY),
        (200, " \n", Reason.EMPTY),
        (200, "<!doctype html><title>Maintenance</title>", Reason.HTML),
        (200, '{"cut":', Reason.NOT_JSON),
        (401, "", Reason.UNAUTHORISED),
        (403, "", Reason.UNAUTHORISED),
        (429, "", Reason.THROTTLED),
        (503, "Disabled, server overloaded", Reason.HTTP_STATUS),
        (302, "", Reason.HTTP_STATUS),
    ],
)
async def test_each_quiet_failure_has_its_reason(
    outgoing: Outgoing, status: int, body: str, reason: Reason
) -> None:
    async def answer(request: web.Request) -> web.Response:
        # Some pools repeat the key in their words.
        return web.Response(status=status, text=body, reason=request.query["key"])

    app = web.Application()
    app.router.add_get("/api/{key}", answer)
    async with TestServer(app) as server:
        client = Client(
            outgoing, Endpoint.parse(f"127.0.0.1:{server.port}"), Policy(None), outgoing.clock() + 5
        )
        with pytest.raises(ProbeError) as caught:
            await ask(client, f"/api/{KEY}", query={"key": KEY}, shown="/api/<key>")
    assert caught.value.reason is reason
    assert KEY not in str(caught.value)
    assert KEY not in str(client.steps)
    assert client.steps[-1].path == "/api/<key>"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b" ", "/x answered with nothing"),
        (200, b"\n<html>", "/x answered with a web page"),
        (429, b"", "/x answered status 429"),
        (500, b"{}", "/x answered status 500"),
        (200, b"{", "/x: "),
    ],
)
async def test_a_failure_is_told_in_words_and_in_its_step(
    outgoing: Outgoing, status: int, body: bytes, words: str
) -> None:
    async with answering(status, body) as (server, _):
        client = ready(outgoing, server)
        with pytest.raises(ProbeError) as caught:
            await ask(client, "/x")
    assert caught.value.detail.startswith(words)
    assert words == "/x: " or caught.value.detail == words
    assert client.steps[-1].problem == str(caught.value)
    assert client.steps[-1].path == "/x"


async def test_all_of_a_request_is_sent_and_its_answer_decoded(outgoing: Outgoing) -> None:
    async with answering(200, b' {"a": 1}') as (server, seen):
        client = ready(outgoing, server)
        assert await ask(client, "/x") == {"a": 1}
        found = await ask(
            client, "/y", method="POST", headers={"X-Key": KEY}, query={"q": "1"}, json={"b": 2}
        )
        assert found == {"a": 1}
    assert seen[0][:2] == ("GET", "/x")
    method, path, key, query, sent = seen[1]
    assert (method, path, key, query) == ("POST", "/y", KEY, {"q": "1"})
    assert sent == '{"b": 2}'


async def test_an_answer_may_be_as_long_as_a_large_accounts(outgoing: Outgoing) -> None:
    longest = b'"' + b"x" * (MAX_BYTES - 2) + b'"'
    async with answering(200, longest) as (server, _):
        assert len(await ask(ready(outgoing, server), "/x")) == MAX_BYTES - 2
        with pytest.raises(ProbeError, match="over 1000 bytes"):
            await ask(ready(outgoing, server), "/x", max_bytes=1000)
    async with answering(200, longest + b" ") as (server, _):
        with pytest.raises(ProbeError, match=f"over {MAX_BYTES} bytes"):
            await ask(ready(outgoing, server), "/x")
