"""litecoinpool.org: the recorded document checks itself, and each failure has its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.pools.litecoinpool.account import reading
from exporter.pools.metrics import samples, usd_per_hash
from exporter.pools.reading import PoolReading
from exporter.pools.workers import MOST_WORKERS
from exporter.simulator.simulation import MinerSpec
from tests.conftest import near
from tests.pools.sites import assert_fails_with, pool_page, pool_site, source_of

# Figures of January 2018, from before merge-mined Dogecoin was told apart; those of the user are made up.
RECORDED: dict[str, Any] = {
    "user": {
        "hash_rate": 510_000.5,
        "expected_24h_rewards": 0.0708,
        "total_rewards": 1.4,
        "paid_rewards": 1,
        "unpaid_rewards": 0.4,
        "past_24h_rewards": 0.07,
        "total_work": "77177713885184",
        "blocks_found": 1,
    },
    "workers": {
        "user.1": {
            "connected": True,
            "hash_rate": 199310.8,
            "hash_rate_24h": 133975.3,
            "valid_shares": "0900765502976",
            "stale_shares": "909415168",
            "invalid_shares": "80247",
            "rewards": 1.19,
            "last_share_time": 1517124416,
            "reset_time": 1512630506,
        },
        "user.2": {"connected": False, "hash_rate": 0, "valid_shares": 12, "last_share_time": 1517100000},
        "user.3": {"connected": False, "hash_rate": 0, "valid_shares": "0", "last_share_time": 0},
    },
    "pool": {"hash_rate": 28840000000, "pps_ratio": 1.03, "pps_rate": 1.05305e-10},
    "network": {
        "hash_rate": 95925913949,
        "time_per_block": 167,
        "difficulty": 3731199.1833743,
        "block_number": 1358312,
    },
    "recent_payouts": [{"time": 1517000000, "amount": 0.5}, {"time": 1517080000, "amount": 0.25}],
    "market": {"ltc_btc": 0.01576, "ltc_usd": 183.02, "btc_usd": 11761.7},
}
DOGE: dict[str, Any] = {
    "user": {
        "expected_24h_rewards_doge": 310.5,
        "unpaid_rewards_doge": 40.25,
        "past_24h_rewards_doge": 300.0,
        "paid_rewards_doge": 9000,
    },
    "pool": {"pps_rate_avg_doge": 4.2e-7},
    "network": {"difficulty_avg_doge": 1.5e6},
    "market": {"doge_usd": 0.0726, "doge_btc": 1.1e-6},
    "recent_payouts_doge": [{"time": 1517090000, "amount": 77.5}],
}


def with_doge() -> dict[str, Any]:
    return {
        key: {**value, **DOGE.get(key, {})} if isinstance(value, dict) else value
        for key, value in RECORDED.items()
    } | {"recent_payouts_doge": DOGE["recent_payouts_doge"]}


def page_of(found: PoolReading) -> Page:
    page = Page()
    assert samples(found, page, 1517125000.0, 1517124990.0, 600.0) == {}
    return page


def test_the_recorded_document_checks_itself() -> None:
    found = reading(RECORDED)
    difficulty = found.networks["LTC"].difficulty
    [ltc] = found.profitability
    assert difficulty is not None
    assert ltc.coins is not None
    # A block paid 25 LTC then. A share is 65,536 hashes and a block of difficulty 1 is 2^32.
    assert ltc.coins == near(25 / (difficulty * 2**32) * 1.03, rel=1e-5)
    assert ltc.coins * 65_536 == near(25 / (difficulty * 65_536) * 1.03, rel=1e-5)
    rate = found.networks["LTC"].hashrate
    assert rate == pytest.approx(difficulty * 2**32 / 167, rel=1e-3), "its hashrates are kH/s"


def test_the_values_of_two_coins_and_three_workers() -> None:
    page = page_of(reading(with_doge()))
    assert page.value(c.MINING_POOL_HASHRATE, "now") == 510_000_500.0
    assert page.value(c.MINING_POOL_WORKERS, "online") == 1
    assert page.value(c.MINING_POOL_WORKERS, "offline") == 2
    assert page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed") == 0.4
    assert page.value(c.MINING_POOL_BALANCE, "DOGE", "confirmed") == 40.25
    assert page.value(c.MINING_POOL_BALANCE, "LTC", "unconfirmed") is None
    assert page.value(c.MINING_POOL_EARNED_24H, "DOGE") == 300.0
    assert page.value(c.MINING_POOL_EXPECTED_24H, "LTC") == 0.0708
    assert page.value(c.MINING_POOL_PAID, "LTC") == 1
    assert page.value(c.MINING_POOL_LAST_PAYOUT, "LTC") == 0.25
    assert page.value(c.MINING_POOL_LAST_PAYOUT_TIME, "LTC") == 1517080000
    assert page.value(c.MINING_POOL_LAST_PAYOUT, "DOGE") == 77.5
    assert page.value(c.MINING_POOL_BLOCKS, "LTC") == 1
    assert page.value(c.MINING_POOL_PAYS) == 1.03
    assert page.value(c.MINING_POOL_FEE) is None, "a ratio above 1 is no fee"
    assert page.value(c.MINING_POOL_WORKER_HASHRATE, "user.1", "now") == 199_310_800.0
    assert page.value(c.MINING_POOL_WORKER_HASHRATE, "user.1", "24h") == pytest.approx(133_975_300.0)
    assert page.value(c.MINING_POOL_WORKER_HASHES_ACCEPTED, "user.1") == 900765502976 * 65_536
    assert page.value(c.MINING_POOL_WORKER_HASHES_STALE, "user.1") == 909415168 * 65_536
    assert page.value(c.MINING_POOL_WORKER_HASHES_REJECTED, "user.1") == 80247 * 65_536
    assert page.value(c.MINING_POOL_WORKER_SHARES_ACCEPTED, "user.1") is None, "work is no number of shares"
    assert page.value(c.MINING_POOL_WORKER_LAST_SHARE, "user.1") == 1517124416
    assert page.value(c.MINING_POOL_WORKER_LAST_SHARE, "user.3") is None, "0 is never"
    assert page.value(c.MINING_POOL_WORKER_ONLINE, "user.2") == 0
    assert page.value(c.MINING_POOL_COINS, "scrypt", "DOGE", "pool") == 4.2e-7 / 65_536
    assert page.value(c.MINING_POOL_USD, "scrypt", "LTC", "pool") == near(1.05305e-10 / 65_536 * 183.02)
    assert usd_per_hash(page)["scrypt"] == near((1.05305e-10 * 183.02 + 4.2e-7 * 0.0726) / 65_536)
    assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "account") == 1517124990.0


def test_a_document_without_dogecoin_has_none() -> None:
    page = page_of(reading(RECORDED))
    for metric, samples_of_it in page.families():
        for labels in samples_of_it:
            assert "DOGE" not in labels, metric.name


@pytest.mark.parametrize("absent", ["pps_rate", "pps_rate_avg_doge"])
def test_of_two_coins_none_is_priced_alone(absent: str) -> None:
    document = with_doge()
    document["pool"] = {key: value for key, value in document["pool"].items() if key != absent}
    page = page_of(reading(document))
    assert len(page.family(c.MINING_POOL_COINS)) == 1
    assert page.family(c.MINING_POOL_USD) == page.family(c.MINING_POOL_BTC) == {}
    assert usd_per_hash(page) == {}


@pytest.mark.parametrize("absent", ["workers", "pool", "network", "market", "recent_payouts"])
def test_a_part_that_is_missing_is_absent_and_no_zero(absent: str) -> None:
    found = reading({key: value for key, value in RECORDED.items() if key != absent})
    assert not found.unexpected
    if absent == "workers":
        assert found.workers_online is None
        assert page_of(found).value(c.MINING_POOL_WORKERS, "online") is None
    if absent == "market":
        assert page_of(found).value(c.MINING_POOL_USD, "scrypt", "LTC", "pool") is None
        assert page_of(found).value(c.MINING_POOL_COINS, "scrypt", "LTC", "pool") is not None


def test_what_is_not_as_documented_is_counted_by_its_place() -> None:
    found = reading(
        {
            "user": {"hash_rate": "many", "blocks_found": True, "unpaid_rewards_doge": []},
            "workers": {"a": {"connected": 1, "hash_rate_24h": {}}, "b": 7},
            "pool": {"pps_ratio": "n/a"},
            "network": {"difficulty": "?"},
            "market": {"ltc_usd": "?"},
            "recent_payouts": [{"time": "soon"}, {"time": 1, "amount": "?"}, "x"],
            "recent_payouts_doge": {},
        }
    )
    assert found.unexpected == dict.fromkeys(
        [
            *("user.hash_rate", "user.blocks_found", "user.unpaid_rewards_doge"),
            *("workers.a.connected", "workers.a.hash_rate_24h", "workers.b"),
            *("pool.pps_ratio", "network.difficulty", "market.ltc_usd"),
            *("recent_payouts[].time", "recent_payouts[].amount", "recent_payouts[]", "recent_payouts_doge"),
        ],
        1,
    )
    assert [worker.name for worker in found.workers] == ["a", "b"]
    whole = ("workers", "pool", "network", "market")
    found = reading({"user": {}, **dict.fromkeys(whole, 7)})
    assert found.unexpected == dict.fromkeys(whole, 1)


def test_of_five_hundred_payouts_the_last_counts_and_more_are_not_read() -> None:
    payouts = [{"time": 1_517_000_000 + number, "amount": number} for number in range(501)]
    found = reading(RECORDED | {"recent_payouts": payouts[:500]})
    assert found.coins["LTC"].last_payout == 499
    assert not found.unexpected
    found = reading(RECORDED | {"recent_payouts": payouts})
    assert found.coins["LTC"].last_payout == 499
    assert found.unexpected == {"recent_payouts": 1}


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        ([], "bad_shape", "/api is not a document of an account"),
        ({}, "unauthorised", "the document is of no account: the key is wrong"),
        ({"user": []}, "unauthorised", "the document is of no account: the key is wrong"),
    ],
)
async def test_a_document_of_no_account_is_told_in_words(body: Any, reason: str, words: str) -> None:
    async with source_of("litecoinpool", lambda *_: body, api_key="k") as source:
        error = await source.refusal()
        assert source.steps[-1].problem == str(error)
    assert (error.reason, error.detail) == (reason, words)


MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


async def test_over_a_socket_it_is_what_the_miners_hash(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "litecoinpool", MINERS) as site:
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert page["mining_pool_workers"] == {(("state", "online"),): 3, (("state", "offline"),): 0}
        hashes = page["mining_pool_hashrate_hashes_per_second"][(("window", "now"),)]
        truth = sum(host.miner.owner_rate() for host in site.simulation.miners.values())
        assert hashes == pytest.approx(truth, rel=0.2)
        for _ in range(5):
            await pool_page(site)
        assert site.host.too_fast == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unauthorised"),
        ("unknown_account", "unauthorised"),
        ("throttled", "throttled"),
        ("ip_not_allowed", "unauthorised"),
        ("html", "html"),
        ("empty", "empty"),
        ("truncated", "not_json"),
        ("http_500", "http_status"),
        ("dead", "connection"),
        ("hanging", "timeout"),
        ("key_echoed", "unauthorised"),
    ],
)
async def test_each_failure_has_its_reason_and_is_no_zero(tmp_path: Path, fault: str, reason: str) -> None:
    await assert_fails_with(tmp_path, "litecoinpool", MINERS, fault, reason)


async def test_a_pool_that_fails_is_asked_no_sooner(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "litecoinpool", MINERS) as site:
        await site.simulation.inject("litecoinpool", "http_500")
        for _ in range(5):
            assert (await pool_page(site))["mining_pool_up"] == {(): 0}
        assert len(site.host.requests) == 1


async def test_odd_answers_give_no_zero_and_no_exception(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "litecoinpool", MINERS) as site:
        healthy = await pool_page(site)
        await site.simulation.inject("litecoinpool", "numbers_as_text")
        site.forget()
        text = await pool_page(site)
        assert set(text) == set(healthy), "numbers as text with leading zeros are numbers"
        await site.simulation.repair("litecoinpool")
        await site.simulation.inject("litecoinpool", "nulls")
        site.forget()
        nulls = await pool_page(site)
        assert nulls["mining_pool_up"] == {(): 1}
        assert "mining_pool_balance_coins" not in nulls


async def test_names_nobody_would_choose_are_cleaned_and_bounded(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "litecoinpool", MINERS) as site:
        await site.simulation.inject("litecoinpool", "hostile_names")
        page = await pool_page(site)
        names = {dict(labels)["worker"] for labels in page["mining_pool_worker_online"]}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)
        await site.simulation.inject("litecoinpool", "many_workers", {"count": 5000})
        site.forget()
        page = await pool_page(site)
        assert len(page["mining_pool_worker_online"]) == MOST_WORKERS
        assert page["mining_pool_workers_cut"][()] > 3000
