"""What the configuration comes to: every setting reaches the part that needs it, and a reload changes no other."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter import catalogue as c
from exporter.breaker import State
from exporter.config import schema
from exporter.config.schema import Config, Miner, Root
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.fleet import MAX_UNCONFIGURED, BusyError, Fleet, Payer, Target, UnknownTargetError
from exporter.http import Client, Outgoing
from exporter.market.reading import CoinFigures, MarketReading
from exporter.market.sources import drivers as market_drivers
from exporter.pools import Account, Context, drivers
from exporter.pools.prohashing.relay import Relay
from exporter.pools.reading import Network, PoolReading, Profitability, Worker
from exporter.probe import Look, Reader
from exporter.simulator.simulation import Simulation
from exporter.vnish.audit import mined_at
from exporter.vnish.reading import Identity, MinerReading, Pool
from tests.conftest import L9, SIMPLE, FakeClock, make_certificate, near

FINGERPRINT = "AB" * 32


def account(name: str | None = None, **settings: Any) -> Account:
    base = {"base_url": "http://127.0.0.1:9", **settings}
    return Account("prohashing", drivers()["prohashing"].Settings(name=name, **base))


def config(*miners: dict[str, Any], pools: tuple[Account, ...] = (), **sections: Any) -> Config:
    fleet = {"miners": list(miners), **sections.pop("fleet", {})}
    return Config(Root.model_validate({"fleet": fleet, **sections}), pools)


def make(
    configuration: Config,
    previous: Fleet | None = None,
    *,
    outgoing: Outgoing | None = None,
    clock: Callable[[], float] | None = None,
    environ: dict[str, str] | None = None,
    wall_clock: Callable[[], float] | None = None,
) -> Fleet:
    clock = clock or (outgoing.clock if outgoing else FakeClock())
    out = outgoing or Outgoing(None, clock=clock)  # type: ignore[arg-type]
    wall_clock = wall_clock or FakeClock(5010.0)
    return Fleet(configuration, out, environ or {}, previous, clock=clock, wall_clock=wall_clock)


def client_of(target: Target, deadline: float = 1e12) -> Client:
    return target.reader.open_client(deadline)


# --- which target is meant


@pytest.fixture
def named() -> Fleet:
    return make(
        config(
            {"address": "127.0.0.1:4028", "name": "one"},
            {"address": "miner.test", "name": "two"},
            {"address": "https://127.0.0.3"},
            pools=(account("main"), account("spare")),
            fleet={"allowed_networks": ["127.0.0.0/8"], "miner_ips": ["127.0.0.4"]},
        )
    )


@pytest.mark.parametrize(
    ("text", "module", "expected"),
    [
        ("one", None, "one"),
        ("one", "vnish", "one"),
        ("main", None, "main"),
        ("spare", "prohashing", "spare"),
        ("127.0.0.1:4028", None, "one"),
        ("http://127.0.0.1:4028", "vnish", "one"),
        ("miner.test:80", None, "two"),
        ("https://127.0.0.3", None, "https://127.0.0.3"),
        ("127.0.0.4", None, "127.0.0.4"),
        # The port of a configured miner.
        ("127.0.0.9:4028", None, "127.0.0.9:4028"),
    ],
)
def test_a_target_is_a_name_or_an_address(named: Fleet, text: str, module: str | None, expected: str) -> None:
    found = named.find(text, module)
    assert found.instance == expected
    assert found.module == ("prohashing" if expected in ("main", "spare") else "vnish")
    assert found.reader.name == expected


@pytest.mark.parametrize(
    ("text", "module", "message", "forbidden"),
    [
        ("one", "prohashing", "no account of that name at prohashing", False),
        ("main", "vnish", "not a configured name and not an address", False),
        ("main", "other", "no account of that name at other", False),
        ("127.0.0.9", "prohashing", "no account of that name at prohashing", False),
        ("nobody", None, "not a configured name and not an address", False),
        ("a b", None, "not a configured name and not an address", False),
        ("http://127.0.0.9/x", None, "an address to probe has no path", False),
        ("203.0.113.7", None, "the address is outside fleet.allowed_networks", True),
        ("203.0.113.7", "vnish", "the address is outside fleet.allowed_networks", True),
    ],
)
def test_what_is_no_target(
    named: Fleet, text: str, module: str | None, message: str, *, forbidden: bool
) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        named.find(text, module)
    assert str(caught.value) == message
    assert caught.value.forbidden is forbidden


def test_all_targets_miners_first(named: Fleet) -> None:
    assert [target.instance for target in named] == [
        "127.0.0.4",
        "one",
        "two",
        "https://127.0.0.3",
        "main",
        "spare",
    ]


def test_an_unconfigured_target_carries_nobodys_credentials_and_the_fleets_settings() -> None:
    fleet = make(
        config(
            {"address": "127.0.0.1", "password": "secret", "api_key": "key", "power_watts": 3000},
            fleet={"allowed_networks": ["127.0.0.0/8"], "retries": 4, "pool": "main"},
            alerts={"thresholds": {"temperature_warning": 70}},
        )
    )
    target = fleet.find("127.0.0.9")
    assert fleet.find("127.0.0.9:80") is target
    assert fleet.find("https://127.0.0.9") is not target
    assert target not in list(fleet)
    assert target.labels == {}
    assert target.audit is None
    assert target.payer is None
    assert target.static.value(c.MINER_CONFIGURED) == 0.0
    assert target.static.value(c.MINER_POWER_CONFIGURED) is None
    assert target.static.value(c.THRESHOLD_TEMPERATURE_WARNING) == 70.0
    one = client_of(target)
    assert str(one.endpoint) == "127.0.0.9"
    assert one._retries == 4


async def test_unconfigured_targets_are_bounded_and_the_longest_unused_goes_first() -> None:
    fleet = make(config(fleet={"allowed_networks": ["127.0.0.0/8"]}))

    def find(number: int) -> Target:
        return fleet.find(f"127.1.{number // 250}.{1 + number % 250}")

    targets = [find(number) for number in range(MAX_UNCONFIGURED)]
    assert find(0) is targets[0]
    flights = []
    gate = asyncio.Event()

    async def wait(_: Client) -> MinerReading:
        await gate.wait()
        return MinerReading(Identity("v1"))

    for target in targets:
        target.reader._read = wait
    flights.append(asyncio.create_task(targets[1].probe(1e12)))
    await asyncio.sleep(0)
    # The first was used again and the second is busy, so the third goes.
    find(MAX_UNCONFIGURED)
    assert find(0) is targets[0]
    assert find(1) is targets[1]
    assert find(3) is targets[3]
    assert find(2) is not targets[2]
    for target in fleet._unconfigured.values():
        target.reader._read = wait
        flights.append(asyncio.create_task(target.probe(1e12)))
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match=r"^too many unconfigured targets are being probed$"):
        find(9999)
    gate.set()
    await asyncio.gather(*flights)
    assert find(9999)
    assert len(fleet._unconfigured) == MAX_UNCONFIGURED


# --- what a page says of the configuration


def test_thresholds_and_prices_in_base_units() -> None:
    fleet = make(
        config(
            {
                "address": "127.0.0.1",
                "name": "one",
                "worker": "w1",
                "labels": {"site": "barn"},
                "power_watts": 3400,
                "thresholds": {"temperature_critical": 85, "offline_duration_minutes": 7},
            },
            {"address": "127.0.0.2", "name": "two"},
            alerts={
                "thresholds": {
                    "temperature_warning": 71,
                    "temperature_critical": 91,
                    "hashrate_drop_percent": 15,
                    "power_spike_percent": 40,
                    "offline_duration_minutes": 6,
                }
            },
            economics={"electricity_usd_per_kwh": 0.072},
        )
    )
    one, two = fleet.miners["one"], fleet.miners["two"]
    assert one.labels == {"site": "barn"}
    expected = {
        c.MINER_CONFIGURED: (1, 1),
        c.MINER_POWER_CONFIGURED: (3400, None),
        c.THRESHOLD_TEMPERATURE_WARNING: (71, 71),
        c.THRESHOLD_TEMPERATURE_CRITICAL: (85, 91),
        c.THRESHOLD_HASHRATE_DROP: (0.15, 0.15),
        c.THRESHOLD_POWER_SPIKE: (0.4, 0.4),
        c.THRESHOLD_OFFLINE: (420, 360),
    }
    for metric, values in expected.items():
        assert (one.static.value(metric), two.static.value(metric)) == pytest.approx(values), metric.name
    assert one.static.value(c.FLEET_MINER_INFO, "w1") == 1.0
    assert two.static.value(c.FLEET_MINER_INFO, "") == 1.0
    assert one.electricity() == two.electricity() == 0.072
    without_price = make(config({"address": "127.0.0.1", "name": "one"})).miners["one"]
    assert without_price.electricity() is None


# Every threshold, its series, and what a value of it is there.
THRESHOLDS = {
    "temperature_warning": (c.THRESHOLD_TEMPERATURE_WARNING, 61, 61),
    "temperature_critical": (c.THRESHOLD_TEMPERATURE_CRITICAL, 95, 95),
    "pcb_temperature": (c.THRESHOLD_PCB_TEMPERATURE, 62, 62),
    "inlet_temperature": (c.THRESHOLD_INLET_TEMPERATURE, 63, 63),
    "water_temperature": (c.THRESHOLD_WATER_TEMPERATURE, 64, 64),
    "psu_temperature": (c.THRESHOLD_PSU_TEMPERATURE, 66, 66),
    "room_excess": (c.THRESHOLD_ROOM_EXCESS, 11, 11),
    "hashrate_drop_percent": (c.THRESHOLD_HASHRATE_DROP, 12, 0.12),
    "power_spike_percent": (c.THRESHOLD_POWER_SPIKE, 13, 0.13),
    "preset_excess_percent": (c.THRESHOLD_PRESET_EXCESS, 14, 0.14),
    "efficiency_loss_percent": (c.THRESHOLD_EFFICIENCY_LOSS, 16, 0.16),
    "fan_lag_percent": (c.THRESHOLD_FAN_LAG, 17, 0.17),
    "hardware_error_percent": (c.THRESHOLD_HARDWARE_ERRORS, 1.5, 0.015),
    "reject_percent": (c.THRESHOLD_REJECTS, 4, 0.04),
    "share_silence_minutes": (c.THRESHOLD_SHARE_SILENCE, 18, 1080),
    "offline_duration_minutes": (c.THRESHOLD_OFFLINE, 9, 540),
    "chips_dying_per_day": (c.THRESHOLD_CHIPS_DYING, 7, 7),
    "restarts_per_hour": (c.THRESHOLD_REBOOTS, 8, 8),
    "site_outage_percent": (c.THRESHOLD_SITE_OUTAGE, 19, 0.19),
    "pool_shortfall_percent": (c.THRESHOLD_POOL_SHORTFALL, 21, 0.21),
    "profitability_drop_percent": (c.THRESHOLD_PROFITABILITY_DROP, 22, 0.22),
    "request_budget_percent": (c.THRESHOLD_BUDGET, 23, 0.23),
}


def test_every_threshold_is_on_the_page_of_whom_it_concerns() -> None:
    assert set(THRESHOLDS) == set(schema.Thresholds.model_fields)
    fleet = make(
        config(
            {"address": "127.0.0.1", "name": "one"},
            pools=(account("main"),),
            fleet={"timeout_seconds": 10},
            alerts={"thresholds": {name: value for name, (_, value, _) in THRESHOLDS.items()}},
        )
    )
    miner, pool = fleet.miners["one"].static, fleet.pools["main"].static
    for name, (metric, _, expected) in THRESHOLDS.items():
        of_pools = name in ("pool_shortfall_percent", "profitability_drop_percent", "request_budget_percent")
        shown = (None, expected) if of_pools else (expected, None)
        assert (miner.value(metric), pool.value(metric)) == pytest.approx(shown), name
    # Four fifths of the time a reading may take.
    assert miner.value(c.THRESHOLD_READING_TIME) == pool.value(c.THRESHOLD_READING_TIME) == 8.0


async def test_the_price_of_electricity_is_of_a_joule_and_on_every_miners_page() -> None:
    fleet = make(
        config(
            {"address": "127.0.0.1", "name": "one"},
            fleet={"allowed_networks": ["127.0.0.0/8"]},
            economics={"electricity_usd_per_kwh": 0.072},
        )
    )
    for target in (fleet.miners["one"], fleet.find("127.0.0.9")):
        assert isinstance(target, Target)
        page = target.page(Look(0.0, error=ProbeError(Reason.TIMEOUT, "late")))
        assert page.value(c.ELECTRICITY_PRICE) == near(2e-8)
    free = make(config({"address": "127.0.0.1", "name": "one"})).miners["one"]
    assert free.page(Look(0.0, error=ProbeError(Reason.TIMEOUT, "late"))).value(c.ELECTRICITY_PRICE) is None


async def test_a_page_is_the_looks_the_audits_the_payers_and_the_configurations() -> None:
    fleet = make(
        config(
            {"address": "127.0.0.1", "name": "one", "worker": "w1"},
            {"address": "127.0.0.2", "name": "two", "worker": "w1", "expected_pools": []},
            {"address": "127.0.0.3", "name": "three", "expected_pools": ["Other.example"], "pool": "x"},
            pools=(account("main", stratum_hosts=["pool.example"]), account("spare")),
            fleet={"expected_pools": ["stratum+tcp://Pool.Example:3333"], "pool_account": "me"},
        )
    )
    user = Pool("0", "UserPool", "stratum+tcp://pool.example:3333", "me.w1", "active")

    async def page(name: str, pool: Pool, error: ProbeError | None = None) -> Page:
        async def read(_: Client) -> MinerReading:
            if error:
                raise error
            return MinerReading(Identity("v1"), pools=[pool])

        target = fleet.miners[name]
        target.reader._read = read
        target.reader.last = None
        look, found = await target.probe(1e12)
        assert look.up is (error is None)
        return found

    found = await page("one", user)
    assert found.value(c.UP) == 1.0
    assert found.value(c.POOL_MATCH, "0") == 1.0
    assert found.value(c.MINER_ACCOUNT, "main") == 1.0
    assert found.family(c.POOL_ACCOUNT) == {("0", "main"): 1.0}
    assert found.value(c.MINER_CONFIGURED) == 1.0
    thief = Pool("0", "UserPool", "stratum+tcp://thief.example:3333", "me.w1", "active")
    found = await page("one", thief)
    assert found.value(c.POOL_MATCH, "0") == 0.0
    assert found.value(c.MINER_ACCOUNT, "main") is None
    assert found.family(c.POOL_ACCOUNT) == {}
    renamed = Pool("0", "UserPool", "stratum+tcp://pool.example:3333", "me.w2", "active")
    assert (await page("one", renamed)).value(c.POOL_MATCH, "0") == 0.0
    # An empty list of its own: only the account is compared.
    assert (await page("two", thief)).value(c.POOL_MATCH, "0") == 1.0
    other = Pool("0", "UserPool", "stratum+tcp://other.example:3333", "you.w1", "active")
    found = await page("three", other)
    assert found.value(c.POOL_MATCH, "0") == 0.0
    assert found.value(c.MINER_ACCOUNT, "x") == 1.0
    found = await page("three", other, ProbeError(Reason.CONNECTION, "gone"))
    assert found.value(c.UP) == 0.0
    assert found.value(c.POOL_MATCH, "0") is None
    assert found.value(c.MINER_ACCOUNT, "x") == 1.0
    assert found.value(c.MINER_CONFIGURED) == 1.0


def test_whose_the_pools_in_a_miners_list_are() -> None:
    accounts = (
        account("main", stratum_hosts=["pool.example"]),
        account("spare", stratum_hosts=["b.example"]),
    )
    page = Page()
    pools = [
        Pool("0", "UserPool", "stratum+tcp://pool.example:3333", "u", "active"),
        Pool("1", "UserPool", "stratum+tcp://b.example:3333", "u", "offline"),
        Pool("2", "UserPool", "stratum+tcp://thief.example:3333", "u", "offline"),
        Pool("3", "UserPool", None, "u", "offline"),
        # The firmware's own share of the work, wherever it goes.
        Pool("4", "DevFee", "stratum+tcp://pool.example:3333", "dev", "offline"),
    ]
    Payer(None, accounts).write(MinerReading(Identity("v1"), pools=pools), page)
    assert page.family(c.POOL_ACCOUNT) == {("0", "main"): 1.0, ("1", "spare"): 1.0}
    assert page.family(c.MINER_ACCOUNT) == {("main",): 1.0}


def test_who_pays() -> None:
    accounts = (account("main", stratum_hosts=["pool.example"]), account("spare"))
    mined = MinerReading(Identity("v1"), pools=[Pool("0", "UserPool", "pool.example:1", "u", "active")])
    idle = MinerReading(Identity("v1"))
    assert Payer("given", accounts).account(mined_at(mined)) == "given"
    assert Payer("given", accounts).account(None) == "given"
    assert Payer(None, accounts).account(None) is None
    assert Payer(None, accounts).account(mined_at(idle)) is None
    assert Payer(None, accounts).account(mined_at(mined)) == "main"
    assert Payer(None, accounts[1:]).account(mined_at(mined)) is None
    fleet = make(
        config(
            {"address": "127.0.0.1", "name": "one", "pool": "spare"},
            {"address": "127.0.0.2", "name": "two"},
            pools=accounts,
            fleet={"pool": "main"},
        )
    )
    assert [one.payer and one.payer.configured for one in fleet.miners.values()] == ["spare", "main"]


# --- how a miner is asked


async def test_a_configured_name_is_held_against_the_networks() -> None:
    async def lookup(_: str) -> list[str]:
        return ["203.0.113.7"]

    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, lookup=lookup)
        miner = {"address": "miner.test", "name": "one"}
        fleet = make(config(miner, fleet={"allowed_networks": ["127.0.0.0/8"]}), outgoing=outgoing)
        look, page = await fleet.miners["one"].probe(outgoing.clock() + 5)
    assert look.error
    assert look.error.reason is Reason.REFUSED
    assert page.value(c.SCRAPE_FAILURE, "refused") == 1.0


async def test_a_configured_address_needs_no_network() -> None:
    fleet = make(config({"address": "127.0.0.9", "name": "one"}))
    one = client_of(fleet.miners["one"])
    assert [str(address) for address in await one.permitted()] == ["127.0.0.9"]
    assert not one._policy.allows(ipaddress.ip_address("127.0.0.8"))


def test_the_settings_of_requests() -> None:
    fleet = make(
        config(
            {"address": "https://127.0.0.1:8443", "name": "one", "fingerprint": FINGERPRINT},
            {"address": "127.0.0.2", "name": "two"},
            pools=(account("main"),),
            fleet={"retries": 3, "max_response_bytes": 2048},
        )
    )
    one, two, main = (client_of(target, 77.0) for target in fleet)
    for client in (one, two, main):
        assert (client._retries, client._max_bytes, client.deadline) == (3, 2048, 77.0)
        assert client._outgoing is fleet._outgoing
    assert str(one.endpoint) == "https://127.0.0.1:8443"
    assert isinstance(one._tls, aiohttp.Fingerprint)
    assert one._tls.fingerprint.hex() == FINGERPRINT.lower()
    assert two._tls is True
    assert main._tls is True
    assert one._allowance is None
    assert main._allowance is fleet.budgets["prohashing", "main"]
    assert str(main.endpoint) == "127.0.0.1:9"
    # A pool's URL is the owner's own word.
    assert main._policy.allows(ipaddress.ip_address("203.0.113.7"))


def test_a_ca_file_is_used_and_one_that_was_renewed_is_read_again(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    fleets = [None]
    for _ in range(2):
        make_certificate(authority)
        configuration = config({"address": "https://miner.test", "name": "one", "ca_file": str(authority)})
        fleets.append(make(configuration, fleets[-1]))
        context = client_of(fleets[-1].miners["one"])._tls
        assert isinstance(context, ssl.SSLContext)
        assert context.get_ca_certs(binary_form=True) == [ssl.PEM_cert_to_DER_cert(authority.read_text())]


@pytest.mark.parametrize("name", ["one", "main"])
def test_breakers_and_patience(name: str) -> None:
    clock = FakeClock()
    sections: dict[str, Any] = {
        "fleet": {"timeout_seconds": 0.5, "min_interval_seconds": 4},
        "breaker": {
            "vnish": {"failure_threshold": 7, "timeout_seconds": 70},
            "prohashing": {"failure_threshold": 8, "timeout_seconds": 80},
        },
    }
    pools = (account("main", sync_interval_seconds=90),)
    fleet = make(config({"address": "127.0.0.1", "name": "one"}, pools=pools, **sections), clock=clock)
    reader = (fleet.miners | fleet.pools)[name].reader
    breaker = reader.breaker
    assert (breaker.failure_threshold, breaker.open_seconds) == ((7, 70.0) if name == "one" else (8, 80.0))
    assert reader._least_seconds == 0.5
    assert (reader._reuse_seconds, reader._reuse_failure_seconds) == ((4, 4) if name == "one" else (90, 4))
    for _ in range(breaker.failure_threshold):
        permit = breaker.admit()
        assert permit
        breaker.failure(permit)
    clock.advance(breaker.open_seconds - 1)
    assert breaker.state is State.OPEN
    clock.advance(1)
    assert breaker.state is State.HALF_OPEN


class Guarded:
    """A miner's address where every path is closed; it remembers what was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        key = request.headers.get("x-api-key")
        self.asked.append((request.method, request.path, key, await request.text()))
        return web.Response(status=401)


