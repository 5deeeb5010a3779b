"""Mining-Dutch: one call a reading, ten seconds and ten minutes apart, and none that starves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exporter import catalogue as c
from exporter.config.load import load
from exporter.pools.yiimp.mining_dutch import (
    balance_of,
    dashboard_of,
    local_time,
    transactions_of,
    workers_of,
)
from exporter.simulator.simulation import MinerSpec
from tests.conftest import FakeClock
from tests.pools.mangled import mangled
from tests.pools.sites import assert_fails_with, clocked_pool, pool_page, pool_site

WORKERS: dict[str, Any] = {
    "miners": [
        {
            "username": "u.rig1",
            "alive": 1,
            "hashrate": "16000000000",
            "lastshare": 1790000000,
            "difficulty": "4096",
        },
        {"username": "u.rig2", "alive": "0", "hashrate": 0, "lastshare": 1789990000},
        {"username": "u.rig3", "alive": False, "hashrate": None, "lastshare": 0},
    ]
}
TRANSACTIONS: dict[str, Any] = {
    "transactions": [
        {"id": 3, "type": "Credit", "amount": "0.1", "timestamp": "2026-11-23 13:00:00"},
        {"id": 2, "type": "Debit_AP", "amount": "12.5", "timestamp": "2026-11-23 12:00:00"},
        {"id": 1, "type": "Debit_MP", "amount": "-7", "timestamp": "2026-07-01 12:00:00"},
        {"id": 0, "type": "Debit_AP", "amount": "1", "timestamp": "0000-00-00 00:00:00"},
    ],
    "transactionsummary": {"Credit": "21", "Debit_AP": "13.5", "Debit_MP": 7, "TXFee": 0.1},
}
MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc]


def test_the_pools_times_are_amsterdams() -> None:
    assert local_time("2026-11-23 12:00:00") == utc(2026, 11, 23, 11), "winter is an hour ahead"
    assert local_time("2026-07-01 12:00:00") == utc(2026, 7, 1, 10), "summer two"
    for text in (None, "", "yesterday", "2026-11-23", "0000-00-00 00:00:00"):
        assert local_time(text) is None


@pytest.mark.parametrize("shape", ["array", "object", "bare"])
def test_workers_are_read_from_an_array_or_an_object(shape: str) -> None:
    data: Any = WORKERS
    if shape == "object":
        data = {"miners": {str(number): row for number, row in enumerate(WORKERS["miners"])}}
    if shape == "bare":
        data = WORKERS["miners"]
    odd: Counter[str] = Counter()
    [first, second, third], cut = workers_of(data, 1.0, odd)
    assert (first.name, first.online, first.last_share, first.hashrate) == (
        "u.rig1",
        True,
        1790000000,
        {"now": 16e9},
    )
    assert (second.online, second.hashrate) == (False, {"now": 0})
    assert (third.online, third.last_share, third.hashrate) == (False, None, {})
    assert cut == 0
    assert not odd


def test_the_unit_of_hashrates_is_the_owners_to_say() -> None:
    [first, *_], _ = workers_of({"miners": [{"username": "a", "hashrate": 9500}]}, 1e6, Counter())
    assert first.hashrate == {"now": 9.5e9}


def test_money_and_difficulty() -> None:
    coin = transactions_of(TRANSACTIONS, Counter())
    assert (coin.last_payout, coin.last_payout_time) == (12.5, utc(2026, 11, 23, 11))
    assert coin.paid_total == 20.5
    assert transactions_of({"transactions": []}, Counter()).paid_total is None
    assert transactions_of({"transactionsummary": {"Debit_AP": None}}, Counter()).paid_total is None
    assert balance_of({"confirmed": "12.5", "unconfirmed": "0.25", "orphaned": "0"}, Counter()) == (
        12.5,
        0.25,
    )
    assert dashboard_of(
        {"recent_credits_24hours": {"amount": 3.5}, "network": {"difficulty": 4e7, "hashrate": 1}}, Counter()
    ) == (3.5, 4e7)


async def test_every_call_has_its_turn_in_scrapes_with_time_for_one(tmp_path: Path, clock: FakeClock) -> None:
    async with clocked_pool(tmp_path, "mining_dutch", MINERS, clock) as (host, target):
        _, page = await target.probe(clock() + 9.5)
        assert page.value(c.MINING_POOL_UP) == 1
        assert page.value(c.MINING_POOL_WORKERS, "online") == 3
        for minute in range(3 * 60):
            clock.advance(60)
            _, page = await target.probe(clock() + 9.5)
            assert page.value(c.MINING_POOL_UP) == 1
            if minute < 8:
                continue
            for ticker in ("LTC", "DOGE"):
                assert page.value(c.MINING_POOL_BALANCE, ticker, "confirmed") is not None, minute
                assert page.value(c.MINING_POOL_EARNED_24H, ticker) is not None, minute
                assert page.value(c.MINING_POOL_LAST_PAYOUT_TIME, ticker) is not None, minute
                assert page.value(c.NETWORK_DIFFICULTY, ticker, "pool") is not None, minute
            assert page.value(c.MINING_POOL_BTC, "scrypt", "", "pool") is not None, minute
            dated = page.value(c.MINING_POOL_DATA_TIMESTAMP, "account")
            assert dated is not None
            assert 0 <= 1_795_000_000 + clock() - dated <= 660, "old figures are dated as such"
        assert host.too_fast == []
        assert len(host.asked) == 8
        assert min(host.asked.values()) >= 16
        coins = host.account.coins
        assert page.value(c.MINING_POOL_PAID, "DOGE") == pytest.approx(coins["DOGE"].paid)
        assert page.value(c.MINING_POOL_LAST_PAYOUT_TIME, "LTC") == coins["LTC"].payouts[0].time


async def test_a_longer_scrape_makes_more_calls_with_the_pause_between(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with clocked_pool(tmp_path, "mining_dutch", MINERS, clock) as (host, target):
        # No reading takes longer than fleet.timeout_seconds, 10 by default.
        for _ in range(100):
            await target.probe(clock() + 55)
            clock.advance(7)
        assert host.too_fast == []


async def test_calls_that_fail_do_not_keep_the_others_from_their_turn(
    tmp_path: Path, clock: FakeClock
) -> None:
    pages = {"coin_pages": {"LTC": "nosuchcoin", "DOGE": "dogecoin"}}
    async with clocked_pool(tmp_path, "mining_dutch", MINERS, clock, account=pages) as (host, target):
        for _ in range(60):
            _, page = await target.probe(clock() + 9.5)
            clock.advance(60)
        assert page.value(c.MINING_POOL_UP) == 1
        assert page.value(c.MINING_POOL_BALANCE, "DOGE", "confirmed") is not None
        assert page.value(c.MINING_POOL_EARNED_24H, "DOGE") is not None
        assert page.value(c.MINING_POOL_LAST_PAYOUT, "DOGE") is not None
        assert page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed") is None
        assert page.value(c.MINING_POOL_PART_UP, "balance_ltc") == 0
        assert page.value(c.MINING_POOL_PART_UP, "balance_doge") == 1
        assert host.too_fast == []


async def test_a_pool_that_refuses_is_asked_again_with_pauses(tmp_path: Path, clock: FakeClock) -> None:
    async with clocked_pool(tmp_path, "mining_dutch", MINERS, clock) as (host, target):
        host.account.inject("throttled")
        for _ in range(300):
            await target.probe(clock() + 9.5)
            clock.advance(4)
        # Rounds are shorter than ten minutes while nothing is known, the pause of ten seconds is kept.
        assert not [line for line in host.too_fast if float(line.split(": ")[1].split()[0]) < 9.9]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unauthorised"),
        ("unknown_account", "unauthorised"),
        ("throttled", "throttled"),
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
    await assert_fails_with(tmp_path, "mining_dutch", MINERS, fault, reason)


@pytest.mark.parametrize("fault", ["numbers_as_text", "nulls", "hostile_names", "vanishing_worker"])
async def test_odd_answers_give_no_zero_and_no_exception(tmp_path: Path, fault: str) -> None:
    async with pool_site(tmp_path, "mining_dutch", MINERS) as site:
        await site.simulation.inject("mining_dutch", fault)
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        names = {dict(labels)["worker"] for labels in page.get("mining_pool_worker_online", {})}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)
        if fault == "nulls":
            assert "mining_pool_worker_online" not in page


def test_what_differs_from_other_sites_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("yiimp: {dialect: mining_dutch, api_key: k, account_id: 1, account: u}\n")
    [account] = load(path, {}).pools
    assert account.settings.max_age_minutes == 30
    assert account.settings.rate_limit_requests_per_hour == 120
    assert account.mined_at("europe.mining-dutch.nl:9999")
    assert not account.mined_at("zpool.ca")


@settings(max_examples=200, deadline=None)
@given(workers=mangled(WORKERS), transactions=mangled(TRANSACTIONS))
def test_mangled_answers_never_raise(workers: dict[str, Any], transactions: dict[str, Any]) -> None:
    found, _ = workers_of(workers, 1.0, Counter())
    assert all(worker.name.isprintable() and worker.name for worker in found)
    transactions_of(transactions, Counter())
    balance_of(transactions, Counter())
    dashboard_of(workers, Counter())
