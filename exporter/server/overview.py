"""The fleet at a glance, as figures: one typed row a miner and a pool, and their totals.

It is what scrapes found. A target nobody has asked for longer than the poll interval is asked for the page;
one that answers late appears the next time. Power is W, hashrates are hashes per second, money USD a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter import catalogue as c
from exporter.fleet import Fleet, Target
from exporter.market.market import Market
from exporter.pools.metrics import figures_dated, usd_per_hash
from exporter.units import DAY
from exporter.vnish.verdict import Condition, Glance, Limits, Verdict, judge, stolen, unknown, unreachable

_PATIENCE_SECONDS = 1.5
_background: set[asyncio.Task[Any]] = set()


@dataclass(frozen=True, slots=True)
class MinerRow:
    """One miner; *glance* is ``None`` while nothing is known of it."""

    instance: str
    verdict: Verdict
    glance: Glance | None = None
    # As the rules have it: the configured power stands in for a hashing miner that cannot tell.
    power: float | None = None
    usd_per_day: float | None = None

    @property
    def of_nominal(self) -> float | None:
        """The hashrate as a share of the nominal one."""
        one = self.glance
        return (
            one.hashrate / one.hashrate_nominal
            if one and one.hashrate is not None and one.hashrate_nominal
            else None
        )

    @property
    def joules_per_hash(self) -> float | None:
        """The energy a hash takes."""
        rate = self.glance.hashrate if self.glance else None
        return self.power / rate if self.power and rate else None


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One pool account or the market; *problem* says what is wrong, *age_seconds* how old its figures are."""

    instance: str
    condition: Condition
    problem: str | None = None
    age_seconds: float | None = None
    kind: str = "pool"


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per hash by algorithm: at each account, and by the market's own figures."""

    accounts: Mapping[str, Mapping[str, float]]
    market: Mapping[str, float]

    def of(self, algorithm: str, account: str | None) -> float | None:
        """What a hash of a miner earns: at its *account*, else by the market; as the rules have it.

        A miner of whom no account is known, where there is no market, is priced at the best account.
        """
        own = self.accounts.get(account or "", {}).get(algorithm)
        if own is not None:
            return own
        if algorithm in self.market:
            return self.market[algorithm]
        if account is not None:
            return None
        return max((usd[algorithm] for usd in self.accounts.values() if algorithm in usd), default=None)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the miners that answer; what is not known of one of them is counted, not guessed.

    ``power_unknown`` counts hashing miners whose power nobody knows, ``unpriced`` those whose hashes no pool
    names a price for. There is no electricity while the one is above 0, and no margin while either is.
    """

    miners: int = 0
    online: int = 0
    # By algorithm: hashes of two do not add up to anything.
    hashrates: tuple[tuple[str, float], ...] = ()
    power: float | None = None
    power_unknown: int = 0
    revenue: float | None = None
    unpriced: int = 0
    electricity: float | None = None

    @property
    def margin(self) -> float | None:
        """Earning less electricity."""
        if self.revenue is None or self.electricity is None or self.unpriced:
            return None
        return self.revenue - self.electricity


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole fleet, the worst miner first."""

    miners: tuple[MinerRow, ...]
    pools: tuple[PoolRow, ...]
    totals: Totals


async def refresh(fleet: Fleet, clock: Callable[[], float]) -> None:
    """Ask whoever was not asked lately, and wait a moment for the answers."""
    oldest = clock() - fleet.config.fleet.poll_interval_seconds
    until = clock() + fleet.config.fleet.timeout_seconds
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(target.reader.look(until))
        for target in (*fleet.miners.values(), *fleet.pools.values())
        if not target.reader.busy and (target.reader.last is None or target.reader.last.at < oldest)
    ]
    if fleet.market is not None:
        tasks.append(asyncio.create_task(fleet.market.refresh(until)))
    if tasks:
        _background.update(tasks)
        for task in tasks:
            task.add_done_callback(_background.discard)
        await asyncio.wait(tasks, timeout=_PATIENCE_SECONDS)


