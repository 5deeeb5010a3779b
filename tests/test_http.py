"""Outgoing HTTP against real sockets: policy, caps, redirects, retries, deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import ipaddress
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from exporter.address import Endpoint, Policy, address_of
from exporter.errors import ProbeError, Reason
from exporter.http import Allowance, Answer, Client, Outgoing, tls_settings
from exporter.pools.budget import Budget
from tests.conftest import FakeClock

LOOPBACK = Policy((ipaddress.ip_network("127.0.0.0/8"),))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[Endpoint]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(handler: Handler) -> Endpoint:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        assert server.port
        return Endpoint("http", "127.0.0.1", server.port)

    yield start
    for server in servers:
        await server.close()


def client(
    outgoing: Outgoing,
    endpoint: Endpoint,
    *,
    policy: Policy = LOOPBACK,
    seconds: float = 30,
    retries: int = 0,
    max_bytes: int = 1 << 20,
    allowance: Allowance | None = None,
) -> Client:
    deadline = outgoing.clock() + seconds
    return Client(
        outgoing, endpoint, policy, deadline, retries=retries, max_bytes=max_bytes, allowance=allowance
    )


async def refusal(one: Client, path: str = "/x") -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        await one.get_json(path)
    return caught.value


async def test_json_is_read_and_the_step_recorded(outgoing: Outgoing, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"a": 1})

    one = client(outgoing, await serve(answer))
    assert await one.get_json("/x") == {"a": 1}
    [step] = one.steps
    assert (step.method, step.path, step.status, step.bytes, step.problem) == ("GET", "/x", 200, 8, "")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.UNAUTHORISED),
        (403, Reason.UNAUTHORISED),
        (404, Reason.HTTP_STATUS),
        (500, Reason.HTTP_STATUS),
        (204, Reason.HTTP_STATUS),
        (302, Reason.HTTP_STATUS),
    ],
)
async def test_a_status_is_a_failure_and_never_tried_again(
    outgoing: Outgoing, serve: Serve, status: int, reason: Reason
) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    error = await refusal(client(outgoing, await serve(answer), retries=3))
    assert error.reason is reason
    assert asked == ["/x"]


async def test_html_with_status_200_is_not_an_answer(outgoing: Outgoing, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    error = await refusal(client(outgoing, await serve(answer)))
    assert error.reason is Reason.NOT_JSON
    assert "hello" not in error.detail


@pytest.mark.parametrize("compressed", [False, True])
async def test_an_answer_over_the_cap_is_dropped_at_the_cap(
    outgoing: Outgoing, serve: Serve, compressed: bool
) -> None:
    body = b"[" + b"0," * 2_000_000 + b"0]"
    packed = gzip.compress(body)

    async def answer(_: web.Request) -> web.Response:
        if compressed:
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    error = await refusal(client(outgoing, await serve(answer), max_bytes=50_000))
    assert error.reason is Reason.BAD_SHAPE
    assert "50000 bytes" in error.detail


@pytest.mark.parametrize(("configured", "asked", "most"), [(1 << 20, 0, 65_536), (1 << 20, 300_000, 300_000)])
async def test_every_path_has_a_cap_of_its_own(
    outgoing: Outgoing, serve: Serve, configured: int, asked: int, most: int
) -> None:
    size = most

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b'"' + b"x" * (size - 2) + b'"')

    one = client(outgoing, await serve(answer), max_bytes=configured)
    limit = {"max_bytes": asked} if asked else {}
    assert len(await one.get_json("/x", **limit)) == most - 2  # type: ignore[arg-type]
    size += 1
    with pytest.raises(ProbeError) as caught:
        await one.get_json("/x", **limit)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.BAD_SHAPE
    assert f"over {most} bytes" in caught.value.detail


async def test_a_compressed_answer_under_the_cap_is_read(outgoing: Outgoing, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b'{"a":1}'), headers={"Content-Encoding": "gzip"})

    assert await client(outgoing, await serve(answer)).get_json("/x") == {"a": 1}


async def test_nobody_listening_is_tried_again_while_time_is_left(outgoing: Outgoing) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    outgoing.sleep = sleep
    # Port 1 of this address: nothing listens below 1024 unless root made it.
    one = client(outgoing, Endpoint("http", "127.200.200.200", 1), retries=3)
    error = await refusal(one)
    assert error.reason is Reason.CONNECTION
    assert "refused" in error.detail.lower()
    assert len(one.steps) == 4
    assert pauses[0] < pauses[1] < pauses[2]


async def test_no_retry_begins_after_the_deadline(outgoing: Outgoing) -> None:
    one = client(outgoing, Endpoint("http", "127.200.200.200", 1), retries=5, seconds=0.1)
    assert (await refusal(one)).reason in (Reason.CONNECTION, Reason.TIMEOUT)
    assert len(one.steps) < 6


async def test_a_reset_in_the_middle_is_a_connection_failure_and_is_tried_again(
    outgoing: Outgoing, serve: Serve
) -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(1)
        if len(asked) > 1:
            return web.json_response({"a": 1})
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        assert request.transport
        request.transport.abort()
        return response

    one = client(outgoing, await serve(answer), retries=1)
    assert await one.get_json("/x") == {"a": 1}
    assert "closed" in one.steps[0].problem


async def test_a_hanging_answer_ends_at_the_deadline(outgoing: Outgoing, serve: Serve) -> None:
    released = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    one = client(outgoing, await serve(answer), seconds=0.05, retries=3)
    assert (await refusal(one)).reason is Reason.TIMEOUT
    assert len(one.steps) == 1


async def test_a_deadline_that_is_over_asks_nothing(outgoing: Outgoing, serve: Serve) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    assert (await refusal(client(outgoing, await serve(answer), seconds=-1))).reason is Reason.TIMEOUT
    assert asked == []


async def test_garbage_instead_of_http_is_a_connection_failure(outgoing: Outgoing) -> None:
    async def garble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 not http at all\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(garble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await refusal(client(outgoing, Endpoint("http", "127.0.0.1", port)))
    assert error.reason is Reason.CONNECTION
    assert error.detail == "/x: the answer is not valid HTTP"


@pytest.mark.parametrize("header", [b"X-Long: " + b"a" * 20_000, b"\r\n".join(b"X: y" for _ in range(2000))])
async def test_endless_headers_are_refused(outgoing: Outgoing, header: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (
            await refusal(client(outgoing, Endpoint("http", "127.0.0.1", port)))
        ).reason is Reason.CONNECTION


async def test_an_address_outside_the_networks_is_refused_before_anything_is_sent(
    outgoing: Outgoing, serve: Serve
) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({})

    policy = Policy((ipaddress.ip_network("127.9.0.0/16"),))
    assert (await refusal(client(outgoing, await serve(answer), policy=policy))).reason is Reason.REFUSED
    assert asked == []


async def test_a_name_is_judged_by_where_it_leads_and_pinned_there(serve: Serve) -> None:
    hosts = []

    async def answer(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        return web.json_response({})

    endpoint = await serve(answer)
    found = {
        "good.test": ["127.0.0.1"],
        "evil.test": ["203.0.113.7"],
        "mixed.test": ["203.0.113.7", "127.0.0.1"],
    }

    async def lookup(host: str) -> list[str]:
        if host not in found:
            raise OSError
        return found[host]

    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=lookup)
        for host in ("good.test", "mixed.test"):
            assert await client(outgoing, Endpoint("http", host, endpoint.port)).get_json("/x") == {}
        assert hosts == [f"good.test:{endpoint.port}", f"mixed.test:{endpoint.port}"]
        error = await refusal(client(outgoing, Endpoint("http", "evil.test", endpoint.port)))
        assert error.reason is Reason.REFUSED
        error = await refusal(client(outgoing, Endpoint("http", "nowhere.test", endpoint.port)))
        assert error.reason is Reason.CONNECTION
    assert len(hosts) == 2


class Kept:
    """A server that keeps every connection open, and closes it at its second request instead of answering."""

    def __init__(self) -> None:
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for body in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                writer.write(body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


async def test_requests_that_the_library_sends_again_are_counted(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    kept, budget = Kept(), Budget(10_000, clock)
    server = await asyncio.start_server(kept, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        for _ in range(100):
            assert await client(outgoing, endpoint, allowance=budget).get_json("/x") == {}
        assert kept.requests == 199
        assert budget.spent == kept.requests
        assert budget.remaining == 1000 - kept.requests


async def test_a_budget_ends_what_the_library_would_send_again(outgoing: Outgoing, clock: FakeClock) -> None:
    kept, budget = Kept(), Budget(2, clock)
    server = await asyncio.start_server(kept, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint("http", "127.0.0.1", server.sockets[0].getsockname()[1])
        await client(outgoing, endpoint, allowance=budget).get_json("/x")
        one = client(outgoing, endpoint, allowance=budget, retries=3)
        assert (await refusal(one)).reason is Reason.BUDGET_SPENT
        assert len(one.steps) == 1
        one = client(outgoing, endpoint, allowance=budget)
        assert (await refusal(one)).reason is Reason.BUDGET_SPENT
        assert kept.requests == budget.spent == 2


async def test_what_found_no_connection_was_not_sent(outgoing: Outgoing, clock: FakeClock) -> None:
    budget = Budget(10, clock)
    one = client(outgoing, Endpoint("http", "127.0.0.1", closed_port()), allowance=budget, retries=1)
    assert (await refusal(one)).reason is Reason.CONNECTION
    assert len(one.steps) == 2
    assert budget.spent == 0


def closed_port() -> int:
    """A loopback port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Names:
    """A resolver that answers as told and counts."""

    def __init__(self, **found: list[str]) -> None:
        self.found = {f"{name}.test": addresses for name, addresses in found.items()}
        self.asked = 0

    async def __call__(self, host: str) -> list[str]:
        self.asked += 1
        return list(self.found[host])


