"""What the configuration may say of any pool account; a driver adds its own keys."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from exporter.address import Endpoint
from exporter.config.base import Integer, Labels, Number, Positive, Secret, SecretFile, Section, chosen_secret


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
    ``pool`` belongs to the account whose ``stratum_hosts`` (or their domains) it mines to. ``fee_percent`` is
    what a computed price is lessened by where the pool does not tell its fee.
    """

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    labels: Labels = {}
    base_url: Url | None = None
    stratum_hosts: list[Host] = []
    sync_interval_seconds: Positive = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 4500
    max_age_minutes: Positive = 10.0
    fee_percent: Annotated[Number, Field(ge=0, lt=100)] | None = None

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

    @property
    def needed_key(self) -> SecretStr:
        """The key of an account that cannot be read without one.

        Raises:
            ValueError: there is none.
        """
        if self.key is None:
            raise ValueError("expected api_key or api_key_file, found neither")
        return self.key


class NamedSettings(KeyedSettings):
    """An account with a key, and with a name that its workers mine under."""

    account: Word | None = None

    @property
    def needed_account(self) -> str:
        """The account's name, where the settings of a worker are made of it.

        Raises:
            ValueError: it is not configured.
        """
        if self.account is None:
            raise ValueError("expected account, the name of the account at the pool")
        return self.account


class MinutelySettings(NamedSettings):
    """An account at a pool that is asked once a minute at most, however it answers."""

    sync_interval_seconds: Annotated[Positive, Field(ge=60)] = 60.0

    @property
    def pause_seconds(self) -> float:
        """A minute."""
        return 60.0


def require_algorithm(found: str, wanted: str) -> None:
    """Refuse a miner that mines something else than the account.

    Raises:
        ValueError: it does.
    """
    if found != wanted:
        raise ValueError(f"expected a miner of {wanted}, found {found}")


def require_listable(worker: str) -> None:
    """Refuse a worker's name that cannot stand in a password which is a list of options.

    Raises:
        ValueError: it has other than letters, digits, dots, dashes and underscores.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", worker):
        raise ValueError(
            f"expected a worker name of letters, digits, dots, dashes and underscores, found {worker!r}"
        )
