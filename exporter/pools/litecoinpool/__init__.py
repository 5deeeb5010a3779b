"""litecoinpool.org: Litecoin and merge-mined Dogecoin, paid for each share whatever is found.

One keyed document tells everything: hashrates, each worker's work, balances, payouts, what a share pays,
the networks and prices.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.litecoinpool.account import AccountSource
from exporter.pools.settings import MinutelySettings, require_algorithm

MERGED = True
# What a person does about a reason at this pool.
ADVICE = {
    Reason.UNAUTHORISED: "Compare api_key with the one on the pool's account page; it is read-only.",
    Reason.THROTTLED: "The pool is to be asked once a minute at most: leave sync_interval_seconds at 60.",
}


class Settings(MinutelySettings):
    """The account's key, and its name for ``minefleet-exporter worker``."""

    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 60
    stratum_url: str = "stratum+tcp://litecoinpool.org:3333"


def source(settings: Settings, _context: Context) -> AccountSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no key.
    """
    return AccountSource(
        Endpoint.parse(settings.base_url or "https://www.litecoinpool.org"), settings.needed_key
    )


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domain of the pool's stratum servers."""
    return ("litecoinpool.org",)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the user is the account and the worker, the password does not matter.

    Raises:
        ValueError: the account is not configured, or the miner does not mine scrypt.
    """
    user = f"{settings.needed_account}.{worker}"
    require_algorithm(algorithm, "scrypt")
    return {"url": settings.stratum_url, "user": user, "password": "x"}
