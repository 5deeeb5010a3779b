"""A whole simulated site: its miners, its pool, what goes wrong when, and the page to make it go wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from exporter.market.sources import NETWORK, PRICES, drivers_of
from exporter.simulator import simple
from exporter.simulator.faults import MARKET_FAULTS, MINER_FAULTS, POOL_FAULTS, UnknownFaultError, parameters
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.hosts import Host, MinerHost
from exporter.simulator.market import MarketHost, SimMarket
from exporter.simulator.miner import SimMiner
from exporter.simulator.pools.account import SimAccount
from exporter.simulator.pools.host import Fake, PoolHost
from exporter.simulator.pools.prohashing import ProhashingHost, SimRelay

POOL = "pool"
RELAY = "prohashing"
# Model and firmware of the fleet, in turn: every sixth miner speaks the simple shape.
_MIX = (
    ("l9", "1.2.7"),
    ("l9", "1.3.4"),
    ("l7", "1.2.7"),
    ("l9", "1.3.4"),
    ("l7", "1.3.4"),
    ("l7", "simple"),
)


@dataclass(frozen=True, slots=True)
class MinerSpec:
    """One miner to simulate; *dialect* as of a :class:`MinerHost`."""

    name: str
    model: str
    dialect: str


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """At *at* seconds, *target* (a miner or ``pool``) gets a fault, or is repaired if *fault* is None."""

    at: float
    target: str
    fault: str | None
    parameters: Mapping[str, object]


def mixed_fleet(count: int) -> list[MinerSpec]:
    """*count* miners of the usual mix, named by their place in the barn."""
    return [
        MinerSpec(f"barn{1 + index // 60}-{model}-{1 + index:02d}", model, dialect)
        for index in range(count)
        for model, dialect in [_MIX[index % len(_MIX)]]
    ]


class Simulation:
    """Hosts on loopback. With *port* 0 each host has a port of its own, else all have this one.

    *speed* makes the miners' time run faster than the clock's; the relay keeps to the calendar. *pools* are
    the kinds of pool that answer, all of the same account; ``prohashing`` is the relay and the pool's router.
    *market* are the market's sources that answer; as targets of faults their names follow ``market.``.
    """

    def __init__(
        self,
        specs: Sequence[MinerSpec],
        *,
        seed: int = 1,
        network: str = "127.77.0",
        port: int = 0,
        pool_port: int = 0,
        pools: Sequence[str] = (RELAY,),
        market: Sequence[str] = (),
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.seed = seed
        started = clock()
        self._clock = clock

        def miner_clock() -> float:
            return (clock() - started) * speed

        self.miners: dict[str, MinerHost] = {}
        for index, spec in enumerate(specs):
            miner = SimMiner(spec.name, HARDWARE[spec.model], seed * 1000 + index, f"account.{spec.name}")
            if spec.dialect in ("3.9.0", "stock"):
                miner.password = "root"  # noqa: S105 - the maker's
            # From .1 on, 250 to a third octet.
            first, second, third = network.split(".")
            address = f"{first}.{second}.{int(third) + index // 250}.{1 + index % 250}"
            self.miners[spec.name] = MinerHost(miner, spec.dialect, address, port, miner_clock)
        self.relay = SimRelay(seed, wall_clock())
        self.account = SimAccount(
            [host.miner for host in self.miners.values()],
            seed=seed,
            started=wall_clock(),
            clock=miner_clock,
        )
        self.pools: dict[str, ProhashingHost | PoolHost] = {}
        for index, kind in enumerate(pools):
            pool_address, at = "127.0.0.1", pool_port and pool_port + index
            self.pools[kind] = (
                ProhashingHost(self.relay, self.account, pool_address, at, wall_clock, sleep)
                if kind == RELAY
                else PoolHost(self.account, fake(kind)(self.account), pool_address, at, clock)
            )
        self.market = SimMarket(clock, wall_clock)
        self.sources = {f"market.{name}": MarketHost(self.market, name, "127.0.0.1", 0) for name in market}
        self._scenario: asyncio.Task[None] | None = None

    @property
    def pool(self) -> ProhashingHost | PoolHost:
        """The first pool."""
        return next(iter(self.pools.values()))

    @property
    def hosts(self) -> list[Host]:
        """All hosts: miners, pools, the market's sources."""
        return [*self.miners.values(), *self.pools.values(), *self.sources.values()]

    async def start(self) -> None:
        """Listen everywhere."""
        for host in self.hosts:
            await host.start()

    async def stop(self) -> None:
        """Stop the scenario and every host."""
        if self._scenario:
            self._scenario.cancel()
        await asyncio.gather(*(host.stop() for host in self.hosts))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def configuration(self, **fleet: Any) -> dict[str, Any]:
        """An exporter configuration for this site; keywords become keys of its ``fleet`` section."""
        miners = []
        for index, (name, host) in enumerate(self.miners.items()):
            site = name.partition("-")[0]
            entry: dict[str, Any] = {
                "address": f"{host.address}:{host.port}",
                "name": name,
                "worker": name,
                "labels": {"site": site, "rack": str(1 + index % 60 // 6)},
            }
            if host.dialect in simple.FORMS:
                entry["algorithm"] = host.miner.hardware.algorithm
            miners.append(entry)
        config: dict[str, Any] = {
            "fleet": {"miners": miners, **fleet},
            "economics": {"electricity_usd_per_kwh": 0.08},
        }
        for kind, pool in self.pools.items():
            base_url = f"http://{pool.address}:{pool.port}"
            if isinstance(pool, ProhashingHost):
                config[kind] = {"base_url": base_url}
            else:
                account = {"type": kind, "base_url": base_url, "stratum_hosts": ["pool.example"]}
                config.setdefault("pools", []).append({**account, **pool.fake.settings})
        if self.sources:
            names = [host.name for host in self.sources.values()]
            config["market"] = {
                "network": [name for name in names if name in drivers_of(NETWORK)],
                "prices": [name for name in names if name in drivers_of(PRICES)],
                "base_urls": {
                    host.name: f"http://{host.address}:{host.port}" for host in self.sources.values()
                },
            }
        return config

    async def inject(self, target: str, fault: str, given: Mapping[str, object] | None = None) -> None:
        """Make *target* misbehave.

        Raises:
            UnknownFaultError: there is no such target, fault or parameter.
        """
        host = self._host(target)
        _breakable(host).inject(fault, given)
        await host.follow_faults()

    async def repair(self, target: str, fault: str | None = None) -> None:
        """Make *target* behave again, in one way or in all.

        Raises:
            UnknownFaultError: there is no such target.
        """
        host = self._host(target)
        _breakable(host).repair(fault)
        await host.follow_faults()

    def _host(self, target: str) -> MinerHost | ProhashingHost | PoolHost | MarketHost:
        if target in self.sources:
            return self.sources[target]
        if target == POOL:
            return self.pool
        if target in self.pools:
            return self.pools[target]
        if target not in self.miners:
            raise UnknownFaultError(f"no miner {target!r}; there are {', '.join(self.miners)}, and {POOL}")
        return self.miners[target]

    def play(self, steps: Sequence[ScenarioStep]) -> None:
        """Let a scenario happen, counted from now."""
        self._scenario = asyncio.create_task(self._play(sorted(steps, key=lambda step: step.at)))

    async def _play(self, steps: Sequence[ScenarioStep]) -> None:
        started = self._clock()
        for step in steps:
            await asyncio.sleep(max(0.0, started + step.at - self._clock()))
            if step.fault is None:
                await self.repair(step.target)
            else:
                await self.inject(step.target, step.fault, step.parameters)


def load_scenario(path: Path, targets: Sequence[str]) -> list[ScenarioStep]:
    """Read a scenario: a list of ``{at: SECONDS, target: NAME, fault: NAME, ...parameters}``.

    ``for: SECONDS`` repairs the target after that time; without ``fault`` the step repairs it at ``at``.

    Raises:
        UnknownFaultError: the file is not such a list, or names what does not exist.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UnknownFaultError(
            f"{path}: expected a readable scenario in YAML ({type(error).__name__})"
        ) from None
    if not isinstance(data, list):
        raise UnknownFaultError(f"{path}: expected a list of steps")
    steps: list[ScenarioStep] = []
    for number, item in enumerate(data, start=1):
        where = f"{path}: step {number}"
        if not isinstance(item, dict) or not isinstance(item.get("at"), int | float):
            raise UnknownFaultError(f"{where}: expected at, target and fault")
        rest = dict(item)
        at, target = float(rest.pop("at")), str(rest.pop("target", ""))
        fault, duration = rest.pop("fault", None), rest.pop("for", None)
        if target != POOL and target not in targets:
            raise UnknownFaultError(f"{where}: no target {target!r}")
        if fault is not None:
            try:
                parameters(POOL_FAULTS if target == POOL else MINER_FAULTS, fault, rest)
            except UnknownFaultError as error:
                raise UnknownFaultError(f"{where}: {error}") from None
        steps.append(ScenarioStep(at, target, fault, rest))
        if duration is not None:
            steps.append(ScenarioStep(at + float(duration), target, None, {}))
    return steps


def _breakable(
    host: MinerHost | ProhashingHost | PoolHost | MarketHost,
) -> SimMiner | SimRelay | SimAccount | MarketHost:
    if isinstance(host, MarketHost):
        return host
    if isinstance(host, MinerHost):
        return host.miner
    return host.relay if isinstance(host, ProhashingHost) else host.account


def fake(kind: str) -> Callable[[SimAccount], Fake]:
    """The interface of a kind of pool."""
    made: Callable[[SimAccount], Fake] = import_module(f"exporter.simulator.pools.{kind}").Fake
    return made


SIMULATION = web.AppKey("simulation", Simulation)


def control_app(simulation: Simulation) -> web.Application:
    """The page and interface to break and repair: ``POST`` and ``DELETE /TARGET/faults/FAULT``."""
    app = web.Application()
    app[SIMULATION] = simulation
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/faults", _faults),
            web.post("/form", _form),
            web.post("/{target}/faults/{fault}", _inject),
            web.delete("/{target}/faults", _repair),
            web.delete("/{target}/faults/{fault}", _repair),
        ]
    )
    return app


async def _page(request: web.Request) -> web.Response:
    simulation = request.app[SIMULATION]
    names = [*simulation.miners, *simulation.pools, *simulation.sources]
    targets = "".join(f"<option>{escape(name)}</option>" for name in names)
    faults = "".join(
        f'<option value="{name}">{name}: {escape(fault.help)}</option>'
        for name, fault in {**MINER_FAULTS, **MARKET_FAULTS, **POOL_FAULTS}.items()
    )
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{escape(', '.join(host.faults) or 'well')}"
        for name, host in zip(names, simulation.hosts, strict=True)
    )
    return web.Response(
        content_type="text/html",
        text=f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated fleet</title>
<style>:root{{color-scheme:light dark}}body{{font:15px system-ui;margin:2rem}}td{{padding:.1rem 1rem .1rem 0}}
select,button{{font:inherit;max-width:26rem}}</style>
<h1>Simulated fleet</h1>
<form method="post" action="/form"><select name="target">{targets}</select>
<select name="fault">{faults}</select> <button name="do" value="break">Break</button>
<button name="do" value="repair">Repair all of it</button></form><table>{rows}</table></html>""",
    )


async def _faults(_request: web.Request) -> web.Response:
    return web.json_response(
        {
            kind: {name: {"help": f.help, "parameters": dict(f.parameters)} for name, f in known.items()}
            for kind, known in (("miner", MINER_FAULTS), ("pool", POOL_FAULTS), ("market", MARKET_FAULTS))
        }
    )


async def _form(request: web.Request) -> web.Response:
    form = await request.post()
    simulation, target = request.app[SIMULATION], str(form.get("target", ""))
    try:
        if form.get("do") == "repair":
            await simulation.repair(target)
        else:
            await simulation.inject(target, str(form.get("fault", "")))
    except UnknownFaultError as error:
        return web.Response(status=400, text=f"{error}\n")
    raise web.HTTPSeeOther("/")


async def _inject(request: web.Request) -> web.Response:
    target, fault = request.match_info["target"], request.match_info["fault"]
    try:
        await request.app[SIMULATION].inject(target, fault, dict(request.query))
    except UnknownFaultError as error:
        return web.Response(status=400, text=f"{error}\n")
    return web.Response(text=f"{target}: {fault}\n")


async def _repair(request: web.Request) -> web.Response:
    target, fault = request.match_info["target"], request.match_info.get("fault")
    try:
        await request.app[SIMULATION].repair(target, fault)
    except UnknownFaultError as error:
        return web.Response(status=400, text=f"{error}\n")
    return web.Response(text=f"{target}: {fault or 'all faults'} repaired\n")