@pytest.fixture
async def guarded() -> AsyncIterator[tuple[Guarded, str]]:
    guard = Guarded()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", guard.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        yield guard, f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("settings", "logins", "key"),
    [
        ({}, [], None),
        ({"password": "pw1"}, ['{"pw": "pw1"}'], None),
        ({"api_key": "key1"}, [], "key1"),
    ],
)
async def test_credentials_reach_their_miner(
    guarded: tuple[Guarded, str],
    outgoing: Outgoing,
    settings: dict[str, Any],
    logins: list[str],
    key: str | None,
) -> None:
    guard, address = guarded
    fleet = make(config({"address": address, "name": "one", "api": "v1", **settings}), outgoing=outgoing)
    look, _ = await fleet.miners["one"].probe(outgoing.clock() + 60)
    assert look.error
    assert look.error.reason is Reason.UNAUTHORISED
    assert [text for method, _, _, text in guard.asked if method == "POST"] == logins
    assert {sent for method, _, sent, _ in guard.asked if method == "GET"} == {key}


@pytest.mark.parametrize("full_detail", [True, False])
async def test_full_detail_is_worth_a_login_where_none_is_needed(
    outgoing: Outgoing, *, full_detail: bool
) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        miner = {"address": f"{host.address}:{host.port}", "name": "l9", "password": "pw1"}
        fleet = make(config({**miner, "full_detail": full_detail}), outgoing=outgoing)
        await fleet.miners["l9"].probe(outgoing.clock() + 60)
        assert ("POST" in [method for method, _ in host.requests]) is full_detail


