"""Simulated market sources, and an exporter that asks them over sockets, on a clock that moves when told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from exporter import catalogue as c
from exporter.catalogue import Metric
from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.market.market import Market
from exporter.simulator.market import MarketHost
from exporter.simulator.simulation import MinerSpec, Simulation
from tests.conftest import FakeClock

STARTED = 1_795_000_000.0


class MarketSite:
    """The simulated sources and the market that asks them."""

    def __init__(self, simulation: Simulation, fleet: Fleet, clock: FakeClock) -> None:
        self.simulation = simulation
        self.fleet = fleet
        self.clock = clock

    @property
    def market(self) -> Market:
        assert self.fleet.market is not None
        return self.fleet.market

    def host(self, name: str) -> MarketHost:
        return self.simulation.sources[f"market.{name}"]

    async def page(self) -> Page:
        _, page = await self.market.probe(self.clock() + 10)
        return page

    async def account(self, name: str) -> Page:
        _, page = await self.fleet.pools[name].probe(self.clock() + 10)
        return page


@contextlib.asynccontextmanager
async def market_site(
    tmp_path: Path,
    sources: Sequence[str],
    clock: FakeClock,
    *,
    pools: Sequence[str] = (),
    specs: Sequence[MinerSpec] = (),
    market: dict[str, Any] | None = None,
    account: dict[str, Any] | None = None,
    **fleet: Any,
) -> AsyncIterator[MarketSite]:
    """Sources and accounts on loopback; *market* and *account* add to their sections."""

    started = clock()

    def wall() -> float:
        return STARTED + clock() - started

    async with (
        Simulation(specs, pools=pools, market=sources, clock=clock, wall_clock=wall) as simulation,
        Outgoing.open_session() as session,
    ):
        config = simulation.configuration(**{"retries": 0, "allowed_networks": ["127.0.0.0/8"], **fleet})
        config["market"] = config.get("market", {}) | (market or {})
        for one in config.get("pools", []):
            one |= account or {}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        outgoing = Outgoing(session, clock=clock, sleep=clock.sleep)
        yield MarketSite(simulation, Fleet(load(path, {}), outgoing, {}, clock=clock, wall_clock=wall), clock)


def earned(page: Page, metric: Metric = c.MINING_POOL_USD) -> dict[tuple[str, str], float]:
    """What a hash of scrypt earns on *page*, by coin and source."""
    found = dict(page.families()).get(metric, {})
    return {
        (coin, source): value for (algorithm, coin, source), value in found.items() if algorithm == "scrypt"
    }
