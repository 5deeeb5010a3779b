"""Answers with anything in place of any value: a reading and its page, or a reason, and nothing else."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, cast

import pytest
from hypothesis import given
from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError
from exporter.exposition import Page
from exporter.http import Answer, Client, Step
from exporter.pools import Context, PoolSource
from exporter.pools.f2pool.v1 import PublicSource
from exporter.pools.f2pool.v2 import TokenSource
from exporter.pools.litecoinpool.account import AccountSource as LitecoinpoolSource
from exporter.pools.metrics import samples
from exporter.pools.viabtc.account import AccountSource as ViabtcSource
from tests.conftest import FakeClock
from tests.pools.mangled import mangled

NOW = 1_795_000_000.0
WORKERS = {"account.l9": 9.5e9, "account.l7": 9.0e9, "idle": 0}
VIABTC: dict[str, Any] = {
    "/hashrate": {
        "coin": "LTC",
        "hashrate_10min": "9500000000",
        "hashrate_1hour": "9400000000",
        "hashrate_24hour": "9300000000",
        "active_workers": 2,
        "unactive_workers": 1,
    },
    "/hashrate/worker": {
        "has_next": False,
        "data": [
            {
                "worker_name": name,
                "worker_status": "active" if rate else "unactive",
                "hashrate_10min": f"{rate}",
                "reject_rate": "0.0123",
                "last_active": 1_794_999_990,
            }
            for name, rate in WORKERS.items()
        ],
    },
    "/account": {"balance": [{"coin": "LTC", "amount": "0.5"}, {"coin": "DOGE", "amount": "120.25"}]},
    "/profit/history": {"data": [{"date": "2026-11-17", "total_profit": "0.01"}]},
    "/reward/history": {"data": [{"date": "2026-11-17", "total_profit": "31.5"}]},
    "/wallet/payment/history": [{"create_time": 1_794_900_000, "amount": "0.25"}],
}
F2POOL: dict[str, Any] = {
    "hash_rate/info": {"info": {"hash_rate": 9.5e9, "h1_hash_rate": 9.4e9, "h24_hash_rate": 9.3e9}},
    "hash_rate/worker/list": {
        "workers": [
            {
                "hash_rate_info": {"name": name, "hash_rate": rate, "h1_stale_hash_rate": 1e6},
                "status": 0 if rate else 1,
                "last_share_at": 1_794_999_990,
            }
            for name, rate in WORKERS.items()
        ]
    },
    "assets/balance": {
        "balance_info": {"balance": 0.5, "immature_balance": 0.1, "paid": 9, "yesterday_income": 0.01}
    },
    "assets/transactions/list": {
        "transactions": [
            {
                "created_at": 1_794_900_000,
                "mining_extra": {"pps_fee_rate": 0.04},
                "payout_extra": {"paid_time": 1_794_900_100, "value": -0.25},
            }
        ]
    },
}
F2POOL_PUBLIC: dict[str, Any] = {
    "hashrate": 9.5e9,
    "hashes_last_hour": 3.4e13,
    "hashes_last_day": 8e14,
    "balance": 0.5,
    "paid": 9,
    "value_last_day": 0.01,
    "worker_length": 3,
    "worker_length_online": 2,
    "workers": [
        [name, rate, rate * 3600, 1e9, rate * 86_400, 1e10, "2026-11-18T07:06:30Z", False]
        for name, rate in WORKERS.items()
    ],
    "payout_history": [["2026-11-17T00:00:00Z", "txid", 0.25]],
}
LITECOINPOOL: dict[str, Any] = {
    "user": {
        "hash_rate": 9.5e6,
        **{
            f"{name}{ending}": 0.5
            for ending in ("", "_doge")
            for name in ("unpaid_rewards", "past_24h_rewards", "expected_24h_rewards", "paid_rewards")
        },
        "blocks_found": 1,
    },
    "workers": {
        name: {
            "connected": bool(rate),
            "hash_rate": rate / 1e3,
            "hash_rate_24h": rate / 1e3,
            "valid_shares": "000123",
            "stale_shares": 5,
            "invalid_shares": "1",
            "last_share_time": 1_794_999_990,
        }
        for name, rate in WORKERS.items()
    },
    "pool": {"pps_ratio": 1.03, "pps_rate": 1.05e-10, "pps_rate_avg_doge": 4.2e-7},
    "network": {"hash_rate": 95_925_913_949, "difficulty": 3731199.18, "difficulty_avg_doge": 1.5e6},
    "market": {"ltc_usd": 42.5, "ltc_btc": 7e-4, "doge_usd": 0.07, "doge_btc": 1e-6},
    "recent_payouts": [{"time": 1_794_900_000, "amount": 0.5}],
    "recent_payouts_doge": [{"time": 1_794_900_000, "amount": 77.5}],
}
KEY = SecretStr("k3y")
ENDPOINT = Endpoint.parse("192.0.2.1")


async def sleep(_: float) -> None:
    """Every pause is over."""


CONTEXT = Context(clock=FakeClock(), wall_clock=lambda: NOW, sleep=sleep)


class Told:
    """A client that is told the bodies: of every path, or of its last part."""

    seconds_left = 1e9

    def __init__(self, bodies: dict[str, Any] | None, whole: Any = None) -> None:
        self.steps: list[Step] = []
        self._bodies = bodies
        self._whole = whole

    async def request(self, method: str, path: str, **_: Any) -> Answer:
        self.steps.append(Step(method, path))
        body = self._whole
        if self._bodies is not None:
            name = max((one for one in self._bodies if path.endswith(one)), key=len, default="")
            body = self._bodies.get(name)
        return Answer(200, json.dumps(body).encode(), 0.0)


def check(source: PoolSource, told: Told) -> set[str]:
    """Read and write a page; the names of its series are returned."""
    try:
        reading = asyncio.run(source.read(cast(Client, told)))
    except ProbeError as error:
        assert "k3y" not in str(error)
        return set()
    page = Page()
    samples(reading, page, NOW, NOW, 600.0)
    for _, values in page.families():
        for labels, value in values.items():
            assert math.isfinite(value)
            assert all(label.isprintable() for label in labels)
    return {metric.name for metric, _ in page.families()}


def viabtc(bodies: dict[str, Any]) -> set[str]:
    wrapped = {
        path: body if isinstance(body, dict) and "code" in body else {"code": 0, "data": body}
        for path, body in bodies.items()
    }
    return check(ViabtcSource(ENDPOINT, KEY, CONTEXT, kept_seconds=600), Told(wrapped))


def f2pool(bodies: dict[str, Any]) -> set[str]:
    return check(TokenSource(ENDPOINT, "account", KEY, CONTEXT, kept_seconds=600), Told(bodies))


def f2pool_public(body: Any) -> set[str]:
    return check(PublicSource(ENDPOINT, "account"), Told(None, body))


def litecoinpool(body: Any) -> set[str]:
    return check(LitecoinpoolSource(ENDPOINT, KEY), Told(None, body))


@given(mangled(VIABTC))
def test_viabtc(bodies: dict[str, Any]) -> None:
    viabtc(bodies)


@given(mangled({path: {"code": 0, "data": body} for path, body in VIABTC.items()}))
def test_the_envelope_of_viabtc(bodies: dict[str, Any]) -> None:
    viabtc(bodies)


@given(mangled(F2POOL))
def test_f2pool_by_token(bodies: dict[str, Any]) -> None:
    f2pool(bodies)


@given(mangled(F2POOL_PUBLIC))
def test_f2pool_without_a_token(body: dict[str, Any]) -> None:
    f2pool_public(body)


@given(mangled(LITECOINPOOL))
def test_litecoinpool(body: dict[str, Any]) -> None:
    litecoinpool(body)


@pytest.mark.parametrize(
    ("read", "body"),
    [(viabtc, VIABTC), (f2pool, F2POOL), (f2pool_public, F2POOL_PUBLIC), (litecoinpool, LITECOINPOOL)],
)
def test_the_whole_body_is_a_whole_page(read: Any, body: Any) -> None:
    """Else the tests above would mangle what is not read anyway."""
    assert {
        "mining_pool_hashrate_hashes_per_second",
        "mining_pool_workers",
        "mining_pool_worker_hashrate_hashes_per_second",
        "mining_pool_balance_coins",
        "mining_pool_last_payout_coins",
    } <= read(body)