async def test_after_a_refused_login_a_miner_is_left_alone_by_the_fleets_clock(
    guarded: tuple[Guarded, str],
) -> None:
    guard, address = guarded
    clock = FakeClock()
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, clock=clock)
        miner = {"address": address, "name": "one", "api": "v1", "password": "pw1"}
        fleet = make(config(miner), outgoing=outgoing)
        for _ in range(3):
            await fleet.miners["one"].probe(clock() + 60)
            clock.advance(31)
        logins = [method for method, *_ in guard.asked].count("POST")
        clock.advance(3600)
        await fleet.miners["one"].probe(clock() + 60)
        assert [method for method, *_ in guard.asked].count("POST") == logins + 1


async def test_old_firmware_gets_its_password_by_digest(outgoing: Outgoing) -> None:
    sent: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Authorization", ""))
        challenge = 'Digest realm="miner", nonce="n1"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    def hashed(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        miner = {"address": f"127.0.0.1:{server.port}", "name": "one", "api": "cgi", "password": "pw1"}
        fleet = make(config(miner), outgoing=outgoing)
        await fleet.miners["one"].probe(outgoing.clock() + 60)
    [header] = [header for header in sent if header]
    uri = re.findall('uri="([^"]+)"', header)[0]
    assert hashed(f"{hashed('root:miner:pw1')}:n1:{hashed(f'GET:{uri}')}") in header


