"""Accounts at a simulated pool that keeps a connection, on a clock that moves only when told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.pools.prohashing.wamp import ANSWER_SECONDS
from exporter.simulator.pools.prohashing import ProhashingHost
from exporter.simulator.simulation import MinerSpec, Simulation

STARTED = 1_795_000_000.0
MINERS = [
    MinerSpec("l9-1", "l9", "1.2.7"),
    MinerSpec("l9-2", "l9", "1.3.4"),
    MinerSpec("l7-3", "l7", "1.2.7"),
]


class VirtualTime:
    """Time for many who wait at once: a pause ends when the time it was to end has come."""

    def __init__(self) -> None:
        self.now = 1000.0
        # When each pause ends, how long it is, and who waits.
        self.asleep: list[tuple[float, float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return STARTED + self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        entry = (self.now + seconds, seconds, future)
        self.asleep.append(entry)
        try:
            await future
        finally:
            self.asleep.remove(entry)

    async def advance(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass, and everybody do what he waited for, before more of it passes."""
        ends = self.now + seconds
        while self.now < ends:
            self.now = min(ends, self.now + step)
            for at, _, future in list(self.asleep):
                if at <= self.now + 1e-6 and not future.done():
                    future.set_result(None)
            for _ in range(20):
                await asyncio.sleep(0)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what happens by itself, over sockets."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


@dataclass
class WampSite:
    """The simulated pool, a fleet that reads it, and the time of both."""

    time: VirtualTime
    simulation: Simulation
    host: ProhashingHost
    fleet: Fleet
    path: Path

    async def page(self, name: str = "prohashing") -> Page:
        """A page of the account, now."""
        target = self.fleet.pools[name]
        target.reader.last = None
        _, page = await target.probe(self.time() + 20)
        return page

    def reason(self, name: str = "prohashing") -> str:
        """Why the last look failed."""
        look = self.fleet.pools[name].reader.last
        assert look is not None
        return str(look.error.reason) if look.error else ""

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, but none while a call waits for its answer over the socket."""
        ends = self.time() + seconds
        while self.time() < ends:
            await self.time.advance(min(5.0, ends - self.time()))
            await until(self.quiet)

    def quiet(self) -> bool:
        """Whether nobody waits for an answer: who does has a timer for it."""
        return "deaf" in self.host.faults or ANSWER_SECONDS not in (one[1] for one in self.time.asleep)


@contextlib.asynccontextmanager
async def wamp_site(tmp_path: Path, *accounts: dict[str, Any], lookup: Any = None) -> AsyncIterator[WampSite]:
    """Serve a simulated pool to *accounts*, by default one with a key that listens.

    The words ``WAMP``, ``RELAY`` and ``KEY`` in an account stand for what they are here.
    """
    time = VirtualTime()
    async with (
        Simulation(
            MINERS, pools=("prohashing",), clock=time, wall_clock=time.wall, sleep=time.sleep
        ) as simulation,
        Outgoing.open_session() as session,
    ):
        host = simulation.pools["prohashing"]
        assert isinstance(host, ProhashingHost)
        words = {
            "WAMP": host.wamp_url,
            "RELAY": f"http://{host.address}:{host.port}",
            "KEY": simulation.account.key,
        }
        config = simulation.configuration(min_interval_seconds=0, retries=0)
        del config["prohashing"]
        config["pools"] = [
            {
                "type": "prohashing",
                "sync_interval_seconds": 0.001,
                **{name: words.get(value, value) for name, value in account.items()},
            }
            for account in accounts or ({"wamp_url": "WAMP", "api_key": "KEY"},)
        ]
        # The breaker of these accounts is not what is tested.
        config["breaker"] = {"prohashing": {"failure_threshold": 1000}}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        outgoing = Outgoing(session, clock=time, sleep=time.sleep, rng=random.Random(1), lookup=lookup)
        fleet = Fleet(load(path, {}), outgoing, {}, clock=time, wall_clock=time.wall)
        site = WampSite(time, simulation, host, fleet, path)
        try:
            yield site
        finally:
            site.fleet.close()
            await until(lambda: not host.sessions)
