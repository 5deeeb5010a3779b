"""PowerPool, a multi-algorithm pool that exchanges what is mined and pays each share at once.

One keyed answer tells the account, one for everybody the rates and prices.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer, Positive
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.powerpool.account import PowerSource
from exporter.pools.settings import NamedSettings, require_algorithm

MERGED = False
# What a person does about a reason at this pool.
ADVICE = {
    Reason.EMPTY: "The pool says nothing for a key it does not know, and now and then without a cause: wait"
    " three minutes; if it lasts, compare api_key with the dashboard of the pool.",
    Reason.UNAUTHORISED: "Compare api_key with the dashboard of the pool: a new password makes a new key.",
}


class Settings(NamedSettings):
    """The account's key, and its name for ``minefleet-exporter worker``."""

    sync_interval_seconds: Annotated[Positive, Field(ge=60)] = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 120
    algorithm: Literal["scrypt", "sha256d"] = "scrypt"
    offline_after_minutes: Positive = 60.0
    stratum_url: str | None = None


def source(settings: Settings, context: Context) -> PowerSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: there is no key.
    """
    return PowerSource(
        Endpoint.parse(settings.base_url or "https://api.powerpool.io"),
        settings.needed_key,
        context,
        algorithm=settings.algorithm,
        every_seconds=settings.sync_interval_seconds,
        kept_seconds=settings.max_age_minutes * 60,
        offline_after_seconds=settings.offline_after_minutes * 60,
    )


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domain of the pool's stratum servers."""
    return ("powerpool.io",)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the user is the account and the worker, the password does not matter.

    Raises:
        ValueError: the account or the server is not configured, or the miner mines another algorithm.
    """
    require_algorithm(algorithm, settings.algorithm)
    user = f"{settings.needed_account}.{worker}"
    if settings.stratum_url is None:
        raise ValueError("expected stratum_url, the pool's server and port as its page shows them")
    return {"url": settings.stratum_url, "user": user, "password": "x"}
