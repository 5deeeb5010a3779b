"""A documented body of two coins and three workers, from a real socket to the page, worked out by hand.

The bodies are written from what is known of each pool, not by the simulator; every figure that comes of them
is expected, and no other.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter import catalogue as c
from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.http import Outgoing
from tests.conftest import FakeClock, near
from tests.pools.sites import figures
from tests.pools.wamp import wamp_site

# 2026-11-18 17:00:00 UTC, which is the 19th in Beijing, and 18:00 in Amsterdam.
NOW = 1_795_021_200.0
KEY = "k3y"
DAY = 86_400
Expected = dict[c.Metric, dict[tuple[str, ...], float]]


@contextlib.asynccontextmanager
async def account_of(
    tmp_path: Path, account: dict[str, Any], answer: Callable[[web.Request, str], Any]
) -> AsyncIterator[Callable[[], Any]]:
    """The pages of an account at a pool that gives *answer* to each request and its text, over a socket."""
    clock = FakeClock()

    async def told(request: web.Request) -> web.Response:
        found = answer(request, await request.text())
        return web.json_response(found) if found is not None else web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told)
    async with TestServer(app) as server, Outgoing.open_session() as session:
        path = tmp_path / "config.yaml"
        base_url = f"http://127.0.0.1:{server.port}"
        path.write_text(yaml.safe_dump({"pools": [{"name": "main", "base_url": base_url, **account}]}))
        outgoing = Outgoing(session, clock=clock, sleep=clock.sleep)
        fleet = Fleet(load(path, {}), outgoing, {}, clock=clock, wall_clock=lambda: NOW)

        async def page() -> Page:
            clock.advance(600)
            # Enough for every call of a pool that wants ten seconds between two.
            _, found = await fleet.pools["main"].probe(clock() + 300)
            assert found.value(c.MINING_POOL_UP) == 1
            return found

        yield page


def assert_page(page: Page, expected: Expected) -> None:
    """The page has these figures, exactly, and no others."""
    found = figures(page)
    assert found.keys() == {metric.name for metric in expected}
    for metric, values in expected.items():
        assert found[metric.name] == near(values, rel=1e-12), metric.name


def query(request: web.Request, **expected: str) -> bool:
    return all(request.query.get(name) == value for name, value in expected.items())


async def test_litecoinpool(tmp_path: Path) -> None:
    body = {
        "user": {
            "hash_rate": 33_500_000,
            "expected_24h_rewards": 0.0396,
            "past_24h_rewards": 0.041,
            "total_rewards": 13.5,
            "paid_rewards": 12.25,
            "unpaid_rewards": 1.25,
            "expected_24h_rewards_doge": 158.5,
            "past_24h_rewards_doge": "161.25",
            "paid_rewards_doge": 41_000.5,
            "unpaid_rewards_doge": 98.75,
            "total_work": "77177713885184",
            "blocks_found": 1,
        },
        "workers": {
            "u.l9a": {
                "connected": True,
                "hash_rate": 17_000_000.5,
                "hash_rate_24h": 16_900_000,
                "valid_shares": "00900765502976",
                "stale_shares": "909415168",
                "invalid_shares": "80247",
                "last_share_time": 1_795_021_190,
                "reset_time": 1_780_000_000,
            },
            "u.l9b": {
                "connected": True,
                "hash_rate": 16_500_000,
                "hash_rate_24h": 16_600_000,
                "valid_shares": 1_000_000,
                "stale_shares": 0,
                "invalid_shares": 2,
                "last_share_time": 1_795_021_180,
            },
            "u.l7c": {"connected": False, "hash_rate": 0, "hash_rate_24h": 0, "last_share_time": 0},
        },
        "pool": {"hash_rate": 1e12, "pps_ratio": 1.02, "pps_rate": 1.0e-12, "pps_rate_avg_doge": 4.0e-9},
        "network": {
            "hash_rate": 3e12,
            "time_per_block": 150,
            "difficulty": 1.05e8,
            "difficulty_avg_doge": 4.2e7,
        },
        "recent_payouts": [
            {"time": 1_794_900_000, "amount": 0.25},
            {"time": 1_794_990_000, "amount": "0.125"},
        ],
        "recent_payouts_doge": [{"time": 1_794_990_001, "amount": 500}],
        "market": {
            "ltc_usd": 42.5,
            "ltc_btc": 7e-4,
            "doge_usd": 0.0726,
            "doge_btc": 1.2e-6,
            "btc_usd": 61000,
        },
    }

    def answer(request: web.Request, _: str) -> Any:
        return body if request.path == "/api" and query(request, api_key=KEY) else None

    async with account_of(tmp_path, {"type": "litecoinpool", "api_key": KEY}, answer) as page:
        assert_page(
            await page(),
            {
                # kH/s.
                c.MINING_POOL_HASHRATE: {("now",): 33.5e9},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_PAYS: {(): 1.02},
                c.MINING_POOL_BALANCE: {("LTC", "confirmed"): 1.25, ("DOGE", "confirmed"): 98.75},
                c.MINING_POOL_EARNED_24H: {("LTC",): 0.041, ("DOGE",): 161.25},
                c.MINING_POOL_EXPECTED_24H: {("LTC",): 0.0396, ("DOGE",): 158.5},
                c.MINING_POOL_PAID: {("LTC",): 12.25, ("DOGE",): 41_000.5},
                c.MINING_POOL_LAST_PAYOUT: {("LTC",): 0.125, ("DOGE",): 500},
                c.MINING_POOL_LAST_PAYOUT_TIME: {("LTC",): 1_794_990_000, ("DOGE",): 1_794_990_001},
                c.MINING_POOL_BLOCKS: {("LTC",): 1},
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("u.l9a", "now"): 17_000_000_500,
                    ("u.l9a", "24h"): 16.9e9,
                    ("u.l9b", "now"): 16.5e9,
                    ("u.l9b", "24h"): 16.6e9,
                    ("u.l7c", "now"): 0,
                    ("u.l7c", "24h"): 0,
                },
                c.MINING_POOL_WORKER_ONLINE: {("u.l9a",): 1, ("u.l9b",): 1, ("u.l7c",): 0},
                c.MINING_POOL_WORKER_LAST_SHARE: {("u.l9a",): 1_795_021_190, ("u.l9b",): 1_795_021_180},
                # Shares of difficulty 1, which are 65,536 hashes each.
                c.MINING_POOL_WORKER_HASHES_ACCEPTED: {
                    ("u.l9a",): 59_032_568_003_035_136,
                    ("u.l9b",): 65_536_000_000,
                },
                c.MINING_POOL_WORKER_HASHES_STALE: {("u.l9a",): 59_599_432_450_048, ("u.l9b",): 0},
                c.MINING_POOL_WORKER_HASHES_REJECTED: {("u.l9a",): 5_259_067_392, ("u.l9b",): 131_072},
                c.MINING_POOL_COINS: {
                    ("scrypt", "LTC", "pool"): 1.0e-12 / 65_536,
                    ("scrypt", "DOGE", "pool"): 4.0e-9 / 65_536,
                },
                c.MINING_POOL_USD: {
                    ("scrypt", "LTC", "pool"): 42.5e-12 / 65_536,
                    ("scrypt", "DOGE", "pool"): 0.2904e-9 / 65_536,
                },
                c.MINING_POOL_BTC: {
                    ("scrypt", "LTC", "pool"): 7e-16 / 65_536,
                    ("scrypt", "DOGE", "pool"): 4.8e-15 / 65_536,
                },
                c.NETWORK_DIFFICULTY: {("LTC", "pool"): 1.05e8, ("DOGE", "pool"): 4.2e7},
                c.NETWORK_HASHRATE: {("LTC", "pool"): 3e15},
                c.COIN_PRICE_USD: {("LTC", "pool"): 42.5, ("DOGE", "pool"): 0.0726},
                c.COIN_PRICE_BTC: {("LTC", "pool"): 7e-4, ("DOGE", "pool"): 1.2e-6},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW, ("profitability",): NOW},
            },
        )


async def test_viabtc(tmp_path: Path) -> None:
    def row(name: str, status: str, rate: str, reject: str, last: int | None) -> dict[str, Any]:
        windows = {f"hashrate_{window}": rate for window in ("10min", "1hour", "24hour")}
        told = {"coin": "LTC", "group_id": None, "reject_rate": reject, "last_active": last}
        return {"worker_name": name, "worker_status": status, **windows, **told}

    pages = {
        "1": [
            row("l9a", "active", "17000000000", "0.0012", 1_795_021_190),
            row("l9b", "active", "16500000000", "1.5", 1_795_021_180),
        ],
        "2": [row("l7c", "unactive", "0", "0", 0)],
    }
    answers = {
        "/account": {
            "account": {"id": 1, "account": "u"},
            "balance": [
                {"coin": "BTC", "amount": "0"},
                {"coin": "LTC", "amount": "0.12"},
                {"coin": "DOGE", "amount": "40.1"},
            ],
        },
        "/hashrate?LTC": {
            "active_workers": 2,
            "unactive_workers": 1,
            "coin": "LTC",
            "hashrate_10min": "45000000000",
            "hashrate_1hour": "44000000000",
            "hashrate_24hour": "43500000000",
        },
        # Days of UTC: yesterday was the 17th.
        "/profit/history?LTC": {
            "data": [
                {"coin": "LTC", "date": "2026-11-18", "total_profit": "0.009", "pps_profit": "0.009"},
                {"coin": "LTC", "date": "2026-11-17", "total_profit": "0.0123", "pps_profit": "0.01"},
            ]
        },
        # Days of Beijing: yesterday was the 18th.
        "/reward/history?DOGE": {
            "data": [
                {"coin": "DOGE", "date": "2026-11-19", "total_profit": "3"},
                {"coin": "DOGE", "date": "2026-11-18", "total_profit": "51.25"},
                {"coin": "DOGE", "date": "2026-11-17", "total_profit": "49"},
            ]
        },
    }
    payments = {
        "LTC": [
            {"coin": "LTC", "amount": "0.5", "tx": "a", "create_time": 1_794_900_000},
            {"coin": "LTC", "amount": "0.25", "tx": "b", "create_time": 1_794_990_000},
        ],
        "DOGE": [{"coin": "DOGE", "amount": "100.5", "tx": "c", "create_time": 1_794_980_000}],
    }

    def answer(request: web.Request, _: str) -> Any:
        assert request.headers["X-API-KEY"] == KEY
        assert request.path.startswith("/res/openapi/v1/")
        path, coin = request.path.removeprefix("/res/openapi/v1"), request.query.get("coin")
        if path == "/wallet/payment/history":
            rows = payments[coin or ""]
            return {"code": 0, "message": "OK", "count": len(rows), "data": rows, "has_next": False}
        if path == "/profit/history":
            assert request.query["utc"] == "true"
        data: Any = answers.get(f"{path}?{coin}" if coin else path)
        if path == "/hashrate/worker":
            page = request.query["page"]
            data = {"data": pages[page], "has_next": page == "1", "total": 3, "total_page": 2}
        return {"code": 0, "message": "OK", "data": data}

    windows = ("10m", "1h", "24h")
    async with account_of(tmp_path, {"type": "viabtc", "api_key": KEY}, answer) as page:
        assert_page(
            await page(),
            {
                c.MINING_POOL_HASHRATE: {("10m",): 45e9, ("1h",): 44e9, ("24h",): 43.5e9},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_BALANCE: {("LTC", "confirmed"): 0.12, ("DOGE", "confirmed"): 40.1},
                c.MINING_POOL_EARNED_YESTERDAY: {("LTC",): 0.0123, ("DOGE",): 51.25},
                c.MINING_POOL_LAST_PAYOUT: {("LTC",): 0.25, ("DOGE",): 100.5},
                c.MINING_POOL_LAST_PAYOUT_TIME: {("LTC",): 1_794_990_000, ("DOGE",): 1_794_980_000},
                c.MINING_POOL_WORKER_HASHRATE: {
                    (name, window): rate
                    for name, rate in (("l9a", 17e9), ("l9b", 16.5e9), ("l7c", 0.0))
                    for window in windows
                },
                c.MINING_POOL_WORKER_ONLINE: {("l9a",): 1, ("l9b",): 1, ("l7c",): 0},
                c.MINING_POOL_WORKER_LAST_SHARE: {("l9a",): 1_795_021_190, ("l9b",): 1_795_021_180},
                # Above 1 it can only be percent.
                c.MINING_POOL_WORKER_REJECT: {("l9a",): 0.0012, ("l9b",): 0.015, ("l7c",): 0},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW},
                c.MINING_POOL_PART_UP: {
                    (part,): 1
                    for part in (
                        *("hashrate", "workers", "account", "profit history LTC", "payments LTC"),
                        *("reward history DOGE", "payments DOGE"),
                    )
                },
            },
        )


@pytest.mark.parametrize("dogecoin", [True, False])
async def test_f2pool_by_token(tmp_path: Path, dogecoin: bool) -> None:
    def rates(name: str, now: float, hour: float, day: float, stale: float) -> dict[str, Any]:
        return {
            "name": name,
            "hash_rate": now,
            "h1_hash_rate": hour,
            "h24_hash_rate": day,
            "h1_stale_hash_rate": stale,
            "h24_stale_hash_rate": 2 * stale,
        }

    workers = [
        {
            "hash_rate_info": rates("l9a", 17e9, 16.9e9, 16.8e9, 2e7),
            "last_share_at": 1_795_021_190,
            "status": 0,
        },
        {
            "hash_rate_info": rates("l9b", 16.5e9, 16.6e9, 16.7e9, 0),
            "last_share_at": 1_795_021_180,
            "status": 0,
        },
        {"hash_rate_info": rates("l7c", 0, 0, 8e9, 0), "last_share_at": 0, "status": 2},
    ]
    balances = {
        "litecoin": {
            "balance": 0.1,
            "immature_balance": 0.02,
            "paid": 3.2,
            "total_income": 3.3,
            "yesterday_income": 0.021,
            "estimated_today_income": 0.01,
        },
        "dogecoin": {"balance": 41.5, "immature_balance": 0, "paid": 900, "yesterday_income": 71.5},
    }

    def payout(value: float, at: int) -> dict[str, Any]:
        extra = {"value": value, "tx_id": "t", "paid_time": at + 60}
        return {"type": "payout", "changed_balance": -value, "created_at": at, "payout_extra": extra}

    def revenue(fee: float, at: int) -> dict[str, Any]:
        return {
            "type": "revenue_fpps",
            "changed_balance": 0.02,
            "created_at": at,
            "mining_extra": {"pps_fee_rate": fee},
        }

    transactions = {
        ("litecoin", "revenue"): [revenue(0.05, 1_794_800_000), revenue(0.04, 1_794_990_000)],
        ("litecoin", "payout"): [payout(0.5, 1_794_900_000), payout(0.25, 1_794_990_000)],
        ("dogecoin", "revenue"): [revenue(0.01, 1_794_990_000)],
        ("dogecoin", "payout"): [payout(75, 1_794_980_000)],
    }

    def answer(request: web.Request, text: str) -> Any:
        assert request.method == "POST"
        assert request.headers["F2P-API-SECRET"] == KEY
        asked = json.loads(text)
        currency = asked["currency"]
        assert asked["mining_user_name"] == "u"
        if currency == "dogecoin" and not dogecoin:
            return {"code": 5001, "msg": "params_error: currency"}
        match request.path:
            case "/v2/hash_rate/info":
                return {"info": rates("u", 33.5e9, 33.4e9, 41.5e9, 2e7), "currency": currency}
            case "/v2/hash_rate/worker/list":
                return {"workers": workers}
            case "/v2/assets/balance":
                return {"balance_info": balances[currency]}
            case "/v2/assets/transactions/list":
                assert asked["end_time"] == NOW
                assert asked["start_time"] == NOW - 7 * DAY
                return {"transactions": transactions[currency, asked["type"]]}
        return None

    expected: Expected = {
        c.MINING_POOL_HASHRATE: {("now",): 33.5e9, ("1h",): 33.4e9, ("24h",): 41.5e9},
        c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
        c.MINING_POOL_WORKERS_CUT: {(): 0},
        c.MINING_POOL_FEE: {(): 0.04},
        c.MINING_POOL_BALANCE: {("LTC", "confirmed"): 0.1, ("LTC", "unconfirmed"): 0.02},
        c.MINING_POOL_PAID: {("LTC",): 3.2},
        c.MINING_POOL_EARNED_YESTERDAY: {("LTC",): 0.021},
        c.MINING_POOL_LAST_PAYOUT: {("LTC",): 0.25},
        c.MINING_POOL_LAST_PAYOUT_TIME: {("LTC",): 1_794_990_060},
        c.MINING_POOL_WORKER_HASHRATE: {
            (name, window): rate
            for name, told in (
                ("l9a", (17e9, 16.9e9, 16.8e9)),
                ("l9b", (16.5e9, 16.6e9, 16.7e9)),
                ("l7c", (0.0, 0.0, 8e9)),
            )
            for window, rate in zip(("now", "1h", "24h"), told, strict=True)
        },
        c.MINING_POOL_WORKER_ONLINE: {("l9a",): 1, ("l9b",): 1, ("l7c",): 0},
        c.MINING_POOL_WORKER_LAST_SHARE: {("l9a",): 1_795_021_190, ("l9b",): 1_795_021_180},
        # Stale work is a rate here, and stays one.
        c.MINING_POOL_WORKER_RATE_STALE: {("l9a",): 2e7, ("l9b",): 0, ("l7c",): 0},
        c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW},
        c.MINING_POOL_PART_UP: {
            (part,): 1
            for part in (
                *("hash_rate", "workers", "balance LTC", "revenue LTC", "payout LTC"),
                *("balance DOGE", "revenue DOGE", "payout DOGE"),
            )
        },
    }
    if dogecoin:
        for metric, more in (
            (c.MINING_POOL_BALANCE, {("DOGE", "confirmed"): 41.5, ("DOGE", "unconfirmed"): 0.0}),
            (c.MINING_POOL_PAID, {("DOGE",): 900.0}),
            (c.MINING_POOL_EARNED_YESTERDAY, {("DOGE",): 71.5}),
            (c.MINING_POOL_LAST_PAYOUT, {("DOGE",): 75.0}),
            (c.MINING_POOL_LAST_PAYOUT_TIME, {("DOGE",): 1_794_980_060.0}),
        ):
            expected[metric] |= more  # type: ignore[arg-type]
    async with account_of(tmp_path, {"type": "f2pool", "account": "u", "api_key": KEY}, answer) as page:
        assert_page(await page(), expected)


async def test_f2pool_without_a_token(tmp_path: Path) -> None:
    body = {
        "balance": 0.1,
        "paid": 3.2,
        "value": 3.3,
        "value_last_day": 0.021,
        "hashrate": 33.5e9,
        "hashes_last_hour": 1.188e14,
        "hashes_last_day": 2.808e15,
        "stale_hashes_rejected_last_hour": 7.2e10,
        "worker_length": 3,
        "worker_length_online": 2,
        "workers": [
            ["l9a", 17e9, 6.12e13, 7.2e10, 1.458e15, 1.8e13, "2026-11-18T16:59:50.5Z", False],
            ["l9b", 16.5e9, 5.76e13, 0, 1.35e15, 0, "2026-11-18T18:59:40+02:00", False],
            ["l7c", 0, 0, 0, 0, 0, "", False],
        ],
        "payout_history": [["2026-11-16T00:00:00Z", "a", 0.5], ["2026-11-17T00:00:00Z", "b", 0.25]],
    }

    def answer(request: web.Request, _: str) -> Any:
        assert "F2P-API-SECRET" not in request.headers
        return body if (request.method, request.path) == ("GET", "/litecoin/u") else None

    async with account_of(tmp_path, {"type": "f2pool", "account": "u"}, answer) as page:
        assert_page(
            await page(),
            {
                # What was hashed in an hour and in a day is told as a total.
                c.MINING_POOL_HASHRATE: {("now",): 33.5e9, ("1h",): 33e9, ("24h",): 32.5e9},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_BALANCE: {("LTC", "confirmed"): 0.1},
                c.MINING_POOL_PAID: {("LTC",): 3.2},
                c.MINING_POOL_EARNED_24H: {("LTC",): 0.021},
                c.MINING_POOL_LAST_PAYOUT: {("LTC",): 0.25},
                # 2026-11-17 00:00 UTC.
                c.MINING_POOL_LAST_PAYOUT_TIME: {("LTC",): 1_794_873_600},
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("l9a", "now"): 17e9,
                    ("l9a", "1h"): 17e9,
                    ("l9a", "24h"): 16.875e9,
                    ("l9b", "now"): 16.5e9,
                    ("l9b", "1h"): 16e9,
                    ("l9b", "24h"): 15.625e9,
                    ("l7c", "now"): 0,
                    ("l7c", "1h"): 0,
                    ("l7c", "24h"): 0,
                },
                c.MINING_POOL_WORKER_LAST_SHARE: {("l9a",): 1_795_021_190.5, ("l9b",): 1_795_021_180},
                # 1.8e13 stale hashes of 1.476e15; none of who did nothing.
                c.MINING_POOL_WORKER_REJECT: {("l9a",): 1 / 82, ("l9b",): 0},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW},
            },
        )


STATUS = {
    "scrypt": {
        "name": "scrypt",
        "port": 3433,
        "fees": "2",
        "hashrate": 4018714999,
        "workers": 5,
        "estimate_current": "0.00001353",
        "estimate_last24h": "0.00001915",
        "actual_last24h": "0.01302",
        "mbtc_mh_factor": 1000,
    },
    "x11": {"name": "x11", "fees": 1, "estimate_current": "0.1", "mbtc_mh_factor": 1},
}


async def test_yiimp(tmp_path: Path) -> None:
    def miner(name: str, password: str, accepted: float, rejected: float, algo: str = "scrypt") -> Any:
        told = {"version": "vnish", "difficulty": 36, "subscribe": 1, "algo": algo}
        return {"ID": name, "password": password, "accepted": accepted, "rejected": rejected, **told}

    answers = {
        "/api/status": STATUS,
        "/api/currencies": {
            "DOGE": {"algo": "scrypt", "difficulty": "42000000", "network_hashrate": 3e15, "hashrate": False},
            "LTC-scrypt": {"symbol": "LTC", "algo": "scrypt", "difficulty": 105000000, "network_hashrate": 0},
            "DASH": {"algo": "x11", "difficulty": 7},
        },
        "/api/walletEx": {
            "currency": "DOGE",
            "unsold": 24.915,
            "balance": "1.5",
            "unpaid": 26.415,
            "paid24h": 84.746,
            "total": 111.161,
            "paidtotal": 9000.25,
            "miners": [
                # In hashes of the software's own, of which 1.024 are one.
                miner("l9a", "c=DOGE,ID=l9a", 8.192e9, 1.024e8),
                miner("l9a", "c=DOGE,ID=l9a", 9.216e9, 0),
                miner("", "l9b,c=DOGE", 16.384e9, 2.048e8),
                miner("l7c", "c=DOGE,ID=l7c", 0, 0),
                miner("gpu", "x", 5e7, 0, "x11"),
            ],
            "payouts": [
                {"time": "1794990000", "amount": "84.746", "tx": "a"},
                {"time": 1_794_900_000, "amount": 80, "tx": "b"},
            ],
        },
    }

    def answer(request: web.Request, _: str) -> Any:
        if request.path == "/api/walletEx" and not query(request, address="DWallet"):
            return None
        return answers.get(request.path)

    a_day_of_a_gigahash = 1e9 * DAY
    async with account_of(tmp_path, {"type": "yiimp", "address": "DWallet"}, answer) as page:
        assert_page(
            await page(),
            {
                c.MINING_POOL_HASHRATE: {("now",): 33e9},
                c.MINING_POOL_WORKERS: {("online",): 3, ("offline",): 0},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_FEE: {(): 0.02},
                c.MINING_POOL_BALANCE: {("DOGE", "confirmed"): 1.5, ("DOGE", "unconfirmed"): 24.915},
                c.MINING_POOL_PAID: {("DOGE",): 9000.25},
                c.MINING_POOL_LAST_PAYOUT: {("DOGE",): 84.746},
                c.MINING_POOL_LAST_PAYOUT_TIME: {("DOGE",): 1_794_990_000},
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("l9a", "now"): 17e9,
                    ("l9b", "now"): 16e9,
                    ("l7c", "now"): 0,
                },
                c.MINING_POOL_WORKER_ONLINE: {("l9a",): 1, ("l9b",): 1, ("l7c",): 1},
                # Hashes per second, not shares.
                c.MINING_POOL_WORKER_RATE_ACCEPTED: {("l9a",): 17e9, ("l9b",): 16e9, ("l7c",): 0},
                c.MINING_POOL_WORKER_RATE_REJECTED: {("l9a",): 1e8, ("l9b",): 2e8, ("l7c",): 0},
                # An estimate is BTC, what was paid thousandths of one.
                c.MINING_POOL_BTC: {
                    ("scrypt", "", "pool"): 1.353e-5 / a_day_of_a_gigahash,
                    ("scrypt", "", "pool_actual"): 1.302e-5 / a_day_of_a_gigahash,
                },
                c.NETWORK_DIFFICULTY: {("LTC", "pool"): 1.05e8, ("DOGE", "pool"): 4.2e7},
                c.NETWORK_HASHRATE: {("DOGE", "pool"): 3e15},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW, ("profitability",): NOW},
                c.MINING_POOL_PART_UP: {(part,): 1 for part in ("wallet", "status", "currencies")},
            },
        )


async def test_mining_dutch(tmp_path: Path) -> None:
    def transaction(kind: str, amount: str, at: str) -> dict[str, Any]:
        return {"id": 1, "username": "u", "type": kind, "amount": amount, "timestamp": at, "txid": ""}

    data = {
        ("scrypt", "getuserworkers"): {
            "miners": [
                {"username": "u.l9a", "alive": 1, "hashrate": "17000", "lastshare": 1_795_021_190},
                {"username": "u.l9b", "alive": "1", "hashrate": 16_500.5, "lastshare": "1795021180"},
                {"username": "u.l7c", "alive": 0, "hashrate": "0", "lastshare": 0},
            ]
        },
        ("litecoin", "getuserbalance"): {"confirmed": "0.5", "unconfirmed": "0.125", "orphaned": "0"},
        ("dogecoin", "getuserbalance"): {"confirmed": "12.5", "unconfirmed": "0.25", "orphaned": "0"},
        ("litecoin", "getdashboarddata"): {
            "recent_credits_24hours": {"amount": 0.041},
            "network": {"difficulty": 1.05e8, "hashrate": 3e15},
        },
        ("dogecoin", "getdashboarddata"): {
            "recent_credits_24hours": {"amount": "161.25"},
            "network": {"difficulty": "42000000", "hashrate": 3e15},
        },
        ("litecoin", "getusertransactions"): {
            "transactions": [
                transaction("Credit", "0.1", "2026-11-18 12:00:00"),
                transaction("Debit_AP", "0.75", "2026-11-17 12:00:00"),
                transaction("Debit_AP", "9", "2026-07-01 12:00:00"),
            ],
            "transactionsummary": {"Credit": "21", "Debit_AP": "13.5", "Debit_MP": "7", "TXFee": "0.1"},
        },
        ("dogecoin", "getusertransactions"): {
            "transactions": [transaction("Debit_MP", "500", "2026-07-01 12:00:00")],
            "transactionsummary": {"Debit_MP": "500"},
        },
    }

    def answer(request: web.Request, _: str) -> Any:
        if request.path == "/api/status/":
            return STATUS
        assert query(request, page="api", api_key=KEY, id="7")
        page = request.path.removeprefix("/pools/").removesuffix(".php")
        action = request.query["action"]
        return {action: {"version": "1.0.0", "runtime": 3, "data": data[page, action]}}

    account = {
        "type": "yiimp",
        "dialect": "mining_dutch",
        "api_key": KEY,
        "account_id": 7,
        "hashrate_unit": "MH/s",
    }
    async with account_of(tmp_path, account, answer) as page:
        found = await page()
        dated = found.family(c.MINING_POOL_DATA_TIMESTAMP)
        # The calls are ten seconds apart: the list of workers was the first of eight, the quotes the second.
        assert dated == {("account",): NOW - 70, ("profitability",): NOW - 60}
        assert_page(
            found,
            {
                c.MINING_POOL_HASHRATE: {("now",): 33_500_500_000},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_FEE: {(): 0.02},
                c.MINING_POOL_BALANCE: {
                    ("LTC", "confirmed"): 0.5,
                    ("LTC", "unconfirmed"): 0.125,
                    ("DOGE", "confirmed"): 12.5,
                    ("DOGE", "unconfirmed"): 0.25,
                },
                c.MINING_POOL_EARNED_24H: {("LTC",): 0.041, ("DOGE",): 161.25},
                c.MINING_POOL_PAID: {("LTC",): 20.5, ("DOGE",): 500},
                c.MINING_POOL_LAST_PAYOUT: {("LTC",): 0.75, ("DOGE",): 500},
                # Noon in Amsterdam: 11:00 UTC in November, 10:00 in July.
                c.MINING_POOL_LAST_PAYOUT_TIME: {("LTC",): 1_794_913_200, ("DOGE",): 1_782_900_000},
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("u.l9a", "now"): 17e9,
                    ("u.l9b", "now"): 16_500_500_000,
                    ("u.l7c", "now"): 0,
                },
                c.MINING_POOL_WORKER_ONLINE: {("u.l9a",): 1, ("u.l9b",): 1, ("u.l7c",): 0},
                c.MINING_POOL_WORKER_LAST_SHARE: {("u.l9a",): 1_795_021_190, ("u.l9b",): 1_795_021_180},
                c.MINING_POOL_BTC: {
                    ("scrypt", "", "pool"): 1.353e-5 / (1e9 * DAY),
                    ("scrypt", "", "pool_actual"): 1.302e-5 / (1e9 * DAY),
                },
                c.NETWORK_DIFFICULTY: {("LTC", "pool"): 1.05e8, ("DOGE", "pool"): 4.2e7},
                c.MINING_POOL_DATA_TIMESTAMP: dict(dated),
                c.MINING_POOL_PART_UP: {
                    (part,): 1
                    for part in (
                        *("workers", "status", "balance_ltc", "balance_doge", "dashboard_ltc"),
                        *("dashboard_doge", "transactions_ltc", "transactions_doge"),
                    )
                },
            },
        )


async def test_powerpool(tmp_path: Path) -> None:
    idle = {"hashrate": 0, "hashrate_units": "KH/s", "hashrate_avg": 0, "hashrate_avg_units": "KH/s"}

    def worker(name: str, good: int, bad: int, late: int, rate: float, unit: str) -> dict[str, Any]:
        shares = {"valid_shares": good, "invalid_shares": bad, "stale_shares": late, "blocks": 0}
        return {"id": 1, "name": name, **shares, **idle, "hashrate": rate, "hashrate_units": unit}

    user = {
        "u": {
            "hashrate": {
                "scrypt": {
                    "hashrate": 0.0335,
                    "hashrate_units": "TH/s",
                    "hashrate_avg": 32_000,
                    "hashrate_avg_units": "MH/s",
                    "estimated_24h_usd_revenue": 44.8,
                },
                "sha256": {**idle, "estimated_24h_usd_revenue": 0},
                "equihash": {"hashrate": 0, "hashrate_units": "Sol/s"},
            },
            "balances": [
                {"coin": 2, "coinTicker": "DOGE", "balance": 39.5},
                {"coin": 3, "coinTicker": "LTC", "balance": "0.125"},
                {"coin": 1, "coinTicker": "BTC", "balance": 0},
            ],
            "workers": {
                "sha256": [worker("u.l9a", 0, 0, 0, 0, "KH/s")],
                "scrypt": [
                    worker("u.l9a", 1_072_524, 1785, 4494, 17_000, "MH/s"),
                    worker("u.l9b", 900_000, 0, 1, 16.5, "GH/s"),
                    worker("u.l7c", 12, 0, 0, 0, "KH/s"),
                ],
            },
            "payments": [
                {"value": 100.19, "timestamp": 1_794_990_000.5, "ticker": "DOGE", "txid": "a"},
                {"value": 90, "timestamp": 1_794_900_000, "ticker": "DOGE", "txID": "b"},
                {"value": "0.5", "timestamp": 1_794_800_000, "ticker": "LTC", "txID": "c"},
            ],
        }
    }
    pool = {
        "pools": {
            "scrypt": {"BTCpayRate": 2.4e-5, "payRateUnits": "GH", "payRateConversion": 1e9, "fee": 1},
            "x11": {"BTCpayRate": 5, "fee": 1},
        },
        "prices": {"BTC": 61_000, "LTC": 42.5, "DOGE": "0.0726", "KAS": 0.1},
    }

    def answer(request: web.Request, _: str) -> Any:
        if request.path == "/api/user":
            return user if query(request, apiKey=KEY) else {}
        return pool if request.path == "/api/pool" else None

    async with account_of(tmp_path, {"type": "powerpool", "api_key": KEY}, answer) as page:
        assert_page(
            await page(),
            {
                c.MINING_POOL_HASHRATE: {("now",): 33.5e9},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_FEE: {(): 0.01},
                c.MINING_POOL_BALANCE: {("DOGE", "confirmed"): 39.5, ("LTC", "confirmed"): 0.125},
                c.MINING_POOL_LAST_PAYOUT: {("DOGE",): 100.19, ("LTC",): 0.5},
                c.MINING_POOL_LAST_PAYOUT_TIME: {("DOGE",): 1_794_990_000.5, ("LTC",): 1_794_800_000},
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("u.l9a", "now"): 17e9,
                    ("u.l9b", "now"): 16.5e9,
                    ("u.l7c", "now"): 0,
                },
                c.MINING_POOL_WORKER_ONLINE: {("u.l9a",): 1, ("u.l9b",): 1, ("u.l7c",): 0},
                c.MINING_POOL_WORKER_SHARES_ACCEPTED: {
                    ("u.l9a",): 1_072_524,
                    ("u.l9b",): 900_000,
                    ("u.l7c",): 12,
                },
                c.MINING_POOL_WORKER_SHARES_REJECTED: {("u.l9a",): 1785, ("u.l9b",): 0, ("u.l7c",): 0},
                c.MINING_POOL_WORKER_SHARES_STALE: {("u.l9a",): 4494, ("u.l9b",): 1, ("u.l7c",): 0},
                # 44.8 USD for a day of 32 GH/s: 1.4 for one.
                c.MINING_POOL_USD: {("scrypt", "", "pool"): 1.4 / (1e9 * DAY)},
                c.MINING_POOL_BTC: {("scrypt", "", "pool"): 2.4e-5 / (1e9 * DAY)},
                c.COIN_PRICE_USD: {("BTC", "pool"): 61_000, ("LTC", "pool"): 42.5, ("DOGE", "pool"): 0.0726},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): NOW, ("profitability",): NOW},
                c.MINING_POOL_PART_UP: {("user",): 1, ("pool",): 1},
            },
        )


def prices(dated: float) -> dict[str, Any]:
    """What Prohashing tells everybody of two algorithms, one of them without all figures."""
    return {
        "1": {
            "algorithm_name": "Scrypt",
            "usd": 0.00108,
            "btc": 1.728e-8,
            "max_usd": 0.00216,
            "max_btc": 3.456e-8,
            "percentile_usd": 0.000864,
            "percentile_btc": 8.64e-9,
            "data_timestamp": dated,
            "server_timestamp": dated + 2.5,
            "server_id": 4,
        },
        "2": {"algorithm_name": "SHA-256", "usd": 8.64e-8, "data_timestamp": dated - 60},
    }


def priced(dated: float) -> Expected:
    """The same by hand: for a day of a MH/s, which is 86.4e9 hashes."""
    return {
        c.MINING_POOL_USD: {("scrypt", "", "pool"): 1.25e-14, ("sha256d", "", "pool"): 1e-18},
        c.MINING_POOL_BTC: {("scrypt", "", "pool"): 2e-19},
        c.MINING_POOL_MAX_USD: {("scrypt",): 2.5e-14},
        c.MINING_POOL_MAX_BTC: {("scrypt",): 4e-19},
        c.MINING_POOL_PERCENTILE_USD: {("scrypt",): 1e-14},
        c.MINING_POOL_PERCENTILE_BTC: {("scrypt",): 1e-19},
        c.MINING_POOL_ALGORITHM_TIMESTAMP: {("scrypt",): dated, ("sha256d",): dated - 60},
        c.MINING_POOL_SERVER_TIMESTAMP: {("scrypt",): dated + 2.5},
        c.MINING_POOL_CONNECTED: {(): 1},
        c.MINING_POOL_UPDATING: {(): 1},
    }


async def test_prohashing_by_its_relay(tmp_path: Path) -> None:
    """It tells prices alone: of coins and workers nothing."""
    updated = {"profitability": "2026-11-18T16:59:30+00:00"}

    def answer(request: web.Request, _: str) -> Any:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        if request.path == "/status":
            return {"connected": True, "updating": True, "lastUpdates": updated}
        return prices(NOW - 32) if request.path == "/profitability" else None

    async with account_of(tmp_path, {"type": "prohashing", "api_key": KEY}, answer) as page:
        assert_page(
            await page(),
            {
                **priced(NOW - 32),
                c.MINING_POOL_LAST_UPDATE: {("profitability",): NOW - 30},
                c.MINING_POOL_DATA_TIMESTAMP: {("profitability",): NOW - 32},
            },
        )


async def test_prohashing_by_wamp(tmp_path: Path) -> None:
    def worker(uuid: str, name: str, now: Any, hours: Any, algorithm: str = "Scrypt") -> dict[str, Any]:
        rates = {"adjusted_hashrate": now, "hashrate": hours}
        told = {"coin_name": "Litecoin", "difficulty": 1_000_000, "share_count": 5}
        return {"uuid": uuid, "miner_name": name, "algorithm_name": algorithm, **rates, **told}

    async with wamp_site(tmp_path) as site:
        now = site.time.wall()
        results = {
            "f_all_profitability_updates": prices(now - 32),
            "f_all_miner_updates": [
                worker("a", "l9a", "17000000000.5", 16.9e9),
                worker("b", "l9b", 16.5e9, "16600000000"),
                worker("c", "l7c", 0, 0),
                worker("d", "s19", 1e14, 1e14, "SHA-256"),
            ],
            "f_all_balance_updates": {"Litecoin": 0.125, "Dogecoin": "39.5"},
        }
        asked: list[tuple[str, list[Any]]] = []

        def called(procedure: str, arguments: list[Any]) -> Any:
            asked.append((procedure, arguments))
            return results[procedure]

        site.host.called = called  # type: ignore[method-assign]
        page = await site.page()
        key = site.simulation.account.key
        assert sorted(asked) == [
            ("f_all_balance_updates", [key]),
            ("f_all_miner_updates", [key]),
            ("f_all_profitability_updates", []),
        ]
        assert_page(
            page,
            {
                **priced(now - 32),
                c.MINING_POOL_HASHRATE: {("now",): 33_500_000_000.5, ("2h",): 33.5e9},
                c.MINING_POOL_WORKERS: {("online",): 2, ("offline",): 1},
                c.MINING_POOL_WORKERS_CUT: {(): 0},
                c.MINING_POOL_BALANCE: {("LTC", "confirmed"): 0.125, ("DOGE", "confirmed"): 39.5},
                # What was heard of who is gone is no rate any more.
                c.MINING_POOL_WORKER_HASHRATE: {
                    ("l9a", "now"): 17_000_000_000.5,
                    ("l9a", "2h"): 16.9e9,
                    ("l9b", "now"): 16.5e9,
                    ("l9b", "2h"): 16.6e9,
                },
                c.MINING_POOL_WORKER_ONLINE: {("l9a",): 1, ("l9b",): 1, ("l7c",): 0},
                c.MINING_POOL_LAST_UPDATE: {("profitability",): now},
                c.MINING_POOL_DATA_TIMESTAMP: {("account",): now, ("profitability",): now - 32},
                c.MINING_POOL_PART_UP: {("workers",): 1, ("balances",): 1},
            },
        )
