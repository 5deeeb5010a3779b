"""The market as a target: who is asked, what a hash earns by it, and when it is not known."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer

from exporter import catalogue as c
from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.pools.litecoinpool.account import reading
from exporter.pools.metrics import samples, usd_per_hash
from exporter.pools.reading import Network, PoolReading, Profitability
from exporter.server.app import create_app
from exporter.server.runtime import Runtime
from exporter.simulator.market import SOURCES
from exporter.simulator.simulation import MinerSpec, Simulation
from tests.conftest import FakeClock, near
from tests.market.sites import STARTED, MarketSite, earned, market_site
from tests.pools.test_litecoinpool import RECORDED

GH_DAY = 1e9 * 86_400
L9 = MinerSpec("l9", "l9", "1.2.7")


def vector(site: MarketSite) -> None:
    """Litecoin and Dogecoin as litesolo.org's API page shows them, and prices of another day."""
    networks = site.simulation.market.networks
    site.simulation.market.restless = 0.0
    for ticker, difficulty, subsidy, height, usd in (
        ("LTC", 20785580.478287995, 12.5, 2396260, 102.02),
        ("DOGE", 6445323.531315216, 10_000.0, 4535804, 0.176592),
    ):
        one = networks[ticker]
        one.difficulty, one.subsidy, one.height, one.usd = difficulty, subsidy, height, usd


@pytest.mark.parametrize("prices", ["kraken", "coinbase", "coingecko", "viabtc"])
async def test_a_hash_earns_what_difficulty_subsidy_and_price_say(
    tmp_path: Path, clock: FakeClock, prices: str
) -> None:
    async with market_site(tmp_path, ["litesolo", prices], clock, market={"network": ["litesolo"]}) as site:
        vector(site)
        page = await site.page()
        coins = earned(page, c.MINING_POOL_COINS)
        assert coins["LTC", "computed"] * GH_DAY == near(0.0120976701, rel=5e-9)
        assert coins["DOGE", "computed"] * GH_DAY == near(31.211106027, rel=5e-10)
        usd = earned(page)
        assert usd.keys() == {("LTC", "computed"), ("DOGE", "computed")}
        assert round(sum(usd.values()) * GH_DAY, 7) == 6.7458359
        assert page.value(c.MARKET_UP) == 1
        assert page.value(c.NETWORK_SUBSIDY, "LTC", "litesolo") == 12.5
        assert page.value(c.COIN_PRICE_USD, "DOGE", prices) == pytest.approx(0.176592)
        assert page.value(c.MARKET_DATA_TIMESTAMP, "network", "LTC", "litesolo") == STARTED


async def test_litecoinspace_and_viabtc_together_make_a_market(tmp_path: Path, clock: FakeClock) -> None:
    async with market_site(tmp_path, ["litecoinspace", "viabtc"], clock) as site:
        page = await site.page()
        assert page.value(c.MARKET_UP) == 1
        assert page.value(c.NETWORK_SUBSIDY, "LTC", "litecoinspace") == 6.25
        assert page.value(c.NETWORK_DIFFICULTY, "DOGE", "viabtc") is not None


