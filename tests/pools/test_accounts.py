"""Accounts: several of a type, and which of them pays for a miner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.pools import Account, drivers
from exporter.pools.metrics import samples
from exporter.pools.reading import PoolReading
from exporter.pools.workers import WorkerNames
from tests.conftest import L9, L9_NEW, serve_site
from tests.pools.sites import pool_page, pool_site


def account(**settings: Any) -> Account:
    return Account("prohashing", drivers()["prohashing"].Settings(**settings))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("us.mining.prohashing.com:3333", True),
        ("PROHASHING.com.", True),
        ("notprohashing.com", False),
        ("prohashing.com.thief.example", False),
        ("pool.example:3333", True),
        ("pool.example:4444", False),
        ("eu.other.example", True),
    ],
)
def test_a_miner_belongs_to_the_account_whose_hosts_it_mines_to(host: str, expected: bool) -> None:
    assert account(stratum_hosts=["pool.example:3333", "Other.example"]).mined_at(host) is expected


async def test_two_accounts_of_one_type_are_two_targets(tmp_path: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        base = config.pop("prohashing")["base_url"]
        config["pools"] = [
            {"type": "prohashing", "name": "main", "base_url": base, "labels": {"owner": "a"}},
            {
                "type": "prohashing",
                "name": "spare",
                "base_url": base,
                "stratum_hosts": ["pool.example"],
                "rate_limit_requests_per_hour": 2,
                "sync_interval_seconds": 0.001,
            },
        ]

    async with serve_site(tmp_path, [L9], edit=edit) as site:
        main, spare = site.runtime.fleet.pools["main"], site.runtime.fleet.pools["spare"]
        assert main.reader.breaker is not spare.reader.breaker
        assert "mining_pool_up 1" in await site.get("/probe?target=spare&module=prohashing")
        # A quick machine asks again within the millisecond for which a reading is given again.
        spare.reader.last = None
        page = await site.get("/probe?target=spare")
        assert 'reason="budget_spent"} 1' in page
        assert "mining_pool_up 1" in await site.get("/probe?target=main")
        fleet = await site.get("/fleet")
        assert 'mining_pool_info{instance="main",owner="a",type="prohashing"} 1' in fleet
        assert 'minefleet_miner_account_info{account="spare"} 1' in await site.get("/probe?target=l9")


async def test_the_configured_payer_counts_even_while_the_miner_is_down(tmp_path: Path) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["fleet"]["pool"] = "prohashing"

    async with serve_site(tmp_path, [L9], edit=edit) as site:
        await site.simulation.inject("l9", "unplugged")
        page = await site.get("/probe?target=l9")
        assert "vnish_up 0" in page
        assert 'minefleet_miner_account_info{account="prohashing"} 1' in page


def test_a_reading_of_nothing_is_a_page_of_nothing() -> None:
    page = Page()
    assert samples(PoolReading(), page, 1000.0, 1000.0, 600.0) == {}
    assert not list(page.families())


def test_a_worker_is_its_miner_with_or_without_the_accounts_name() -> None:
    names = WorkerNames()
    names.update([("rig1", "barn-1"), ("shared", "barn-2"), ("shared", "barn-3"), ("a.b", "barn-4")])
    assert names.miners("rig1") == names.miners("account.rig1") == ["barn-1"]
    assert names.miners("account.shared") == ["barn-2", "barn-3"]
    assert names.miners("a.b") == names.miners("account.a.b") == ["barn-4"]
    assert list(names.miners("rig")) == list(names.miners("rig1.account")) == []


async def test_a_reload_matches_workers_anew_and_asks_the_pool_no_sooner(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "litecoinpool", [L9, L9_NEW]) as site:
        page = await pool_page(site)
        pairs = {
            (dict(labels)["worker"], dict(labels)["miner"])
            for labels in page["mining_pool_worker_miner_info"]
        }
        assert pairs == {("account.l9", "l9"), ("account.l9-new", "l9-new")}
        config = yaml.safe_load(site.runtime.path.read_text())
        config["fleet"]["miners"][0]["name"] = "renamed"
        site.runtime.path.write_text(yaml.safe_dump(config))
        before = site.runtime.fleet
        site.runtime.fleet = Fleet(load(site.runtime.path, {}), site.runtime.outgoing, {}, before)
        page = await pool_page(site)
        pairs = {
            (dict(labels)["worker"], dict(labels)["miner"])
            for labels in page["mining_pool_worker_miner_info"]
        }
        assert pairs == {("account.l9", "renamed"), ("account.l9-new", "l9-new")}
        assert len(site.host.requests) == 1
