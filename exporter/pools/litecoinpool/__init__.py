"""litecoinpool.org: Litecoin and merge-mined Dogecoin, paid for each share whatever is found.

One keyed document tells everything: hashrates, each worker's work, balances, payouts, what a share pays,
the networks and prices.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer, Positive
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.litecoinpool.account import AccountSource
from exporter.pools.settings import KeyedSettings, Word

# What a person does about a reason at this pool.
ADVICE = {
    Reason.UNAUTHORISED: "Compare api_key with the one on the pool's account page; it is read-only.",
    Reason.THROTTLED: "The pool is to be asked once a minute at most: leave sync_interval_seconds at 60.",
}


class Settings(KeyedSettings):
    """The account's key, and its name for ``minefleet-exporter worker``."""

    sync_interval_seconds: Annotated[Positive, Field(ge=60)] = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 60
    account: Word | None = None
    stratum_url: str = "stratum+tcp://litecoinpool.org:3333"

    @property
    def pause_seconds(self) -> float:
        """The pool is to be asked once a minute at most, however it answers."""
        return 60.0


def source(settings: Settings, _context: Context) -> AccountSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no key.
    """
    if settings.key is None:
        raise ValueError("expected api_key or api_key_file, found neither")
    return AccountSource(Endpoint.parse(settings.base_url or "https://www.litecoinpool.org"), settings.key)


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domain of the pool's stratum servers."""
    return ("litecoinpool.org",)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the user is the account and the worker, the password does not matter.

    Raises:
        ValueError: the account is not configured, or the miner does not mine scrypt.
    """
    if settings.account is None:
        raise ValueError("expected account, the name of the account at the pool")
    if algorithm != "scrypt":
        raise ValueError(f"expected a miner of scrypt, found {algorithm}")
    return {"url": settings.stratum_url, "user": f"{settings.account}.{worker}", "password": "x"}
