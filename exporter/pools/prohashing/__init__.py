"""Prohashing, a multi-algorithm pool; reported closed since November 2025.

People still run its relay, recorded data and compatible services, so its interface is spoken exactly. A
pool that is gone is an ordinary state: ``mining_pool_up`` is 0.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.address import Endpoint
from exporter.config.base import Integer
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.prohashing.relay import Relay
from exporter.pools.settings import NamedSettings, require_listable

MERGED = False
# What a person does about a reason at this pool.
ADVICE = {
    Reason.CONNECTION: "Is the pool's relay running, and does prohashing.base_url lead to it?",
    Reason.NO_DATA: "The relay has heard nothing of the pool: restart it, else the pool is gone.",
    Reason.UNAUTHORISED: "Compare api_key with the key of the relay.",
}


class Settings(NamedSettings):
    """The account's key, and where the pool's REST relay listens.

    Without ``base_url`` the relay's own environment decides: ``PROHASHING_SERVER_HOST`` and ``_PORT``.
    """

    stratum_url: str = "stratum+tcp://us.mining.prohashing.com:3333"
    static_difficulty: Annotated[Integer, Field(gt=0)] | None = None


def hosts(_settings: Settings) -> tuple[str, ...]:
    """The domain of the pool's stratum servers."""
    return ("prohashing.com",)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the account is the user, and all else is a list in the password.

    Raises:
        ValueError: the account is not configured, or the worker's name cannot stand in such a list.
    """
    user = settings.needed_account
    require_listable(worker)
    arguments = [f"a={'sha-256' if algorithm == 'sha256d' else algorithm}", f"n={worker}"]
    if settings.static_difficulty:
        arguments.append(f"d={settings.static_difficulty}")
    return {"url": settings.stratum_url, "user": user, "password": ",".join(arguments)}


def source(settings: Settings, context: Context) -> Relay:
    """A source for the account of *settings*.

    Raises:
        ValueError: ``PROHASHING_SERVER_HOST`` and ``_PORT`` are no address.
    """
    url = settings.base_url
    if url is None:
        host = context.environ.get("PROHASHING_SERVER_HOST") or "localhost"
        port = context.environ.get("PROHASHING_SERVER_PORT") or "3000"
        url = f"http://{host}:{port}"
    return Relay(Endpoint.parse(url), settings.key)
