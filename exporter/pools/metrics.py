"""A pool's reading to samples, the same for every driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.plausible import Guard
from exporter.pools.budget import Budget
from exporter.pools.reading import PoolReading
from exporter.probe import TargetKind

# A date further ahead than clocks differ is no date.
MOST_AHEAD_SECONDS = 3600.0


def kind(budget: Budget, max_age: float, wall_clock: Callable[[], float]) -> TargetKind[PoolReading]:
    """How a pool account is written: its last good figures while young enough, and always its budget."""

    def write(reading: PoolReading, page: Page) -> Counter[str]:
        return samples(reading, page, wall_clock(), max_age)

    def beside(page: Page, age: float | None) -> None:
        page.add(c.MINING_POOL_REQUESTS, budget.spent)
        page.add(c.MINING_POOL_BUDGET_LIMIT, budget.limit)
        page.add(c.MINING_POOL_BUDGET_REMAINING, budget.remaining)
        page.add(c.MINING_POOL_LAST_SUCCESS, None if age is None else wall_clock() - age)

    return TargetKind(c.POOL_PROBE, write, shown_seconds=max_age, beside=beside)


def samples(reading: PoolReading, page: Page, now: float, max_age: float) -> Counter[str]:
    """Write the reading onto *page*; the metrics whose values were dropped are returned, counted.

    Figures older than *max_age* seconds at *now* (Unix seconds) by the pool's own date are withheld: a relay
    that lost its pool serves them for ever. Their date is still written, so that a rule can tell.
    """
    guard = Guard(page)
    guard.add(c.MINING_POOL_CONNECTED, reading.connected)
    guard.add(c.MINING_POOL_UPDATING, reading.updating)
    newest: float | None = None
    for one in reading.profitability:
        dated = one.timestamp
        if dated is not None and dated > now + MOST_AHEAD_SECONDS:
            guard.drop(c.MINING_POOL_ALGORITHM_TIMESTAMP)
            continue
        guard.add(c.MINING_POOL_ALGORITHM_TIMESTAMP, dated, one.algorithm)
        if dated is None:
            continue
        newest = max(dated, newest or 0.0)
        if now - dated > max_age:
            continue
        for metric, value in (
            (c.MINING_POOL_USD, one.usd),
            (c.MINING_POOL_BTC, one.btc),
            (c.MINING_POOL_MAX_USD, one.max_usd),
            (c.MINING_POOL_MAX_BTC, one.max_btc),
            (c.MINING_POOL_PERCENTILE_USD, one.percentile_usd),
            (c.MINING_POOL_PERCENTILE_BTC, one.percentile_btc),
        ):
            guard.add(metric, value, one.algorithm)
    guard.add(c.MINING_POOL_DATA_TIMESTAMP, newest, "profitability")
    return guard.dropped
