"""F2Pool by token and without one: figures, a currency that is not told, pauses between calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.simulator.simulation import MinerSpec
from tests.pools.sites import WALL, assert_fails_with, pool_page, pool_site, source_of

MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


async def test_the_values_of_three_workers_by_token(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "f2pool", MINERS) as site:
        account = site.simulation.account
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert page["mining_pool_workers"] == {(("state", "online"),): 3, (("state", "offline"),): 0}
        for window, seconds in (("now", 600.0), ("1h", 3600.0), ("24h", 86_400.0)):
            rate = page["mining_pool_worker_hashrate_hashes_per_second"][
                (("window", window), ("worker", "l9-1"))
            ]
            assert rate == pytest.approx(account.workers["account.l9-1"].rate(account.now, seconds), rel=0.05)
        coin = account.coins["LTC"]
        assert page["mining_pool_balance_coins"][(("coin", "LTC"), ("state", "confirmed"))] == pytest.approx(
            coin.balance, rel=1e-2
        )
        assert page["mining_pool_earned_yesterday_coins"] == {
            (("coin", "LTC"),): pytest.approx(coin.yesterday)
        }
        assert page["mining_pool_last_payout_coins"] == {
            (("coin", "LTC"),): pytest.approx(coin.payouts[0].amount)
        }
        assert page["mining_pool_fee_ratio"] == {(): pytest.approx(account.fee)}
        assert "mining_pool_worker_stale_hashes_per_second" in page, "stale work is a rate here"
        assert "mining_pool_worker_stale_hashes_total" not in page
        # A currency the pool does not know is no failure, and no zero.
        assert set(page["mining_pool_part_up"].values()) == {1}
        look = site.runtime.fleet.pools["f2pool"].reader.last
        assert look is not None
        assert {step.problem for step in look.steps} == {"", "the pool tells nothing of dogecoin"}


async def test_the_values_without_a_token(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "f2pool", MINERS, drop=("api_key",)) as site:
        account = site.simulation.account
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        for window, seconds in (("now", 600.0), ("1h", 3600.0), ("24h", 86_400.0)):
            rate = page["mining_pool_hashrate_hashes_per_second"][(("window", window),)]
            assert rate == pytest.approx(account.rate(seconds), rel=0.05)
        assert page["mining_pool_earned_24h_coins"][(("coin", "LTC"),)] == pytest.approx(
            account.earned_24h("LTC"), rel=0.05
        )
        assert page["mining_pool_worker_last_share_timestamp_seconds"][
            (("worker", "l9-1"),)
        ] == pytest.approx(account.workers["account.l9-1"].last_share, abs=30)
        assert page["mining_pool_last_payout_timestamp_seconds"] == {
            (("coin", "LTC"),): account.coins["LTC"].payouts[0].time
        }
        assert 0 <= page["mining_pool_worker_reject_ratio"][(("worker", "l9-1"),)] < 0.02


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize(
    ("fault", "reason", "publicly"),
    [
        ("wrong_key", "unauthorised", "unauthorised"),
        ("ip_not_allowed", "unauthorised", "unknown_account"),
        ("unknown_account", "unknown_account", "unknown_account"),
        ("throttled", "throttled", "throttled"),
        ("html", "html", "html"),
        ("empty", "empty", "empty"),
        ("truncated", "not_json", "not_json"),
        ("http_500", "http_status", "http_status"),
        ("dead", "connection", "connection"),
        ("hanging", "timeout", "timeout"),
        ("key_echoed", "no_data", "unknown_account"),
    ],
)
async def test_each_failure_has_its_reason_and_is_no_zero(
    tmp_path: Path, fault: str, reason: str, publicly: str, public: bool
) -> None:
    drop = ("api_key",) if public else ()
    await assert_fails_with(tmp_path, "f2pool", MINERS, fault, publicly if public else reason, drop=drop)


@pytest.mark.parametrize("drop", [(), ("api_key",)])
async def test_odd_names_and_figures_are_cleaned(tmp_path: Path, drop: tuple[str, ...]) -> None:
    async with pool_site(tmp_path, "f2pool", MINERS, drop=drop, timeout_seconds=3.0) as site:
        await site.simulation.inject("f2pool", "hostile_names")
        page = await pool_page(site)
        names = {dict(labels)["worker"] for labels in page["mining_pool_worker_hashrate_hashes_per_second"]}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)


PUBLIC = {"account": "me"}
TOKEN = {**PUBLIC, "api_key": "k"}
RATES = {"info": {"hash_rate": 7}}


def told(answers: dict[str, Any]) -> Any:
    """What a pool says that gives *answers*, by the end of the path, and else little."""

    def answer(request: web.Request, _: str) -> Any:
        name = request.path.rpartition("/v2/")[2]
        return answers.get(name, RATES if name == "hash_rate/info" else {})

    return answer


async def test_what_is_asked_and_when() -> None:
    times: list[float] = []

    def answer(request: web.Request, _: str) -> Any:
        assert request.method == "POST"
        assert request.headers["F2P-API-SECRET"] == "k"
        times.append(source.clock())
        return RATES

    account = {"mining_user_name": "me"}
    async with source_of("f2pool", answer, **TOKEN) as source:
        await source.read()
        begun = int(WALL) + 1000
        income = {"calculate_estimated_income": True, "historical_total_income_outcome": True}
        week = {"start_time": begun - 7 * 86_400, "end_time": begun}
        asked = [json.loads(text) for text in source.asked]
        for after, document in enumerate(asked):
            # It is two calls later, with a second between any two.
            if "end_time" in document:
                assert document["end_time"] - begun == after
                document |= week
        coins: list[dict[str, Any]] = [{"currency": name, **account} for name in ("litecoin", "dogecoin")]
        assert asked == [
            coins[0],
            coins[0],
            *(
                coin | more
                for coin in coins
                for more in (income, {"type": "revenue", **week}, {"type": "payout", **week})
            ),
        ]
        assert times == [1000.0 + number for number in range(8)]
        counts = {}
        for now in (1060, 1061, 1121, 1122, 1600, 1607):
            source.clock.now = now
            await source.read()
            counts[now] = len(source.asked)
    # The account each time, workers a minute after they were asked for, money after ten.
    assert counts == {1060: 1, 1061: 2, 1121: 1, 1122: 2, 1600: 2, 1607: 7}


async def test_what_was_told_of_money_stands_for_twenty_minutes_while_its_calls_fail() -> None:
    for minutes, stands in ((10, 1200), (30, 1800)):
        answers: dict[str, Any] = {"assets/balance": {"balance_info": {"balance": 2}}}
        async with source_of("f2pool", told(answers), max_age_minutes=minutes, **TOKEN) as source:
            assert (await source.read()).coins["LTC"].balance_confirmed == 2
            asked = source.clock()
            answers["assets/balance"] = {"code": 1}
            # It was told some seconds before the last call of the reading.
            source.clock.now = asked + stands - 10
            found = await source.read()
            assert found.coins["LTC"].balance_confirmed == 2
            assert found.parts["balance LTC"] is found.parts["balance DOGE"] is False
            source.clock.now = asked + stands
            assert (await source.read()).coins == {}


@pytest.mark.parametrize(
    ("account", "body", "reason", "words"),
    [
        (TOKEN, [], "bad_shape", "hash_rate/info is no object"),
        (TOKEN, {"code": 1}, "pool_error", "hash_rate/info answered code 1"),
        (TOKEN, {"code": 5010}, "unauthorised", "hash_rate/info answered code 5010"),
        (TOKEN, {"code": 5001}, "unknown_account", "hash_rate/info answered code 5001"),
        (PUBLIC, [], "bad_shape", "the page of the account is no object"),
        (PUBLIC, {"balance": 7}, "unknown_account", "the page has no account"),
    ],
)
async def test_a_refusal_is_told_in_words(
    account: dict[str, str], body: Any, reason: str, words: str
) -> None:
    async with source_of("f2pool", lambda *_: body, **account) as source:
        error = await source.refusal()
        assert (error.reason, error.detail) == (reason, words)
        assert source.steps[-1].problem == str(error)


async def test_an_account_without_figures_has_no_data() -> None:
    async with source_of("f2pool", lambda *_: {"code": 0, "info": {}}, **TOKEN) as source:
        error = await source.refusal()
    assert (error.reason, error.detail) == ("no_data", "hash_rate/info has no figures of this account")


async def test_only_of_a_currency_it_does_not_know_a_pool_may_tell_nothing() -> None:
    def answer(request: web.Request, text: str) -> Any:
        return RATES if request.path.endswith("info") else {"code": 5001}

    async with source_of("f2pool", answer, **TOKEN) as source:
        found = await source.read()
        assert found.parts == {
            "hash_rate": True,
            "workers": False,
            **{f"{part} LTC": False for part in ("balance", "revenue", "payout")},
            **{f"{part} DOGE": True for part in ("balance", "revenue", "payout")},
        }
        assert [step.problem for step in source.steps] == [
            "",
            "pool_error: hash_rate/worker/list answered code 5001",
            "pool_error: assets/balance answered code 5001",
            *["pool_error: assets/transactions/list answered code 5001"] * 2,
            *["the pool tells nothing of dogecoin"] * 3,
        ]
        assert found.coins == {}


async def test_what_is_not_as_documented_is_counted_once_by_its_place() -> None:
    answers = {
        "hash_rate/info": {"info": {"hash_rate": "many"}},
        "hash_rate/worker/list": {
            "workers": [
                {"hash_rate_info": {"name": "a", "h1_stale_hash_rate": "?"}, "status": "?"},
                {"hash_rate_info": {"name": 7}},
                {"hash_rate_info": []},
            ]
        },
        "assets/balance": {"balance_info": {"balance": "?", "paid": True}},
        "assets/transactions/list": {
            "transactions": [
                {"created_at": 7, "mining_extra": 7, "payout_extra": {"value": "?"}},
                {"created_at": "soon"},
            ]
        },
    }
    async with source_of("f2pool", told(answers), **TOKEN) as source:
        found = await source.read()
        assert found.unexpected == {
            "hash_rate.info.hash_rate": 1,
            "workers.workers[].hash_rate_info.h1_stale_hash_rate": 1,
            "workers.workers[].status": 1,
            "workers.workers[].hash_rate_info": 1,
            # Of each coin.
            "balance.balance_info.balance": 2,
            "balance.balance_info.paid": 2,
            "revenue.transactions[].created_at": 2,
            "revenue.transactions[].mining_extra": 1,
            "payout.transactions[].created_at": 2,
            "payout.transactions[].payout_extra.value": 2,
        }
        [worker] = found.workers
        assert (worker.name, worker.online, worker.hashrate, worker.rate_stale) == ("a", None, {}, None)
        assert (found.workers_online, found.workers_offline) == (0, 0)
        coin = found.coins["DOGE"]
        # Nothing says when it was paid: it was when the transaction was made.
        assert (coin.last_payout, coin.last_payout_time) == (None, 7)
        # All but the hashrate is from before.
        assert (await source.read()).unexpected == {"hash_rate.info.hash_rate": 1}


async def test_a_reading_is_as_long_as_the_pools_lists_may_be() -> None:
    workers = [{"hash_rate_info": {"name": "a"}}] * 20_001
    rows = [{"created_at": 1000 - number, "mining_extra": {"pps_fee_rate": 0.04}} for number in range(1001)]
    answers = {
        "hash_rate/worker/list": {"workers": workers},
        "assets/transactions/list": {"transactions": rows},
    }
    async with source_of("f2pool", told(answers), **TOKEN) as source:
        found = await source.read()
    assert found.unexpected == {
        "workers.workers": 1,
        "revenue.transactions": 2,
        "payout.transactions": 2,
    }
    assert (len(found.workers), found.workers_cut) == (1, 19_999)
    assert found.fee_ratio == 0.04


async def test_a_payout_is_what_went_out_and_of_a_fee_the_newest_counts() -> None:
    def answer(request: web.Request, text: str) -> Any:
        if not request.path.endswith("transactions/list"):
            return RATES
        fees = {"litecoin": 0.04, "dogecoin": 0.5}
        extra = {
            "payout_extra": {"value": -3},
            "mining_extra": {"pps_fee_rate": fees[json.loads(text)["currency"]]},
        }
        old = {"payout_extra": {"value": 1}, "mining_extra": {"pps_fee_rate": 0.9}}
        return {
            "transactions": [
                {"created_at": 6, **old},
                {"created_at": 7, **extra},
                {"created_at": 5, **old},
                old,
            ]
        }

    async with source_of("f2pool", answer, **TOKEN) as source:
        found = await source.read()
    assert found.fee_ratio == 0.04
    assert found.coins["LTC"].last_payout == 3


async def test_the_account_is_asked_for_by_its_name_alone() -> None:
    async with source_of("f2pool", lambda *_: {"hashrate": 7}, **PUBLIC) as source:
        found = await source.read()
        assert source.asked == ["/litecoin/me"]
    assert found.hashrate == {"now": 7}
    # What is not told is no zero.
    assert (found.workers, found.workers_cut, found.workers_online, found.workers_offline) == (
        [],
        0,
        None,
        None,
    )
    assert not found.unexpected


async def test_what_is_not_as_documented_on_the_page_is_counted_by_its_place() -> None:
    body = {
        "hashrate": "many",
        "balance": "?",
        "workers": [["a", "?", 1, 1, "x", {}, 7, "flag"], [], [7], "x"],
        "payout_history": [[7, "t", "?"], ["2026-11-18T10:00:00Z", "t"], "x", ["soon", "t", 1]],
        "worker_length": 1,
        "worker_length_online": 2,
    }
    async with source_of("f2pool", lambda *_: body, **PUBLIC) as source:
        found = await source.read()
        assert found.unexpected == {
            "account.hashrate": 1,
            "account.balance": 1,
            "account.workers[]": 1,
            "account.workers[].1": 1,
            # Once as a rate, once as what its stale work is a part of.
            "account.workers[].4": 2,
            "account.workers[].5": 1,
            "account.workers[].6": 1,
            "account.payout_history[].time": 1,
            "account.payout_history[].amount": 1,
        }
        assert (found.workers_online, found.workers_offline) == (2, 0)
        [worker] = found.workers
        assert worker.hashrate == {"1h": 1 / 3600}
        assert found.coins["LTC"].last_payout is None
        body = {"workers": {}, "payout_history": {}}
        found = await source.read()
        assert found.unexpected == {"account.workers": 1}
        body = {"workers": None}
        assert not (await source.read()).unexpected


@pytest.mark.parametrize(
    ("stale", "good", "ratio"),
    [
        (1, 3, 0.25),
        (0, 3, 0.0),
        (3, 0, 1.0),
        (0.25, 0.5, 1 / 3),
        (0, 0, None),
        (None, 3, None),
        (1, None, None),
    ],
)
async def test_stale_work_is_a_part_of_all_work(stale: Any, good: Any, ratio: float | None) -> None:
    body = {"workers": [["a", 1, 2, 3, good, stale]]}
    async with source_of("f2pool", lambda *_: body, **PUBLIC) as source:
        [worker] = (await source.read()).workers
    assert worker.reject_ratio == ratio
    assert worker.last_share is None


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-18T10:00:00Z", 1_794_996_000),
        ("2026-11-18T10:00:00", 1_794_996_000),
        ("2026-11-18T12:00:00+02:00", 1_794_996_000),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_time_without_a_zone_is_utc(text: Any, time: float | None) -> None:
    body = {
        "workers": [["a", 1, 2, 3, 4, 5, text]],
        "payout_history": [[text, "t", 0.5], ["2026-11-17T00:00:00Z", "t", 9]],
    }
    async with source_of("f2pool", lambda *_: body, **PUBLIC) as source:
        found = await source.read()
    assert found.workers[0].last_share == time
    assert found.coins["LTC"].last_payout == (9 if time is None else 0.5)


async def test_of_workers_without_their_number_none_is_offline() -> None:
    async with source_of("f2pool", lambda *_: {"workers": [], "worker_length_online": 2}, **PUBLIC) as source:
        found = await source.read()
    assert (found.workers_online, found.workers_offline) == (2, None)


async def test_of_a_thousand_payouts_and_two_thousand_workers_more_are_not_read() -> None:
    payouts = [["2026-11-17T00:00:00Z", "t", 1]] * 1000 + [["2026-11-18T00:00:00Z", "t", 2]]
    body = {"workers": [[f"{number}"] for number in range(2003)], "payout_history": payouts}
    async with source_of("f2pool", lambda *_: body, **PUBLIC) as source:
        found = await source.read()
        assert (len(found.workers), found.workers_cut) == (2000, 3)
        assert found.coins["LTC"].last_payout == 1
        assert not found.unexpected
        body["payout_history"] = payouts[1:]
        assert (await source.read()).coins["LTC"].last_payout == 2
