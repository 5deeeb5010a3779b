"""The ``market`` section: who is asked for difficulties and prices, or what they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.config.base import WORD, Labels, Number, Positive, Section
from exporter.market.chains import CHAINS
from exporter.market.sources import drivers, drivers_of
from exporter.pools.settings import Url

# A price in cents of the dearest coin would be above it.
_HIGHEST_USD = 1e7


def _listed(value: Any) -> Any:
    """One word is a list of one."""
    return [value] if isinstance(value, str) else value


def _date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a date such as 2026-11-26") from None
    return text


def _require_known(names: Iterable[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            found = repr(name) if WORD.fullmatch(name) else "one here"
            raise ValueError(f"expected {what} among {', '.join(known)}; {found} is none")


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("expected each source once, found one twice")
    return names


Sources = Annotated[list[str], AfterValidator(_distinct), BeforeValidator(_listed)]
Usd = Annotated[Number, Field(gt=0, le=_HIGHEST_USD)]
Percent = Annotated[Number, Field(ge=0, lt=100)]


class MarketSettings(Section):
    """Sources in the order they are preferred; a later one is asked while those before do not tell all.

    ``prices_usd`` and ``difficulties`` are values by coin instead, from ``prices_date`` on and for
    ``prices_max_age_days``.
    """

    network: Sources = []
    prices: Sources = []
    prices_usd: dict[str, Usd] = {}
    difficulties: dict[str, Positive] = {}
    prices_date: Annotated[str, AfterValidator(_date)] | None = None
    prices_max_age_days: Positive = 30.0
    subsidies: dict[str, Positive] = {}
    fee_percent: Percent = 0.0
    sync_interval_seconds: Annotated[Positive, Field(ge=60)] = 300.0
    max_age_minutes: Positive = 30.0
    base_urls: dict[str, Url] = {}
    labels: Labels = {}

    @field_validator("network", "prices")
    @classmethod
    def _tells(cls, names: list[str], info: ValidationInfo) -> list[str]:
        _require_known(names, drivers_of(f"{info.field_name}"), "sources")
        return names

    @field_validator("prices_usd", "difficulties", "subsidies")
    @classmethod
    def _known_coins(cls, values: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        _require_known(values, [*CHAINS, *(["BTC"] if info.field_name == "prices_usd" else [])], "coins")
        return values

    @field_validator("base_urls")
    @classmethod
    def _known_sources(cls, urls: dict[str, str]) -> dict[str, str]:
        _require_known(urls, [*drivers()], "sources")
        return urls

    @model_validator(mode="after")
    def _told_once(self) -> MarketSettings:
        for live, fixed in (("prices", "prices_usd"), ("network", "difficulties")):
            if getattr(self, live) and getattr(self, fixed):
                raise ValueError(f"expected {live} or {fixed}, found both")
        if not (self.network or self.prices or self.prices_usd or self.difficulties):
            raise ValueError("expected network and prices, or prices_usd; found neither")
        if (self.prices_usd or self.difficulties) and self.prices_date is None:
            raise ValueError("expected prices_date, the day the values were written; found none")
        return self

    @property
    def names(self) -> list[str]:
        """Every source, each once."""
        return list(dict.fromkeys([*self.network, *self.prices]))

    @property
    def values_dated(self) -> float:
        """The day of ``prices_date`` as Unix time, its beginning in UTC."""
        assert self.prices_date is not None, "validated"  # noqa: S101
        return datetime.combine(date.fromisoformat(self.prices_date), datetime.min.time(), UTC).timestamp()
