"""How often a pool is asked, counted at the pool, by many servers that scrape the same exporter for hours."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.pools.sites import clocked_pool
from tests.pools.wamp import MINERS, until, wamp_site

SERVERS = 5
HOURS = 3


def too_fast(kind: str, fault: str | None, line: str) -> bool:
    """Mining-Dutch's rounds are shorter than ten minutes while nothing is known; its ten seconds are kept."""
    return not (kind == "mining_dutch" and fault) or float(line.split(": ")[1].split()[0]) < 9.9


@pytest.mark.parametrize(
    ("kind", "limit", "drop", "least"),
    [
        ("litecoinpool", 60, (), 60),
        ("viabtc", 4500, (), 60),
        ("viabtc", 100, (), 60),
        ("f2pool", 4500, (), 60),
        ("f2pool", 100, (), 60),
        ("f2pool", 60, ("api_key",), 60),
        ("yiimp", 300, (), 60),
        ("yiimp", 60, (), 40),
        ("mining_dutch", 120, (), 45),
        ("mining_dutch", 40, (), 35),
        ("powerpool", 4500, (), 60),
        ("powerpool", 60, (), 40),
        ("prohashing", 4500, (), 60),
        ("prohashing", 60, (), 40),
    ],
)
@pytest.mark.parametrize("fault", [None, "http_500"])
async def test_five_servers_for_hours(
    tmp_path: Path,
    clock: FakeClock,
    kind: str,
    limit: int,
    drop: tuple[str, ...],
    least: int,
    fault: str | None,
) -> None:
    account: dict[str, Any] = {"rate_limit_requests_per_hour": limit, **dict.fromkeys(drop)}
    asked: deque[float] = deque()
    most = up = 0
    async with clocked_pool(tmp_path, kind, MINERS, clock, account=account) as (host, target):
        if fault:
            (host.relay if kind == "prohashing" else host.account).inject(fault)
        answer = host.answer

        async def counted(request: Any) -> Any:
            nonlocal most
            asked.append(clock())
            while asked[0] <= clock() - 3600:
                asked.popleft()
            most = max(most, len(asked))
            return await answer(request)

        host.answer = counted  # type: ignore[method-assign]
        for _ in range(HOURS * 120):
            looks = await asyncio.gather(*(target.probe(clock() + 9) for _ in range(SERVERS)))
            up += looks[0][0].up
            clock.advance(30)
        assert most <= limit, "in any hour"
        if kind != "prohashing":
            assert not [line for line in host.too_fast if too_fast(kind, fault, line)]
        if fault:
            assert up == 0
            return
        # Somebody asks, and has figures all the time where the budget is enough for it.
        assert len(host.requests) >= HOURS * least
        assert up >= HOURS * (119 if most < limit or limit == 60 == least else 30)


async def test_five_servers_for_hours_at_a_connection(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        target = site.fleet.pools["prohashing"]
        for _ in range(HOURS * 30):
            looks = await asyncio.gather(*(target.probe(site.time() + 9) for _ in range(SERVERS)))
            assert looks[0][0].up
            await site.pass_time(120)
        await until(site.quiet)
        # One connection; three calls every two minutes, whoever asks.
        assert [path for _, path in site.host.requests] == ["/ws"]
        assert len(site.host.calls) <= 3 * (HOURS * 30 + 1)
