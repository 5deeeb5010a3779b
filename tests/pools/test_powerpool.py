"""PowerPool: units that change, answers of nothing, and workers listed where they do nothing."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings

from exporter import catalogue as c
from exporter.errors import ProbeError
from exporter.exposition import Page
from exporter.pools.metrics import samples, usd_per_hash
from exporter.pools.powerpool.account import Rates, rates_of, reading
from exporter.pools.reading import PoolReading
from exporter.pools.workers import MOST_WORKERS
from exporter.simulator.simulation import MinerSpec
from tests.conftest import FakeClock, near
from tests.pools.mangled import mangled
from tests.pools.sites import assert_fails_with, clocked_pool, pool_page, pool_site, source_of

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


def told(user: Any, pool: Any = None) -> Any:
    """What the pool says: *user* of the account, *pool* to everybody."""

    def answer(request: web.Request, _: str) -> Any:
        return user if request.path == "/api/user" else pool or {}

    return answer


ASK_USER, ASK_POOL = "/api/user?apiKey=k", "/api/pool"


@pytest.mark.parametrize(("minutes", "asked_after"), [(1, 60), (2, 120)])
async def test_each_call_has_its_rhythm(minutes: int, asked_after: int) -> None:
    user: Any = {"me": {"hashrate": {}}}
    settings: dict[str, Any] = {"sync_interval_seconds": 60 * minutes} if minutes > 1 else {}
    async with source_of("powerpool", told(user), api_key="k", **settings) as source:
        asked = []
        for seconds in (0, asked_after - 1, 1, 300 - asked_after):
            source.clock.advance(seconds)
            await source.read()
            asked.append(list(source.asked))
    assert asked == [[ASK_USER, ASK_POOL], [], [ASK_USER], [ASK_USER, ASK_POOL]]


async def test_prices_stand_for_ten_minutes_while_the_pool_tells_none() -> None:
    pool: Any = {"prices": {"BTC": 7}}

    def answer(request: web.Request, _: str) -> Any:
        return {"me": {"hashrate": {}}} if request.path == "/api/user" else pool

    async with source_of("powerpool", answer, api_key="k") as source:
        assert (await source.read()).networks["BTC"].price_usd == 7
        pool = []
        source.clock.advance(599)
        found = await source.read()
        assert found.networks["BTC"].price_usd == 7
        assert found.parts == {"user": True, "pool": False}
        assert source.steps[-1].problem == "bad_shape: /api/pool is not an object"
        source.clock.advance(1)
        assert (await source.read()).networks == {}


async def test_nothing_is_a_wrong_key_at_the_third_time() -> None:
    bodies: list[Any] = [{}, [], {"a": 7}, None, {}, [], None]
    async with source_of("powerpool", lambda *_: bodies[len(errors)], api_key="k") as source:
        errors: list[ProbeError] = []
        while len(errors) < len(bodies):
            errors.append(await source.refusal())
            assert source.steps[-1].problem == str(errors[-1])
            source.clock.advance(60)
    assert [(str(error.reason), error.detail) for error in errors] == [
        *[("empty", "/api/user answered with nothing")] * 2,
        ("bad_shape", "/api/user is not an account"),
        *[("empty", "/api/user answered with nothing")] * 2,
        ("unauthorised", "/api/user answered with nothing 3 times: the key is wrong"),
        ("unauthorised", "/api/user answered with nothing 4 times: the key is wrong"),
    ]


@pytest.mark.parametrize("body", [7, [7], {"a": 7}, {"a": {}}, {"a": {"balances": []}}])
async def test_what_is_no_account(body: Any) -> None:
    async with source_of("powerpool", lambda *_: body, api_key="k") as source:
        error = await source.refusal()
    assert (error.reason, error.detail) == ("bad_shape", "/api/user is not an account")


@pytest.mark.parametrize("body", [{"hashrate": {}}, {"workers": {}}])
async def test_what_is_an_account(body: Any) -> None:
    async with source_of("powerpool", told({"version": 7, "me": body}), api_key="k") as source:
        found = await source.read()
    assert found.workers_offline == 0


async def test_who_is_not_listed_any_more_is_offline_for_an_hour() -> None:
    user: Any = {"workers": {"scrypt": [row("a"), row("b")]}}
    async with source_of("powerpool", lambda *_: {"me": user}, api_key="k") as source:
        assert (await source.read()).workers_online == 2
        user["workers"]["scrypt"].pop()
        for seconds, offline in ((3599, 1), (0, 1), (3600, 0)):
            source.clock.advance(seconds)
            found = await source.read()
            assert (found.workers_online, found.workers_offline) == (1, offline)
            assert {worker.name: worker.online for worker in found.workers} == (
                {"a": True, "b": False} if offline else {"a": True}
            )


def row(name: Any, **figures: Any) -> dict[str, Any]:
    """A worker that hashes."""
    return {"name": name, "hashrate": 2, "hashrate_units": "GH/s", **figures}


def test_what_is_not_as_documented_is_counted_by_its_place() -> None:
    found = read(
        {
            "hashrate": {
                "scrypt": {"hashrate": 1, "hashrate_avg": 1, "estimated_24h_usd_revenue": "?"},
                "sha256": 7,
                "x11": 7,
            },
            "balances": [{"coinTicker": 7, "balance": 1}, {"coinTicker": "LTC", "balance": "?"}, 7],
            "payments": [
                {"ticker": "LTC", "timestamp": "soon", "value": 1},
                {"ticker": "LTC", "timestamp": 7, "value": "?"},
                {"ticker": 7, "timestamp": 7, "value": 1},
            ],
            "workers": {"scrypt": [row(7), {"name": "a", "hashrate": "?"}, 7], "sha256": 7, "x11": 7},
        }
    )
    assert found.unexpected == {
        "user.hashrate.scrypt.hashrate_units": 1,
        "user.hashrate.scrypt.hashrate_avg_units": 1,
        "user.hashrate.scrypt.estimated_24h_usd_revenue": 1,
        "user.hashrate.sha256": 1,
        "user.balances[].coinTicker": 1,
        "user.balances[].balance": 1,
        "user.balances[]": 1,
        "user.payments[].timestamp": 1,
        "user.payments[].value": 1,
        "user.payments[].ticker": 1,
        "user.workers.scrypt[].name": 1,
        # Once for whether it does anything, once as its rate.
        "user.workers.scrypt[].hashrate": 2,
        "user.workers.scrypt[]": 1,
        "user.workers.sha256": 1,
    }
    assert found.hashrate == {}
    assert found.coins == {}
    assert [(worker.name, worker.online, worker.hashrate) for worker in found.workers] == [("a", None, {})]
    assert found.workers_cut == 1, "one without a name"


def test_odd_rates_are_counted_by_their_place() -> None:
    odd: Counter[str] = Counter()
    found = rates_of(
        {
            "pools": {"scrypt": {"BTCpayRate": "?", "payRateUnits": 7, "fee": "much"}, "sha256": 7, "x11": 7},
            "prices": {"BTC": "?", "LTC": 0, "DOGE": -1},
        },
        odd,
    )
    assert found == Rates()
    assert odd == {"pools.*.btcpayrate": 1, "pools.*.payrateunits": 1, "prices.btc": 1}
    assert rates_of({"pools": 7, "prices": 7}, odd) == rates_of({}, odd) == Rates()


@pytest.mark.parametrize(
    ("fee", "ratio"),
    [(1, 0.01), ("1", 0.01), ("1%", 0.01), ("1.5 %", 0.015), (0, 0.0), (None, None), ("", None), ([], None)],
)
def test_a_fee_is_percent_with_or_without_the_sign(fee: Any, ratio: float | None) -> None:
    assert rates_of({"pools": {"scrypt": {"fee": fee}}}, Counter()).fee_ratio.get("scrypt") == ratio


@pytest.mark.parametrize(
    ("pool", "scale"),
    [
        ({"payRateUnits": "KH"}, 1e3),
        ({"payRateUnits": "kh/s"}, 1e3),
        ({"payRateUnits": "H"}, 1.0),
        ({"payRateUnits": "mBTC/TH/day"}, 1e12),
        ({"payRateUnits": "GHOST"}, None),
        ({"payRateConversion": 0, "payRateUnits": "MH"}, 1e6),
        ({"payRateConversion": -1, "payRateUnits": "MH"}, 1e6),
        ({"payRateConversion": 1}, 1.0),
        ({"payRateConversion": 0.5}, 0.5),
        ({"payRateConversion": 1_000_000.9, "payRateUnits": "MH"}, 1e6),
        ({"payRateConversion": 1_000_002, "payRateUnits": "MH"}, None),
        ({"payRateConversion": 999_998, "payRateUnits": "MH"}, None),
    ],
)
def test_what_a_rate_is_for(pool: dict[str, Any], scale: float | None) -> None:
    odd: Counter[str] = Counter()
    found = rates_of({"pools": {"SHA_256": {"BTCpayRate": 3, **pool}}}, odd)
    assert found.btc == ({} if scale is None else {"sha256d": near(3 / (scale * 86_400))})
    doubtful = scale is None and len(pool) == 2
    assert odd == ({"pools.*.payrateconversion": 1} if doubtful else {})


@pytest.mark.parametrize(
    ("apart", "believed"), [(9.9, True), (10.1, False), (1 / 9.9, True), (1 / 10.1, False)]
)
def test_two_figures_of_one_thing_are_apart_by_less_than_ten(apart: float, believed: bool) -> None:
    user = {
        "hashrate": {
            "scrypt": {"hashrate_avg": 1, "hashrate_avg_units": "H/s", "estimated_24h_usd_revenue": 4}
        }
    }
    earned = 4 / 86_400
    rates = Rates(btc={"scrypt": earned * apart / 50_000}, prices={"BTC": 50_000})
    [quote] = read(user, rates).profitability
    assert quote.usd == near(earned)
    assert quote.btc == (near(earned * apart / 50_000) if believed else None)


@pytest.mark.parametrize("revenue", [0, -1])
def test_an_estimate_of_nothing_says_nothing_of_the_pools_rate(revenue: float) -> None:
    user = {
        "hashrate": {
            "scrypt": {"hashrate_avg": 1, "hashrate_avg_units": "H/s", "estimated_24h_usd_revenue": revenue}
        }
    }
    [quote] = read(user, Rates(btc={"scrypt": 2e-9}, prices={"BTC": 50_000})).profitability
    assert (quote.usd, quote.btc) == (revenue / 86_400, 2e-9)


@pytest.mark.parametrize(("average", "revenue"), [(5, None), (5, "?"), (-5, 4), (0, 4), (None, 4)])
def test_without_hashes_and_their_revenue_there_is_no_estimate(average: Any, revenue: Any) -> None:
    speed = {"hashrate_avg": average, "hashrate_avg_units": "H/s", "estimated_24h_usd_revenue": revenue}
    assert read({"hashrate": {"scrypt": speed}}, Rates()).profitability == []


def test_a_rate_without_the_price_of_a_bitcoin_is_believed_and_worth_no_dollars() -> None:
    rates = Rates(btc={"scrypt": 2e-9, "sha256d": 3e-14})
    scrypt, sha256d = read(USER, rates).profitability
    assert (scrypt.algorithm, scrypt.btc) == ("scrypt", 2e-9)
    assert scrypt.usd is not None
    assert (sha256d.algorithm, sha256d.btc, sha256d.usd) == ("sha256d", 3e-14, None)


def test_only_an_account_of_an_algorithm_has_its_rate_and_fee() -> None:
    user = {"hashrate": {"Scrypt": {"hashrate": 0}, "SHA256": {"hashrate": 3, "hashrate_units": "TH/s"}}}
    rates = Rates(fee_ratio={"scrypt": 0.01, "sha256d": 0.02})
    found = reading(user, rates, "sha256d", set(), Counter())
    assert (found.hashrate, found.fee_ratio) == ({"now": 3e12}, 0.02)
    # Nothing needs no unit.
    assert read(user, rates).hashrate == {"now": 0}


IDLE = {"hashrate": 0}


@pytest.mark.parametrize(
    ("scrypt", "sha256", "kept"),
    [
        # What each row does, and whether the one of the account's algorithm counts, the other, or none.
        (IDLE, IDLE, "scrypt"),
        (IDLE, {"hashrate": 1}, "sha256"),
        ({"hashrate": 1}, {"hashrate": 1}, "scrypt"),
        ({"hashrate": 1}, IDLE, "scrypt"),
        (None, IDLE, None),
        (None, {"hashrate": 1}, "sha256"),
        *(
            (IDLE, IDLE | {count: 1}, "sha256")
            for count in ("valid_shares", "invalid_shares", "stale_shares", "blocks", "hashrate_avg")
        ),
    ],
)
@pytest.mark.parametrize("order", [("scrypt", "sha256"), ("sha256", "scrypt")])
def test_a_worker_under_two_algorithms_is_the_row_that_does_something(
    scrypt: dict[str, Any] | None, sha256: dict[str, Any] | None, kept: str | None, order: tuple[str, str]
) -> None:
    rows = {"scrypt": scrypt, "sha256": sha256}
    # Told apart by no stale shares, which is no work.
    shares = {"scrypt": {}, "sha256": {"stale_shares": 0}}
    listed = {name: [shares[name] | row("a") | did] for name in order if (did := rows[name]) is not None}
    found = [worker.shares_stale for worker in read({"workers": listed}).workers]
    if kept is None:
        assert found == []
    else:
        assert found == [(rows[kept] or {}).get("stale_shares", shares[kept].get("stale_shares"))]


def test_coins_are_told_once_the_account_had_some() -> None:
    held: set[str] = set()

    def balances(**told: float) -> dict[str, float | None]:
        listed = [{"coinTicker": ticker, "balance": balance} for ticker, balance in told.items()]
        found = reading({"balances": listed}, Rates(), "scrypt", held, Counter())
        return {ticker: coin.balance_confirmed for ticker, coin in found.coins.items()}

    assert balances(LTC=0, DOGE=2) == {"DOGE": 2}
    assert balances(ltc=0.5, DOGE=0, BTC=0) == {"LTC": 0.5, "DOGE": 0}
    assert balances(LTC=0) == {"LTC": 0}
    assert balances(**{"A-B": 1, "ABCDEFGHIJKLM": 1, "": 1}) == {}
    assert balances(ABCDEFGHIJKL=-1) == {}


def test_the_accounts_lists_are_read_to_a_bound() -> None:
    balances = [{"coinTicker": "KAS", "balance": 0}] * 999 + [{"coinTicker": "LTC", "balance": 2}]
    payments = [{"ticker": "DOGE", "timestamp": number, "value": number} for number in range(1, 1001)]
    workers = [row(f"{number % 40}") for number in range(20_000)]
    whole = {"balances": balances, "payments": payments, "workers": {"scrypt": workers}}
    found = read(whole)
    assert (found.coins["LTC"].balance_confirmed, found.coins["DOGE"].last_payout) == (2, 1000)
    assert len(found.workers) == 40
    assert not found.unexpected
    found = read({key: [None, *value] for key, value in whole.items() if isinstance(value, list)})
    assert ("LTC" in found.coins, found.coins["DOGE"].last_payout) == (False, 999)
    lists = {"user.balances": 1, "user.balances[]": 1, "user.payments": 1, "user.payments[]": 1}
    assert found.unexpected == lists
    found = read({"workers": {"scrypt": [*workers, row("more")]}})
    assert (len(found.workers), found.unexpected) == (40, {"user.workers.scrypt": 1})


def test_payments_without_a_coin_a_time_or_an_amount_are_none() -> None:
    whole = {"ticker": "ltc", "timestamp": 7, "value": 2}
    found = read(
        {
            "payments": [
                whole | {"ticker": "a b"},
                whole | {"timestamp": 0},
                {**whole, "value": None, "timestamp": 9},
            ]
        }
    )
    assert found.coins == {}
    found = read({"payments": [{"ticker": "A-B"}, whole, whole | {"timestamp": 6, "value": 1}]})
    assert (found.coins["LTC"].last_payout, found.coins["LTC"].last_payout_time) == (2, 7)
    assert found.coins["LTC"].balance_confirmed is None


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
