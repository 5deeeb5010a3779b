"""ViaBTC: Litecoin with merge-mined Dogecoin, asked with a read-only key from an address the owner allows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer, Positive
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.settings import KeyedSettings, Word
from exporter.pools.viabtc.account import AccountSource

# What a person does about a reason at this pool.
ADVICE = {
    Reason.IP_NOT_ALLOWED: "Add this machine's public address to the allow-list of the key (Settings, API).",
    Reason.UNAUTHORISED: "Compare api_key with the one under Settings, API; a read-only one is enough.",
    Reason.UNKNOWN_ACCOUNT: "The account has never mined this coin here: let a miner start first.",
}


class Settings(KeyedSettings):
    """The account's key, and its name for ``minefleet-exporter worker``."""

    sync_interval_seconds: Annotated[Positive, Field(ge=60)] = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 1000
    account: Word | None = None
    stratum_url: str = "stratum+tcp://ltc.viabtc.io:3333"

    @property
    def pause_seconds(self) -> float:
        """The pool publishes no limit; its clients wait a minute."""
        return 60.0


def source(settings: Settings, context: Context) -> AccountSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no key.
    """
    if settings.key is None:
        raise ValueError("expected api_key or api_key_file, found neither")
    return AccountSource(
        Endpoint.parse(settings.base_url or "https://www.viabtc.net"),
        settings.key,
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
    if settings.account is None:
        raise ValueError("expected account, the name of the account at the pool")
    if algorithm != "scrypt":
        raise ValueError(f"expected a miner of scrypt, found {algorithm}")
    return {"url": settings.stratum_url, "user": f"{settings.account}.{worker}", "password": "123"}
