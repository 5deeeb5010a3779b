"""What the configuration may say of any pool account; a driver adds its own keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from exporter.address import Endpoint
from exporter.config.base import Integer, Labels, Positive, Secret, SecretFile, Section, chosen_secret


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("expected http://host[:port] or https://host[:port]")
    Endpoint.parse(text)
    return text


Url = Annotated[str, AfterValidator(_url)]
# What a pool's own pages allow in the name of an account, a worker or an address of a wallet.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
# The name of a stratum server, as a miner's list of pools shows it.
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,251}(:[0-9]{1,5})?$")]


class PoolSettings(Section):
    """One account at a pool. *name* becomes the ``instance`` of its series; by default the driver's name.

    ``base_url`` is where the pool is asked, the driver's public address if left out. A miner without
    ``pool`` belongs to the account whose ``stratum_hosts`` (or their domains) it mines to.
    """

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    labels: Labels = {}
    base_url: Url | None = None
    stratum_hosts: list[Host] = []
    sync_interval_seconds: Positive = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 4500
    max_age_minutes: Positive = 10.0

    @property
    def pause_seconds(self) -> float:
        """The least time between two readings that the pool wants, failed ones included."""
        return 0.0


class KeyedSettings(PoolSettings):
    """An account that is asked for with a key."""

    api_key: Secret | None = None
    api_key_file: SecretFile | None = None

    @model_validator(mode="after")
    def _one_key(self) -> KeyedSettings:
        chosen_secret("api_key", self.api_key, self.api_key_file)
        return self

    @property
    def key(self) -> SecretStr | None:
        """The account's key, from either place."""
        return self.api_key or self.api_key_file
