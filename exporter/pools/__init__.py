"""Mining pools: one reading and one set of series for all, one folder for each driver.

A driver is a sub-package. Its folder's name is the ``type`` of an account, the section of its short form and
the probe module. Nothing outside the folder knows the pool's name.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from exporter.address import Endpoint
from exporter.errors import Reason
from exporter.http import Allowance, Client, Connect
from exporter.pools.reading import PoolReading
from exporter.pools.settings import PoolSettings


@dataclass(frozen=True, slots=True)
class Context:
    """What a source gets of the world: the environment, two clocks, a pause and chance.

    ``connect`` and ``allowance`` are for a source that keeps a connection of its own beside the readings: how
    it is made, and what is asked before anything is sent over it.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)
    connect: Connect | None = None
    allowance: Allowance | None = None


class PoolSource(Protocol):
    """Reads one pool account at *endpoint*."""

    endpoint: Endpoint

    async def read(self, client: Client) -> PoolReading:
        """One reading.

        Raises:
            ProbeError: the pool did not answer, or had no data.
        """
        ...

    def close(self) -> None:
        """End what runs beside the readings, for a source where something does; it is not asked any more."""
        return


class Driver(Protocol):
    """What a driver's package offers.

    ``ADVICE`` says what a person does about a reason, where it is another thing than at any pool. ``MERGED``
    is whether the pool pays what its hashes find of Litecoin and merge-mined Dogecoin, so that what a hash
    earns can be computed where it quotes nothing.
    """

    Settings: type[PoolSettings]
    ADVICE: Mapping[Reason, str]
    MERGED: bool

    @staticmethod
    def source(settings: PoolSettings, context: Context) -> PoolSource:
        """A source for one account; nothing is sent yet.

        Raises:
            ValueError: the settings and the environment together make no account.
        """
        ...

    @staticmethod
    def hosts(settings: PoolSettings) -> tuple[str, ...]:
        """The domains of the pool's stratum servers."""
        ...

    @staticmethod
    def stratum(settings: PoolSettings, worker: str, algorithm: str) -> dict[str, str]:
        """``url``, ``user`` and ``password`` a miner needs to mine there.

        Raises:
            ValueError: the configuration lacks what they are made of.
        """
        ...


@cache
def drivers() -> dict[str, Driver]:
    """Every pool driver by name, found by its folder."""
    found: dict[str, Driver] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            found[module.name] = importlib.import_module(f"{__name__}.{module.name}")  # type: ignore[assignment]
    return found


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account: the driver's name and its settings."""

    type: str
    settings: PoolSettings

    @property
    def instance(self) -> str:
        """The name its series carry."""
        return self.settings.name or self.type

    @property
    def driver(self) -> Driver:
        """The driver that reads it."""
        return drivers()[self.type]

    def mined_at(self, host: str) -> bool:
        """Whether a miner that mines to *host* (``host`` or ``host:port``) mines for this account."""
        name = host.partition(":")[0].rstrip(".").lower()
        for known in (*self.settings.stratum_hosts, *self.driver.hosts(self.settings)):
            known = known.lower()
            if ":" in known:
                if host.lower() == known:
                    return True
            elif name == known or name.endswith(f".{known}"):
                return True
        return False
