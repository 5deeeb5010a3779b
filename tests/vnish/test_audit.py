from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.vnish.audit import PoolAudit
from exporter.vnish.reading import Identity, MinerReading, Pool
from tests.conftest import L9, serve_site
from tests.server.test_app import value


def audit(*hosts: str, account: str | None = None, worker: str | None = None) -> PoolAudit:
    return PoolAudit(frozenset(hosts), account, worker)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("stratum+tcp://eu.pool.example:3333", True),
        ("eu.pool.example:3333", True),
        ("EU.Pool.Example:3333", True),
        ("stratum+ssl://eu.pool.example.:3333/x", True),
        ("stratum+tcp://user:pw@eu.pool.example:3333", True),
        ("us.pool.example:3333", True),
        ("us.pool.example:4444", False),
        ("stratum+tcp://eu.pool.example.evil.example:3333", False),
        ("stratum+tcp://eu.pool.example@evil.example:3333", False),
        ("", False),
        (None, False),
    ],
)
def test_hosts(url: str | None, expected: bool) -> None:
    one = audit("eu.pool.example", "us.pool.example:3333")
    assert one.matches(Pool("0", "UserPool", url=url)) is expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("*****", True),
        (None, True),
        ("account", True),
        ("account.barn1-l9-01", True),
        ("account.barn1-l9-02", False),
        ("thief.barn1-l9-01", False),
        ("thief", False),
    ],
)
def test_users_as_far_as_they_are_shown(user: str | None, expected: bool) -> None:
    one = audit(account="account", worker="barn1-l9-01")
    assert one.matches(Pool("0", "UserPool", url="x:1", user=user)) is expected


async def test_a_hijacked_miner_is_visible(tmp_path: Path) -> None:
    def expect(config: dict[str, Any]) -> None:
        config["fleet"] |= {
            "expected_pools": ["stratum+tcp://eu.pool.example:3333", "us.pool.example"],
            "pool_account": "account",
        }
        config["fleet"]["miners"][0] |= {"password": "admin", "full_detail": True}

    async with serve_site(tmp_path, [L9], edit=expect) as site:
        text = await site.get("/probe?target=l9")
        assert value(text, "minefleet_pool_match", pool="0") == 1
        assert value(text, "minefleet_pool_match", pool="1") == 1
        assert value(text, "minefleet_pool_match", pool="2") is None, "the firmware's fee is no concern"
        await site.simulation.inject("l9", "wrong_worker")
        text = await site.get("/probe?target=l9")
        assert value(text, "minefleet_pool_match", pool="0") == 0


def test_an_empty_slot_is_nobodys_pool() -> None:
    audit = PoolAudit(frozenset({"pool.example"}), None, None)
    reading = MinerReading(
        Identity("v1"),
        pools=[Pool("0", "UserPool", url="pool.example:3333"), Pool("1", "UserPool", url=None)],
    )
    page = Page()
    audit.write(reading, page)
    assert page.family(c.POOL_MATCH) == {("0",): 1.0}


async def test_nothing_expected_is_nothing_exported(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        assert "minefleet_pool_match" not in await site.get("/probe?target=l9")
