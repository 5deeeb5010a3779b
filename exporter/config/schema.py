"""What the configuration file may hold: the keys a miner owner would guess, with units in their names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from exporter.address import Endpoint, Network
from exporter.config.base import (
    Boolean,
    Integer,
    Labels,
    Number,
    Secret,
    SecretFile,
    Section,
    chosen_secret,
)
from exporter.http import DEFAULT_MAX_BYTES, tls_settings
from exporter.market.settings import MarketSettings
from exporter.pools import Account
from exporter.tariff import DAYS, Day, Period, Tariff, parse_hours

MODULE = "vnish"
MARKET = "market"
_IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")
# Several times what anybody pays; a price in cents is above it.
_HIGHEST_USD_PER_KWH = 2


def _endpoint(text: str) -> str:
    endpoint = Endpoint.parse(text)
    if endpoint.path:
        raise ValueError("expected host[:port], http://host[:port] or https://host[:port]")
    return text


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("expected a network such as 192.168.1.0/24") from None
    if network.version == 6 and network.subnet_of(_IPV4_IN_IPV6):
        raise ValueError("expected a network of IPv4 addresses in their own form, such as 192.168.1.0/24")
    return text


def _host_port(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65_535 or "/" in host:
        raise ValueError("expected HOST:PORT")
    return text


def _usd(price: float) -> float:
    if price > _HIGHEST_USD_PER_KWH:
        raise ValueError(f"expected US dollars, not cents, at most {_HIGHEST_USD_PER_KWH}")
    return price


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected printable text without spaces around it")
    return text


def _upper(text: Any) -> Any:
    return text.upper() if isinstance(text, str) else text


def _hours(text: str) -> str:
    parse_hours(text)
    return text


def _some_days(days: list[Day]) -> list[Day]:
    if not days:
        raise ValueError("expected days such as [sat, sun], found none")
    return days


Address = Annotated[str, AfterValidator(_endpoint)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Celsius = Annotated[Number, Field(gt=0, le=150)]
Watts = Annotated[Number, Field(gt=0, le=20_000)]


_Share = Annotated[Number, Field(gt=0, lt=100)]
_Rise = Annotated[Number, Field(gt=0, le=1000)]
_Minutes = Annotated[Number, Field(gt=0, le=1440)]
_Count = Annotated[Number, Field(ge=1, le=1000)]


class Thresholds(Section):
    """When to alert; exported as series, which the rules compare against."""

    temperature_warning: Celsius = 80.0
    temperature_critical: Celsius = 90.0
    pcb_temperature: Celsius = 80.0
    inlet_temperature: Celsius = 60.0
    water_temperature: Celsius = 65.0
    psu_temperature: Celsius = 90.0
    room_excess: Celsius = 15.0
    hashrate_drop_percent: _Share = 20.0
    power_spike_percent: _Rise = 30.0
    preset_excess_percent: _Rise = 10.0
    efficiency_loss_percent: _Rise = 10.0
    fan_lag_percent: _Share = 30.0
    hardware_error_percent: _Share = 2.0
    reject_percent: _Share = 5.0
    share_silence_minutes: _Minutes = 15.0
    offline_duration_minutes: _Minutes = 5.0
    chips_dying_per_day: _Count = 3.0
    restarts_per_hour: _Count = 3.0
    site_outage_percent: _Share = 30.0
    pool_shortfall_percent: _Share = 3.0
    profitability_drop_percent: _Share = 30.0
    request_budget_percent: _Share = 10.0

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.temperature_warning >= self.temperature_critical:
            raise ValueError(
                "expected temperature_warning below temperature_critical, found"
                f" {self.temperature_warning:g} and {self.temperature_critical:g}"
            )
        return self


class ThresholdOverrides(Section):
    """Thresholds of one miner; what is left out is the fleet's."""

    temperature_warning: Celsius | None = None
    temperature_critical: Celsius | None = None
    pcb_temperature: Celsius | None = None
    inlet_temperature: Celsius | None = None
    water_temperature: Celsius | None = None
    psu_temperature: Celsius | None = None
    room_excess: Celsius | None = None
    hashrate_drop_percent: _Share | None = None
    power_spike_percent: _Rise | None = None
    preset_excess_percent: _Rise | None = None
    efficiency_loss_percent: _Rise | None = None
    fan_lag_percent: _Share | None = None
    hardware_error_percent: _Share | None = None
    reject_percent: _Share | None = None
    share_silence_minutes: _Minutes | None = None
    offline_duration_minutes: _Minutes | None = None
    chips_dying_per_day: _Count | None = None
    restarts_per_hour: _Count | None = None

    def over(self, fleet: Thresholds) -> Thresholds:
        """The miner's thresholds.

        Raises:
            ValueError: together with the fleet's they make no sense.
        """
        own = {name: value for name, value in self.model_dump().items() if value is not None}
        merged = fleet.model_copy(update=own)
        if merged.temperature_warning >= merged.temperature_critical:
            raise ValueError(
                "expected temperature_warning below temperature_critical with the fleet's thresholds, found"
                f" {merged.temperature_warning:g} and {merged.temperature_critical:g}"
            )
        return merged