async def test_viabtcs_network_alone_lacks_litecoins_subsidy_which_may_be_configured(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(tmp_path, ["viabtc"], clock) as site:
        look, page = await site.market.probe(clock() + 10)
        assert page.value(c.MARKET_UP) == 0
        assert "missing: the network of LTC" in str(look.error)
        assert earned(page) == {}
    async with market_site(tmp_path, ["viabtc"], clock, market={"subsidies": {"LTC": 6.25}}) as site:
        page = await site.page()
        assert page.value(c.MARKET_UP) == 1
        assert page.value(c.NETWORK_SUBSIDY, "LTC", "viabtc") == 6.25


async def test_a_later_source_is_asked_only_while_those_before_do_not_tell_all(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken", "coingecko"], clock) as site:
        page = await site.page()
        assert page.value(c.COIN_PRICE_USD, "LTC", "kraken") is not None
        assert site.host("coingecko").asked == {}
        assert page.value(c.MARKET_SOURCE_UP, "coingecko") is None
        await site.simulation.inject("market.kraken", "dead")
        clock.advance(301)
        page = await site.page()
        assert page.value(c.MARKET_SOURCE_UP, "kraken") == 0
        assert page.value(c.MARKET_SOURCE_FAILURE, "kraken", "connection") == 1
        assert page.value(c.COIN_PRICE_USD, "LTC", "coingecko") is not None
        assert page.value(c.COIN_PRICE_USD, "LTC", "kraken") is None, "one price a coin, and who told it"
        assert page.value(c.MARKET_UP) == 1
        await site.simulation.repair("market.kraken")
        clock.advance(301)
        page = await site.page()
        assert page.value(c.COIN_PRICE_USD, "LTC", "kraken") is not None
        assert sum(site.host("coingecko").asked.values()) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("html", "html"),
        ("http_500", "http_status"),
        ("empty", "empty"),
        ("truncated", "not_json"),
        ("throttled", "throttled"),
        ("dead", "connection"),
    ],
)
@pytest.mark.parametrize("name", SOURCES)
async def test_each_failure_has_its_reason_and_makes_no_price(
    tmp_path: Path, clock: FakeClock, name: str, fault: str, reason: str
) -> None:
    async with market_site(tmp_path, [name], clock, market={"subsidies": {"LTC": 6.25}}) as site:
        await site.simulation.inject(f"market.{name}", fault)
        page = await site.page()
        assert page.value(c.MARKET_SOURCE_UP, name) == 0
        assert page.value(c.MARKET_SOURCE_FAILURE, name, reason) == 1
        assert page.value(c.MARKET_UP) == 0
        for metric, _ in page.families():
            assert not metric.name.startswith(("mining_coin", "mining_network", "mining_pool"))


@pytest.mark.parametrize("name", ["litesolo", "litecoinspace", "coingecko"])
async def test_nulls_are_no_zeros(tmp_path: Path, clock: FakeClock, name: str) -> None:
    async with market_site(tmp_path, [name], clock) as site:
        await site.simulation.inject(f"market.{name}", "nulls")
        page = await site.page()
        assert page.value(c.MARKET_SOURCE_FAILURE, name, "no_data") == 1
        assert not {c.NETWORK_DIFFICULTY, c.COIN_PRICE_USD} & dict(page.families()).keys()


@pytest.mark.parametrize("name", SOURCES)
async def test_numbers_as_text_are_numbers(tmp_path: Path, clock: FakeClock, name: str) -> None:
    async with market_site(tmp_path, [name], clock) as site:
        await site.simulation.inject(f"market.{name}", "numbers_as_text")
        page = await site.page()
        assert page.value(c.MARKET_SOURCE_UP, name) == 1
        told = dict(page.families())
        assert c.NETWORK_DIFFICULTY in told or c.COIN_PRICE_USD in told


@pytest.mark.parametrize("name", SOURCES)
async def test_a_unit_that_flips_is_dropped_and_counted(tmp_path: Path, clock: FakeClock, name: str) -> None:
    async with market_site(tmp_path, [name], clock) as site:
        before = await site.page()
        await site.simulation.inject(f"market.{name}", "unit_flip")
        clock.advance(301)
        page = await site.page()
        dropped = {
            labels[1]: count
            for labels, count in dict(page.families())[c.MARKET_SOURCE_IMPLAUSIBLE].items()
            if labels[0] == name
        }
        assert dropped
        for metric in (c.COIN_PRICE_USD, c.NETWORK_DIFFICULTY):
            for labels, value in dict(page.families()).get(metric, {}).items():
                assert value == pytest.approx(before.value(metric, *labels), rel=0.3), "the last one, or none"


@pytest.mark.parametrize("name", ["kraken", "coinbase", "coingecko", "viabtc"])
async def test_without_one_coins_price_there_is_no_price_of_a_hash(
    tmp_path: Path, clock: FakeClock, name: str
) -> None:
    async with market_site(
        tmp_path, ["litesolo", name], clock, market={"network": ["litesolo"], "prices": [name]}
    ) as site:
        await site.simulation.inject(f"market.{name}", "missing_coin")
        page = await site.page()
        assert page.value(c.COIN_PRICE_USD, "LTC", name) is not None
        assert earned(page) == {}, "Litecoin alone is an eighth of it"
        assert earned(page, c.MINING_POOL_COINS).keys() == {("LTC", "computed"), ("DOGE", "computed")}
        assert page.value(c.MARKET_UP) == 0


