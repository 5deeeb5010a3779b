"""Connections and file descriptors: a real exporter, few descriptors, and more connections than it can hold."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from exporter.server.listener import Listener
from exporter.simulator.simulation import Simulation
from tests.conftest import L9, FakeClock
from tests.server.process import Clients, Connection, ask, eventually, exporter
from tests.server.test_app import value

EMPTY: dict[str, object] = {"fleet": {"miner_ips": ["127.0.0.2"]}}


async def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    async with exporter(tmp_path, EMPTY, soft=200, hard=2000) as process:
        _, page = await ask(*await process.connect(), "/metrics")
        assert value(page, "process_max_fds") == 2000
        assert not process.told("too few file descriptors")


async def test_a_fleet_that_needs_more_descriptors_is_told_so(tmp_path: Path) -> None:
    fleet = {"fleet": {"miner_ips": [f"127.1.{n // 250}.{n % 250}" for n in range(1000)]}}
    async with exporter(tmp_path, fleet, soft=200, hard=1500) as process:
        [line] = process.told("too few file descriptors")
        assert line["level"] == "warning"
        assert line["limit"] == 1500
        # One connection a miner, one a scrape of each, and the exporter's own.
        assert line["needed"] == 1000 + 1000 + 64


async def test_more_connections_than_it_holds_are_refused_and_hurt_nobody_else(tmp_path: Path) -> None:
    async with Simulation([L9]) as simulation:
        config = simulation.configuration(min_interval_seconds=0)
        async with exporter(tmp_path, config, soft=64, hard=128) as process:
            prometheus = await process.connect()
            assert (await ask(*prometheus, "/-/healthy"))[0] == 200
            idle = [await process.connect() for _ in range(300)]
            readers = [reader for reader, _ in idle]
            # Those that are refused are told and closed; the others stay as they are.
            await eventually(lambda: sum(reader.at_eof() or bool(reader._buffer) for reader in readers) > 200)
            answers = [bytes(reader._buffer) for reader in readers if reader._buffer]
            assert answers
            for answer in answers:
                assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"\r\nConnection: close\r\n" in answer
                assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
            # Who was there is served, and there are descriptors left to ask the miner and the pool.
            for target, series in (("l9", "vnish_up"), ("prohashing", "mining_pool_up")):
                assert value((await ask(*prometheus, f"/probe?target={target}"))[1], series) == 1
            assert len(process.told("connections are refused")) == 1
            assert len(process.log) < 10
            for _, writer in idle:
                writer.close()

            async def served() -> bool:
                with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                    return (await ask(*await process.connect(), "/-/healthy"))[0] == 200
                return False

            async with asyncio.timeout(60):
                while not await served():
                    await asyncio.sleep(0.05)


async def test_a_refused_client_that_has_asked_already_can_read_the_answer(tmp_path: Path) -> None:
    async with exporter(tmp_path, {**EMPTY, "server": {"max_connections": 1}}, soft=64, hard=128) as process:
        prometheus = await process.connect()
        assert (await ask(*prometheus, "/-/healthy"))[0] == 200
        for _ in range(20):
            assert (await ask(*await process.connect(), "/metrics"))[0] == 503
        assert (await ask(*prometheus, "/-/healthy"))[0] == 200


async def test_running_out_of_descriptors_is_one_line_and_passes(tmp_path: Path) -> None:
    async with exporter(tmp_path, EMPTY, soft=64, hard=128) as process:
        said = len(process.log)
        process.limit(soft=4)
        waiting = [await process.connect() for _ in range(5)]
        for _, writer in waiting:
            writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: exporter\r\nConnection: close\r\n\r\n")
        await eventually(lambda: process.told("cannot be accepted"))
        # It is woken by nothing but its own next attempts, and keeps quiet about them.
        before = wakes(process.process.pid)
        await eventually(lambda: wakes(process.process.pid) >= before + 3)
        assert len(process.log) == said + 1, process.log
        process.limit(soft=128)
        for reader, _ in waiting:
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")


async def test_over_tls_too_there_is_room_for_so_many_and_the_others_are_closed(
    tmp_path: Path, certificate: Path
) -> None:
    """Those who never begin to speak TLS count as well: they have a descriptor each."""
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}")
    server = {"max_connections": 3, "web_config_file": str(tmp_path / "web.yml")}
    context = ssl.create_default_context(cafile=certificate)
    async with exporter(tmp_path, {**EMPTY, "server": server}, soft=64, hard=128) as process:
        prometheus = await process.connect(ssl=context)
        assert (await ask(*prometheus, "/-/healthy"))[0] == 200
        silent = [await process.connect() for _ in range(2)]
        for _ in range(20):
            reader, _ = await process.connect()
            assert await reader.read() == b""
        assert not any(reader.at_eof() for reader, _ in silent)
        assert len(process.told("connections are refused")) == 1
        for _, writer in silent:
            writer.close()
        assert (await ask(*prometheus, "/-/healthy"))[0] == 200

        async def served() -> bool:
            with contextlib.suppress(OSError):
                return (await ask(*await process.connect(ssl=context), "/-/healthy"))[0] == 200
            return False

        async with asyncio.timeout(60):
            while not await served():
                await asyncio.sleep(0.05)


def wakes(pid: int) -> int:
    """How often the process has slept."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.MULTILINE)[1])  # type: ignore[index]