class Miner(Section):
    """One miner. *name* becomes the ``instance`` of its series; by default its address.

    ``algorithm`` and ``power_watts`` are for firmware that cannot tell.
    """

    address: Address
    name: Name | None = None
    worker: Name | None = None
    labels: Labels = {}
    api: Literal["auto", "v1", "simple", "cgi"] = "auto"
    password: Secret | None = None
    password_file: SecretFile | None = None
    api_key: Secret | None = None
    api_key_file: SecretFile | None = None
    full_detail: Boolean = False
    expected_pools: list[Name] | None = None
    pool: Name | None = None
    ca_file: str | None = None
    fingerprint: str | None = None
    algorithm: Literal["scrypt", "sha256d"] | None = None
    power_watts: Watts | None = None
    thresholds: ThresholdOverrides = ThresholdOverrides()

    @field_validator("ca_file")
    @classmethod
    def _readable_ca(cls, value: str | None) -> str | None:
        if value is not None:
            tls_settings(ca_file=value, fingerprint=None)
        return value

    @field_validator("fingerprint")
    @classmethod
    def _whole_fingerprint(cls, value: str | None) -> str | None:
        if value is not None:
            tls_settings(ca_file=None, fingerprint=value)
        return value

    @model_validator(mode="after")
    def _one_secret(self) -> Miner:
        chosen_secret("password", self.password, self.password_file)
        chosen_secret("api_key", self.api_key, self.api_key_file)
        return self

    @property
    def secret_password(self) -> SecretStr | None:
        """The firmware's password, from either place."""
        return self.password or self.password_file

    @property
    def secret_key(self) -> SecretStr | None:
        """An API key of the firmware, from either place."""
        return self.api_key or self.api_key_file

    @property
    def instance(self) -> str:
        """The name its series carry."""
        return self.name or str(Endpoint.parse(self.address))


class Collect(Section):
    """Which parts of a miner are exported."""

    chips: Boolean = True
    boards: Boolean = True
    pools: Boolean = True


class Fleet(Section):
    """The miners, and how they are asked."""

    miner_ips: list[Address] = []
    miners: list[Miner] = []
    allowed_networks: list[Annotated[str, AfterValidator(_network)]] = []
    poll_interval_seconds: Annotated[Number, Field(ge=1, le=60)] = 30.0
    timeout_seconds: Annotated[Number, Field(gt=0, le=120)] = 10.0
    retries: Annotated[Integer, Field(ge=0, le=5)] = 1
    min_interval_seconds: Annotated[Number, Field(ge=0, le=60)] = 5.0
    max_response_bytes: Annotated[Integer, Field(ge=1024, le=64 * 1024 * 1024)] = DEFAULT_MAX_BYTES
    collect: Collect = Collect()
    chips_interval_seconds: Annotated[Number, Field(ge=0, le=3600)] = 0.0
    expected_pools: list[Name] = []
    pool_account: Name | None = None
    pool: Name | None = None

    @model_validator(mode="after")
    def _audited(self) -> Fleet:
        expected = [self.expected_pools, *(miner.expected_pools for miner in self.miners)]
        if not self.collect.pools and (self.pool_account or any(expected)):
            raise ValueError(
                "expected collect.pools true, since expected_pools or pool_account need it, found false"
            )
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """``allowed_networks`` as networks."""
        return tuple(ipaddress.ip_network(text) for text in self.allowed_networks)

    def all_miners(self) -> list[Miner]:
        """Both forms as one list."""
        return [*(Miner(address=address) for address in self.miner_ips), *self.miners]


class TariffPeriod(Section):
    """A price of electricity at some hours, such as ``22-06``, of every day or of some."""

    hours: Annotated[str, AfterValidator(_hours)] = "0-24"
    days: Annotated[list[Day], AfterValidator(_some_days)] = list(DAYS)
    usd_per_kwh: Annotated[Number, Field(ge=0), AfterValidator(_usd)]


