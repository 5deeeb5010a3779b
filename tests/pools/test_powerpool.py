"""PowerPool: units that change, answers of nothing, and workers listed where they do nothing."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.pools.metrics import samples, usd_per_hash
from exporter.pools.powerpool.account import Rates, rates_of, reading
from exporter.pools.reading import PoolReading
from exporter.pools.workers import MOST_WORKERS
from exporter.simulator.simulation import MinerSpec
from tests.conftest import FakeClock, near
from tests.pools.mangled import mangled
from tests.pools.sites import assert_fails_with, clocked_pool, pool_page, pool_site

NOTHING = {"hashrate": 0, "hashrate_units": "KH/s", "hashrate_avg": 0, "hashrate_avg_units": "KH/s"}
# The figures of the user and the first worker are as the pool gave them in July 2025.
USER: dict[str, Any] = {
    "hashrate": {
        "scrypt": {
            "hashrate": 2.6713,
            "hashrate_units": "GH/s",
            "hashrate_avg": 2.5288,
            "hashrate_avg_units": "GH/s",
            "estimated_24h_usd_revenue": 3.5178,
        },
        "sha256": {**NOTHING, "estimated_24h_usd_revenue": 0},
        "equihash": {"hashrate": 12, "hashrate_units": "Sol/s"},
    },
    "balances": [
        {"coin": 2, "coinTicker": "DOGE", "balance": 39.50},
        {"coin": 1, "coinTicker": "BTC", "balance": 0},
        {"coin": 3, "coinTicker": "LTC", "balance": 0},
    ],
    "workers": {
        "sha256": [
            {
                "name": "user.rig",
                "valid_shares": 0,
                "invalid_shares": 0,
                "stale_shares": 0,
                "blocks": 0,
                **NOTHING,
            },
            {"name": "user.s19", "valid_shares": 12, "invalid_shares": 0, "stale_shares": 0, **NOTHING},
        ],
        "scrypt": [
            {
                "id": 4590516,
                "algorithm": "scrypt",
                "name": "user.rig",
                "valid_shares": 1072524,
                "invalid_shares": 1785,
                "stale_shares": 4494,
                "blocks": 7,
                "hashrate": 2671.3,
                "hashrate_units": "MH/s",
                "hashrate_avg": 2.53,
                "hashrate_avg_units": "GH/s",
            },
            {"name": "user.new", "valid_shares": 0, "invalid_shares": 0, "stale_shares": 0, **NOTHING},
        ],
    },
    "payments": [
        {"address": "D1", "value": 100.19, "timestamp": 1752544800.13, "ticker": "DOGE", "txid": "a"},
        {"address": "D1", "value": 90, "timestamp": 1752458400.5, "ticker": "DOGE", "txID": "b"},
        {"address": "L1", "value": "0.5", "timestamp": 1752358400.5, "ticker": "LTC", "txID": "c"},
    ],
}
POOL: dict[str, Any] = {
    "pools": {
        "scrypt": {"BTCpayRate": 1.2e-5, "payRateUnits": "GH", "payRateConversion": 1e9, "fee": 1},
        "x11": {"BTCpayRate": 5},
    },
    "prices": {"BTC": 117_000.0, "LTC": "95.5", "KAS": 0.1},
}
MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


def read(user: dict[str, Any] = USER, rates: Rates | None = None) -> PoolReading:
    return reading(user, rates or Rates(), "scrypt", set(), Counter())


def page_of(found: PoolReading) -> Page:
    page = Page()
    assert samples(found, page, 1.7526e9, 1.7526e9, 600.0) == {}
    return page


def test_the_values_of_two_coins_and_three_workers() -> None:
    found = read(rates=rates_of(POOL, Counter()))
    page = page_of(found)
    assert page.value(c.MINING_POOL_HASHRATE, "now") == 2.6713e9
    assert page.value(c.MINING_POOL_HASHRATE, "24h") is None, "over which time the average is, nobody says"
    assert page.value(c.MINING_POOL_WORKERS, "online") == 1
    assert page.value(c.MINING_POOL_WORKERS, "offline") == 2
    assert {worker.name for worker in found.workers} == {"user.rig", "user.s19", "user.new"}
    assert page.value(c.MINING_POOL_WORKER_HASHRATE, "user.rig", "now") == pytest.approx(2.6713e9)
    assert page.value(c.MINING_POOL_WORKER_SHARES_ACCEPTED, "user.rig") == 1072524
    assert page.value(c.MINING_POOL_WORKER_SHARES_REJECTED, "user.rig") == 1785
    assert page.value(c.MINING_POOL_WORKER_SHARES_STALE, "user.rig") == 4494
    assert page.value(c.MINING_POOL_WORKER_SHARES_ACCEPTED, "user.s19") == 12
    assert page.value(c.MINING_POOL_WORKER_HASHES_ACCEPTED, "user.rig") is None
    assert page.value(c.MINING_POOL_BALANCE, "DOGE", "confirmed") == 39.5
    assert page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed") == 0, "it was paid in that before"
    assert page.value(c.MINING_POOL_BALANCE, "BTC", "confirmed") is None, "one of all coins the pool lists"
    assert page.value(c.MINING_POOL_LAST_PAYOUT, "DOGE") == 100.19
    assert page.value(c.MINING_POOL_LAST_PAYOUT_TIME, "DOGE") == 1752544800.13
    assert page.value(c.MINING_POOL_LAST_PAYOUT, "LTC") == 0.5
    assert page.value(c.MINING_POOL_FEE) == 0.01
    assert page.value(c.COIN_PRICE_USD, "BTC", "pool") == 117_000
    assert page.value(c.COIN_PRICE_USD, "LTC", "pool") == 95.5
    # 1.391 USD for a day of a GH/s, as recorded.
    assert usd_per_hash(page)["scrypt"] * 1e9 * 86_400 == pytest.approx(1.391, abs=5e-4)
    assert page.value(c.MINING_POOL_BTC, "scrypt", "", "pool") == near(1.2e-5 / 1e9 / 86_400)


def test_an_account_that_does_not_hash_has_no_estimate_but_the_pools_rate() -> None:
    user = deepcopy(USER)
    user["hashrate"]["scrypt"] |= {"hashrate_avg": 0, "estimated_24h_usd_revenue": 0}
    assert read(user).profitability == []
    [quote] = read(user, rates_of(POOL, Counter())).profitability
    assert quote.usd == near(1.2e-5 / 1e9 / 86_400 * 117_000)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"BTCpayRate": 2, "payRateUnits": "GH"}, 2e-9),
        ({"btc_pay_rate": "2", "pay_rate_units": "BTC/MH/day"}, 2e-6),
        ({"BTCPayRate": 2, "payRateConversion": 1e12}, 2e-12),
        ({"BTCpayRate": 2, "payRateUnits": "MH", "payRateConversion": 1e9}, None),
        ({"BTCpayRate": 2}, None),
        ({"BTCpayRate": 2, "payRateUnits": "Sol"}, None),
        ({"BTCpayRate": None, "payRateUnits": "GH"}, None),
    ],
)
def test_a_rate_is_read_in_any_spelling_and_not_without_its_unit(
    pool: dict[str, Any], expected: float | None
) -> None:
    found = rates_of({"pools": {"Scrypt": pool}}, Counter())
    assert found.btc.get("scrypt") == (None if expected is None else near(expected / 86_400))


def test_a_rate_far_from_the_pools_own_estimate_is_dropped_and_counted() -> None:
    odd: Counter[str] = Counter()
    rates = rates_of({**POOL, "pools": {"scrypt": {"BTCpayRate": 1.2e-2, "payRateUnits": "GH"}}}, odd)
    [quote] = reading(USER, rates, "scrypt", set(), odd).profitability
    assert quote.btc is None
    assert quote.usd is not None
    assert odd["pools.*.BTCpayRate"] == 1


async def test_over_a_socket_it_is_what_the_miners_hash(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "powerpool", MINERS) as site:
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert page["mining_pool_workers"] == {(("state", "online"),): 3, (("state", "offline"),): 0}
        truth = sum(host.miner.owner_rate() for host in site.simulation.miners.values())
        hashes = page["mining_pool_hashrate_hashes_per_second"][(("window", "now"),)]
        assert hashes == pytest.approx(truth, rel=0.2)
        account = site.simulation.account
        worth = sum(account.coins_per_hash(ticker) * one.usd for ticker, one in account.networks.items())
        [usd] = page["mining_pool_profitability_usd_per_hash"].values()
        assert usd == near(worth)
        [btc] = page["mining_pool_profitability_btc_per_hash"].values()
        assert btc == near(worth / 61_000)
        for _ in range(5):
            await pool_page(site)
        assert site.host.too_fast == []


async def test_hours_of_scraping_with_units_that_change(tmp_path: Path, clock: FakeClock) -> None:
    async with clocked_pool(tmp_path, "powerpool", MINERS, clock) as (host, target):
        host.account.inject("unit_flip")
        rates = []
        for _ in range(4 * 60):
            _, page = await target.probe(clock() + 9.5)
            rates.append(page.value(c.MINING_POOL_HASHRATE, "now") or 0)
            clock.advance(15)
        assert host.too_fast == []
        assert host.asked == {"/api/user": 60, "/api/pool": 12}
        assert max(rates) < 2 * min(rates)
        host.account.repair()
        host.account.inject("vanishing_worker")
        clock.advance(60)
        _, page = await target.probe(clock() + 9.5)
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "account.l9-1") == 0
        assert page.value(c.MINING_POOL_WORKERS, "offline") == 1
        accepted = page.value(c.MINING_POOL_WORKER_SHARES_ACCEPTED, "account.l9-2") or 0
        host.account.inject("counter_reset")
        clock.advance(60)
        _, page = await target.probe(clock() + 9.5)
        assert (page.value(c.MINING_POOL_WORKER_SHARES_ACCEPTED, "account.l9-2") or 0) < accepted


async def test_nothing_is_first_nothing_and_then_a_wrong_key(tmp_path: Path, clock: FakeClock) -> None:
    async with clocked_pool(tmp_path, "powerpool", MINERS, clock) as (host, target):
        await target.probe(clock() + 9.5)
        host.account.inject("wrong_key")
        reasons = []
        for _ in range(4):
            clock.advance(60)
            look, page = await target.probe(clock() + 9.5)
            assert look.error is not None
            reasons.append(str(look.error.reason))
            assert page.value(c.MINING_POOL_UP) == 0
            assert page.value(c.MINING_POOL_HASHRATE, "now") is not None, "the last good figures stand"
        assert reasons == ["empty", "empty", "unauthorised", "unauthorised"]
        host.account.repair()
        clock.advance(120)
        look, _ = await target.probe(clock() + 9.5)
        assert look.up
        host.account.inject("wrong_key")
        clock.advance(60)
        look, _ = await target.probe(clock() + 9.5)
        assert look.error is not None
        assert str(look.error.reason) == "empty", "an answer in between begins the count anew"


async def test_a_pool_that_fails_is_not_hammered(tmp_path: Path, clock: FakeClock) -> None:
    async with clocked_pool(tmp_path, "powerpool", MINERS, clock) as (host, target):
        host.account.inject("throttled")
        for _ in range(300):
            await target.probe(clock() + 9.5)
            clock.advance(5)
        assert host.too_fast == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "empty"),
        ("unknown_account", "empty"),
        ("throttled", "throttled"),
        ("ip_not_allowed", "unauthorised"),
        ("html", "html"),
        ("empty", "empty"),
        ("truncated", "not_json"),
        ("http_500", "http_status"),
        ("dead", "connection"),
        ("hanging", "timeout"),
        ("key_echoed", "bad_shape"),
    ],
)
async def test_each_failure_has_its_reason_and_is_no_zero(tmp_path: Path, fault: str, reason: str) -> None:
    await assert_fails_with(tmp_path, "powerpool", MINERS, fault, reason)


@pytest.mark.parametrize("fault", ["numbers_as_text", "nulls", "hostile_names", "many_workers"])
async def test_odd_answers_give_no_zero_and_no_exception(tmp_path: Path, fault: str) -> None:
    async with pool_site(tmp_path, "powerpool", MINERS) as site:
        await site.simulation.inject("powerpool", fault)
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        names = {dict(labels)["worker"] for labels in page.get("mining_pool_worker_online", {})}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)
        if fault == "nulls":
            for series in ("balance_coins", "hashrate_hashes_per_second", "profitability_usd_per_hash"):
                assert f"mining_pool_{series}" not in page
        if fault == "numbers_as_text":
            assert page["mining_pool_worker_shares_accepted_total"]
        if fault == "many_workers":
            assert len(names) == MOST_WORKERS
            assert page["mining_pool_workers_cut"][()] > 3000


@settings(max_examples=200, deadline=None)
@given(user=mangled(USER), pool=mangled(POOL))
def test_mangled_answers_never_raise(user: dict[str, Any], pool: dict[str, Any]) -> None:
    odd: Counter[str] = Counter()
    found = reading(user, rates_of(pool, odd), "scrypt", set(), odd)
    page = Page()
    samples(found, page, 1.7526e9, 1.7526e9, 600.0)
    for metric, values in page.families():
        for value in values.values():
            assert metric.low <= value <= metric.high