def overview(fleet: Fleet, now: float, wall_now: float) -> Overview:
    """The fleet as it is known at *now*, on the monotonic clock, and *wall_now*, in Unix seconds."""
    prices = _prices(fleet)
    # A scrape may be late; two missed ones mean that nothing is known now.
    oldest = now - 2 * fleet.config.fleet.poll_interval_seconds
    rows = [_miner(target, prices, oldest) for target in fleet.miners.values()]
    pools = [_pool(target, wall_now) for target in fleet.pools.values()]
    if fleet.market is not None:
        pools.append(_market(fleet.market, wall_now))
    return Overview(
        tuple(sorted(rows, key=lambda row: row.verdict.rank)),
        tuple(pools),
        totals(rows, fleet.config.root.economics.electricity.mean_usd_per_kwh(wall_now)),
    )


def _prices(fleet: Fleet) -> Prices:
    """What the pages of the accounts and of the market show; what they do not is no price."""
    return Prices(
        {
            name: usd_per_hash(target.page(target.reader.last))
            for name, target in fleet.pools.items()
            if target.reader.last is not None
        },
        usd_per_hash(fleet.market.page()) if fleet.market is not None else {},
    )


def _miner(target: Target, prices: Prices, oldest: float) -> MinerRow:
    look = target.reader.last
    if look is None:
        return MinerRow(target.instance, unknown("not asked yet"))
    if look.at < oldest:
        return MinerRow(target.instance, unknown("asked, and no answer yet"))
    if look.error:
        return MinerRow(target.instance, unreachable(str(look.error)))
    glance: Glance = target.reader.glance(look)
    power = glance.power
    if power is None and glance.hashing:
        power = target.static.value(c.MINER_POWER_CONFIGURED)
    account = target.payer.account(glance.mined_at) if target.payer else None
    price = prices.of(glance.algorithm, account)
    # What is hashed for somebody else earns its owner nothing, whatever it is worth.
    if price and stolen(glance, target.audit):
        price = 0.0
    return MinerRow(
        target.instance,
        judge(glance, Limits.of(target.static), target.audit),
        glance,
        power,
        glance.hashrate * price * DAY if glance.hashrate is not None and price is not None else None,
    )


def totals(rows: Sequence[MinerRow], electricity_usd_per_kwh: float | None) -> Totals:
    """The sums of *rows*."""
    known = [(row, row.glance) for row in rows if row.glance is not None]
    hashrates: dict[str, float] = {}
    for _, glance in known:
        if glance.hashrate is not None:
            name = glance.algorithm or "unknown"
            hashrates[name] = hashrates.get(name, 0.0) + glance.hashrate
    powers = [row.power for row, _ in known if row.power is not None]
    # One that does not hash draws next to nothing.
    power_unknown = sum(row.power is None and glance.hashing for row, glance in known)
    earnings = [row.usd_per_day for row, _ in known if row.usd_per_day is not None]
    power = sum(powers) if powers or (known and not power_unknown) else None
    electricity = None
    if electricity_usd_per_kwh is not None and power is not None and not power_unknown:
        electricity = power / 1000 * 24 * electricity_usd_per_kwh
    return Totals(
        miners=len(rows),
        online=len(known),
        hashrates=tuple(hashrates.items()),
        power=power,
        power_unknown=power_unknown,
        revenue=sum(earnings) if earnings else None,
        unpriced=sum(row.usd_per_day is None and bool(glance.hashrate) for row, glance in known),
        electricity=electricity,
    )


def _pool(target: Target, wall_now: float) -> PoolRow:
    look = target.reader.last
    if look is None:
        return PoolRow(target.instance, Condition.UNKNOWN)
    dated = figures_dated(target.reader.page(look))
    age = wall_now - dated if dated else None
    if look.error:
        return PoolRow(target.instance, Condition.DOWN, look.error.detail, age)
    stale = age is None or age > (target.static.value(c.THRESHOLD_POOL_DATA_AGE) or 0)
    return PoolRow(target.instance, Condition.WARN if stale else Condition.OK, None, age)


def _market(market: Market, wall_now: float) -> PoolRow:
    view = market.view()
    dates = [known.dated for figures in (view.networks, view.prices) for known in figures.values()]
    age = wall_now - min(dates) if dates else None
    missing = f"not known: {', '.join(view.missing)}" if view.missing else None
    return PoolRow(market.instance, Condition.WARN if missing else Condition.OK, missing, age, "market")
