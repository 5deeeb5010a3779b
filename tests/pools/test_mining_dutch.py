"""Mining-Dutch: one call a reading, ten seconds and ten minutes apart, and none that starves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
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
from tests.pools.sites import WALL, assert_fails_with, clocked_pool, pool_page, pool_site, source_of

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


USER: dict[str, Any] = {"dialect": "mining_dutch", "api_key": "k", "account_id": 7}


def told(data: Any, quotes: Any = None) -> Any:
    """A pool that answers every action with *data*, or with what it says of the action."""

    def answer(request: web.Request, _: str) -> Any:
        if request.path == "/api/status/":
            return quotes or {"x11": {}}
        action = request.query["action"]
        return {action: {"data": data(action) if callable(data) else data}}

    return answer


def asked_for(page: str, action: str) -> str:
    return f"/pools/{page}.php?page=api&action={action}&api_key=k&id=7"


@pytest.mark.parametrize(
    ("account", "page", "coins"),
    [
        ({}, "scrypt", ["litecoin", "dogecoin"]),
        ({"algorithm": "sha256d", "coin_pages": {"BTC": "bitcoin"}}, "sha256", ["bitcoin"]),
        ({"page": "other", "coin_pages": {}}, "other", []),
    ],
)
async def test_a_round_of_calls(account: dict[str, Any], page: str, coins: list[str]) -> None:
    times = []

    def answer(request: web.Request, text: str) -> Any:
        times.append(source.clock())
        return told({})(request, text)

    async with source_of("yiimp", answer, **USER, **account) as source:
        await source.read()
        assert source.asked == [
            asked_for(page, "getuserworkers"),
            "/api/status/",
            *(
                asked_for(coin, action)
                for action in ("getuserbalance", "getdashboarddata", "getusertransactions")
                for coin in coins
            ),
        ]
        assert times == [1000 + 10 * number for number in range(len(times))]
        for now, count in ((1599, 0), (1600, 1)):
            source.clock.now = now
            # Time enough for one.
            await source.read(seconds=9)
            assert len(source.asked) == count


@pytest.mark.parametrize(("every", "pause"), [(60, 600), (900, 900)])
async def test_rounds_are_ten_minutes_apart_or_more_if_configured(every: int, pause: int) -> None:
    async with source_of("yiimp", told({}), sync_interval_seconds=every, **USER) as source:
        await source.read()
        source.clock.now = 1000 + pause - 1
        await source.read(seconds=9)
        assert source.asked == []
        source.clock.advance(1)
        await source.read(seconds=9)
        assert source.asked == [asked_for("scrypt", "getuserworkers")]


async def test_a_call_that_failed_is_repeated_after_a_minute() -> None:
    async with source_of("yiimp", told(None), coin_pages={}, **USER) as source:
        asked = []
        # After 59 seconds others have their turn.
        for seconds in (0, 59, 10):
            source.clock.advance(seconds)
            error = await source.refusal(seconds=1.5)
            assert (error.reason, error.detail) == (
                "bad_shape",
                "scrypt: the answer is none to getuserworkers",
            )
            asked.append([one for one in source.asked if "getuserworkers" in one])
    assert [len(one) for one in asked] == [1, 0, 1]


async def test_what_was_told_stands_for_half_an_hour_while_the_pool_fails() -> None:
    failing = False

    def answer(request: web.Request, text: str) -> Any:
        data: dict[str, Any] = {
            "getuserworkers": [{"username": "a", "alive": 1}],
            "getuserbalance": {"confirmed": 2, "unconfirmed": 3},
            "getdashboarddata": {"network": {"difficulty": 4}, "recent_credits_24hours": {"amount": 5}},
            "getusertransactions": {"transactionsummary": {"Debit_AP": 6}},
        }
        quotes = {"scrypt": {"fees": 2, "mbtc_mh_factor": 1, "estimate_current": 1}}
        return {"message": "locked"} if failing else told(data.get, quotes)(request, text)

    async with source_of("yiimp", answer, coin_pages={"LTC": "litecoin"}, **USER) as source:
        whole = await source.read()
        failing = True
        # The list of workers is the first to be too old.
        source.clock.now = 1000 + 1799
        found = await source.read(seconds=9)
        assert (found.workers_online, found.workers_offline, found.fee_ratio) == (1, 0, 0.02)
        assert found.profitability == whole.profitability != []
        assert found.coins == whole.coins
        coin = found.coins["LTC"]
        assert (coin.balance_confirmed, coin.balance_unconfirmed) == (2, 3)
        assert (coin.earned_24h, coin.paid_total, found.networks["LTC"].difficulty) == (5, 6, 4)
        assert found.dated == {"account": WALL + 1000, "profitability": WALL + 1010}
        assert found.parts["workers"] is False
        assert source.steps[-1].problem == "pool_error: /pools/scrypt.php answered with a message"
        source.clock.now = 1000 + 1800
        error = await source.refusal(seconds=1.5)
        assert error.detail == "/pools/scrypt.php answered with a message"


async def test_a_coin_the_pool_tells_nothing_of_is_none() -> None:
    def answer(request: web.Request, text: str) -> Any:
        working = request.path in ("/api/status/", "/pools/scrypt.php", "/pools/dogecoin.php")
        return told({})(request, text) if working else {"message": "locked"}

    async with source_of("yiimp", answer, **USER) as source:
        found = await source.read()
    assert found.coins.keys() == {"DOGE"}
    assert found.parts == {"workers": True, "status": True} | {
        f"{part}_{coin}": coin == "doge"
        for part in ("balance", "dashboard", "transactions")
        for coin in ("ltc", "doge")
    }


@pytest.mark.parametrize("part", ["getuserbalance", "getdashboarddata", "getusertransactions"])
async def test_one_answer_of_a_coin_is_enough(part: str) -> None:
    def data(action: str) -> Any:
        return {} if action in (part, "getuserworkers") else None

    async with source_of("yiimp", told(data), coin_pages={"LTC": "litecoin"}, **USER) as source:
        assert (await source.read()).coins.keys() == {"LTC"}


@pytest.mark.parametrize(
    ("rows", "rate"),
    [
        ([], 0.0),
        ([{"username": "a"}], None),
        ([{"username": "a"}, {"username": "b", "hashrate": 2}, {"username": "c", "hashrate": 3}], 5000.0),
    ],
)
async def test_the_accounts_rate_is_that_of_its_workers(rows: list[Any], rate: float | None) -> None:
    async with source_of("yiimp", told(rows), hashrate_unit="kH/s", coin_pages={}, **USER) as source:
        assert (await source.read()).hashrate.get("now") == rate


@pytest.mark.parametrize("data", [None, [], 7])
async def test_an_answer_to_something_else_is_none(data: Any) -> None:
    answers = {"getuserworkers": data}
    async with source_of("yiimp", lambda *_: {"other": 1} | answers, coin_pages={}, **USER) as source:
        error = await source.refusal()
        assert (error.reason, error.detail) == ("bad_shape", "scrypt: the answer is none to getuserworkers")
        assert source.steps[0].problem == str(error)


@pytest.mark.parametrize(
    ("alive", "online"),
    [
        (1, True),
        ("1", True),
        (True, True),
        (0, False),
        ("0", False),
        (False, False),
        (None, None),
        ("yes", None),
    ],
)
def test_who_is_alive(alive: Any, online: bool | None) -> None:
    [[worker], _] = workers_of([{"username": "a", "alive": alive}], 1.0, Counter())
    assert worker.online is online


def test_a_worker_without_a_user_has_its_key_as_name() -> None:
    found, cut = workers_of({"miners": {"u.a": {}, "b": {"username": "u.b"}}}, 1.0, Counter())
    assert [worker.name for worker in found] == ["u.a", "u.b"]
    found, cut = workers_of({"miners": [{}]}, 1.0, Counter())
    assert (found, cut) == ([], 1)


def test_what_is_not_as_documented_is_counted_by_its_place() -> None:
    odd: Counter[str] = Counter()
    workers_of(
        [{"username": 7}, {"username": "a", "alive": "?", "lastshare": "?", "hashrate": "?"}, 7], 1.0, odd
    )
    workers_of({"miners": 7}, 1.0, odd)
    workers_of({}, 1.0, odd)
    balance_of({"confirmed": "?", "unconfirmed": "?"}, odd)
    dashboard_of({"recent_credits_24hours": {"amount": "?"}, "network": {"difficulty": "?"}}, odd)
    dashboard_of({"recent_credits_24hours": 7, "network": 7}, odd)
    transactions_of({"transactionsummary": {"Debit_AP": "?"}, "transactions": [{"timestamp": 7}, 7]}, odd)
    transactions_of({"transactions": [{"amount": "?", "type": 7}]}, odd)
    transactions_of({"transactionsummary": 7, "transactions": 7}, odd)
    for read in (balance_of, dashboard_of, transactions_of):
        read(7, odd)
    expected = [
        *(f"getuserworkers.miners[]{key}" for key in (".username", ".alive", ".lastshare", ".hashrate", "")),
        "getuserworkers.miners",
        *(f"getuserbalance{key}" for key in (".confirmed", ".unconfirmed", "")),
        *(f"getdashboarddata.recent_credits_24hours{key}" for key in (".amount", "")),
        *(f"getdashboarddata.network{key}" for key in (".difficulty", "")),
        "getdashboarddata",
        *(f"getusertransactions.transactionsummary{key}" for key in (".Debit_AP", "")),
        *(
            f"getusertransactions.transactions{key}"
            for key in ("[].timestamp", "[].amount", "[].type", "[]", "")
        ),
        "getusertransactions",
    ]
    assert odd == dict.fromkeys(expected, 1)


def test_a_difficulty_of_nothing_is_unknown() -> None:
    assert dashboard_of(
        {"network": {"difficulty": 0}, "recent_credits_24hours": {"amount": 0}}, Counter()
    ) == (0, None)


def test_of_a_thousand_transactions_more_are_not_read_and_a_loss_is_no_credit() -> None:
    odd: Counter[str] = Counter()
    new = {"type": "Debit_AP", "amount": -2, "timestamp": "2026-11-24 12:00:00"}
    old = {"type": "Debit_AP", "amount": 1, "timestamp": "2026-11-23 12:00:00"}
    none = [
        {"type": kind, "amount": 9, "timestamp": "2026-11-25 12:00:00"} for kind in ("Credit", "debit", None)
    ]
    coin = transactions_of({"transactions": [*none, old, new, *[old] * 995]}, odd)
    assert (coin.last_payout, coin.last_payout_time) == (2, utc(2026, 11, 24, 11))
    assert not odd
    coin = transactions_of({"transactions": [*[old] * 1000, new]}, odd)
    assert coin.last_payout == 1
    assert odd == {"getusertransactions.transactions": 1}
    assert transactions_of({"transactionsummary": {"Credit": 5}}, Counter()).paid_total == 0
    assert transactions_of({"transactionsummary": {"Debit_AP": -5, "Debit_MP": 2}}, Counter()).paid_total == 7


@settings(max_examples=200, deadline=None)
@given(workers=mangled(WORKERS), transactions=mangled(TRANSACTIONS))
def test_mangled_answers_never_raise(workers: dict[str, Any], transactions: dict[str, Any]) -> None:
    found, _ = workers_of(workers, 1.0, Counter())
    assert all(worker.name.isprintable() and worker.name for worker in found)
    transactions_of(transactions, Counter())
    balance_of(transactions, Counter())
    dashboard_of(workers, Counter())
