"""ViaBTC: Litecoin with merge-mined Dogecoin, asked with a read-only key from an address the owner allows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.settings import MinutelySettings, require_algorithm
from exporter.pools.viabtc.account import AccountSource

MERGED = True
# What a person does about a reason at this pool.
ADVICE = {
    Reason.IP_NOT_ALLOWED: "Add this machine's public address to the allow-list of the key (Settings, API).",
    Reason.UNAUTHORISED: "Compare api_key with the one under Settings, API; a read-only one is enough.",
    Reason.UNKNOWN_ACCOUNT: "The account has never mined this coin here: let a miner start first.",
}


class Settings(MinutelySettings):
    """The account's key, and its name for ``minefleet-exporter worker``."""

    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 1000
    stratum_url: str = "stratum+tcp://ltc.viabtc.io:3333"


def source(settings: Settings, context: Context) -> AccountSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no key.
    """
    return AccountSource(
        Endpoint.parse(settings.base_url or "https://www.viabtc.net"),
        settings.needed_key,
        context,
        kept_seconds=settings.max_age_minutes * 60,
    )


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domains of the pool's stratum servers."""
    return ("viabtc.io", "viabtc.com", "viabtc.net", "viabtc.top")


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the user is the account and the worker, the password does not matter.

    Raises:
        ValueError: the account is not configured, or the miner does not mine scrypt.
    """
    user = f"{settings.needed_account}.{worker}"
    require_algorithm(algorithm, "scrypt")
    return {"url": settings.stratum_url, "user": user, "password": "123"}