def names(page: Page) -> set[str]:
    return {metric.name for metric, samples in page.families() if samples}


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ("chips", {"vnish_chip_hashrate_hashes_per_second"}),
        ("boards", {"vnish_board_hashrate_hashes_per_second", "vnish_chip_hashrate_hashes_per_second"}),
        ("pools", {"vnish_pool_active"}),
    ],
)
async def test_what_is_not_collected_is_not_asked_for(off: str, gone: set[str]) -> None:
    parts = {
        "vnish_chip_hashrate_hashes_per_second",
        "vnish_board_hashrate_hashes_per_second",
        "vnish_pool_active",
    }
    async with Simulation([L9]) as simulation, Outgoing.open_session() as session:
        outgoing = Outgoing(session)
        host = simulation.miners["l9"]
        miner = {"address": f"{host.address}:{host.port}", "name": "l9"}
        for collect, expected in (({}, parts), ({off: False}, parts - gone)):
            fleet = make(config(miner, fleet={"collect": collect}), outgoing=outgoing)
            _, page = await fleet.miners["l9"].probe(outgoing.clock() + 60)
            assert page.value(c.UP) == 1.0
            if off == "boards" and collect:
                assert "vnish_board_hashrate_hashes_per_second" not in names(page)
            else:
                assert names(page) & parts == expected


