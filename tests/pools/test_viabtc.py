"""ViaBTC: pages, two coins, and what its codes mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.pools.viabtc.account import MOST_PAGES
from exporter.pools.workers import MOST_WORKERS
from exporter.simulator.simulation import MinerSpec
from tests.pools.sites import assert_fails_with, pool_page, pool_site

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
