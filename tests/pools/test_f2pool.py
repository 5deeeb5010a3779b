"""F2Pool by token and without one: figures, a currency that is not told, pauses between calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.simulator.simulation import MinerSpec
from tests.pools.sites import assert_fails_with, pool_page, pool_site

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
        assert site.host.too_fast == []


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