async def test_without_one_coins_network_there_is_nothing_to_price(tmp_path: Path, clock: FakeClock) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken"], clock) as site:
        await site.simulation.inject("market.litesolo", "missing_coin")
        page = await site.page()
        assert earned(page) == {}
        assert earned(page, c.MINING_POOL_COINS) == {}
        assert page.value(c.NETWORK_DIFFICULTY, "LTC", "litesolo") is not None


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("litesolo", "dead"),
        ("kraken", "dead"),
        ("litesolo", "stale"),
        ("kraken", "stale"),
        ("coingecko", "stale"),
    ],
)
async def test_a_price_is_withheld_when_either_input_is_too_old(
    tmp_path: Path, clock: FakeClock, source: str, fault: str
) -> None:
    prices = source if source != "litesolo" else "kraken"
    async with market_site(tmp_path, ["litesolo", prices], clock) as site:
        assert earned(await site.page())
        await site.simulation.inject(f"market.{source}", fault)
        started, last_priced = clock(), 0.0
        while clock() - started < 3 * 3600:
            clock.advance(60)
            page = await site.page()
            if earned(page):
                last_priced = clock() - started
                assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "computed") == pytest.approx(
                    STARTED, abs=301
                ), "dated by the older input"
            else:
                assert page.value(c.MARKET_UP) == 0
        assert 25 * 60 < last_priced <= 30 * 60
        await site.simulation.repair(f"market.{source}")
        clock.advance(600)
        assert earned(await site.page())