async def test_the_next_address_of_a_name_is_tried_when_one_refuses(serve: Serve, clock: FakeClock) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.text())
        return web.json_response({})

    here = await serve(answer)
    # Nobody listens at the first and the third, and the second must not be connected to.
    names = Names(dual=["127.0.0.3", "203.0.113.7", "127.0.0.2", "127.0.0.1"])
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=names)
        endpoint, budget = Endpoint("http", "dual.test", here.port), Budget(10, clock)
        one = client(outgoing, endpoint, allowance=budget)
        answered = await one.request("POST", "/x", json={"pw": 1})
        assert answered.status == 200
        assert asked == ['{"pw": 1}']
        assert [step.problem for step in one.steps] == [
            "127.0.0.3: Connection refused; the next address is tried",
            "127.0.0.2: Connection refused; the next address is tried",
            "",
        ]
        assert {(step.method, step.path) for step in one.steps} == {("POST", "/x")}
        assert one.steps[2].status == 200
        assert budget.spent == 1
        # Who answered is asked first from then on, by this client and by the next.
        await one.get_json("/x")
        assert len(one.steps) == 4
        one = client(outgoing, endpoint)
        await one.get_json("/x")
        assert len(one.steps) == 1
        assert names.asked == 1


async def test_when_every_address_refuses_the_last_one_says_why(clock: FakeClock) -> None:
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=Names(gone=["127.0.0.2", "127.0.0.1"]))
        one = client(outgoing, Endpoint("http", "gone.test", closed_port()), retries=1)
        error = await refusal(one)
        assert error.reason is Reason.CONNECTION
        assert error.detail == "/x: Connection refused"
        # The second attempt tries both again.
        assert len(one.steps) == 4


