"""Prohashing, a multi-algorithm pool; reported closed since November 2025.

People still run its relay, recorded data and compatible services, so its interface is spoken exactly. A
pool that is gone is an ordinary state: ``mining_pool_up`` is 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from exporter.address import Endpoint
from exporter.config.base import Integer, Positive
from exporter.errors import Reason
from exporter.pools import Context, PoolSource
from exporter.pools.prohashing.fresher import Fresher
from exporter.pools.prohashing.relay import Relay
from exporter.pools.settings import NamedSettings, require_listable

MERGED = False
# What a person does about a reason at this pool.
ADVICE = {
    Reason.CONNECTION: "Is the pool (or its relay) there, and does wamp_url (or base_url) lead to it?",
    Reason.NO_DATA: "The relay has heard nothing of the pool: restart it, else the pool is gone.",
    Reason.UNAUTHORISED: "Compare api_key with the pool's page, or with the key of the relay.",
}


def _wamp_url(text: str) -> str:
    if not text.startswith(("ws://", "wss://")):
        raise ValueError("expected ws://host[:port][/path] or wss://host[:port][/path]")
    try:
        _wamp_endpoint(text)
    except ValueError:
        raise ValueError("expected ws://host[:port][/path] or wss://host[:port][/path]") from None
    return text


def _wamp_endpoint(url: str) -> Endpoint:
    return Endpoint.parse(f"http{url.removeprefix('ws')}")


class Settings(NamedSettings):
    """The account's key, and where the pool is asked: its REST relay, its real-time interface, or both.

    Without ``base_url`` the relay's own environment decides: ``PROHASHING_SERVER_HOST`` and ``_PORT``. With
    ``wamp_url`` and neither of them there is no relay. Workers of ``algorithm`` count.
    """

    wamp_url: Annotated[str, AfterValidator(_wamp_url)] | None = None
    algorithm: Literal["scrypt", "sha256d"] = "scrypt"
    offline_after_minutes: Positive = 60.0
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


def source(settings: Settings, context: Context) -> PoolSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: ``PROHASHING_SERVER_HOST`` and ``_PORT`` are no address.
    """
    url = settings.base_url
    host, port = (context.environ.get(f"PROHASHING_SERVER_{name}") for name in ("HOST", "PORT"))
    if url is None and (settings.wamp_url is None or host or port):
        url = f"http://{host or 'localhost'}:{port or '3000'}"
    relay = Relay(Endpoint.parse(url), settings.key) if url else None
    if settings.wamp_url is None:
        assert relay is not None, "without the one there is the other"  # noqa: S101
        return relay
    # Who does not use it need not wait for the library to load.
    from exporter.pools.prohashing.wamp import Wamp

    wamp = Wamp(
        _wamp_endpoint(settings.wamp_url),
        settings.key,
        context,
        algorithm=settings.algorithm,
        offline_after_seconds=settings.offline_after_minutes * 60,
    )
    return Fresher(wamp, relay, context.wall_clock) if relay else wamp
