"""The sources of market figures, one file each; nothing outside a file knows its source's name.

A file offers what :class:`Driver` says. All are public and take no key.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Protocol

from exporter.http import Client
from exporter.market.reading import MarketReading

NETWORK = "network"
PRICES = "prices"


class Driver(Protocol):
    """One source.

    ``TELLS`` says for which of :data:`NETWORK` and :data:`PRICES` it may be configured. ``BASE_URL`` is its
    public address, ``REQUESTS_PER_HOUR`` what it is asked at most, retries and the first hour included.
    """

    TELLS: frozenset[str]
    BASE_URL: str
    REQUESTS_PER_HOUR: int

    @staticmethod
    async def read(client: Client) -> MarketReading:
        """One reading, as the source tells it.

        Raises:
            ProbeError: the source did not answer, or not with figures.
        """
        ...


@cache
def drivers() -> dict[str, Driver]:
    """Every source by name, found by its file."""
    return {
        module.name: importlib.import_module(f"{__name__}.{module.name}")  # type: ignore[misc]
        for module in pkgutil.iter_modules(__path__)
    }


def drivers_of(kind: str) -> list[str]:
    """The names of those that tell of *kind*."""
    return [name for name, driver in drivers().items() if kind in driver.TELLS]