async def test_chips_are_asked_for_once_an_interval() -> None:
    clock = FakeClock()
    async with Simulation([L9]) as simulation, Outgoing.open_session() as session:
        host = simulation.miners["l9"]
        miner = {"address": f"{host.address}:{host.port}", "name": "l9"}
        fleet = make(
            config(miner, fleet={"chips_interval_seconds": 60, "min_interval_seconds": 0}),
            outgoing=Outgoing(session, clock=clock),
        )
        counts = []
        for _ in range(4):
            await fleet.miners["l9"].probe(clock() + 60)
            counts.append(sum(path.endswith("/chains") for _, path in host.requests))
            clock.advance(30)
        assert counts == [1, 1, 2, 2]


async def test_the_interface_and_the_algorithm_of_the_simple_shape(outgoing: Outgoing) -> None:
    async with Simulation([SIMPLE]) as simulation:
        host = simulation.miners["simple"]
        miner = {"address": f"{host.address}:{host.port}", "name": "m", "api": "simple"}
        for algorithm in ("scrypt", "sha256d", None):
            fleet = make(config({**miner, "algorithm": algorithm}), outgoing=outgoing)
            look, page = await fleet.miners["m"].probe(outgoing.clock() + 60)
            assert look.reading.identity.algorithm == algorithm
            assert page.value(c.UP) == 1.0
        assert not any("/api/" in path for _, path in host.requests)


# --- pools


async def test_a_pools_settings_reach_its_page() -> None:
    wall = FakeClock(5010)
    pool = account(max_age_minutes=3, rate_limit_requests_per_hour=99, labels={"owner": "a"})
    fleet = make(config(pools=(pool,)), wall_clock=wall)
    target = fleet.pools["prohashing"]
    assert target.instance == target.module == "prohashing"
    assert target.labels == {"owner": "a"}

    async def read(_: Client) -> PoolReading:
        return PoolReading([Profitability("scrypt", timestamp=5000.0, usd=1e-14)])

    target.reader._read = read
    _, page = await target.probe(1e12)
    assert page.value(c.MINING_POOL_INFO, "prohashing") == 1.0
    assert page.value(c.THRESHOLD_POOL_DATA_AGE) == 180.0
    assert page.value(c.MINING_POOL_BUDGET_LIMIT) == 99.0
    assert page.value(c.MINING_POOL_LAST_SUCCESS) == 5010.0
    assert c.MINING_POOL_USD in dict(page.families())
    wall.advance(171)
    _, page = await target.probe(1e12)
    assert c.MINING_POOL_USD not in dict(page.families()), "its figures are over three minutes old"


