"""The quiet failures of pools, each with its own reason, over a real socket."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Outgoing
from exporter.pools.answers import ask

KEY = "k3y-that-must-not-be-shown"


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
