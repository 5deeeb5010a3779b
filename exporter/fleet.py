"""Configuration to targets: who may be probed, under which name, and what the page says of him besides.

A reload makes a new :class:`Fleet`; the readers of targets that stayed the same are taken over, with their
breakers and memories, and a pool's request budget in any case.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.breaker import Breaker
from exporter.config.base import Section
from exporter.config.schema import MARKET, MODULE, Config, Miner, Thresholds
from exporter.exposition import Page
from exporter.http import Client, Outgoing, tls_settings
from exporter.market import market as market_target
from exporter.market.market import Market
from exporter.market.reading import MarketReading
from exporter.market.settings import MarketSettings
from exporter.market.source import Source
from exporter.market.sources import drivers as market_drivers
from exporter.pools import Account, Context, PoolSource
from exporter.pools import metrics as pool_metrics
from exporter.pools.budget import Budget
from exporter.pools.reading import PoolReading
from exporter.pools.workers import WorkerNames
from exporter.probe import Look, Reader
from exporter.vnish import metrics as miner_metrics
from exporter.vnish.access import Access
from exporter.vnish.audit import PoolAudit, is_owners, mined_at, pool_host
from exporter.vnish.reading import MinerReading
from exporter.vnish.source import VnishSource

MAX_UNCONFIGURED = 256
_JOULES_PER_KWH = 3.6e6
_MARKET_PAUSE_SECONDS = 60.0
# A pool's URL is the owner's own word.
_ANYWHERE = Policy(None)
# A reading that takes longer than this part of its timeout will soon take longer than all of it.
_NEAR_TIMEOUT = 0.8
# What says how a target is written, not how it is asked: its reader stays when only these change. All other
# keys count, so that one which is new is not forgotten.
_NOT_ASKING = frozenset(
    {"name", "worker", "labels", "expected_pools", "pool", "pool_account", "power_watts", "thresholds"}
    | {"miners", "miner_ips", "poll_interval_seconds"}
)


class UnknownTargetError(Exception):
    """Nobody of that name, and no address that may be probed; *forbidden* if it is an address."""

    def __init__(self, message: str, *, forbidden: bool) -> None:
        super().__init__(message)
        self.forbidden = forbidden


class BusyError(Exception):
    """Too many unconfigured targets are being asked at once."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Which account pays for a miner: the *configured* one, else the one whose hosts it mines to."""

    configured: str | None
    accounts: tuple[Account, ...]

    def account(self, host: str | None) -> str | None:
        """The account's name, by the *host* the miner mines to; ``None`` while nobody can tell."""
        if self.configured is not None or host is None:
            return self.configured
        return self._account_at(host)

    def write(self, reading: MinerReading | None, page: Page) -> None:
        """Add who pays for the miner, and whose the pools in its list are."""
        account = self.account(mined_at(reading) if reading else None)
        if account is not None:
            page.add(c.MINER_ACCOUNT, 1.0, account)
        for pool in reading.pools if reading else ():
            host = pool_host(pool.url) if is_owners(pool) else None
            owner = self._account_at(host) if host else None
            if owner is not None:
                page.add(c.POOL_ACCOUNT, 1.0, pool.number, owner)

    def _account_at(self, host: str) -> str | None:
        return next((one.instance for one in self.accounts if one.mined_at(host)), None)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to probe. *static* are the samples of its configuration.

    *market* prices the hashes of an account whose pool does not; ``account`` is the one that is probed.
    """

    instance: str
    module: str
    labels: Mapping[str, str]
    reader: Reader[Any]
    static: Page
    audit: PoolAudit | None = None
    payer: Payer | None = None
    # The price of electricity in USD per kWh, now; it may change with the time of day.
    electricity: Callable[[], float | None] = lambda: None
    account: Account | None = None
    market: Market | None = None

    @property
    def breakers(self) -> list[Breaker]:
        """Its one breaker."""
        return [self.reader.breaker]

    async def probe(self, deadline: float) -> tuple[Look[Any], Page]:
        """Look at the target and write its page; never raises for anything the target does."""
        if self.market is None:
            look = await self.reader.look(deadline)
        else:
            look, _ = await asyncio.gather(self.reader.look(deadline), self.market.refresh(deadline))
        return look, self.page(look)

    def page(self, look: Look[Any]) -> Page:
        """The page of a look; nobody is asked."""
        page = self.reader.page(look)
        if self.audit and look.reading is not None:
            self.audit.write(look.reading, page)
        if self.payer:
            self.payer.write(look.reading, page)
        if self.market and self.account:
            reading = self.reader.shown(look)
            if reading is not None:
                self.market.price_account(
                    reading,
                    page,
                    merged=self.account.driver.MERGED,
                    fee_percent=self.account.settings.fee_percent,
                )
        price = self.electricity()
        page.add(c.ELECTRICITY_PRICE, None if price is None else price / _JOULES_PER_KWH)
        page.update(self.static)
        return page


class Fleet:
    """All targets of one configuration."""

    def __init__(
        self,
        config: Config,
        outgoing: Outgoing,
        environ: Mapping[str, str],
        previous: Fleet | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.miners: dict[str, Target] = {}
        self.pools: dict[str, Target] = {}
        self._outgoing = outgoing
        self._clock = clock
        self._wall_clock = wall_clock
        self._asking = _without(config.fleet, _NOT_ASKING)
        # The reader of each module and instance, and the settings it was made from.
        self.readers: dict[tuple[str, str], tuple[object, Reader[Any]]] = {}
        self._previous = previous.readers if previous else {}
        self.budgets: dict[tuple[str, str], Budget] = previous.budgets if previous else {}
        self._context = Context(
            environ,
            clock,
            wall_clock,
            outgoing.sleep,
            outgoing.rng,
            partial(outgoing.connect, _ANYWHERE),
        )
        self._by_address: dict[tuple[str, int], Target] = {}
        # What else listens in the miners' networks is nobody's to reach through the exporter.
        self._ports = {80, 443}
        self._unconfigured: OrderedDict[str, Target] = OrderedDict()
        self.worker_names: WorkerNames = previous.worker_names if previous else WorkerNames()
        for miner in config.fleet.all_miners():
            self._add_miner(miner)
        self.worker_names.update(
            (miner.worker or miner.instance, miner.instance) for miner in config.fleet.all_miners()
        )
        self.market: Market | None = self._make_market(config.market) if config.market else None
        for account in config.pools:
            self._add_pool(account)
        for place, (_, reader) in self._previous.items():
            if reader is not self.readers.get(place, (None, None))[1]:
                reader.close()
        self._previous = {}

    def __iter__(self) -> Iterator[Target | Market]:
        yield from self.miners.values()
        yield from self.pools.values()
        if self.market is not None:
            yield self.market

    def _electricity(self) -> float | None:
        """USD per kWh now."""
        return self.config.root.economics.electricity.usd_per_kwh(self._wall_clock())

    def close(self) -> None:
        """End what sources run beside the readings; nobody is asked any more."""
        for _, reader in self.readers.values():
            reader.close()

    def _reader(
        self, module: str, instance: str, made_from: object, make: Callable[[], Reader[Any]]
    ) -> Reader[Any]:
        """The reader of a target: the previous one if it was made from the same settings."""
        place = (module, instance)
        before, reader = self._previous.get(place, (None, None))
        if reader is None or before != made_from:
            reader = make()
        self.readers[place] = (made_from, reader)
        return reader

    def find(self, text: str, module: str | None = None) -> Target | Market:
        """The target for the text of a ``target`` parameter.

        Raises:
            UnknownTargetError: it is neither configured nor an address that may be probed.
            BusyError: an unconfigured address, and too many of them are being asked now.
        """
        if self.market is not None and text == MARKET and module in (None, MARKET):
            return self.market
        if module is None:
            candidates = [self.miners, self.pools]
        elif module == MODULE:
            candidates = [self.miners]
        else:
            candidates = [{name: pool for name, pool in self.pools.items() if pool.module == module}]
        for targets in candidates:
            if text in targets:
                return targets[text]
        if module == MARKET:
            raise UnknownTargetError(
                f"the target of {MARKET} is {MARKET}, if it is configured", forbidden=False
            )
        if module not in (None, MODULE):
            raise UnknownTargetError(f"no account of that name at {module}", forbidden=False)
        try:
            endpoint = Endpoint.parse(text)
        except ValueError:
            raise UnknownTargetError("not a configured name and not an address", forbidden=False) from None
        if endpoint.path:
            raise UnknownTargetError("an address to probe has no path", forbidden=False)
        known = self._by_address.get((endpoint.host, endpoint.port))
        if known:
            return known
        if endpoint.address is None:
            raise UnknownTargetError("not a configured name and not an address", forbidden=False)
        if not Policy(self.config.fleet.networks).allows(endpoint.address):
            raise UnknownTargetError("the address is outside fleet.allowed_networks", forbidden=True)
        if endpoint.port not in self._ports:
            raise UnknownTargetError(
                "the port is none of miners: 80, 443 and those of configured miners are", forbidden=True
            )
        return self._unconfigured_target(str(endpoint), endpoint)

    def _unconfigured_target(self, name: str, endpoint: Endpoint) -> Target:
        target = self._unconfigured.get(name)
        if target is None:
            if len(self._unconfigured) >= MAX_UNCONFIGURED:
                idle = next((key for key, old in self._unconfigured.items() if not old.reader.busy), None)
                if idle is None:
                    raise BusyError("too many unconfigured targets are being probed")
                del self._unconfigured[idle]
            # No credentials: those belong to configured miners only.
            miner = Miner(address=name)
            reader = self._miner_reader(name, miner, endpoint)
            static = self._miner_static(miner, self.config.root.alerts.thresholds, configured=False)
            target = self._unconfigured[name] = Target(
                name, MODULE, {}, reader, static, electricity=self._electricity
            )
        self._unconfigured.move_to_end(name)
        return target

    def _add_miner(self, miner: Miner) -> None:
        endpoint = Endpoint.parse(miner.address)
        fleet = self.config.fleet
        made_from = (
            _without(miner, _NOT_ASKING),
            self._asking,
            self.config.breaker(MODULE),
            _authority(miner),
        )
        reader = self._reader(
            MODULE, miner.instance, made_from, lambda: self._miner_reader(miner.instance, miner, endpoint)
        )
        static = self._miner_static(
            miner, miner.thresholds.over(self.config.root.alerts.thresholds), configured=True
        )
        expected = fleet.expected_pools if miner.expected_pools is None else miner.expected_pools
        hosts = frozenset(host.lower().rpartition("//")[2] for host in expected)
        audit = PoolAudit(hosts, fleet.pool_account, miner.worker)
        payer = Payer(miner.pool or fleet.pool, self.config.pools)
        target = Target(
            miner.instance, MODULE, miner.labels, reader, static, audit or None, payer, self._electricity
        )
        self.miners[miner.instance] = target
        self._by_address[endpoint.host, endpoint.port] = target
        self._ports.add(endpoint.port)

    def _miner_static(self, miner: Miner, thresholds: Thresholds, *, configured: bool) -> Page:
        page = Page()
        page.add(c.MINER_CONFIGURED, float(configured))
        page.add(c.FLEET_MINER_INFO, 1.0, miner.worker or "")
        page.add(c.MINER_POWER_CONFIGURED, miner.power_watts)
        page.add(c.THRESHOLD_READING_TIME, _NEAR_TIMEOUT * self.config.fleet.timeout_seconds)
        for metric, value in (
            (c.THRESHOLD_TEMPERATURE_WARNING, thresholds.temperature_warning),
            (c.THRESHOLD_TEMPERATURE_CRITICAL, thresholds.temperature_critical),
            (c.THRESHOLD_PCB_TEMPERATURE, thresholds.pcb_temperature),
            (c.THRESHOLD_INLET_TEMPERATURE, thresholds.inlet_temperature),
            (c.THRESHOLD_WATER_TEMPERATURE, thresholds.water_temperature),
            (c.THRESHOLD_PSU_TEMPERATURE, thresholds.psu_temperature),
            (c.THRESHOLD_ROOM_EXCESS, thresholds.room_excess),
            (c.THRESHOLD_HASHRATE_DROP, thresholds.hashrate_drop_percent / 100),
            (c.THRESHOLD_POWER_SPIKE, thresholds.power_spike_percent / 100),
            (c.THRESHOLD_PRESET_EXCESS, thresholds.preset_excess_percent / 100),
            (c.THRESHOLD_EFFICIENCY_LOSS, thresholds.efficiency_loss_percent / 100),
            (c.THRESHOLD_FAN_LAG, thresholds.fan_lag_percent / 100),
            (c.THRESHOLD_HARDWARE_ERRORS, thresholds.hardware_error_percent / 100),
            (c.THRESHOLD_REJECTS, thresholds.reject_percent / 100),
            (c.THRESHOLD_SHARE_SILENCE, thresholds.share_silence_minutes * 60),
            (c.THRESHOLD_OFFLINE, thresholds.offline_duration_minutes * 60),
            (c.THRESHOLD_CHIPS_DYING, thresholds.chips_dying_per_day),
            (c.THRESHOLD_REBOOTS, thresholds.restarts_per_hour),
            (c.THRESHOLD_SITE_OUTAGE, thresholds.site_outage_percent / 100),
        ):
            page.add(metric, value)
        return page

    def _miner_reader(self, name: str, miner: Miner, endpoint: Endpoint) -> Reader[MinerReading]:
        fleet = self.config.fleet
        policy = Policy(fleet.networks, exact=endpoint.address)
        tls = tls_settings(ca_file=miner.ca_file, fingerprint=miner.fingerprint)
        source = VnishSource(
            self._clock,
            api=miner.api,
            algorithm=miner.algorithm,
            password=miner.secret_password,
            access=Access(
                self._clock,
                password=miner.secret_password,
                api_key=miner.secret_key,
                full_detail=miner.full_detail,
            ),
            boards=fleet.collect.boards,
            pools=fleet.collect.pools,
            chips=fleet.collect.chips,
            chips_interval=fleet.chips_interval_seconds,
        )

        def open_client(deadline: float) -> Client:
            return Client(
                self._outgoing,
                endpoint,
                policy,
                deadline,
                retries=fleet.retries,
                max_bytes=fleet.max_response_bytes,
                tls=tls,
            )

        return Reader(
            name,
            miner_metrics.KIND,
            breaker=Breaker(*self.config.breaker(MODULE), self._clock),
            open_client=open_client,
            read=source.read,
            clock=self._clock,
            reuse_seconds=fleet.min_interval_seconds,
            reuse_failure_seconds=fleet.min_interval_seconds,
            most_seconds=fleet.timeout_seconds,
        )

    def _add_pool(self, account: Account) -> None:
        settings = account.settings
        instance = account.instance
        max_age = settings.max_age_minutes * 60
        budget = self.budgets.setdefault(
            (account.type, instance), Budget(settings.rate_limit_requests_per_hour, self._clock)
        )
        budget.limit = settings.rate_limit_requests_per_hour
        source = account.driver.source(settings, replace(self._context, allowance=budget))
        made_from = (account, source.endpoint, self.config.breaker(account.type), _asking(self.config))
        reader = self._reader(
            account.type, instance, made_from, lambda: self._pool_reader(account, source, budget, max_age)
        )
        static = Page()
        static.add(c.MINING_POOL_INFO, 1.0, account.type)
        thresholds = self.config.root.alerts.thresholds
        static.add(c.THRESHOLD_POOL_DATA_AGE, max_age)
        static.add(c.THRESHOLD_POOL_SHORTFALL, thresholds.pool_shortfall_percent / 100)
        static.add(c.THRESHOLD_PROFITABILITY_DROP, thresholds.profitability_drop_percent / 100)
        static.add(c.THRESHOLD_BUDGET, thresholds.request_budget_percent / 100)
        static.add(c.THRESHOLD_READING_TIME, _NEAR_TIMEOUT * self.config.fleet.timeout_seconds)
        self.pools[instance] = Target(
            instance, account.type, settings.labels, reader, static, account=account, market=self.market
        )

    def _make_market(self, settings: MarketSettings) -> Market:
        readers: dict[str, Reader[MarketReading]] = {}
        for name in settings.names:
            driver = market_drivers()[name]
            endpoint = Endpoint.parse(settings.base_urls.get(name, driver.BASE_URL))
            budget = self.budgets.setdefault((MARKET, name), Budget(driver.REQUESTS_PER_HOUR, self._clock))
            asking = (settings.sync_interval_seconds, settings.max_age_minutes)
            made_from = (endpoint, asking, self.config.breaker(MARKET), _asking(self.config))
            readers[name] = self._reader(
                MARKET,
                name,
                made_from,
                partial(
                    self._market_reader,
                    name,
                    Source(
                        driver,
                        endpoint,
                        wall_clock=self._wall_clock,
                        max_age_seconds=settings.max_age_minutes * 60,
                    ),
                    budget,
                    settings,
                ),
            )
        return Market(settings, readers, clock=self._clock, wall_clock=self._wall_clock)

    def _market_reader(
        self, name: str, source: Source, budget: Budget, settings: MarketSettings
    ) -> Reader[MarketReading]:
        fleet = self.config.fleet

        def open_client(deadline: float) -> Client:
            return Client(
                self._outgoing,
                source.endpoint,
                Policy(None),
                deadline,
                retries=fleet.retries,
                max_bytes=fleet.max_response_bytes,
                allowance=budget,
            )

        max_age = settings.max_age_minutes * 60
        return Reader(
            f"{MARKET} {name}",
            market_target.kind(name, source, budget, max_age, self._wall_clock),
            breaker=Breaker(*self.config.breaker(MARKET), self._clock),
            open_client=open_client,
            read=source.read,
            clock=self._clock,
            reuse_seconds=settings.sync_interval_seconds,
            # A source that fails may have lost the address of who asks too often: a minute is soon enough.
            reuse_failure_seconds=_MARKET_PAUSE_SECONDS,
            most_seconds=fleet.timeout_seconds,
        )

    def _pool_reader(
        self, account: Account, source: PoolSource, budget: Budget, max_age: float
    ) -> Reader[PoolReading]:
        settings, fleet = account.settings, self.config.fleet

        def open_client(deadline: float) -> Client:
            return Client(
                self._outgoing,
                source.endpoint,
                _ANYWHERE,
                deadline,
                retries=fleet.retries,
                max_bytes=fleet.max_response_bytes,
                allowance=budget,
            )

        return Reader(
            account.instance,
            pool_metrics.kind(budget, max_age, self._wall_clock, self.worker_names),
            breaker=Breaker(*self.config.breaker(account.type), self._clock),
            open_client=open_client,
            read=source.read,
            clock=self._clock,
            reuse_seconds=settings.sync_interval_seconds,
            reuse_failure_seconds=max(fleet.min_interval_seconds, settings.pause_seconds),
            most_seconds=fleet.timeout_seconds,
            close=source.close,
        )


def _without(settings: Section, names: frozenset[str]) -> tuple[tuple[str, object], ...]:
    """All settings of a section but *names*, secrets included, to be compared."""
    return tuple((name, value) for name, value in settings if name not in names)


def _authority(miner: Miner) -> bytes | None:
    """What the miner's CA file holds: it may be renewed under the same name."""
    try:
        return Path(miner.ca_file).read_bytes() if miner.ca_file else None
    except OSError:
        return None


def _asking(config: Config) -> object:
    """The part of the fleet's settings that says how targets are asked."""
    fleet = config.fleet
    return (fleet.retries, fleet.max_response_bytes, fleet.min_interval_seconds, fleet.timeout_seconds)
