"""F2Pool: Litecoin, asked with a token or, for less, by the account's name alone.

Its stratum servers accept any user name, so a slip of the pen mines for nobody: watch for miners their pool
does not see.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.f2pool.v1 import PublicSource
from exporter.pools.f2pool.v2 import TokenSource
from exporter.pools.settings import MinutelySettings, require_algorithm

MERGED = True
# What a person does about a reason at this pool.
ADVICE = {
    Reason.UNAUTHORISED: "Compare api_key with the token under Settings, API; it must be allowed to read.",
    Reason.UNKNOWN_ACCOUNT: "Compare account with the mining user name on the pool's page.",
}


class Settings(MinutelySettings):
    """The mining user name, and a token for all there is to tell; without one, less is told."""

    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 1000
    stratum_url: str = "stratum+tcp://ltc.f2pool.com:3335"


def source(settings: Settings, context: Context) -> TokenSource | PublicSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no account.
    """
    if settings.account is None:
        raise ValueError("expected account, the mining user name at the pool")
    endpoint = Endpoint.parse(settings.base_url or "https://api.f2pool.com")
    if settings.key is None:
        return PublicSource(endpoint, settings.account)
    return TokenSource(
        endpoint, settings.account, settings.key, context, kept_seconds=settings.max_age_minutes * 60
    )


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domain of the pool's stratum servers."""
    return ("f2pool.com",)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the user is the account and the worker, the password does not matter.

    Raises:
        ValueError: the account is not configured, or the miner does not mine scrypt.
    """
    user = f"{settings.needed_account}.{worker}"
    require_algorithm(algorithm, "scrypt")
    return {"url": settings.stratum_url, "user": user, "password": "x"}