@contextlib.asynccontextmanager
async def listening(
    *, room: int = 100, clock: FakeClock | None = None
) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def broken(_: web.Request) -> web.Response:
        raise KeyError("hunter2")

    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/broken", broken)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server
    listener = Listener(runner.server, room=lambda: room, **({"clock": clock} if clock else {}))
    [(host, port)] = [address[:2] for address in await listener.start("127.0.0.1", 0)]
    assert host == "127.0.0.1"
    try:
        async with Clients() as clients:
            yield lambda: clients.connect(port)
    finally:
        listener.close()
        await runner.cleanup()


async def test_a_connection_nobody_uses_ends_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    ahead, real = 0.0, loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    async with listening() as connect:
        used = await connect()
        unused = await connect()
        assert await ask(*used, "/") == (200, "hello")
        ahead += 50
        assert await ask(*used, "/") == (200, "hello")
        ahead += 20
        assert await unused[0].read() == b"", "it never asked anything"
        assert await ask(*used, "/") == (200, "hello"), "it asked twenty seconds ago"
        ahead += 70
        assert await used[0].read() == b""


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET <script> HTTP/1.1\r\n: \r\n\r\n",
    ],
)
async def test_what_is_no_request_gets_a_hardened_400_and_no_traceback(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as connect:
        reader, writer = await connect()
        writer.write(request_bytes)
        answer = (await reader.read()).decode()
        head, _, body = answer[answer.rindex("HTTP/1.") :].partition("\r\n\r\n")
        assert head.split()[1] == "400"
        for line in ("X-Content-Type-Options: nosniff", "Cache-Control: no-store"):
            assert line in head.splitlines()
        assert "Content-Security-Policy: default-src 'none'" in head
        assert "script" not in body
    assert "Traceback" not in caplog.text


async def test_a_flood_of_broken_bodies_and_defects_is_a_line_a_minute(
    caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    async with listening(clock=clock) as connect:

        async def send(text: str) -> bytes:
            reader, writer = await connect()
            writer.write(text.encode())
            return await reader.read()

        async def flood() -> None:
            for _ in range(10):
                await send("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")
                answer = await send("GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 500 ")
                assert b"X-Content-Type-Options: nosniff" in answer
                assert b"hunter2" not in answer

        await flood()
        assert len(caplog.records) == 1
        assert "KeyError" in caplog.text
        clock.advance(61)
        await flood()
        assert len(caplog.records) == 2
