"""Prohashing, a multi-algorithm pool; reported closed since November 2025.

People still run its relay, recorded data and compatible services, so its interface is spoken exactly. A
pool that is gone is an ordinary state: ``mining_pool_up`` is 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from exporter.address import Endpoint
from exporter.config.base import Integer, Secret, SecretFile, chosen_secret
from exporter.pools.prohashing.relay import Relay
from exporter.pools.settings import PoolSettings

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Settings(PoolSettings):
    """The account's key, and where the pool's REST relay listens.

    Without ``base_url`` the relay's own environment decides: ``PROHASHING_SERVER_HOST`` and ``_PORT``.
    """

    api_key: Secret | None = None
    api_key_file: SecretFile | None = None
    base_url: str | None = None
    account: Word | None = None
    stratum_url: str = "stratum+tcp://us.mining.prohashing.com:3333"
    static_difficulty: Annotated[Integer, Field(gt=0)] | None = None

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("expected http://host[:port] or https://host[:port]")
        if value is not None:
            Endpoint.parse(value)
        return value

    @model_validator(mode="after")
    def _one_key(self) -> Settings:
        chosen_secret("api_key", self.api_key, self.api_key_file)
        return self

    @property
    def key(self) -> SecretStr | None:
        """The account's key, from either place."""
        return self.api_key or self.api_key_file


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker: the account is the user, and all else is a list in the password.

    Raises:
        ValueError: the account is not configured, or the worker's name cannot stand in such a list.
    """
    if settings.account is None:
        raise ValueError("expected account, the name of the account at the pool")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", worker):
        raise ValueError(
            f"expected a worker name of letters, digits, dots, dashes and underscores, found {worker!r}"
        )
    arguments = [f"a={'sha-256' if algorithm == 'sha256d' else algorithm}", f"n={worker}"]
    if settings.static_difficulty:
        arguments.append(f"d={settings.static_difficulty}")
    return {"url": settings.stratum_url, "user": settings.account, "password": ",".join(arguments)}


def source(settings: Settings, environ: Mapping[str, str]) -> Relay:
    """A source for the account of *settings*.

    Raises:
        ValueError: ``PROHASHING_SERVER_HOST`` and ``_PORT`` are no address.
    """
    url = settings.base_url
    if url is None:
        host = environ.get("PROHASHING_SERVER_HOST") or "localhost"
        port = environ.get("PROHASHING_SERVER_PORT") or "3000"
        url = f"http://{host}:{port}"
    return Relay(Endpoint.parse(url), settings.key)