def test_a_source_gets_the_environment_and_the_clocks() -> None:
    wall = FakeClock()
    fleet = make(
        config(pools=(Account("prohashing", drivers()["prohashing"].Settings()),)),
        environ={"PROHASHING_SERVER_HOST": "127.0.0.5", "PROHASHING_SERVER_PORT": "3001"},
        wall_clock=wall,
    )
    assert str(client_of(fleet.pools["prohashing"]).endpoint) == "127.0.0.5:3001"
    context = fleet._context
    assert (context.clock, context.wall_clock) == (fleet._clock, wall)
    assert context.sleep is fleet._outgoing.sleep


async def test_workers_of_an_account_are_joined_to_miners_also_after_a_reload() -> None:
    miners = (
        {"address": "127.0.0.1", "name": "one", "worker": "w1"},
        {"address": "127.0.0.2", "name": "two"},
    )
    first = make(config(*miners, pools=(account("main"),)))
    miners[0]["worker"] = "w3"
    second = make(config(*miners, pools=(account("main"),)), first)

    async def read(_: Client) -> PoolReading:
        return PoolReading(workers=[Worker("me.w1"), Worker("me.two"), Worker("me.w3")])

    reader = second.pools["main"].reader
    assert reader is first.pools["main"].reader
    reader._read = read
    _, page = await second.pools["main"].probe(1e12)
    assert set(page.family(c.MINING_POOL_WORKER_MINER)) == {("me.w3", "one"), ("me.two", "two")}


def test_a_source_that_keeps_a_connection_makes_it_as_the_fleet_does_and_spends_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contexts: list[Context] = []
    driver = drivers()["prohashing"]
    source = driver.source
    monkeypatch.setattr(
        driver, "source", lambda settings, context: contexts.append(context) or source(settings, context)
    )
    fleet = make(config(pools=(account("main"),)))
    [context] = contexts
    assert context.allowance is fleet.budgets["prohashing", "main"]
    assert context.rng is fleet._outgoing.rng
    assert isinstance(context.connect, partial)
    assert context.connect.func == fleet._outgoing.connect
    [policy] = context.connect.args
    assert policy.allows(ipaddress.ip_address("203.0.113.7"))


# --- the market

DATED = "2026-11-10"
NOW = 1_794_268_800.0 + 3600
MARKET: dict[str, Any] = {
    "network": ["litesolo"],
    "prices": ["kraken"],
    "base_urls": {"kraken": "http://127.0.0.1:9"},
    "sync_interval_seconds": 120,
    "max_age_minutes": 3,
}


def test_the_market_is_a_target_of_its_own_name() -> None:
    fleet = make(config({"address": "127.0.0.1", "name": "one"}, market={**MARKET, "labels": {"site": "b"}}))
    market = fleet.market
    assert market is not None
    assert fleet.find("market") is fleet.find("market", "market") is market
    assert fleet.find("one").instance == "one"
    assert [target.instance for target in fleet] == ["one", "market"]
    assert market.settings is fleet.config.market
    assert (market._clock, market._wall_clock) == (fleet._clock, fleet._wall_clock)
    for text, module, message in (
        ("market", "vnish", "not a configured name and not an address"),
        ("one", "market", "the target of market is market, if it is configured"),
    ):
        with pytest.raises(UnknownTargetError) as caught:
            fleet.find(text, module)
        assert str(caught.value) == message
        assert caught.value.forbidden is False
    without = make(config({"address": "127.0.0.1", "name": "one"}))
    assert without.market is None
    for module in (None, "market"):
        with pytest.raises(UnknownTargetError):
            without.find("market", module)


def test_how_a_market_source_is_asked() -> None:
    fleet = make(
        config(
            market=MARKET,
            fleet={
                "retries": 3,
                "max_response_bytes": 2048,
                "min_interval_seconds": 4,
                "timeout_seconds": 0.5,
            },
            breaker={"market": {"failure_threshold": 7, "timeout_seconds": 70}},
        )
    )
    assert fleet.market
    assert list(fleet.market.readers) == ["litesolo", "kraken"]
    assert set(fleet.budgets) == {("market", "litesolo"), ("market", "kraken")}
    for name, endpoint in (("litesolo", "https://litesolo.org"), ("kraken", "127.0.0.1:9")):
        reader = fleet.market.readers[name]
        assert fleet.readers["market", name][1] is reader
        assert reader.name == f"market {name}"
        assert (reader.breaker.failure_threshold, reader.breaker.open_seconds) == (7, 70.0)
        assert reader.breaker._clock is reader._clock is fleet._clock
        assert (reader._reuse_seconds, reader._reuse_failure_seconds) == (120, 60)
        assert reader._least_seconds == 0.5
        client = reader.open_client(77.0)
        assert (client._retries, client._max_bytes, client.deadline) == (3, 2048, 77.0)
        assert client._outgoing is fleet._outgoing
        assert str(client.endpoint) == endpoint
        assert client._policy.allows(ipaddress.ip_address("203.0.113.7"))
        budget = client._allowance
        assert budget is fleet.budgets["market", name]
        assert (budget.limit, budget._clock) == (market_drivers()[name].REQUESTS_PER_HOUR, fleet._clock)
        source = reader._read.__self__
        assert source.endpoint == client.endpoint
        assert (source._driver, source._max_age_seconds) == (market_drivers()[name], 180)
        assert source._wall_clock is fleet._wall_clock
        budget.spend()
        page = Page()
        reader.kind.beside(page, 7.0)
        assert page.value(c.MARKET_SOURCE_REQUESTS, name) == 1
        assert page.value(c.MARKET_SOURCE_LAST_SUCCESS, name) == 5003.0
        assert (reader.kind.shown_seconds, reader.kind.labels) == (180, (name,))


