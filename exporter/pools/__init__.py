"""Mining pools: one reading and one set of series for all, one folder for each driver.

A driver is a sub-package. Its folder's name is the configuration section and the probe module; it offers
``Settings`` (a :class:`~exporter.pools.settings.PoolSettings`), ``source`` and ``stratum``.
Nothing outside the folder knows the pool's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Protocol

from exporter.address import Endpoint
from exporter.http import Client
from exporter.pools.reading import PoolReading
from exporter.pools.settings import PoolSettings


class PoolSource(Protocol):
    """Reads one pool account."""

    endpoint: Endpoint

    async def read(self, client: Client) -> PoolReading:
        """One reading.

        Raises:
            ProbeError: the pool did not answer, or had no data.
        """
        ...


class Driver(Protocol):
    """What a driver's package offers."""

    Settings: type[PoolSettings]

    @staticmethod
    def source(settings: PoolSettings, environ: Mapping[str, str]) -> PoolSource:
        """A source for one account."""
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
