"""Prohashing, a multi-algorithm pool; reported closed since November 2025.

People still run its relay, recorded data and compatible services, so its interface is spoken exactly. A
pool that is gone is an ordinary state: ``mining_pool_up`` is 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr, field_validator, model_validator

from exporter.config.base import Secret, SecretFile, chosen_secret
from exporter.http import Endpoint
from exporter.pools.prohashing.relay import Relay
from exporter.pools.settings import PoolSettings


class Settings(PoolSettings):
    """The account's key, and where the pool's REST relay listens.

    Without ``base_url`` the relay's own environment decides: ``PROHASHING_SERVER_HOST`` and ``_PORT``.
    """

    api_key: Secret | None = None
    api_key_file: SecretFile | None = None
    base_url: str | None = None

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