@pytest.mark.parametrize(
    ("section", "changed", "anew"),
    [
        ("market", {"sync_interval_seconds": 130}, {"litesolo", "kraken"}),
        ("market", {"max_age_minutes": 4}, {"litesolo", "kraken"}),
        ("market", {"base_urls": {"kraken": "http://127.0.0.1:10"}}, {"kraken"}),
        ("market", {"fee_percent": 2}, set()),
        ("fleet", {"retries": 5}, {"litesolo", "kraken"}),
        ("breaker", {"market": {"failure_threshold": 9}}, {"litesolo", "kraken"}),
        ("breaker", {"vnish": {"failure_threshold": 9}}, set()),
    ],
)
def test_a_market_source_stays_while_it_is_asked_the_same(
    section: str, changed: dict[str, Any], anew: set[str]
) -> None:
    before = make(config(market=MARKET))
    sections: dict[str, Any] = {"market": MARKET}
    sections[section] = {**sections.get(section, {}), **changed}
    after = make(config(**sections), before)
    assert before.market
    assert after.market
    old, new = before.market.readers, after.market.readers
    assert {name for name in new if new[name] is not old[name]} == anew
    assert after.budgets["market", "kraken"] is before.budgets["market", "kraken"]


@pytest.mark.parametrize(("fee", "kept"), [(None, 1.0), (4, 0.96)])
@pytest.mark.parametrize(("pool", "priced"), [("viabtc", True), ("powerpool", False)])
async def test_the_market_prices_the_hashes_of_an_account_that_pays_what_they_find(
    pool: str, fee: float | None, kept: float, *, priced: bool
) -> None:
    settings = drivers()[pool].Settings(base_url="http://127.0.0.1:9", api_key="key", fee_percent=fee)
    clock = FakeClock()
    market = {
        "network": ["litesolo"],
        "prices_usd": {"LTC": 42.5, "DOGE": 0.0726},
        "prices_date": DATED,
        "fee_percent": 50,
    }
    fleet = make(
        config(pools=(Account(pool, settings),), market=market),
        clock=clock,
        wall_clock=lambda: NOW,
    )
    deadlines: list[float] = []

    def open_client(deadline: float) -> Any:
        deadlines.append(deadline)
        return SimpleNamespace(steps=[])

    async def read(_: Client) -> PoolReading:
        return PoolReading(hashrate={"now": 1e9})

    async def tell(_: Client) -> MarketReading:
        coins = {"LTC": (1.05e8, 6.25), "DOGE": (4.2e7, 10_000.0)}
        return MarketReading({coin: CoinFigures(Network(one, None, of)) for coin, (one, of) in coins.items()})

    assert fleet.market
    target = fleet.pools[pool]
    for reader, source in ((target.reader, read), (fleet.market.readers["litesolo"], tell)):
        reader._read = source
        reader.open_client = open_client
    look, page = await target.probe(clock() + 100)
    assert look.up
    assert deadlines == [clock() + 100] * 2
    assert page.value(c.MINING_POOL_HASHRATE, "now") == 1e9
    by_hand = {
        ("scrypt", "LTC", "computed"): 6.25 / (1.05e8 * 2**32) * 42.5 * (kept if fee is not None else 0.5),
        ("scrypt", "DOGE", "computed"): 1e4 / (4.2e7 * 2**32) * 0.0726 * (kept if fee is not None else 0.5),
    }
    assert page.family(c.MINING_POOL_USD) == (near(by_hand) if priced else {})
    failed = Look(clock() + 1e6, error=ProbeError(Reason.CONNECTION, "gone"))
    clock.advance(1e6)
    assert target.page(failed).family(c.MINING_POOL_USD) == {}, "of an account that is not shown, no price is"


# --- reload

ONE = {"address": "127.0.0.1", "name": "one", "password": "first", "ca_file": None}
# Another valid value for every setting: whoever adds one says here what it is.
OTHER_MINER: dict[str, Any] = {
    "address": "127.0.0.2",
    "name": "other",
    "worker": "w",
    "labels": {"site": "b"},
    "api": "v1",
    "password": "second",
    "password_file": None,
    "api_key": "key",
    "api_key_file": None,
    "full_detail": True,
    "expected_pools": ["pool.example"],
    "ca_file": None,
    "fingerprint": FINGERPRINT,
    "algorithm": "scrypt",
    "power_watts": 100,
    "pool": "main",
    "thresholds": {"temperature_critical": 85},
}
OTHER_FLEET: dict[str, Any] = {
    "miner_ips": ["127.0.0.9"],
    "miners": None,
    "allowed_networks": ["127.0.0.0/8"],
    "poll_interval_seconds": 20,
    "timeout_seconds": 1,
    "retries": 2,
    "min_interval_seconds": 1,
    "max_response_bytes": 5000,
    "collect": {"chips": False},
    "chips_interval_seconds": 9,
    "expected_pools": ["pool.example"],
    "pool_account": "me",
    "pool": "main",
}
OTHER_POOL: dict[str, Any] = {
    "name": "other",
    "labels": {"owner": "b"},
    "base_url": "http://127.0.0.1:10",
    "wamp_url": "ws://127.0.0.1:10/ws",
    "algorithm": "sha256d",
    "offline_after_minutes": 5,
    "stratum_hosts": ["pool.example"],
    "sync_interval_seconds": 5,
    "rate_limit_requests_per_hour": 7,
    "max_age_minutes": 2,
    "fee_percent": 3,
    "api_key": "key",
    "api_key_file": None,
    "account": "me",
    "stratum_url": "stratum+tcp://x.example:1",
    "static_difficulty": 3,
}


