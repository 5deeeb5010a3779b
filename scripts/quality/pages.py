"""Pages of the real exporter, asked of simulated miners and their pool in every condition a replay needs.

What series there are in a condition, with which labels, and what they say when nothing wavers, is not
invented for the replay: it is read from these pages.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Target
from exporter.http import Outgoing
from exporter.server.app import create_app
from exporter.server.runtime import Runtime
from exporter.simulator.simulation import MinerSpec, Simulation
from scripts.quality.faults import POOL
from scripts.quality.store import StoreError

Key = tuple[tuple[str, str], ...]
Samples = dict[Key, float]
POOL_KIND = "litecoinpool"
# Long enough for a miner's heat to settle after a fault.
_SETTLING_SECONDS = 300.0
# Of a real clock: how long an answer is waited for, however busy this machine is; one that hangs is not.
_DEADLINE_SECONDS = 50.0
_HANGING_SECONDS = 3.0
STATE = "vnish_state"


class Condition(NamedTuple):
    """What a miner or pool is like: the state it is in, and its faults with their parameters."""

    state: str = "mining"
    faults: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()


WELL = Condition()


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Pages:
    """An exporter that watches a simulated site; conditions are asked of it one by one."""

    def __init__(
        self,
        simulation: Simulation,
        runtime: Runtime,
        client: TestClient[web.Request, web.Application],
        clock: _Clock,
        job: str,
    ) -> None:
        self._simulation = simulation
        self._runtime = runtime
        self._client = client
        self._clock = clock
        self._job = job

    @property
    def miners(self) -> dict[str, Target]:
        """The miners by name."""
        return self._runtime.fleet.miners

    @property
    def pool(self) -> Target:
        """The pool's account."""
        return self._runtime.fleet.pools[POOL_KIND]

    async def miner(self, name: str, condition: Condition) -> Samples:
        """What the exporter says of a miner in a condition, without the noise of the moment."""
        host = self._simulation.miners[name]
        for fault, given in condition.faults:
            await self._simulation.inject(name, fault, dict(given))
        self._clock.now += _SETTLING_SECONDS
        host.miner.advance(self._clock.now - 1000.0)
        # Tuning is what mining is, but for the word: what it changes in figures is the replay's noise.
        state = "mining" if condition.state == "auto-tuning" else condition.state
        if host.miner.state == "mining" and state != "mining":
            host.miner.state = state
        for board in host.miner.boards:
            board.noise = 0.0
        samples = await self._probe(self.miners[name], "miners", condition)
        if condition.faults or state != "mining":
            for fault, _ in condition.faults:
                await self._simulation.repair(name, fault)
            host.miner.state = "mining"
            host.miner.mining_since = host.miner.now - 600.0
            host.miner.state_since = host.miner.mining_since
        if condition.state == "auto-tuning":
            for key in samples:
                if key[0] == ("__name__", STATE):
                    samples[key] = float(("state", "auto-tuning") in key)
        return samples

    async def account(self, condition: Condition) -> Samples:
        """What the exporter says of the pool's account in a condition."""
        for fault, given in condition.faults:
            await self._simulation.inject(POOL, fault, dict(given))
        self._clock.now += 7200.0
        samples = await self._probe(self.pool, "pools", condition)
        await self._simulation.repair(POOL)
        return samples

    async def exporter(self) -> Samples:
        """What the exporter says of itself."""
        async with self._client.get("/metrics") as answer:
            text = await answer.text()
        common = {"job": f"{self._job}-exporter", "instance": "exporter:10777"}
        return {
            tuple(sorted({"__name__": sample.name, **common, **sample.labels}.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def _probe(self, target: Target, kind: str, condition: Condition) -> Samples:
        hangs = any(fault == "hanging" for fault, _ in condition.faults)
        look, page = await target.probe(self._clock.now + (_HANGING_SECONDS if hangs else _DEADLINE_SECONDS))
        if not condition.faults and not look.up:
            raise StoreError(f"{target.instance} is well and does not answer the exporter: {look.error}")
        common = {"job": f"{self._job}-{kind}", "instance": target.instance, **target.labels}
        return flat(page, common)


def flat(page: Page, common: dict[str, str]) -> Samples:
    """The samples of a page with the labels Prometheus adds."""
    return {
        tuple(
            sorted(
                {
                    "__name__": metric.name,
                    **common,
                    **{name: value for name, value in zip(metric.labels, values, strict=True) if value},
                }.items()
            )
        ): value
        for metric, samples in page.families()
        for values, value in samples.items()
    }


def specs(count: int, sites: int = 2) -> list[MinerSpec]:
    """*count* miners, most of the usual kinds, at *sites* sites in turn of equal parts."""
    kinds = (
        ("l9", "1.2.7"),
        ("l9", "1.3.4"),
        ("l7", "1.2.7"),
        ("l9", "1.3.4"),
        ("l7", "1.3.4"),
        ("l9", "1.3.4"),
    )
    size = -(-count // sites)
    return [
        MinerSpec(f"barn{1 + index // size}-{model}-{1 + index:02d}", model, dialect)
        for index in range(count)
        for model, dialect in [kinds[index % len(kinds)]]
    ]


@contextlib.asynccontextmanager
async def open_pages(miners: Sequence[MinerSpec], seed: int) -> AsyncIterator[Pages]:
    """Simulate *miners* and watch them with an exporter whose clock stands between two looks."""
    clock = _Clock()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        async with (
            Simulation(miners, seed=seed, pools=[POOL_KIND], clock=clock) as simulation,
            Outgoing.open_session() as session,
        ):
            config = simulation.configuration(
                min_interval_seconds=0,
                timeout_seconds=55,
                retries=0,
                poll_interval_seconds=60,
                collect={"chips": False},
            )
            # So cheap that every miner earns: what loses money without a fault is no false alarm.
            config["economics"] = {"electricity_usd_per_kwh": 0.03}
            config["fleet"]["expected_pools"] = ["eu.pool.example", "us.pool.example"]
            path.write_text(yaml.safe_dump(config), "utf-8")
            runtime = Runtime(path, load(path, {}), Outgoing(session, clock=clock), {}, clock=clock)
            server = TestServer(create_app(runtime))
            client: TestClient[web.Request, web.Application] = TestClient(server)
            async with client:
                yield Pages(simulation, runtime, client, clock, "minefleet")
