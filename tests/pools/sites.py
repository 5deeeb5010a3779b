"""A simulated pool with its miners, and an exporter that reads it over a socket."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from exporter import catalogue as c
from exporter.address import Policy
from exporter.config.load import load
from exporter.errors import ProbeError
from exporter.exposition import Page
from exporter.fleet import Fleet, Target
from exporter.http import Client, Outgoing, Step
from exporter.pools import Context, PoolSource, drivers
from exporter.pools.reading import PoolReading
from exporter.server.app import create_app
from exporter.server.runtime import Runtime
from exporter.simulator.pools.host import PoolHost
from exporter.simulator.simulation import RELAY, MinerSpec, Simulation
from tests.conftest import FakeClock

# What a pool tells of an account; a pool that tells nothing has none of them.
FIGURES = frozenset(
    f"mining_pool_{name}"
    for name in (
        *("hashrate_hashes_per_second", "workers", "balance_coins", "earned_24h_coins", "last_payout_coins"),
        *("worker_hashrate_hashes_per_second", "worker_online", "profitability_usd_per_hash"),
        *("profitability_btc_per_hash", "profitability_coins_per_hash"),
    )
)
# What the time of day is when a test's clock says 0.
WALL = 1_795_000_000.0
Pages = dict[str, dict[tuple[tuple[str, str], ...], float]]
# What the exporter says of its own asking.
_OWN = {
    *(c.POOL_PROBE.up, c.POOL_PROBE.duration, c.POOL_PROBE.failure, c.POOL_PROBE.breaker),
    *(c.MINING_POOL_REQUESTS, c.MINING_POOL_BUDGET_REMAINING, c.MINING_POOL_BUDGET_LIMIT),
    *(c.MINING_POOL_LAST_SUCCESS, c.MINING_POOL_INFO),
}


class PoolSite:
    """The simulation, its one pool, the exporter, and what it logged."""

    def __init__(
        self,
        kind: str,
        simulation: Simulation,
        runtime: Runtime,
        client: TestClient[Any, Any],
        logged: list[Any],
    ) -> None:
        self.kind = kind
        self.simulation = simulation
        self.runtime = runtime
        self.client = client
        self.logged = logged

    @property
    def host(self) -> PoolHost:
        """The pool's server, which watches how often it is asked; a relay has none."""
        host = self.simulation.pools[self.kind]
        assert isinstance(host, PoolHost)
        return host

    def forget(self) -> None:
        """Let the next look ask again, however soon; it counts as too fast."""
        self.runtime.fleet.pools[self.kind].reader.last = None

    async def get(self, path: str) -> str:
        async with self.client.get(path) as response:
            assert response.status == 200
            return await response.text()


@contextlib.asynccontextmanager
async def pool_site(
    tmp_path: Path,
    kind: str,
    specs: list[MinerSpec],
    *,
    account: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    **fleet: Any,
) -> AsyncIterator[PoolSite]:
    """Serve an exporter for one account at a simulated pool of *kind*.

    *account* adds to its section, the keys of *drop* are left out of it.
    """
    async with Simulation(specs, pools=(kind,)) as simulation, Outgoing.open_session() as session:
        config = simulation.configuration(**{"min_interval_seconds": 0, "retries": 0, **fleet})
        section = _section(simulation, config, kind)
        section |= account or {}
        for key in drop:
            del section[key]
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        with structlog.testing.capture_logs() as logged:
            runtime = Runtime(path, load(path, {}), Outgoing(session), {})
            server = TestServer(create_app(runtime))
            await server.start_server()
            async with TestClient(server) as client:
                yield PoolSite(kind, simulation, runtime, client, logged)