class TestReload:
    KEEPS: ClassVar = {"worker", "labels", "expected_pools", "power_watts", "pool", "thresholds"}
    FLEET_KEEPS: ClassVar = {"miner_ips", "poll_interval_seconds", "expected_pools", "pool_account", "pool"}
    FLEET_POOLS_HEED: ClassVar = {"timeout_seconds", "retries", "min_interval_seconds", "max_response_bytes"}

    def test_the_lists_are_whole(self) -> None:
        assert set(OTHER_MINER) == set(Miner.model_fields)
        assert set(OTHER_FLEET) == set(schema.Fleet.model_fields)
        assert set(OTHER_POOL) == set(drivers()["prohashing"].Settings.model_fields)

    @pytest.mark.parametrize(
        "setting", [key for key, value in OTHER_MINER.items() if value is not None and key != "name"]
    )
    def test_a_changed_miner_is_read_anew_if_it_is_asked_otherwise(self, setting: str) -> None:
        before = make(config(ONE))
        after = make(config({**ONE, setting: OTHER_MINER[setting]}), before)
        same = after.miners["one"].reader is before.miners["one"].reader
        assert same is (setting in self.KEEPS)

    @pytest.mark.parametrize("setting", [key for key, value in OTHER_FLEET.items() if value is not None])
    def test_a_changed_fleet_changes_those_it_concerns(self, setting: str) -> None:
        pools = (account("main"),)
        before = make(config(ONE, pools=pools))
        after = make(config(ONE, pools=pools, fleet={setting: OTHER_FLEET[setting]}), before)
        assert (after.miners["one"].reader is before.miners["one"].reader) is (setting in self.FLEET_KEEPS)
        same_pool = after.pools["main"].reader is before.pools["main"].reader
        assert same_pool is (setting not in self.FLEET_POOLS_HEED)

    @pytest.mark.parametrize(
        "setting", [key for key, value in OTHER_POOL.items() if value is not None and key != "name"]
    )
    def test_a_changed_account_is_read_anew_and_spends_from_the_same_budget(self, setting: str) -> None:
        before = make(config(pools=(account("main"), account("spare"))))
        before.budgets["prohashing", "main"].spend()
        after = make(
            config(pools=(account("main", **{setting: OTHER_POOL[setting]}), account("spare"))), before
        )
        assert after.pools["main"].reader is not before.pools["main"].reader
        assert after.pools["spare"].reader is before.pools["spare"].reader
        budget = after.budgets["prohashing", "main"]
        assert budget.spent == 1
        assert budget.limit == (7 if setting == "rate_limit_requests_per_hour" else 4500)
        assert client_of(after.pools["main"])._allowance is budget
        assert after.budgets["prohashing", "spare"] is not budget

    @pytest.mark.parametrize("module", ["vnish", "prohashing"])
    def test_a_changed_breaker_is_another(self, module: str) -> None:
        pools = (account("main"),)
        before = make(config(ONE, pools=pools))
        after = make(config(ONE, pools=pools, breaker={module: {"failure_threshold": 9}}), before)
        for name, own in (("one", "vnish"), ("main", "prohashing")):
            kept = (after.miners | after.pools)[name].reader is (before.miners | before.pools)[name].reader
            assert kept is (own != module)

    def test_a_reader_has_the_place_of_its_module_and_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[str] = []
        monkeypatch.setattr(Relay, "close", lambda relay: closed.append(str(relay.endpoint)))
        fleet = make(config(ONE, pools=(account("main"),)))
        assert set(fleet.readers) == {("vnish", "one"), ("prohashing", "main")}
        assert set(fleet.budgets) == {("prohashing", "main")}
        fleet.close()
        assert closed == ["127.0.0.1:9"]

    def test_who_stays_keeps_his_reader_and_who_goes_is_closed_once(self) -> None:
        closed: list[str] = []

        def watch(fleet: Fleet) -> None:
            for target in fleet:
                reader: Reader[Any] = target.reader
                reader.close = lambda name=target.instance: closed.append(name)

        two = {"address": "127.0.0.2", "name": "two"}
        first = make(config(ONE, two, pools=(account("main"), account("spare"))))
        watch(first)
        second = make(config(ONE, pools=(account("main"), account("spare", max_age_minutes=1))), first)
        assert sorted(closed) == ["spare", "two"]
        assert second.miners["one"].reader is first.miners["one"].reader
        assert second.pools["main"].reader is first.pools["main"].reader
        closed.clear()
        watch(second)
        # Names may change places: the reader of one address is not given to another.
        third = make(config({**ONE, "name": "two"}, {**two, "name": "one"}), second)
        assert sorted(closed) == ["main", "one", "spare"]
        assert str(client_of(third.miners["one"]).endpoint) == "127.0.0.2"
        closed.clear()
        watch(third)
        third.close()
        assert sorted(closed) == ["one", "two"]


def test_a_port_of_no_miner_is_forbidden_and_said_so(named: Fleet) -> None:
    with pytest.raises(UnknownTargetError) as caught:
        named.find("127.0.0.9:9999")
    assert str(caught.value) == "the port is none of miners: 80, 443 and those of configured miners are"
    assert caught.value.forbidden
    assert named.find("https://127.0.0.9").instance == "https://127.0.0.9"


@pytest.mark.parametrize("expected", ["pool.example", "stratum+tcp://Pool.example", "pool.example:3333"])
def test_an_expected_pool_is_a_host_with_or_without_its_scheme(expected: str) -> None:
    fleet = make(config({"address": "127.0.0.1", "name": "one", "expected_pools": [expected]}))
    audit = fleet.miners["one"].audit
    assert audit
    assert audit.hosts == {expected.lower().removeprefix("stratum+tcp://")}
