"""Logins: when, how often, and never anything else than a GET and the login."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Outgoing
from exporter.simulator import cgi
from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.hosts import MinerHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.access import Access
from exporter.vnish.reading import MinerReading
from exporter.vnish.source import VnishSource
from tests.conftest import L9, FakeClock, serve_site


async def read(outgoing: Outgoing, host: MinerHost, source: VnishSource) -> MinerReading:
    return await source.read(
        Client(outgoing, Endpoint("http", host.address, host.port), Policy(None), outgoing.clock() + 30)
    )


def source_with(clock: FakeClock, **access: Any) -> VnishSource:
    return VnishSource(clock, access=Access(clock, **access))


def logins(host: MinerHost) -> int:
    return sum(method == "POST" for method, _ in host.requests)


async def test_open_reads_need_no_login(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        reading = await read(outgoing, host, source_with(clock, password=SecretStr("admin")))
        assert logins(host) == 0
        assert {pool.user for pool in reading.pools} == {"*****", "DevFee"}
        assert reading.authenticated is False


async def test_full_detail_logs_in_once_and_shows_the_users(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        source = source_with(clock, password=SecretStr("admin"), full_detail=True)
        for _ in range(3):
            reading = await read(outgoing, host, source)
        assert logins(host) == 1
        assert reading.pools[0].user == "account.l9"
        assert reading.authenticated is True


async def test_a_miner_that_asks_gets_one_login_and_one_more_when_its_token_is_gone(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.locked = True
        source = source_with(clock, password=SecretStr("admin"))
        for _ in range(3):
            assert (await read(outgoing, host, source)).hashrate
        assert logins(host) == 1
        host.token = "another session's"
        assert (await read(outgoing, host, source)).hashrate
        assert logins(host) == 2


async def test_a_wrong_password_is_not_tried_again_soon(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.locked = True
        source = source_with(clock, password=SecretStr("hunter2"))
        for _ in range(5):
            with pytest.raises(ProbeError) as caught:
                await read(outgoing, host, source)
            assert caught.value.reason is Reason.UNAUTHORISED
            assert "hunter2" not in str(caught.value)
            clock.advance(100)
        assert logins(host) == 1
        clock.advance(500)
        with pytest.raises(ProbeError):
            await read(outgoing, host, source)
        assert logins(host) == 2


async def test_a_locked_login_waits_as_long_as_it_is_told_and_says_so(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.unlock_timeout = 300
        source = source_with(clock, password=SecretStr("admin"), full_detail=True)
        reading = await read(outgoing, host, source)
        assert reading.hashrate, "reads are open; only the users stay hidden"
        assert reading.unlock_wait == 300
        host.unlock_timeout = None
        clock.advance(299)
        await read(outgoing, host, source)
        assert logins(host) == 1
        clock.advance(2)
        reading = await read(outgoing, host, source)
        assert logins(host) == 2
        assert reading.authenticated is True


async def test_an_api_key_needs_no_login(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.locked, host.api_key = True, "k" * 32
        reading = await read(outgoing, host, source_with(clock, api_key=SecretStr("k" * 32)))
        assert reading.pools[0].user == "account.l9"
        assert logins(host) == 0


async def test_without_credentials_a_401_is_the_answer(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.locked = True
        with pytest.raises(ProbeError) as caught:
            await read(outgoing, host, VnishSource(clock))
        assert caught.value.reason is Reason.UNAUTHORISED
        assert logins(host) == 0
        assert len(host.requests) == 1, "no guessing of other interfaces or passwords"


async def test_nothing_is_ever_sent_but_gets_and_the_login(tmp_path: Path) -> None:
    """Every firmware, every fault, with and without a password."""
    specs = [
        MinerSpec("old", "l7", "1.2.0-beta10"),
        MinerSpec("l9", "l9", "1.2.7"),
        MinerSpec("new", "l9", "1.3.4"),
        MinerSpec("cgi", "l3+", "3.9.0"),
        MinerSpec("stock", "l9", "stock"),
        MinerSpec("simple", "l7", "simple"),
    ]

    def passwords(config: dict[str, Any]) -> None:
        for miner in config["fleet"]["miners"]:
            miner |= {
                "password": "root" if miner["name"] in ("cgi", "stock") else "admin",
                "full_detail": True,
            }

    seen: set[tuple[str, str]] = set()
    async with serve_site(tmp_path, specs, edit=passwords, timeout_seconds=0.3) as site:
        for fault in [None, *MINER_FAULTS]:
            for name, host in site.simulation.miners.items():
                if fault:
                    await site.simulation.inject(name, fault)
                host.locked = fault is None
            await site.get("/fleet")
            for name in site.simulation.miners:
                await site.simulation.repair(name)
            for host in site.simulation.miners.values():
                seen |= set(host.requests)
    assert {method for method, _ in seen} == {"GET", "POST"}
    assert {path for method, path in seen if method == "POST"} == {"/api/v1/unlock"}
    assert {path for method, path in seen if method == "GET"} == {
        *(
            f"/api/v1/{name}"
            for name in (
                "info",
                "summary",
                "status",
                "model",
                "perf-summary",
                "chains",
                "boards",
                "chips",
                "chains/factory-info",
            )
        ),
        *("/summary", "/chains", "/chips"),
        *("/cgi-bin/get_system_info.cgi", "/cgi-bin/get_miner_status.cgi"),
    }


async def test_an_unconfigured_target_never_gets_a_password(tmp_path: Path) -> None:
    def elsewhere(config: dict[str, Any]) -> None:
        miner = config["fleet"]["miners"][0]
        port = miner["address"].rpartition(":")[2]
        miner |= {"address": f"127.77.0.200:{port}", "password": "admin", "full_detail": True}

    async with serve_site(tmp_path, [L9], edit=elsewhere, allowed_networks=["127.77.0.0/24"]) as site:
        host = site.simulation.miners["l9"]
        await site.get(f"/probe?target={host.address}:{host.port}")
        assert host.requests
        assert logins(host) == 0


@pytest.mark.parametrize(
    ("status", "text"),
    [(500, "{}"), (200, "{}"), (200, "<html>"), (200, '{"token": "opens nothing"}')],
)
@pytest.mark.parametrize("locked", [True, False])
async def test_a_login_that_helps_nothing_is_not_repeated_at_once(
    outgoing: Outgoing,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    text: str,
    locked: bool,
) -> None:
    async def unlock(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=text)

    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        host.locked = locked
        monkeypatch.setattr(host, "_unlock", unlock)
        source = source_with(clock, password=SecretStr("admin"), full_detail=True)
        for _ in range(3):
            if locked:
                with pytest.raises(ProbeError):
                    await read(outgoing, host, source)
            else:
                assert (await read(outgoing, host, source)).hashrate, "reads are open all the same"
        assert logins(host) == 1
        clock.advance(61)
        with contextlib.suppress(ProbeError):
            await read(outgoing, host, source)
        assert logins(host) == (1 if not locked and "token" in text else 2)


@pytest.mark.parametrize("full_detail", [True, False])
@pytest.mark.parametrize("api", ["auto", "v1", "simple", "cgi"])
@pytest.mark.parametrize("dialect", ["3.9.0", "stock"])
async def test_a_device_that_asks_for_digest_is_never_sent_the_password(
    outgoing: Outgoing, clock: FakeClock, dialect: str, api: Any, full_detail: bool
) -> None:
    async with Simulation([MinerSpec("m", "l3+", dialect)]) as simulation:
        host = simulation.miners["m"]
        password = SecretStr("root")
        access = Access(clock, password=password, full_detail=full_detail)
        source = VnishSource(clock, api=api, access=access, password=password)
        for _ in range(3):
            with contextlib.suppress(ProbeError):
                await read(outgoing, host, source)
            clock.advance(1000)
        assert host.requests
        assert {method for method, _ in host.requests} == {"GET"}


async def test_a_device_put_in_anothers_place_is_not_sent_its_password(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        source = source_with(clock, password=SecretStr("admin"), full_detail=True)
        assert (await read(outgoing, host, source)).authenticated
        assert logins(host) == 1
        host._cgi_pages = cgi.PAGES
        for _ in range(3):
            with pytest.raises(ProbeError) as caught:
                await read(outgoing, host, source)
            assert caught.value.reason is Reason.UNAUTHORISED
            clock.advance(1000)
        assert logins(host) == 1