async def test_no_source_is_asked_too_often_by_five_servers_over_hours(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(tmp_path, SOURCES, clock, pools=("viabtc",), specs=[L9]) as site:
        for fault in (None, "http_500", "throttled", "missing_coin"):
            for host in site.simulation.sources.values():
                host.repair()
                if fault:
                    host.inject(fault)
            before = {name: len(site.host(name).requests) for name in SOURCES}
            for _ in range(2 * 60):
                clock.advance(60)
                await asyncio.gather(
                    *(site.page() for _ in range(5)), *(site.account("viabtc") for _ in range(5))
                )
            for name in SOURCES:
                host = site.host(name)
                assert host.too_fast == [], fault
                limit = {"litesolo": 60, "kraken": 60, "coingecko": 30, "coinbase": 180}.get(name, 120)
                assert len(host.requests) - before[name] <= 2 * limit + limit // 10
        assert all(host.requests for host in site.simulation.sources.values())


class RealClock(FakeClock):
    def __call__(self) -> float:
        return time.monotonic()


async def test_a_source_that_hangs_leaves_the_next_one_its_time(tmp_path: Path) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken", "coingecko"], RealClock()) as site:
        await site.simulation.inject("market.kraken", "hanging")
        _, page = await site.market.probe(time.monotonic() + 4)
        assert page.value(c.COIN_PRICE_USD, "LTC", "coingecko") is not None
        assert page.value(c.MARKET_UP) == 1


async def test_an_account_that_quotes_nothing_earns_the_computed_price_less_its_fee(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(
        tmp_path, ["litesolo", "kraken"], clock, pools=("viabtc",), specs=[L9], account={"fee_percent": 4}
    ) as site:
        account, market = await site.account("viabtc"), await site.page()
        assert earned(account).keys() == {("LTC", "computed"), ("DOGE", "computed")}
        for key, usd in earned(market).items():
            assert earned(account)[key] == near(usd * 0.96)
        assert usd_per_hash(account)["scrypt"] == near(usd_per_hash(market)["scrypt"] * 0.96)
        assert account.value(c.MINING_POOL_DATA_TIMESTAMP, "computed") == STARTED
        assert account.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") is None
        await site.simulation.inject("viabtc", "dead")
        clock.advance(601)
        assert earned(await site.account("viabtc")) == {}, (
            "what is shown of the account is gone, and so is its price"
        )


async def test_the_fee_the_pool_tells_goes_before_the_configured_one(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(
        tmp_path, ["litesolo", "kraken"], clock, pools=("f2pool",), specs=[L9], account={"fee_percent": 50}
    ) as site:
        account, market = await site.account("f2pool"), await site.page()
        told = account.value(c.MINING_POOL_FEE)
        assert told is not None
        assert usd_per_hash(account)["scrypt"] == near(usd_per_hash(market)["scrypt"] * (1 - told))


async def test_an_account_that_quotes_bitcoin_is_priced_by_it(tmp_path: Path, clock: FakeClock) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken"], clock, pools=("yiimp",), specs=[L9]) as site:
        page = await site.account("yiimp")
        [(coin, _)] = [key for key in earned(page, c.MINING_POOL_BTC) if key[1] == "pool"]
        quote = earned(page, c.MINING_POOL_BTC)[coin, "pool"]
        assert earned(page) == {(coin, "computed"): near(quote * site.simulation.market.usd("BTC"))}
        assert ("LTC", "computed") not in earned(page, c.MINING_POOL_COINS), "it is exchanged"


@pytest.mark.parametrize("pool", ["litecoinpool", "powerpool"])
async def test_an_account_that_quotes_usd_is_left_alone(tmp_path: Path, clock: FakeClock, pool: str) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken"], clock, pools=(pool,), specs=[L9]) as site:
        page = await site.account(pool)
        assert {source for _, source in earned(page)} == {"pool"}
        assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "computed") is None


def account_page(told: PoolReading, market: Any) -> Page:
    page = Page()
    assert not samples(told, page, STARTED, STARTED - 5, 600.0)
    market.price_account(told, page, merged=True, fee_percent=None)
    return page


async def test_a_quote_in_coins_is_taken_at_their_prices_and_a_stale_one_is_not_replaced(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken"], clock) as site:
        await site.page()
        quote = PoolReading(
            profitability=[
                Profitability("scrypt", coin="LTC", coins=2e-16, usd=2e-16 * 42.5),
                Profitability("scrypt", coin="DOGE", coins=4e-13),
            ]
        )
        page = account_page(quote, site.market)
        assert earned(page) == {
            ("LTC", "computed"): near(2e-16 * 42.5),
            ("DOGE", "computed"): near(4e-13 * 0.0726),
        }, "no sum of a quote and a half"
        assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "computed") == STARTED - 5
        part = PoolReading(profitability=[quote.profitability[0], Profitability("scrypt", coin="DOGE")])
        assert earned(account_page(part, site.market)) == {}, "a coin without its rate leaves none a price"
        for one in quote.profitability:
            one.timestamp = STARTED - 3600
        page = account_page(quote, site.market)
        assert earned(page) == {}
        assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "computed") is None
        other = PoolReading(profitability=[Profitability("sha256d", usd=1e-18)])
        assert earned(account_page(other, site.market)) == {}


def test_a_price_of_one_coin_of_two_is_no_price() -> None:
    page = Page()
    told = PoolReading(
        profitability=[
            Profitability("scrypt", coin="LTC", coins=2e-16, usd=1e-14, btc=1e-19),
            Profitability("scrypt", coin="DOGE", coins=4e-13, btc=3e-19),
            Profitability("sha256d", usd=1e-18),
        ],
        networks={"LTC": Network(price_usd=42.5)},
    )
    assert not samples(told, page, STARTED, STARTED, 600.0)
    assert dict(page.families())[c.MINING_POOL_USD] == {("sha256d", "", "pool"): 1e-18}
    assert sum(earned(page, c.MINING_POOL_BTC).values()) == near(4e-19)
    assert page.value(c.COIN_PRICE_USD, "LTC", "pool") == 42.5


STATIC = {"prices_usd": {"LTC": 42.5, "DOGE": 0.0726}, "prices_date": "2026-11-10"}


async def test_values_of_the_file_count_for_as_long_as_they_may(tmp_path: Path, clock: FakeClock) -> None:
    market = {
        **STATIC,
        "difficulties": {"LTC": 1.05e8, "DOGE": 4.2e7},
        "subsidies": {"LTC": 6.25},
        "prices_max_age_days": 14,
    }
    async with market_site(tmp_path, [], clock, market=market) as site:
        page = await site.page()
        # 2026-11-10 is 1_794_268_800; the clock starts eight days later.
        assert page.value(c.MARKET_DATA_TIMESTAMP, "price", "LTC", "configured") == 1_794_268_800
        by_hand = 6.25 / (1.05e8 * 2**32) * 42.5 + 10_000 / (4.2e7 * 2**32) * 0.0726
        assert usd_per_hash(page)["scrypt"] == near(by_hand)
        clock.advance(6 * 86_400)
        page = await site.page()
        assert page.value(c.MARKET_UP) == 0
        assert earned(page) == {}
        assert page.value(c.COIN_PRICE_USD, "LTC", "configured") is None


async def test_what_a_pool_quotes_for_a_share_and_the_computed_price_agree(
    tmp_path: Path, clock: FakeClock
) -> None:
    """litecoinpool.org's recorded document, and the formula with that document's difficulty and price."""
    difficulty, price = RECORDED["network"]["difficulty"], RECORDED["market"]["ltc_usd"]
    market = {
        "prices_usd": {"LTC": price, "DOGE": 0.0726},
        "prices_date": "2026-11-10",
        "difficulties": {"LTC": difficulty, "DOGE": 4.2e7},
        "subsidies": {"LTC": 25},
    }
    account = Page()
    assert not samples(reading(RECORDED), account, STARTED, STARTED, 600.0)
    [quoted] = earned(account).values()
    async with market_site(tmp_path, [], clock, market=market) as site:
        computed = earned(await site.page())["LTC", "computed"]
    # The pool pays 1.03 of what a share is worth; its rate has six digits.
    assert quoted == near(1.03 * computed)


async def test_prices_of_the_file_go_with_a_network_that_is_asked(tmp_path: Path, clock: FakeClock) -> None:
    async with market_site(tmp_path, ["litesolo"], clock, market=STATIC | {"prices": []}) as site:
        page = await site.page()
        assert page.value(c.MARKET_UP) == 1
        assert page.value(c.COIN_PRICE_USD, "DOGE", "configured") == 0.0726
        assert page.value(c.NETWORK_DIFFICULTY, "DOGE", "litesolo") is not None


async def test_a_reload_keeps_the_readers_and_forgets_no_budget(tmp_path: Path, clock: FakeClock) -> None:
    async with market_site(tmp_path, ["litesolo", "kraken"], clock) as site:
        await site.page()
        path = tmp_path / "config.yaml"
        config = yaml.safe_load(path.read_text())
        config["market"]["fee_percent"] = 2
        path.write_text(yaml.safe_dump(config))
        before = site.fleet
        site.fleet = Fleet(
            load(path, {}), before._outgoing, {}, before, clock=clock, wall_clock=before._wall_clock
        )
        assert site.market.readers["kraken"] is before.market.readers["kraken"]  # type: ignore[union-attr]
        page = await site.page()
        assert len(site.host("kraken").requests) == 1
        assert page.value(c.MARKET_SOURCE_REQUESTS, "kraken") == 1
        config["market"]["prices"] = []
        config["market"]["sync_interval_seconds"] = 600
        path.write_text(yaml.safe_dump(config))
        site.fleet = Fleet(
            load(path, {}), before._outgoing, {}, site.fleet, clock=clock, wall_clock=before._wall_clock
        )
        page = await site.page()
        assert page.value(c.MARKET_SOURCE_REQUESTS, "litesolo") == 2, "asked anew, on the same budget"


async def test_over_http_it_is_a_target_like_others(tmp_path: Path) -> None:
    async with (
        Simulation([L9], pools=("viabtc",), market=("litesolo", "kraken")) as simulation,
        Outgoing.open_session() as session,
    ):
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(simulation.configuration()))
        runtime = Runtime(path, load(path, {}), Outgoing(session), {})
        server = TestServer(create_app(runtime))
        await server.start_server()
        async with TestClient(server) as client:

            async def get(url: str, status: int = 200) -> str:
                async with client.get(url) as response:
                    assert response.status == status, url
                    return await response.text()

            page = await get("/probe?target=market&module=market")
            assert "mining_market_up 1" in page
            assert (
                'mining_pool_profitability_usd_per_hash{algorithm="scrypt",coin="DOGE",source="computed"}'
                in page
            )
            debug = await get("/probe?target=market&debug=true")
            assert "kraken /0/public/Ticker" in debug
            await get("/probe?target=other&module=market", 400)
            await get("/probe?target=market&module=viabtc", 400)
            discovered = yaml.safe_load(await get("/sd/pools"))
            assert [group["labels"]["__param_target"] for group in discovered] == ["viabtc", "market"]
            assert discovered[1]["labels"]["__param_module"] == "market"
            fleet = await get("/fleet")
            assert 'mining_market_up{instance="market"} 1' in fleet
            own = await get("/metrics")
            assert 'minefleet_breakers{module="market",state="closed"} 2.0' in own
            assert 'minefleet_probes_total{module="market"}' in own
            landing = await get("/")
            assert ">market</a>" in landing
            assert "/res/pool" not in await get("/config")


async def test_without_the_section_nothing_is_asked(tmp_path: Path) -> None:
    async with Simulation([L9], pools=("viabtc",)) as simulation, Outgoing.open_session() as session:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(simulation.configuration()))
        fleet = Fleet(load(path, {}), Outgoing(session), {})
        assert fleet.market is None
        assert [target.instance for target in fleet] == ["l9", "viabtc"]