async def test_an_address_that_swallows_what_is_sent_leaves_the_next_its_time(serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    here = await serve(answer)
    with socket.socket() as deaf, socket.socket() as filler:
        # Its queue is full, so the kernel drops whoever knocks.
        deaf.bind(("127.0.0.2", here.port))
        deaf.listen(0)
        filler.connect(deaf.getsockname())
        async with Outgoing.open_session() as session:
            outgoing = Outgoing(session, lookup=Names(half=["127.0.0.2", "127.0.0.1"]))
            one = client(outgoing, Endpoint("http", "half.test", here.port))
            assert await one.get_json("/x") == {}


@pytest.mark.parametrize(("seconds", "shares"), [(3.0, [1.0, 1.5, None]), (30.0, [2.0, 2.0, None])])
async def test_each_of_several_addresses_has_its_share_of_the_time(
    clock: FakeClock, seconds: float, shares: list[float | None]
) -> None:
    given: list[float | None] = []

    class Session:
        def request(self, *_: Any, timeout: aiohttp.ClientTimeout, **more: Any) -> Any:
            given.append(timeout.sock_connect)
            return session.request(*_, timeout=timeout, **more)

    async with Outgoing.open_session() as session:
        names = Names(gone=["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        outgoing = Outgoing(Session(), lookup=names, clock=clock)  # type: ignore[arg-type]
        await refusal(client(outgoing, Endpoint("http", "gone.test", closed_port()), seconds=seconds))
    assert given == shares


async def test_a_names_addresses_are_looked_up_again_after_a_minute(clock: FakeClock) -> None:
    names = Names(moved=["127.0.0.1", "127.0.0.2"])
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=names, clock=clock)

        async def found() -> list[str]:
            return [str(address) for address in await outgoing.addresses("moved.test")]

        assert await found() == ["127.0.0.1", "127.0.0.2"]
        outgoing.prefer("moved.test", ipaddress.ip_address("127.0.0.2"))
        outgoing.prefer("moved.test", ipaddress.ip_address("127.0.0.9"))
        outgoing.prefer("other.test", ipaddress.ip_address("127.0.0.2"))
        clock.advance(59.9)
        assert await found() == ["127.0.0.2", "127.0.0.1"]
        assert names.asked == 1
        names.found["moved.test"] = ["127.0.0.4", "127.0.0.2"]
        clock.advance(0.1)
        assert await found() == ["127.0.0.2", "127.0.0.4"]
        assert names.asked == 2
        names.found["moved.test"] = ["127.0.0.5", "127.0.0.6"]
        clock.advance(60)
        assert await found() == ["127.0.0.5", "127.0.0.6"]


async def test_a_deadline_moves_for_the_request_under_way(outgoing: Outgoing, serve: Serve) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        asked.set()
        await go.wait()
        return web.json_response({})

    one = client(outgoing, await serve(answer), seconds=4)
    # Before there is one.
    one.extend(one.deadline + 1)
    ended = one.deadline
    getting = asyncio.create_task(one.get_json("/x"))
    await asked.wait()
    one.extend(ended - 100)
    assert one.deadline == ended
    running = one._running
    assert running
    before = running.when()
    one.extend(ended + 100)
    assert one.deadline == ended + 100
    after = running.when()
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(100, abs=1)
    go.set()
    assert await getting == {}
    one.extend(ended + 200)
    assert one.deadline == ended + 200


async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, outgoing: Outgoing, serve: Serve
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    assert await client(outgoing, await serve(answer)).get_json("/x") == {}


async def test_no_cookie_comes_back(outgoing: Outgoing, serve: Serve) -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        response = web.json_response({})
        response.set_cookie("id", "1")
        return response

    one = client(outgoing, await serve(answer))
    await one.get_json("/x")
    await one.get_json("/x")
    assert seen == [None, None]


@pytest.mark.parametrize(
    ("text", "shown", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 80),
        ("192.0.2.1:8080", "192.0.2.1:8080", 8080),
        ("http://192.0.2.1", "192.0.2.1", 80),
        ("https://192.0.2.1", "https://192.0.2.1", 443),
        ("miner.lan:81", "miner.lan:81", 81),
        ("Miner.LAN", "miner.lan", 80),
        ("2001:db8::1", "[2001:db8::1]", 80),
        ("[2001:db8::1]:81", "[2001:db8::1]:81", 81),
        ("http://relay:3000/base/", "http://relay:3000/base", 3000),
        ("http://[2001:db8::1]:443", "[2001:db8::1]:443", 443),
        ("https://192.0.2.1:80", "https://192.0.2.1:80", 80),
        ("https://relay/base", "https://relay/base", 443),
        ("a-b.c_d", "a-b.c_d", 80),
        ("::ffff:192.0.2.1", "192.0.2.1", 80),
    ],
)
def test_endpoints(text: str, shown: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert str(endpoint) == shown
    assert endpoint.port == port
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "http://",
        "ftp://192.0.2.1",
        "user:pw@192.0.2.1",
        "192.0.2.1:0",
        "192.0.2.1:99999",
        "192.0.2.1?x=1",
        "192.0.2.1#x",
        "http://192.0.2.1\r\nX: y",
        "10.1",
        "2130706433",
        "0x7f000001",
        "-x",
        "mïner",
        "%31.2.3.4",
        "x" * 600,
        f"http://relay:3000/{'x' * 495}",
        "http://192.0.2.1/a b",
        "http://x@192.0.2.1",
        "a\\b",
        "a_",
        "https://192.0.2.1:0",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected host") as caught:
        Endpoint.parse(text)
    assert str(caught.value) == "expected host[:port], http://host[:port] or https://host[:port]"


def test_an_endpoint_may_be_as_long_as_a_path_needs() -> None:
    text = f"http://relay:3000/{'x' * 494}"
    assert len(text) == 512
    assert str(Endpoint.parse(text)) == text


def test_a_policy_allows_its_networks_and_the_one_address_configured() -> None:
    inside, outside = ipaddress.ip_address("127.1.1.1"), ipaddress.ip_address("203.0.113.7")
    assert LOOPBACK.allows(inside)
    assert not LOOPBACK.allows(outside)
    assert Policy((), exact=outside).allows(outside)
    assert not Policy((), exact=outside).allows(inside)
    assert Policy(None).allows(outside)


@given(st.text())
def test_no_text_makes_parsing_fail_otherwise(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError as error:
        assert str(error).startswith("expected host")
    else:
        assert 0 < endpoint.port < 65_536


def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_ipv4() -> None:
    address = address_of("::ffff:203.0.113.7")
    assert address == ipaddress.ip_address("203.0.113.7")
    assert not LOOPBACK.allows(address)


def test_tls_settings_refuse_what_cannot_verify() -> None:
    assert tls_settings(ca_file=None, fingerprint=None) is True
    assert isinstance(tls_settings(ca_file=None, fingerprint="AB:" * 31 + "AB"), aiohttp.Fingerprint)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        tls_settings(ca_file=None, fingerprint="abcd")
    with pytest.raises(ValueError, match="readable file of certificates"):
        tls_settings(ca_file="/nonexistent", fingerprint=None)


def test_the_default_clock_is_monotonic() -> None:
    assert Outgoing(None).clock is time.monotonic  # type: ignore[arg-type]


def test_a_media_type_is_read_without_its_parameters() -> None:
    assert (
        Answer(200, b"", 0.0, {"Content-Type": "text/html ; charset=utf-8; x=1"}).content_type == "text/html"
    )
    assert Answer(200, b"", 0.0).content_type == ""


async def test_what_a_session_sends_and_how_many_connections_it_keeps(
    outgoing: Outgoing, serve: Serve
) -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({})

    one = client(outgoing, await serve(answer))
    await one.get_json("/x", {"X-Key": "k"}, query={"key": "secret"})
    assert seen[0].headers["User-Agent"] == "minefleet-exporter"
    assert seen[0].headers["Accept"] == "application/json"
    assert seen[0].headers["X-Key"] == "k"
    assert seen[0].query == {"key": "secret"}
    assert one.steps[0].path == "/x"
    connector = outgoing.session.connector
    assert connector
    assert (connector.limit, connector.limit_per_host) == (0, 2)


async def test_a_base_path_stands_before_each_path(outgoing: Outgoing, serve: Serve) -> None:
    paths = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.json_response({})

    here = await serve(answer)
    one = client(outgoing, Endpoint("http", here.host, here.port, "/base"))
    assert one.endpoint.path == "/base"
    await one.get_json("/x")
    assert paths == ["/base/x"]


async def test_a_host_that_is_an_address_is_named_as_one(outgoing: Outgoing, serve: Serve) -> None:
    hosts = []

    async def answer(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        return web.json_response({})

    here = await serve(answer)
    await client(outgoing, here).get_json("/x")
    assert hosts == [f"127.0.0.1:{here.port}"]


async def test_how_long_each_request_took_is_recorded(serve: Serve, clock: FakeClock) -> None:
    async def answer(_: web.Request) -> web.Response:
        clock.advance(1.5)
        return web.json_response({})

    here = await serve(answer)
    async with Outgoing.open_session() as session:
        names = Names(dual=["127.0.0.2", "127.0.0.1"])
        one = client(Outgoing(session, clock=clock, lookup=names), Endpoint("http", "dual.test", here.port))
        answered = await one.request("GET", "/x")
        assert answered.seconds == 1.5
        assert answered.headers["Content-Type"].startswith("application/json")
        assert [step.seconds for step in one.steps] == [0.0, 1.5]
        await one.request("GET", "/x")
        assert [step.seconds for step in one.steps] == [0.0, 1.5, 1.5]


@pytest.mark.parametrize(
    ("status", "words"), [(403, "/x answered status 403"), (500, "/x answered status 500")]
)
async def test_a_status_is_told_in_words_and_in_its_step(
    outgoing: Outgoing, serve: Serve, status: int, words: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    one = client(outgoing, await serve(answer))
    error = await refusal(one)
    assert error.detail == words
    assert one.steps[-1].problem == str(error)
    assert one.steps[-1].status == status


async def test_what_is_not_json_is_told_with_its_path(outgoing: Outgoing, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    one = client(outgoing, await serve(answer))
    error = await refusal(one)
    assert error.detail.startswith("/x: ")
    assert one.steps[-1].problem == str(error)


async def test_an_answer_is_decoded_as_the_caller_wants(outgoing: Outgoing, serve: Serve) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"abc")

    assert await client(outgoing, await serve(answer)).get_json("/x", decoder=bytes.upper) == b"ABC"


async def test_an_answer_is_never_longer_than_the_client_takes_of_any(
    outgoing: Outgoing, serve: Serve
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1001)

    one = client(outgoing, await serve(answer), max_bytes=1000)
    with pytest.raises(ProbeError) as caught:
        await one.request("GET", "/secret", shown="/shown", max_bytes=2000)
    assert caught.value.detail == "/shown: the answer is over 1000 bytes"
    assert (await client(outgoing, one.endpoint, max_bytes=1001).request("GET", "/x")).body == b"x" * 1001


async def test_a_path_that_holds_a_key_is_not_written_down(outgoing: Outgoing) -> None:
    one = client(outgoing, Endpoint("http", "127.0.0.1", closed_port()))
    with pytest.raises(ProbeError) as caught:
        await one.request("GET", "/api/key", shown="/api/<key>")
    assert caught.value.detail == "/api/<key>: Connection refused"
    assert [(step.path, step.problem) for step in one.steps] == [("/api/<key>", str(caught.value))]


async def test_only_what_changes_nothing_is_sent_again(outgoing: Outgoing) -> None:
    one = client(outgoing, Endpoint("http", "127.0.0.1", closed_port()), retries=3)
    with pytest.raises(ProbeError):
        await one.request("POST", "/x")
    assert len(one.steps) == 1
    assert one.steps[0].method == "POST"


class Long(random.Random):
    """Chance that always makes a pause a quarter longer, and remembers between what it was to choose."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[tuple[float, float]] = set()

    def uniform(self, a: float, b: float) -> float:
        self.asked.add((a, b))
        return 1.25


@pytest.mark.parametrize(
    ("seconds", "tried"), [(30.0, [0.25, 0.5, 1.0]), (0.75, [0.25]), (0.8125, [0.25, 0.5])]
)
async def test_pauses_grow_and_none_reaches_the_deadline(
    clock: FakeClock, seconds: float, tried: list[float]
) -> None:
    pauses: list[float] = []

    async def sleep(pause: float) -> None:
        pauses.append(pause)
        clock.advance(pause)

    async with Outgoing.open_session() as session:
        chance = Long()
        outgoing = Outgoing(session, clock=clock, sleep=sleep, rng=chance)
        one = client(outgoing, Endpoint("http", "127.0.0.1", closed_port()), retries=3, seconds=seconds)
        assert (await refusal(one)).reason is Reason.CONNECTION
    assert pauses == tried
    assert chance.asked == {(0.8, 1.2)}


async def test_nothing_is_tried_again_unless_asked_for(outgoing: Outgoing) -> None:
    endpoint = Endpoint("http", "127.0.0.1", closed_port())
    one = Client(outgoing, endpoint, LOOPBACK, outgoing.clock() + 30)
    await refusal(one)
    assert len(one.steps) == 1


async def test_a_refusal_says_which_address_and_a_name_without_one_says_so(clock: FakeClock) -> None:
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=Names(evil=["203.0.113.7"], none=[], words=["nonsense"]))
        error = await refusal(client(outgoing, Endpoint("http", "evil.test", 80)))
        assert error.detail == "address 203.0.113.7 is outside the allowed networks"
        for name in ("none.test", "words.test"):
            error = await refusal(client(outgoing, Endpoint("http", name, 80)))
            assert error.reason is Reason.CONNECTION
            assert error.detail == "the host name does not resolve"


async def test_names_are_looked_up_by_the_system() -> None:
    async with Outgoing.open_session() as session:
        found = await Outgoing(session).addresses("localhost")
    assert found
    assert all(address.is_loopback for address in found)
    assert len(set(found)) == len(found)


async def test_resolved_names_are_bounded(clock: FakeClock) -> None:
    asked = []

    async def lookup(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    outgoing = Outgoing(None, lookup=lookup, clock=clock)  # type: ignore[arg-type]
    for number in range(10_000):
        await outgoing.addresses(f"{number}.test")
    await outgoing.addresses("0.test")
    assert len(asked) == 10_000
    await outgoing.addresses("one-more.test")
    await outgoing.addresses("0.test")
    assert len(asked) == 10_002


@pytest.mark.parametrize(
    ("challenges", "wanted"),
    [((), False), (("Basic realm=x", 'DIGEST realm="x"'), True), (("Basic",), False)],
)
async def test_a_device_that_wants_a_digest_is_remembered(
    outgoing: Outgoing, serve: Serve, challenges: tuple[str, ...], wanted: bool
) -> None:
    async def answer(_: web.Request) -> web.Response:
        response = web.Response(status=401)
        for challenge in challenges:
            response.headers.add("WWW-Authenticate", challenge)
        return response

    one = client(outgoing, await serve(answer))
    assert one.digest_wanted is False
    await one.request("GET", "/x")
    assert one.digest_wanted is wanted


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the connection was closed before the answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "the connection was closed in the middle of the answer",
        ),
    ],
)
async def test_a_connection_that_ends_early_is_told_in_our_words(
    outgoing: Outgoing, answer: bytes, words: str
) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0)
    async with server:
        one = client(outgoing, Endpoint("http", "127.0.0.1", server.sockets[0].getsockname()[1]))
        error = await refusal(one)
    assert error.reason is Reason.CONNECTION
    assert error.detail == f"/x: {words}"
    assert one.steps[0].problem == str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "of a library"), "Too many open files"),
        (OSError("of a library"), "no connection"),
        (aiohttp.ClientError("http://127.0.0.1/key"), "ClientError"),
        (ValueError("key"), "ValueError"),
    ],
)
async def test_whatever_else_goes_wrong_is_told_without_the_words_of_others(
    outgoing: Outgoing, error: Exception, words: str
) -> None:
    async def fail(_: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        raise error

    one = client(outgoing, Endpoint("http", "127.0.0.1", closed_port()))
    with pytest.raises(ProbeError) as caught:
        await one.request("GET", "/x", middlewares=(fail,))
    assert (caught.value.reason, caught.value.detail) == (Reason.CONNECTION, f"/x: {words}")


async def test_the_hanging_answer_says_of_what_it_was(outgoing: Outgoing, serve: Serve) -> None:
    released = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    one = client(outgoing, await serve(answer), seconds=0.05)
    error = await refusal(one)
    assert error.detail == "/x: no complete answer before the deadline"
    assert one._running is None
    assert one.seconds_left < 0
    released.set()


def test_a_pin_may_be_written_with_colons_and_must_be_whole() -> None:
    pinned = tls_settings(ca_file="/nonexistent", fingerprint="AB:" * 31 + "AB")
    assert isinstance(pinned, aiohttp.Fingerprint)
    assert pinned.fingerprint == b"\xab" * 32
    for wrong in ("ab" * 31, "ab" * 33, "zz" * 32):
        with pytest.raises(ValueError, match=r"^expected a SHA-256 fingerprint of 64 hexadecimal digits$"):
            tls_settings(ca_file=None, fingerprint=wrong)
    with pytest.raises(ValueError, match=r"^expected a readable file of certificates \(No such file"):
        tls_settings(ca_file="/nonexistent", fingerprint=None)


class Greeter(asyncio.Protocol):
    """Keeps the transport it was connected with."""

    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def about(self, what: str) -> Any:
        assert self.transport is not None
        return self.transport.get_extra_info(what)


@contextlib.asynccontextmanager
async def listening(
    certificate: Path | None = None,
) -> AsyncIterator[tuple[int, list[str]]]:
    """A port that takes connections, with TLS if there is a certificate, and the names they came for."""
    asked: list[str] = []
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
        tls.sni_callback = lambda _socket, name, _context: asked.append(str(name))

    kept: list[asyncio.StreamWriter] = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept.append(writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        for writer in kept:
            writer.transport.abort()
        await server.wait_closed()
        # What aborts has its turns of the loop.
        await asyncio.sleep(0)


async def test_a_connection_is_made_to_the_next_address_that_takes_it_and_that_is_kept_in_mind() -> None:
    names = Names(dual=["127.0.0.3", "203.0.113.7", "127.0.0.1"])
    async with listening() as (port, _), Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=names)
        endpoint, greeter = Endpoint("http", "dual.test", port), Greeter()
        await outgoing.connect(LOOPBACK, endpoint, lambda: greeter, 30)
        assert greeter.about("peername") == ("127.0.0.1", port)
        assert greeter.about("ssl_object") is None
        assert str((await outgoing.addresses("dual.test"))[0]) == "127.0.0.1"
        greeter.transport.abort()  # type: ignore[union-attr]


async def test_why_no_connection_was_made() -> None:
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=Names(gone=["127.0.0.2", "127.0.0.1"], far=["203.0.113.7"]))
        endpoint = Endpoint("http", "gone.test", closed_port())
        with pytest.raises(ProbeError) as refused:
            await outgoing.connect(LOOPBACK, endpoint, Greeter, 30)
        assert (refused.value.reason, refused.value.detail) == (Reason.CONNECTION, "Connection refused")
        with pytest.raises(ProbeError) as outside:
            await outgoing.connect(LOOPBACK, Endpoint("http", "far.test", 80), Greeter, 30)
        assert outside.value.reason is Reason.REFUSED
        with socket.socket() as deaf, socket.socket() as filler:
            # Its queue is full, so the kernel drops whoever knocks.
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            filler.connect(deaf.getsockname())
            endpoint = Endpoint("http", "127.0.0.1", deaf.getsockname()[1])
            with pytest.raises(ProbeError) as silent:
                await outgoing.connect(LOOPBACK, endpoint, Greeter, 0.6)
        assert (silent.value.reason, silent.value.detail) == (Reason.TIMEOUT, "no connection within 1 s")


async def test_an_address_that_swallows_a_connection_leaves_the_next_its_time() -> None:
    async with listening() as (port, _), Outgoing.open_session() as session:
        with socket.socket() as deaf, socket.socket() as filler:
            deaf.bind(("127.0.0.2", port))
            deaf.listen(0)
            filler.connect(deaf.getsockname())
            outgoing, greeter = Outgoing(session, lookup=Names(half=["127.0.0.2", "127.0.0.1"])), Greeter()
            await outgoing.connect(LOOPBACK, Endpoint("http", "half.test", port), lambda: greeter, 4)
        assert greeter.about("peername") == ("127.0.0.1", port)
        greeter.transport.abort()  # type: ignore[union-attr]


async def test_a_connection_wants_a_certificate_for_the_name_and_asks_nobody_else_without_one(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(named=["127.0.0.1", "127.0.0.3"])
    async with listening(certificate) as (port, asked), Outgoing.open_session() as session:
        outgoing, greeter = Outgoing(session, lookup=names), Greeter()
        with pytest.raises(ProbeError) as unknown:
            await outgoing.connect(LOOPBACK, Endpoint("https", "named.test", port), Greeter, 30)
        assert unknown.value.reason is Reason.CONNECTION
        assert unknown.value.detail == "the certificate could not be verified"
        trusting = ssl.create_default_context
        monkeypatch.setattr(ssl, "create_default_context", lambda: trusting(cafile=str(certificate)))
        # It is for the address 127.0.0.1 alone.
        with pytest.raises(ProbeError) as other:
            await outgoing.connect(LOOPBACK, Endpoint("https", "named.test", port), Greeter, 30)
        assert other.value.detail == "the certificate could not be verified"
        assert asked == ["named.test", "named.test"]
        await outgoing.connect(LOOPBACK, Endpoint("https", "127.0.0.1", port), lambda: greeter, 30)
        assert greeter.about("ssl_object").server_hostname == "127.0.0.1"
        greeter.transport.abort()  # type: ignore[union-attr]


async def test_what_stands_between_a_request_and_its_answer_is_asked_at_every_attempt(
    outgoing: Outgoing, serve: Serve
) -> None:
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("X-Proof"))
        if len(seen) == 1:
            assert request.transport
            request.transport.abort()
        return web.json_response({})

    async def prove(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers["X-Proof"] = "7"
        return await handler(request)

    one = client(outgoing, await serve(answer), retries=1)
    await one.request("GET", "/x", middlewares=(prove,))
    assert seen == ["7", "7"]
