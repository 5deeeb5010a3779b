"""ViaBTC: pages, two coins, and what its codes mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from exporter.pools.viabtc.account import BASE, MOST_PAGES
from exporter.pools.workers import MOST_WORKERS
from exporter.simulator.simulation import MinerSpec
from tests.pools.sites import assert_fails_with, pool_page, pool_site, source_of

MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


async def test_the_values_of_two_coins_and_three_workers(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "viabtc", MINERS) as site:
        account = site.simulation.account
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        assert page["mining_pool_workers"] == {(("state", "online"),): 3, (("state", "offline"),): 0}
        for window, seconds in (("10m", 600.0), ("1h", 3600.0), ("24h", 86_400.0)):
            rate = page["mining_pool_hashrate_hashes_per_second"][(("window", window),)]
            assert rate == pytest.approx(account.rate(seconds), rel=0.02)
            worker = account.workers["account.l9-1"]
            rate = page["mining_pool_worker_hashrate_hashes_per_second"][
                (("window", window), ("worker", "l9-1"))
            ]
            assert rate == pytest.approx(worker.rate(account.now, seconds), rel=0.02)
        for ticker, coin in account.coins.items():
            balance = page["mining_pool_balance_coins"][(("coin", ticker), ("state", "confirmed"))]
            assert balance == pytest.approx(coin.balance, rel=1e-3)
            assert page["mining_pool_earned_yesterday_coins"][(("coin", ticker),)] == pytest.approx(
                coin.yesterday
            )
            assert page["mining_pool_last_payout_coins"][(("coin", ticker),)] == pytest.approx(
                coin.payouts[0].amount
            )
            assert (
                page["mining_pool_last_payout_timestamp_seconds"][(("coin", ticker),)] == coin.payouts[0].time
            )
        assert page["mining_pool_worker_online"] == {
            (("worker", name),): 1 for name in ("l9-1", "l9-2", "l7-3")
        }
        assert 0 <= page["mining_pool_worker_reject_ratio"][(("worker", "l9-1"),)] < 0.02
        assert page["mining_pool_worker_miner_info"][(("miner", "l9-1"), ("worker", "l9-1"))] == 1
        for absent in ("accepted_hashes_total", "shares_accepted_total", "accepted_hashes_per_second"):
            assert f"mining_pool_worker_{absent}" not in page, "a ratio is no counter"
        assert "mining_pool_profitability_usd_per_hash" not in page
        assert set(page["mining_pool_part_up"].values()) == {1}
        for _ in range(3):
            await pool_page(site)
        assert site.host.too_fast == []


async def test_workers_of_several_pages_and_pages_without_end(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "viabtc", MINERS) as site:
        await site.simulation.inject("viabtc", "many_workers", {"count": 120})
        page = await pool_page(site)
        assert len(page["mining_pool_worker_online"]) == 123
        assert site.host.asked["/hashrate/worker?coin=LTC&page=3&limit=50"] == 1
    async with pool_site(tmp_path, "viabtc", MINERS) as site:
        await site.simulation.inject("viabtc", "endless_pages")
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        asked = sum(count for name, count in site.host.asked.items() if name.startswith("/hashrate/worker"))
        assert asked == MOST_PAGES
        assert len(page["mining_pool_worker_online"]) == 3
    async with pool_site(tmp_path, "viabtc", MINERS, timeout_seconds=60) as site:
        await site.simulation.inject("viabtc", "many_workers", {"count": 5000})
        page = await pool_page(site)
        assert len(page["mining_pool_worker_online"]) <= MOST_WORKERS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unauthorised"),
        ("ip_not_allowed", "ip_not_allowed"),
        ("unknown_account", "unknown_account"),
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
    await assert_fails_with(tmp_path, "viabtc", MINERS, fault, reason)


async def test_odd_names_are_cleaned(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "viabtc", MINERS) as site:
        await site.simulation.inject("viabtc", "hostile_names")
        page = await pool_page(site)
        names = {dict(labels)["worker"] for labels in page["mining_pool_worker_online"]}
        assert all(name.isprintable() and 0 < len(name) <= 128 for name in names)


def envelope(data: Any) -> dict[str, Any]:
    return {"code": 0, "message": "OK", "data": data}


def account(request: web.Request, _: str) -> Any:
    """An account of two workers that tells little."""
    answers = {
        "/hashrate": {"hashrate_10min": "7"},
        "/hashrate/worker": {"data": [{"worker_name": "a"}, {"worker_name": "b"}], "total": 2},
        "/account": {"balance": []},
        "/profit/history": {"data": []},
        "/reward/history": {"data": []},
        "/wallet/payment/history": [],
    }
    return envelope(answers[request.path.removeprefix(BASE)])


HASHRATE = f"{BASE}/hashrate?coin=LTC"
WORKERS = f"{BASE}/hashrate/worker?coin=LTC&page=1&limit=50"
MONEY = [
    f"{BASE}/account",
    f"{BASE}/profit/history?coin=LTC&page=1&limit=10&utc=true",
    f"{BASE}/wallet/payment/history?coin=LTC&page=1&limit=10",
    f"{BASE}/reward/history?coin=DOGE&page=1&limit=10",
    f"{BASE}/wallet/payment/history?coin=DOGE&page=1&limit=10",
]


async def test_each_call_has_its_rhythm() -> None:
    async with source_of("viabtc", account, api_key="k") as source:
        asked = []
        for seconds in (0, 59, 1, 539, 1, 60):
            source.clock.advance(seconds)
            await source.read()
            asked.append(list(source.asked))
    assert asked == [
        [HASHRATE, WORKERS, *MONEY],
        [HASHRATE],
        [HASHRATE, WORKERS],
        [HASHRATE, WORKERS],
        [HASHRATE, *MONEY],
        [HASHRATE, WORKERS],
    ]


async def test_what_was_told_of_money_stands_for_twenty_minutes_while_its_calls_fail() -> None:
    failing = False

    def answer(request: web.Request, text: str) -> Any:
        if failing and not request.path.startswith(f"{BASE}/hashrate"):
            return {"code": 1}
        if request.path == f"{BASE}/account":
            return envelope({"balance": [{"coin": "LTC", "amount": 2}]})
        return account(request, text)

    for minutes, stands in ((10, 1200), (30, 1800)):
        async with source_of("viabtc", answer, api_key="k", max_age_minutes=minutes) as source:
            failing = False
            await source.read()
            failing = True
            source.clock.advance(stands - 1)
            found = await source.read()
            assert found.coins["LTC"].balance_confirmed == 2
            assert found.parts == {"hashrate": True, "workers": True} | dict.fromkeys(
                ("account", "profit history LTC", "payments LTC", "reward history DOGE", "payments DOGE"),
                False,
            )
            source.clock.advance(1)
            assert (await source.read()).coins == {}


async def test_what_is_not_as_documented_is_counted_once_by_its_place() -> None:
    answers = {
        "/hashrate": {"hashrate_10min": "many", "active_workers": True},
        "/hashrate/worker": {
            "data": [
                {"worker_name": "a", "worker_status": "resting", "last_active": "?"},
                {"worker_name": 7},
                "x",
            ]
        },
        "/account": {"balance": [{"coin": "LTC", "amount": "?"}]},
        "/profit/history": {"data": [{"date": 7}]},
        "/reward/history": {"data": 7},
        "/wallet/payment/history": [{"create_time": "soon"}, 7],
    }

    def answer(request: web.Request, _: str) -> Any:
        return envelope(answers[request.path.removeprefix(BASE)])

    async with source_of("viabtc", answer, api_key="k") as source:
        found = await source.read()
        assert found.unexpected == {
            "hashrate.hashrate_10min": 1,
            "hashrate.active_workers": 1,
            "workers[].worker_status": 1,
            "workers[].last_active": 1,
            "workers[]": 1,
            "account.balance[].amount": 1,
            "history.data[].date": 1,
            "history.data": 1,
            "payments[].create_time": 2,
            "payments[]": 2,
        }
        [worker] = found.workers
        assert (worker.name, worker.online, worker.last_share, worker.hashrate) == ("a", None, None, {})
        # All but the hashrate is from before.
        assert (await source.read()).unexpected.keys() == {
            "hashrate.hashrate_10min",
            "hashrate.active_workers",
        }


@pytest.mark.parametrize(("rejected", "ratio"), [("0.5", 0.5), (1, 1.0), ("1.5", 0.015), (None, None)])
async def test_a_ratio_of_more_than_all_is_percent(rejected: Any, ratio: float | None) -> None:
    def answer(request: web.Request, text: str) -> Any:
        if request.path == f"{BASE}/hashrate/worker":
            return envelope({"data": [{"worker_name": "a", "reject_rate": rejected}]})
        return account(request, text)

    async with source_of("viabtc", answer, api_key="k") as source:
        [worker] = (await source.read()).workers
    assert worker.reject_ratio == ratio


async def test_a_coin_the_account_has_and_nobody_here_mines_is_left_out() -> None:
    def answer(request: web.Request, text: str) -> Any:
        if request.path == f"{BASE}/account":
            told = [{"coin": coin, "amount": 1} for coin in ("BTC", "LTC", "KAS")]
            return envelope({"balance": told})
        return account(request, text)

    async with source_of("viabtc", answer, api_key="k") as source:
        found = await source.read()
    assert {ticker for ticker, coin in found.coins.items() if coin.balance_confirmed is not None} == {"LTC"}


async def test_a_day_without_a_row_earned_nothing_that_is_known() -> None:
    def answer(request: web.Request, text: str) -> Any:
        if request.path.endswith("/profit/history"):
            return envelope({"data": [{"date": "2026-11-18", "total_profit": 3}]})
        return account(request, text)

    async with source_of("viabtc", answer, api_key="k") as source:
        # The clock of the test stands at 2026-11-18 11:23 UTC.
        assert (await source.read()).coins["LTC"].earned_yesterday is None
        source.clock.advance(86_400)
        assert (await source.read()).coins["LTC"].earned_yesterday == 3


@pytest.mark.parametrize("wrapped", [False, True])
async def test_payments_stand_in_the_envelope_or_where_other_lists_do(wrapped: bool) -> None:
    def answer(request: web.Request, text: str) -> Any:
        if request.path.removeprefix(BASE) != "/wallet/payment/history":
            return account(request, text)
        rows = [{"create_time": 7, "amount": "0.5"}]
        return envelope({"data": rows, "total": 1} if wrapped else rows)

    async with source_of("viabtc", answer, api_key="k") as source:
        assert (await source.read()).coins["DOGE"].last_payout == 0.5


@pytest.mark.parametrize(("rows", "more"), [(100, 0), (101, 1)])
async def test_of_a_hundred_rows_of_money_more_are_not_read(rows: int, more: int) -> None:
    def answer(request: web.Request, text: str) -> Any:
        path = request.path.removeprefix(BASE)
        if path == "/wallet/payment/history":
            return envelope([{"create_time": number, "amount": number} for number in range(1, rows + 1)])
        if path.endswith("history"):
            old: list[Any] = [{"date": "2026-11-01"}] * (rows - 1)
            return envelope({"data": [*old, {"date": "2026-11-17", "total_profit": 3}]})
        if path == "/account":
            return envelope({"balance": [*[{"coin": "KAS"}] * (rows - 1), {"coin": "LTC", "amount": 2}]})
        return account(request, text)

    async with source_of("viabtc", answer, api_key="k") as source:
        found = await source.read()
    coin = found.coins["LTC"]
    assert (coin.last_payout, coin.balance_confirmed) == (100, None if more else 2)
    assert coin.earned_yesterday == (None if more else 3)
    assert found.unexpected == ({"account.balance": 1, "history.data": 2, "payments": 2} if more else {})


@pytest.mark.parametrize(
    ("pages", "asked", "named", "cut"),
    [
        # Rows of each page, whether it says that there are more, and how many there are.
        ([(2, False, 2)], 1, 2, 0),
        ([(2, False, None)], 1, 2, 0),
        ([(2, True, 3), (1, False, 3)], 2, 3, 0),
        ([(2, True, 9), (0, True, 9)], 2, 2, 7),
        ([(2, "yes", 9)], 1, 2, 7),
        ([(2000, True, 5000), (1, True, 5000), (1, True, 5000)], 2, 2000, 3000),
    ],
)
async def test_pages_are_asked_for_while_there_are_more(
    pages: list[tuple[int, Any, int | None]], asked: int, named: int, cut: int
) -> None:
    def answer(request: web.Request, text: str) -> Any:
        if request.path != f"{BASE}/hashrate/worker":
            return account(request, text)
        number = int(request.query["page"])
        rows, more, total = pages[number - 1]
        listed = [{"worker_name": f"{number}-{row}"} for row in range(rows)]
        return envelope({"data": listed, "has_next": more, "total": total})

    async with source_of("viabtc", answer, api_key="k") as source:
        found = await source.read()
    assert len([one for one in source.asked if "/hashrate/worker" in one]) == asked
    assert (len(found.workers), found.workers_cut) == (named, cut)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *((code, "unknown_account") for code in (5003, 5008)),
        *((code, "unauthorised") for code in (12001, 12002, 12003)),
        (12004, "ip_not_allowed"),
        (1, "pool_error"),
    ],
)
async def test_what_a_code_means(code: int, reason: str) -> None:
    async with source_of("viabtc", lambda *_: {"code": code}, api_key="k") as source:
        error = await source.refusal()
        assert (error.reason, error.detail) == (reason, f"/hashrate answered code {code}")
        assert source.steps[-1].problem == str(error)


@pytest.mark.parametrize("body", [[], {}, {"code": False, "data": {}}, {"code": "0", "data": {}}])
async def test_an_answer_without_a_code_is_none(body: Any) -> None:
    async with source_of("viabtc", lambda *_: body, api_key="k") as source:
        error = await source.refusal()
        assert (error.reason, error.detail) == ("bad_shape", "/hashrate has no code")
        assert source.steps[-1].problem == str(error)


@pytest.mark.parametrize("data", [[], {}, {"data": {}}])
async def test_no_list_of_workers_is_a_part_that_failed(data: Any) -> None:
    def answer(request: web.Request, text: str) -> Any:
        return envelope(data) if request.path == f"{BASE}/hashrate/worker" else account(request, text)

    async with source_of("viabtc", answer, api_key="k") as source:
        found = await source.read()
        assert found.parts["workers"] is False
        assert found.workers == []
        [problem] = [step.problem for step in source.steps if step.problem]
    assert problem == "bad_shape: /hashrate/worker has no list of workers"
