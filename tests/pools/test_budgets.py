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


@pytest.mark.parametrize(
    ("kind", "limit", "drop"),
    [
        ("litecoinpool", 60, ()),
        ("viabtc", 4500, ()),
        ("viabtc", 100, ()),
        ("f2pool", 4500, ()),
        ("f2pool", 100, ()),
        ("f2pool", 60, ("api_key",)),
    ],
)
@pytest.mark.parametrize("fault", [None, "http_500"])
async def test_five_servers_for_hours(
    tmp_path: Path, clock: FakeClock, kind: str, limit: int, drop: tuple[str, ...], fault: str | None
) -> None:
    account: dict[str, Any] = {"rate_limit_requests_per_hour": limit, **dict.fromkeys(drop)}
    asked: deque[float] = deque()
    most = up = 0
    async with clocked_pool(tmp_path, kind, MINERS, clock, account=account) as (host, target):
        if fault:
            host.account.inject(fault)
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
        assert host.too_fast == []
        # A reading a minute, and no more, whoever asks; some are left out where the budget is small.
        assert len(host.requests) >= HOURS * 40
        assert up == 0 if fault else up >= HOURS * (119 if limit != 100 else 30)


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
