"""YiiMP sites: units that lie in wait, answers of nothing, and pauses between requests that are kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings

from exporter import catalogue as c
from exporter.config.load import ConfigError, load
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.pools import Account, drivers
from exporter.pools.metrics import samples
from exporter.pools.reading import PoolReading
from exporter.pools.workers import MOST_WORKERS
from exporter.pools.yiimp.site import Status, networks, status
from exporter.pools.yiimp.wallet import wallet_of
from exporter.simulator.simulation import MinerSpec
from tests.conftest import FakeClock, near
from tests.pools.mangled import mangled
from tests.pools.sites import WALL, assert_fails_with, clocked_pool, pool_page, pool_site, source_of

# An entry as a site gave it.
STATUS: dict[str, Any] = {
    "Scrypt": {
        "name": "scrypt",
        "port": 3433,
        "coins": 44,
        "fees": 1,
        "fees_solo": 1,
        "hashrate": 4018714999,
        "workers": 5,
        "estimate_current": "0.00001353",
        "estimate_last24h": "0.00001915",
        "actual_last24h": "0.01302",
        "mbtc_mh_factor": 1000,
        "hashrate_last24h": 2924587603.0316,
    }
}
WALLET: dict[str, Any] = {
    "currency": "DOGE",
    "unsold": 24.915,
    "balance": "1.5",
    "unpaid": 26.415,
    "paid24h": 84.746,
    "total": 111.161,
    "paidtotal": 9000.25,
    "minpay": 40,
    "miners": [
        {
            "version": "vnish",
            "password": "c=DOGE,ID=l9a",
            "ID": "l9a",
            "algo": "scrypt",
            "accepted": 9.1e9,
            "rejected": 2e7,
        },
        {
            "version": "vnish",
            "password": "barn7,c=DOGE",
            "ID": "",
            "algo": "scrypt",
            "accepted": 8e9,
            "rejected": 1e7,
        },
        {
            "version": "vnish",
            "password": "c=DOGE,ID=l9a",
            "ID": "l9a",
            "algo": "Scrypt",
            "accepted": 0.9e9,
            "rejected": 0,
        },
        {
            "version": "vnish",
            "password": "c=DOGE",
            "ID": "",
            "algo": "scrypt",
            "accepted": 1e9,
            "rejected": 0,
        },
        {
            "version": "ccminer",
            "password": "x",
            "ID": "gpu",
            "algo": "x16r",
            "accepted": 5e7,
            "rejected": 1e6,
        },
    ],
    "payouts": [
        {"time": "1617480306", "amount": 0.0022, "tx": "a"},
        {"time": 1617580306, "amount": "1.23", "tx": "b"},
    ],
}
CURRENCIES: dict[str, Any] = {
    "DOGE": {"algo": "scrypt", "difficulty": "42000000.5", "network_hashrate": 3e15, "hashrate": False},
    "LTC-scrypt": {"symbol": "LTC", "algo": "scrypt", "difficulty": 105000000, "24h_blocks": 3},
    "LTC": {"algo": "sha256", "difficulty": 7},
    "VTC": {"algo": "lyra2", "difficulty": 1},
}

MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


def read_status(entry: dict[str, Any]) -> Status:
    return status({"scrypt": entry}, Counter())


def test_a_recorded_quote_is_bitcoin_for_a_day_of_a_gigahash() -> None:
    found = status(STATUS, Counter())
    estimate, actual = found.profitability
    assert (estimate.algorithm, estimate.source, estimate.usd) == ("scrypt", "pool", None)
    assert estimate.btc == near(1.353e-5 / 1e9 / 86_400)
    assert actual.source == "pool_actual"
    assert actual.btc == near(1.302e-5 / 1e9 / 86_400), "what was paid is told in thousandths"
    assert found.fee_ratio == {"scrypt": 0.01}


@pytest.mark.parametrize(("factor", "unit"), [(1, 1e6), ("1000", 1e9), (0.001, 1e3), (1e6, 1e12)])
def test_the_factor_is_the_sites(factor: Any, unit: float) -> None:
    entry = {"estimate_current": "0.5", "mbtc_mh_factor": factor}
    [quote] = read_status(entry).profitability
    assert quote.btc == near(0.5 / unit / 86_400)


@pytest.mark.parametrize("factor", [None, 0, -1, "", "much", False])
def test_without_a_factor_there_is_no_quote(factor: Any) -> None:
    assert read_status({"estimate_current": "0.5", "mbtc_mh_factor": factor}).profitability == []
    assert read_status({"estimate_current": "0.5"}).profitability == []


def test_a_wallet_of_two_balances_and_three_workers() -> None:
    wallet = wallet_of(WALLET, "scrypt", Counter())
    assert wallet.ticker == "DOGE"
    assert (wallet.coin.balance_confirmed, wallet.coin.balance_unconfirmed) == (1.5, 24.915)
    assert wallet.coin.paid_total == 9000.25
    assert (wallet.coin.last_payout, wallet.coin.last_payout_time) == (1.23, 1617580306)
    assert wallet.coin.earned_24h is None, "paid24h is what was paid out, not income"
    assert set(wallet.workers) == {"l9a", "barn7"}
    assert wallet.nameless == 1
    # What the software counts is 2^42/1000 hashes where there are 2^32.
    true = 0.9765625
    assert wallet.hashrate == pytest.approx(19e9 * true), (
        "with the login nobody named, without the other algorithm"
    )
    first = wallet.workers["l9a"]
    assert first.hashrate == {"now": pytest.approx(10e9 * true)}, "logins of one name are added"
    assert (first.rate_accepted, first.rate_rejected) == pytest.approx((10e9 * true, 2e7 * true))
    assert (first.shares_accepted, first.hashes_accepted, first.reject_ratio) == (None, None, None)
    assert first.online is True
    assert first.last_share is None


def test_numbers_that_are_none_are_no_zeros() -> None:
    wallet = wallet_of({"currency": "DOGE", "miners": [{"ID": "a", "algo": "scrypt"}]}, "scrypt", Counter())
    assert wallet.hashrate is None
    assert wallet.workers["a"].rate_accepted is None
    assert wallet_of({"symbol": "LTC", "balance": 1}, "scrypt", Counter()).listed is False
    assert wallet_of({"currency": "LTC", "miners": []}, "scrypt", Counter()).hashrate == 0


def test_a_fork_that_prints_hashrates_is_read() -> None:
    row = {"ID": "a", "algo": "scrypt", "hashrate": "12 Mh/s"}
    wallet = wallet_of({"currency": "LTC", "miners": [row]}, "scrypt", Counter())
    assert wallet.workers["a"].hashrate == {"now": 12e6}
    row["accepted"] = 13e6  # type: ignore[assignment]
    wallet = wallet_of({"currency": "LTC", "miners": [row]}, "scrypt", Counter())
    assert wallet.workers["a"].hashrate == {"now": pytest.approx(13e6 * 0.9765625)}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"currency": "INVALID", "unsold": 0, "balance": 0}, Reason.UNKNOWN_ACCOUNT),
        ({"error": "no"}, Reason.POOL_ERROR),
        ({"something": 1}, Reason.BAD_SHAPE),
    ],
)
def test_an_answer_without_a_wallet_says_why(body: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(ProbeError) as caught:
        wallet_of(body, "scrypt", Counter())
    assert caught.value.reason is reason


def test_the_networks_of_the_coins_by_ticker_or_alias() -> None:
    odd: Counter[str] = Counter()
    found = networks(CURRENCIES, "scrypt", odd)
    assert {ticker: one.difficulty for ticker, one in found.items()} == {"LTC": 105e6, "DOGE": 42000000.5}
    assert found["DOGE"].hashrate == 3e15
    assert not odd


async def test_over_a_socket_it_is_what_the_miners_hash(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "yiimp", MINERS) as site:
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert page["mining_pool_workers"] == {(("state", "online"),): 3, (("state", "offline"),): 0}
        hashes = page["mining_pool_hashrate_hashes_per_second"][(("window", "now"),)]
        account = site.simulation.account
        assert hashes == pytest.approx(account.rate(300.0), rel=0.01)
        worth = sum(account.coins_per_hash(ticker) * one.usd for ticker, one in account.networks.items())
        quotes = page["mining_pool_profitability_btc_per_hash"]
        labels = {"algorithm": "scrypt", "coin": ""}
        told = {
            dict(key)["source"]: value for key, value in quotes.items() if labels.items() <= dict(key).items()
        }
        assert told["pool"] == near(worth / 61_000)
        assert told["pool_actual"] == near(0.95 * worth / 61_000)
        assert page["mining_pool_fee_ratio"] == {(): pytest.approx(0.02)}
        assert page["mining_network_difficulty"] == {
            (("coin", "LTC"), ("source", "pool")): pytest.approx(1.05e8),
            (("coin", "DOGE"), ("source", "pool")): pytest.approx(4.2e7),
        }
        assert set(page["mining_pool_worker_accepted_hashes_per_second"]) == {
            (("worker", name),) for name in ("l9-1", "l9-2", "l7-3")
        }
        assert "mining_pool_worker_shares_accepted_total" not in page
        for _ in range(5):
            await pool_page(site)
        assert site.host.too_fast == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unknown_account"),
        ("unknown_account", "empty"),
        ("throttled", "empty"),
        ("ip_not_allowed", "unauthorised"),
        ("html", "html"),
        ("empty", "empty"),
        ("truncated", "not_json"),
        ("http_500", "http_status"),
        ("dead", "connection"),
        ("hanging", "timeout"),
        ("key_echoed", "pool_error"),
    ],
)
async def test_each_failure_has_its_reason_and_is_no_zero(tmp_path: Path, fault: str, reason: str) -> None:
    await assert_fails_with(tmp_path, "yiimp", MINERS, fault, reason)


async def test_hours_of_scraping_keep_the_pauses_and_notice_who_leaves(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with clocked_pool(tmp_path, "yiimp", MINERS, clock) as (host, target):
        for scrape in range(4 * 60):  # one hour, every 15 seconds
            _, page = await target.probe(clock() + 9.5)
            assert page.value(c.MINING_POOL_UP) == 1, scrape
            clock.advance(15)
        assert host.too_fast == []
        assert host.asked == {"walletex": 60, "status": 60, "currencies": 12}
        host.account.inject("vanishing_worker")
        clock.advance(60)
        _, page = await target.probe(clock() + 9.5)
        assert page.value(c.MINING_POOL_WORKERS, "offline") == 1
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-1") == 0
        assert page.value(c.MINING_POOL_WORKER_HASHRATE, "l9-1", "now") is None
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-2") == 1
        host.account.repair()
        clock.advance(60)
        _, page = await target.probe(clock() + 9.5)
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-1") == 1
        host.account.inject("vanishing_worker")
        for _ in range(61):
            clock.advance(60)
            _, page = await target.probe(clock() + 9.5)
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-1") is None, "after an hour it is forgotten"
        assert page.value(c.MINING_POOL_WORKERS, "offline") == 0


@pytest.mark.parametrize("fault", ["throttled", "truncated", "key_echoed"])
async def test_a_pool_that_fails_is_not_hammered(tmp_path: Path, clock: FakeClock, fault: str) -> None:
    async with clocked_pool(tmp_path, "yiimp", MINERS, clock) as (host, target):
        host.account.inject(fault)
        for _ in range(600):
            _, page = await target.probe(clock() + 9.5)
            assert page.value(c.MINING_POOL_UP) == 0
            clock.advance(3)
        assert host.too_fast == []


async def test_a_site_without_the_longer_answer_is_asked_for_the_shorter(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with clocked_pool(tmp_path, "yiimp", MINERS, clock) as (host, target):
        healthy = host.fake.answer

        async def answer(request: web.BaseRequest) -> web.Response:
            if request.path in ("/api/walletEx", "/api/wallet"):
                return web.Response(status=404)
            return await healthy(request)

        monkeypatch.setattr(host.fake, "answer", answer)
        for _ in range(3):
            _, page = await target.probe(clock() + 9.5)
            assert page.value(c.MINING_POOL_BALANCE, "DOGE", "confirmed") is not None
            assert page.value(c.MINING_POOL_WORKERS, "online") is None
            clock.advance(60)
        assert host.asked["walletex"] == 1, "what the site has not is not asked for again soon"


async def test_a_site_without_an_address_is_asked_for_its_quotes(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "yiimp", MINERS, account={"address": None}) as site:
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert "mining_pool_profitability_btc_per_hash" in page
        assert "mining_pool_workers" not in page
        assert "walletex" not in site.host.asked


async def test_odd_answers_give_no_zero_and_no_exception(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "yiimp", MINERS) as site:
        await site.simulation.inject("yiimp", "numbers_as_text")
        text = await pool_page(site)
        assert text["mining_pool_up"] == {(): 1}
        assert text["mining_pool_hashrate_hashes_per_second"][(("window", "now"),)] > 1e9
    async with pool_site(tmp_path, "yiimp", MINERS) as site:
        await site.simulation.inject("yiimp", "nulls")
        nulls = await pool_page(site)
        assert nulls["mining_pool_up"] == {(): 1}
        for series in (
            "balance_coins",
            "hashrate_hashes_per_second",
            "profitability_btc_per_hash",
            "fee_ratio",
        ):
            assert f"mining_pool_{series}" not in nulls


async def test_names_nobody_would_choose_are_cleaned_and_bounded(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "yiimp", MINERS) as site:
        await site.simulation.inject("yiimp", "hostile_names")
        page = await pool_page(site)
        names = {dict(labels)["worker"] for labels in page["mining_pool_worker_online"]}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)
    async with pool_site(tmp_path, "yiimp", MINERS) as site:
        await site.simulation.inject("yiimp", "many_workers", {"count": 5000})
        page = await pool_page(site)
        assert len(page["mining_pool_worker_online"]) == MOST_WORKERS
        assert page["mining_pool_workers_cut"][()] > 3000
        assert page["mining_pool_workers"][(("state", "online"),)] == 5003


def account(**given: Any) -> Account:
    return Account("yiimp", drivers()["yiimp"].Settings(**given))


def test_a_miner_belongs_to_the_site_it_mines_to() -> None:
    zpool = account(base_url="https://www.zpool.ca", address="D1")
    assert zpool.mined_at("scrypt.eu.mine.zpool.ca:3433")
    assert not zpool.mined_at("scrypt.notzpool.ca:3433")
    elsewhere = account(base_url="https://pool.example", stratum_url="stratum+tcp://s.other.example:3433")
    assert elsewhere.mined_at("s.other.example:3433")
    assert (
        account(base_url="http://127.0.0.1:99").driver.hosts(account(base_url="http://127.0.0.1:99").settings)
        == ()
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{type: yiimp, address: D1}", "expected base_url"),
        ("{type: yiimp, base_url: 'https://a.example', address: D1, api_key: k}", "expected address"),
        ("{type: yiimp, dialect: mining_dutch, account_id: 1}", "expected api_key"),
        ("{type: yiimp, dialect: mining_dutch, api_key: k}", "expected account_id"),
        ("{type: yiimp, dialect: mining_dutch, api_key: k, account_id: 1, address: D}", "found address"),
        ("{type: yiimp, base_url: 'https://a.example', sync_interval_seconds: 5}", "30"),
        ("{type: yiimp, base_url: 'https://a.example', stratum_url: zpool}", "stratum_url"),
    ],
)
def test_a_wrong_section_is_one_clear_line(tmp_path: Path, section: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"pools:\n  - {section}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    [fault] = caught.value.faults
    assert words in fault


D1: dict[str, Any] = {"address": "D1"}
ASK = {"wallet": "/api/walletEx?address=D1", "status": "/api/status", "currencies": "/api/currencies"}


def site(request: web.Request, _: str) -> Any:
    """A site with one wallet."""
    answers = {"/api/status": STATUS, "/api/currencies": CURRENCIES}
    return answers.get(request.path, WALLET)


@pytest.mark.parametrize("every", [30, 60])
async def test_each_call_has_its_rhythm(every: int) -> None:
    async with source_of("yiimp", site, sync_interval_seconds=every, **D1) as source:
        asked = []
        for now in (0, every - 1, every, 60, 299, 300, 359):
            source.clock.now = 1000 + now
            await source.read()
            asked.append(list(source.asked))
    wallet, status, currencies = ASK.values()
    assert asked == [
        [wallet, status, currencies],
        [],
        *([[wallet], [wallet, status]] if every == 30 else [[wallet, status], []]),
        [wallet, status],
        [currencies],
        [wallet, status],
    ]


async def test_a_site_is_asked_as_a_browser_asks() -> None:
    def answer(request: web.Request, text: str) -> Any:
        assert request.headers["Accept"] == "application/json, text/plain, */*"
        assert request.headers["User-Agent"] == "Mozilla/5.0 (compatible; minefleet-exporter)"
        return site(request, text)

    async with source_of("yiimp", answer, **D1) as source:
        assert (await source.read()).parts == {"wallet": True, "status": True, "currencies": True}


async def test_a_call_that_failed_is_repeated_after_ten_seconds() -> None:
    async with source_of("yiimp", lambda *_: {"error": "locked"}, **D1) as source:
        asked = []
        for seconds in (0, 9, 1):
            source.clock.advance(seconds)
            error = await source.refusal(seconds=1.5)
            assert error.detail == "the pool reports an error instead of the wallet"
            asked.append(len(source.asked))
    assert asked == [1, 0, 1]


async def test_figures_are_dated_by_when_they_were_asked_for() -> None:
    async with source_of("yiimp", site, **D1) as source:
        for seconds in (0, 30):
            source.clock.advance(seconds)
            assert (await source.read()).dated == {"account": WALL + 1000, "profitability": WALL + 1000}
    async with source_of("yiimp", site) as source:
        assert (await source.read()).dated == {"profitability": WALL + 1000}


async def test_the_quotes_stand_for_ten_minutes_while_their_call_fails() -> None:
    failing = False

    def answer(request: web.Request, text: str) -> Any:
        return [7] if failing and request.path != "/api/walletEx" else site(request, text)

    async with source_of("yiimp", answer, **D1) as source:
        whole = await source.read()
        assert len(whole.profitability) == 2
        assert whole.fee_ratio == 0.01
        assert whole.networks["LTC"].difficulty == 105e6
        failing = True
        source.clock.advance(599)
        found = await source.read()
        assert [step.problem for step in source.steps] == [
            "",
            "bad_shape: /api/status is not an object",
            "bad_shape: /api/currencies is not an object",
        ]
        assert found.parts == {"wallet": True, "status": False, "currencies": False}
        assert (found.profitability, found.networks) == (whole.profitability, whole.networks)
        source.clock.advance(1)
        found = await source.read()
        assert (found.profitability, found.fee_ratio, found.networks) == ([], None, {})


async def test_a_site_that_quotes_nothing_and_knows_no_wallet_has_no_data() -> None:
    async with source_of("yiimp", lambda *_: {"x11": {"fees": 1}}) as source:
        error = await source.refusal()
    assert (error.reason, error.detail) == (
        "no_data",
        "the site quotes nothing for the algorithms of these miners",
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 410])
async def test_where_a_wallet_is_is_kept_in_mind_for_an_hour(status: int) -> None:
    missing = {"/api/walletEx"}

    def answer(request: web.Request, text: str) -> Any:
        return web.Response(status=status) if request.path in missing else site(request, text)

    async with source_of("yiimp", answer, **D1) as source:
        asked = []
        for seconds in (0, 3600, 60):
            source.clock.advance(seconds)
            await source.read()
            asked.append([one for one in source.asked if "address" in one])
        first, second = ASK["wallet"], "/api/wallet?address=D1"
        assert asked == [[first, second], [second], [first, second]]
        missing.add("/api/wallet")
        source.clock.advance(60)
        await source.read()
        third = "/api/wallet/?address=D1"
        assert source.asked[:2] == [second, third]
        missing.add("/api/wallet/")
        source.clock.advance(60)
        assert (await source.refusal()).detail == f"/api/wallet/ answered status {status}"
        assert source.asked == [third]


async def test_a_failure_is_no_sign_that_the_wallet_is_elsewhere() -> None:
    async with source_of("yiimp", lambda *_: web.Response(status=500), **D1) as source:
        assert (await source.refusal()).reason == "http_status"
        assert source.asked == [ASK["wallet"]]


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        *((body, "empty", "/api/walletEx answered with nothing") for body in ({}, [], None)),
        *((body, "bad_shape", "/api/walletEx is not an object") for body in ([7], 7, "x")),
        (
            {"message": "Only 1 Request every 10 seconds allowed"},
            "throttled",
            "/api/walletEx answered with a message about too many requests",
        ),
        ({"message": "locked"}, "pool_error", "/api/walletEx answered with a message"),
        ({"message": 7}, "bad_shape", "the answer is not a wallet"),
        ({"message": "hello", "data": {}}, "bad_shape", "the answer is not a wallet"),
        ({"error": "no"}, "pool_error", "the pool reports an error instead of the wallet"),
        ({"error": 7}, "bad_shape", "the answer is not a wallet"),
        ({"currency": "Invalid"}, "unknown_account", "the pool takes the address for invalid"),
        ({"symbol": "INVALID"}, "unknown_account", "the pool takes the address for invalid"),
    ],
)
async def test_what_is_no_wallet_is_told_in_words(body: Any, reason: str, words: str) -> None:
    async with source_of("yiimp", lambda *_: body, **D1) as source:
        error = await source.refusal()
        assert (error.reason, error.detail) == (reason, words)
        assert source.steps[-1].problem == str(error)


@pytest.mark.parametrize("key", ["balance", "unsold", "unpaid", "currency", "symbol", "miners"])
def test_one_field_of_a_wallet_makes_one(key: str) -> None:
    wallet = wallet_of({key: None}, "scrypt", Counter())
    assert (wallet.ticker, wallet.listed, wallet.hashrate) == (None, False, None)


@pytest.mark.parametrize(
    ("told", "ticker", "odd"),
    [
        ("doge", "DOGE", 0),
        ("1INCH", "1INCH", 0),
        ("ABCDEFGHIJKL", "ABCDEFGHIJKL", 0),
        ("ABCDEFGHIJKLM", None, 1),
        ("A-B", None, 1),
        ("", None, 0),
    ],
)
def test_the_coin_of_a_wallet(told: str, ticker: str | None, odd: int) -> None:
    counter: Counter[str] = Counter()
    assert wallet_of({"currency": told, "balance": 1}, "scrypt", counter).ticker == ticker
    assert counter == ({"wallet.currency": 1} if odd else {})


async def test_a_wallet_without_a_coin_holds_nothing_that_is_known() -> None:
    async with source_of("yiimp", lambda *_: {"balance": 7}, **D1) as source:
        found = await source.read()
    # It lists no logins, which says nothing of who is connected.
    assert (found.coins, found.workers, found.workers_online, found.workers_offline) == ({}, [], None, None)
    assert found.hashrate == {}


async def test_who_is_not_listed_any_more_is_offline_for_as_long_as_configured() -> None:
    miners = [{"ID": name, "algo": "scrypt", "accepted": 1} for name in ("a", "b", "")]
    body = {"currency": "LTC", "miners": miners}
    async with source_of("yiimp", lambda *_: body, offline_after_minutes=2, **D1) as source:
        found = await source.read()
        assert (found.workers_online, found.workers_offline, found.workers_cut) == (3, 0, 1)
        del miners[1:]
        for seconds, offline in ((119, 1), (1, 0)):
            source.clock.advance(seconds)
            found = await source.read()
            assert (found.workers_online, found.workers_offline, found.workers_cut) == (1, offline, 0)
            workers = {worker.name: (worker.online, worker.hashrate) for worker in found.workers}
            assert workers == {"a": (True, {"now": 0.9765625})} | ({"b": (False, {})} if offline else {})


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"ID": "a", "password": "b"}, "a"),
        ({"ID": "", "password": " b , c"}, "b"),
        ({"password": "c=LTC,,b"}, "b"),
        ({"password": "c=LTC"}, None),
        ({"password": 7}, None),
        ({"password": "c=" + "x" * 510 + ",b"}, None),
        ({"password": "c=" + "x" * 508 + ",b"}, "b"),
    ],
)
def test_the_name_of_a_login(row: dict[str, Any], name: str | None) -> None:
    wallet = wallet_of({"miners": [{"algo": "scrypt", **row}]}, "scrypt", Counter())
    assert list(wallet.workers) == ([name] if name else [])
    assert wallet.nameless == (0 if name else 1)


def test_what_logins_of_one_name_do_is_added_and_what_is_not_told_is_no_zero() -> None:
    rows = [
        {"ID": "a"},
        {"ID": "a", "accepted": 1024},
        {"ID": "a"},
        {"ID": "a", "rejected": 2048},
        {"ID": "b"},
    ]
    wallet = wallet_of({"miners": [{"algo": "scrypt"} | row for row in rows]}, "scrypt", Counter())
    assert wallet.hashrate == 1000
    first, second = wallet.workers.values()
    assert (first.hashrate, first.rate_accepted, first.rate_rejected) == ({"now": 1000}, 1000, 2000)
    assert (second.hashrate, second.rate_accepted, second.rate_rejected) == ({}, None, None)


def test_what_is_not_as_documented_is_counted_by_its_place() -> None:
    odd: Counter[str] = Counter()
    wallet_of(
        {
            "symbol": 7,
            "balance": "?",
            "unsold": "?",
            "paidtotal": [],
            "payouts": [{"time": "soon"}, {"time": 7, "amount": "?"}, 7],
            "miners": [{"algo": 7}, {"algo": "scrypt", "ID": 7, "accepted": "?", "rejected": "?"}, 7],
        },
        "scrypt",
        odd,
    )
    status(
        {"Scrypt": {"fees": "?", "mbtc_mh_factor": 1, "estimate_current": "?"}, "sha256": 7, "x11": 7}, odd
    )
    networks({"LTC": {"algo": "scrypt", "difficulty": "?", "network_hashrate": []}, "DOGE": 7}, "scrypt", odd)
    assert odd == dict.fromkeys(
        [
            *(f"wallet.{key}" for key in ("symbol", "balance", "unsold", "paidtotal")),
            *(f"wallet.payouts[]{key}" for key in (".time", ".amount", "")),
            *(f"wallet.miners[]{key}" for key in (".algo", ".ID", ".accepted", ".rejected", "")),
            *(f"status.*{key}" for key in (".fees", ".estimate_current", "")),
            *(f"currencies.*{key}" for key in (".difficulty", ".network_hashrate", "")),
        ],
        1,
    )


def test_a_wallets_lists_are_read_to_a_bound() -> None:
    odd: Counter[str] = Counter()
    payouts = [{"time": number, "amount": number} for number in range(1, 502)]
    wallet = wallet_of({"payouts": payouts, "miners": [{"algo": "scrypt"}] * 20_001}, "scrypt", odd)
    assert (wallet.coin.last_payout, wallet.nameless) == (500, 20_000)
    assert odd == {"wallet.payouts": 1, "wallet.miners": 1}


def test_of_two_entries_of_an_algorithm_the_first_counts() -> None:
    one = {"fees": 0, "mbtc_mh_factor": 1, "estimate_current": 2, "actual_last24h": 3}
    found = status({"x11": {"fees": 5}, "SHA256": one, "sha256d": one | {"fees": 9}}, Counter())
    assert found.fee_ratio == {"sha256d": 0}
    assert [(quote.algorithm, quote.source, quote.btc) for quote in found.profitability] == [
        ("sha256d", "pool", near(2 / 86.4e9)),
        ("sha256d", "pool_actual", near(0.003 / 86.4e9)),
    ]


def test_the_networks_of_bitcoin_and_of_what_a_site_has_not_asked() -> None:
    bitcoin = {"symbol": "btc", "algo": "SHA256", "difficulty": 1e14, "network_hashrate": 0}
    told = {
        "BTC-sha": bitcoin,
        "BTC": bitcoin | {"difficulty": 5},
        "BCH": {"algo": "sha256", "difficulty": 0},
    }
    found = networks({**told, "LTC": {"algo": "scrypt"}, "XEC": {"algo": "sha256"}}, "sha256d", Counter())
    assert {ticker: (one.difficulty, one.hashrate) for ticker, one in found.items()} == {
        "BTC": (1e14, None),
        "BCH": (None, None),
    }
    assert networks({"LTC": {"symbol": 7, "algo": "scrypt"}}, "scrypt", Counter()).keys() == {"LTC"}
    assert networks({"LTC": {"difficulty": 7}}, "scrypt", Counter()) == {}


@settings(max_examples=200, deadline=None)
@given(wallet=mangled(WALLET), quotes=mangled(STATUS), coins=mangled(CURRENCIES))
def test_mangled_answers_never_raise_but_as_agreed(
    wallet: dict[str, Any], quotes: dict[str, Any], coins: dict[str, Any]
) -> None:
    found = PoolReading()
    try:
        read = wallet_of(wallet, "scrypt", found.unexpected)
        found.workers = list(read.workers.values())
        if read.ticker:
            found.coins[read.ticker] = read.coin
        if read.hashrate is not None:
            found.hashrate["now"] = read.hashrate
    except ProbeError:
        pass
    found.profitability = status(quotes, found.unexpected).profitability
    found.networks = networks(coins, "scrypt", found.unexpected)
    page = Page()
    samples(found, page, 1.7e9, 1.7e9, 600.0)
    for metric, values in page.families():
        for value in values.values():
            assert metric.low <= value <= metric.high