class Economics(Section):
    """What the fleet costs to run: one price of electricity, or one for the hours outside ``tariff``."""

    electricity_usd_per_kwh: Annotated[Number, Field(ge=0), AfterValidator(_usd)] | None = None
    tariff: list[TariffPeriod] = []
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("expected a time zone such as Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _whole_week(self) -> Economics:
        gap = self.electricity.first_gap() if self.tariff else None
        if gap:
            raise ValueError(
                f"expected electricity_usd_per_kwh for the hours outside tariff, found no price for {gap}"
            )
        return self

    @cached_property
    def electricity(self) -> Tariff:
        """The prices of a week."""
        periods = [Period(*parse_hours(one.hours), one.usd_per_kwh, tuple(one.days)) for one in self.tariff]
        zone = ZoneInfo(self.timezone) if self.timezone else None
        return Tariff(periods, self.electricity_usd_per_kwh, zone)


class BreakerSettings(Section):
    """When a target is left alone: after how many failures in a row, and for how long."""

    failure_threshold: Annotated[Integer, Field(gt=0, le=1000)] | None = None
    timeout_seconds: Annotated[Number, Field(gt=0, le=86_400)] | None = None


class Alerts(Section):
    """What the alert rules compare against."""

    thresholds: Thresholds = Thresholds()


class Logging(Section):
    """Where the exporter writes what happens, and in which form."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = "INFO"
    format: Literal["auto", "console", "json", "logfmt"] = "auto"
    file: str | None = None
    max_size_mb: Annotated[Number, Field(gt=0, le=100_000)] = 100.0
    backup_count: Annotated[Integer, Field(ge=0, le=1000)] = 5


class Server(Section):
    """Where the exporter listens, and to whom."""

    listen: Annotated[str, AfterValidator(_host_port)] = "127.0.0.1:10777"
    web_config_file: str | None = None
    hmac_secret: Secret | None = None
    hmac_secret_file: SecretFile | None = None
    max_connections: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    scrape_timeout_offset_seconds: Annotated[Number, Field(ge=0, le=10)] = 0.5

    @model_validator(mode="after")
    def _one_secret(self) -> Server:
        chosen_secret("hmac_secret", self.hmac_secret, self.hmac_secret_file)
        return self

    @property
    def signing_secret(self) -> SecretStr | None:
        """What signs requests to reload, from either place."""
        return self.hmac_secret or self.hmac_secret_file


class Root(Section):
    """The sections of the file that are not a pool's."""

    fleet: Fleet = Fleet()
    economics: Economics = Economics()
    market: MarketSettings | None = None
    breaker: dict[str, BreakerSettings] = {}
    alerts: Alerts = Alerts()
    logging: Logging = Logging()
    server: Server = Server()


@dataclass(frozen=True)
class Config:
    """A whole configuration, checked.

    *notes* are remarks for ``check`` on sections that have moved; *ended* tells whether the file is closed by
    YAML's end marker ``...``; *secret_files* are the files with secrets, as written, and *secrets_in_place*
    tells whether there are secrets in the file itself.
    """

    root: Root
    pools: tuple[Account, ...]
    notes: tuple[str, ...] = ()
    ended: bool = False
    secret_files: tuple[str, ...] = ()
    secrets_in_place: bool = False

    @property
    def fleet(self) -> Fleet:
        """The ``fleet`` section."""
        return self.root.fleet

    @property
    def market(self) -> MarketSettings | None:
        """The ``market`` section; ``None`` where nobody is asked for prices."""
        return self.root.market

    @property
    def server(self) -> Server:
        """The ``server`` section."""
        return self.root.server

    def breaker(self, module: str) -> tuple[int, float]:
        """Failure threshold and open seconds of a module; by default 3 and 30, for pools 5 and 60."""
        given = self.root.breaker.get(module, BreakerSettings())
        threshold, seconds = (3, 30.0) if module == MODULE else (5, 60.0)
        return given.failure_threshold or threshold, given.timeout_seconds or seconds

    @property
    def scrape_timeout_seconds(self) -> float:
        """The timeout Prometheus is told: the miners' own and the offset, within the interval."""
        wanted = self.fleet.timeout_seconds + self.server.scrape_timeout_offset_seconds
        return min(self.fleet.poll_interval_seconds, wanted)