def _section(simulation: Simulation, config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The account's section; that of a relay is made one of ``pools``, with the key the relay asks for."""
    if kind == RELAY:
        simulation.relay.key = simulation.account.key
        config["pools"] = [{"type": kind, "api_key": simulation.relay.key, **config.pop(kind)}]
    section: dict[str, Any] = config["pools"][0]
    return section


@contextlib.asynccontextmanager
async def clocked_pool(
    tmp_path: Path,
    kind: str,
    specs: list[MinerSpec],
    clock: FakeClock,
    *,
    account: dict[str, Any] | None = None,
) -> AsyncIterator[tuple[Any, Target]]:
    """One account at a simulated pool of *kind*, and its host, both on a clock that moves only when told."""

    def wall() -> float:
        return WALL + clock()

    async with (
        Simulation(specs, pools=(kind,), clock=clock, wall_clock=wall) as simulation,
        Outgoing.open_session() as session,
    ):
        config = simulation.configuration()
        _section(simulation, config, kind).update(account or {})
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        outgoing = Outgoing(session, clock=clock, sleep=clock.sleep)
        fleet = Fleet(load(path, {}), outgoing, {}, clock=clock, wall_clock=wall)
        yield simulation.pools[kind], fleet.pools[kind]


def figures(page: Page) -> dict[str, dict[tuple[str, ...], float]]:
    """What the pool told, by series and label values, without what the exporter says of its own asking."""
    return {
        metric.name: dict(found)
        for metric, found in page.families()
        if found and metric not in _OWN and not metric.name.startswith("minefleet_")
    }


async def pool_page(site: PoolSite) -> Pages:
    """The account's page: by series, by labels."""
    text = await site.get(f"/probe?target={site.kind}")
    assert site.simulation.account.key not in text
    debug = await site.get(f"/probe?target={site.kind}&debug=true")
    assert site.simulation.account.key not in debug
    found: Pages = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


class Source:
    """A driver's source over a socket, read without anything between, on a clock whose pauses are over at once."""

    def __init__(self, source: PoolSource, outgoing: Outgoing, clock: FakeClock) -> None:
        self._source = source
        self._outgoing = outgoing
        self.clock = clock
        # Of the last reading.
        self.steps: list[Step] = []
        # What the pool was asked: the path with its query, or the document that was posted.
        self.asked: list[str] = []

    async def read(self, seconds: float = 300.0) -> PoolReading:
        client = Client(self._outgoing, self._source.endpoint, Policy(None), self.clock() + seconds)
        self.steps = client.steps
        self.asked.clear()
        return await self._source.read(client)

    async def refusal(self, seconds: float = 300.0) -> ProbeError:
        """Why a reading fails."""
        with pytest.raises(ProbeError) as caught:
            await self.read(seconds)
        return caught.value


@contextlib.asynccontextmanager
async def source_of(
    kind: str, answer: Callable[[web.Request, str], Any], **settings: Any
) -> AsyncIterator[Source]:
    """The source of an account whose pool gives *answer* to each request and its text."""
    clock = FakeClock()

    async def told(request: web.Request) -> web.Response:
        text = await request.text()
        one.asked.append(text or request.path_qs)
        found = answer(request, text)
        return found if isinstance(found, web.Response) else web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told)
    async with TestServer(app) as server, Outgoing.open_session() as session:
        driver = drivers()[kind]
        url = f"http://127.0.0.1:{server.port}"
        context = Context(clock=clock, wall_clock=lambda: WALL + clock(), sleep=clock.sleep)
        source = driver.source(driver.Settings(base_url=url, **settings), context)
        one = Source(source, Outgoing(session, clock=clock, sleep=clock.sleep), clock)
        yield one


async def assert_fails_with(
    tmp_path: Path, kind: str, specs: list[MinerSpec], fault: str, reason: str, *, drop: tuple[str, ...] = ()
) -> None:
    """An account at a pool with *fault* is down for *reason*: no figure, no zero, no key in what is logged."""
    # Only who never answers is waited for; what else is slow is this machine.
    seconds = 0.5 if fault == "hanging" else 10.0
    async with pool_site(tmp_path, kind, specs, drop=drop, timeout_seconds=seconds) as site:
        await site.simulation.inject(kind, fault)
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 0}
        assert page["mining_pool_scrape_failure"][(("reason", reason),)] == 1
        assert not [name for name in page if name in FIGURES]
        assert site.simulation.account.key not in json.dumps(site.logged, default=str)
