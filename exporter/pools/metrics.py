"""A pool's reading to samples, the same for every driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.plausible import Guard
from exporter.pools.budget import Budget
from exporter.pools.reading import Network, PoolReading, Worker
from exporter.pools.workers import WorkerNames
from exporter.probe import TargetKind

# A date further ahead than clocks differ is no date.
MOST_AHEAD_SECONDS = 3600.0


def kind(
    budget: Budget, max_age: float, wall_clock: Callable[[], float], names: WorkerNames | None = None
) -> TargetKind[PoolReading]:
    """How a pool account is written: its last good figures while young enough, and always its budget.

    *names* says which miners mine under a worker's name.
    """

    def write(reading: PoolReading, page: Page, age: float) -> Counter[str]:
        now = wall_clock()
        if names is not None:
            for worker in reading.workers:
                for miner in names.miners(worker.name):
                    page.add(c.MINING_POOL_WORKER_MINER, 1.0, worker.name, miner)
        return samples(reading, page, now, now - age, max_age)

    def beside(page: Page, age: float | None) -> None:
        page.add(c.MINING_POOL_REQUESTS, budget.spent)
        page.add(c.MINING_POOL_BUDGET_LIMIT, budget.limit)
        page.add(c.MINING_POOL_BUDGET_REMAINING, budget.remaining)
        page.add(c.MINING_POOL_LAST_SUCCESS, None if age is None else wall_clock() - age)

    return TargetKind(c.POOL_PROBE, write, shown_seconds=max_age, beside=beside)


def samples(reading: PoolReading, page: Page, now: float, read_at: float, max_age: float) -> Counter[str]:
    """Write the reading of *read_at* onto *page*; the metrics of dropped values are returned, counted.

    Figures older than *max_age* seconds at *now* (Unix seconds) by the pool's own date are withheld: a relay
    that lost its pool serves them for ever. Their date is still written, so that a rule can tell.
    """
    guard = Guard(page)
    guard.add(c.MINING_POOL_CONNECTED, reading.connected)
    guard.add(c.MINING_POOL_UPDATING, reading.updating)
    for part, up in reading.parts.items():
        page.add(c.MINING_POOL_PART_UP, float(up), part)
    for heard_of, at in reading.last_updates.items():
        guard.add(c.MINING_POOL_LAST_UPDATE, at, heard_of)
    dates = dict(reading.dated)
    newest = _profitability(reading, guard, now, dates.get("profitability", read_at), max_age)
    if newest is not None:
        dates["profitability"] = newest
    if reading.hashrate or reading.coins or reading.workers:
        dates.setdefault("account", read_at)
    for name, dated in dates.items():
        guard.add(c.MINING_POOL_DATA_TIMESTAMP, dated, name)
    _account(reading, guard)
    for worker in reading.workers:
        _worker(worker, guard)
    for ticker, network in reading.networks.items():
        write_network(ticker, network, guard)
    return guard.dropped


def _profitability(
    reading: PoolReading, guard: Guard, now: float, read_at: float, max_age: float
) -> float | None:
    """Write what hashes earn; the newest date is returned, ``None`` if there is none.

    Where a hash earns several coins and the price of one is not known, no price is written of any: who adds
    them up would take a part for the whole.
    """
    newest: float | None = None
    unpriced = {
        (one.algorithm, one.source, currency)
        for one in reading.profitability
        for currency, value in (("usd", one.usd), ("btc", one.btc))
        if one.coin and value is None
    }
    for one in reading.profitability:
        dated = read_at if one.timestamp is None else one.timestamp
        if dated > now + MOST_AHEAD_SECONDS:
            guard.drop(c.MINING_POOL_ALGORITHM_TIMESTAMP)
            continue
        guard.add(c.MINING_POOL_ALGORITHM_TIMESTAMP, one.timestamp, one.algorithm)
        guard.add(c.MINING_POOL_SERVER_TIMESTAMP, one.server_timestamp, one.algorithm)
        newest = max(dated, newest or 0.0)
        if now - dated > max_age:
            continue
        for metric, value in (
            (c.MINING_POOL_USD, None if (one.algorithm, one.source, "usd") in unpriced else one.usd),
            (c.MINING_POOL_BTC, None if (one.algorithm, one.source, "btc") in unpriced else one.btc),
            (c.MINING_POOL_COINS, one.coins),
        ):
            guard.add(metric, value, one.algorithm, one.coin, one.source)
        for metric, value in (
            (c.MINING_POOL_MAX_USD, one.max_usd),
            (c.MINING_POOL_MAX_BTC, one.max_btc),
            (c.MINING_POOL_PERCENTILE_USD, one.percentile_usd),
            (c.MINING_POOL_PERCENTILE_BTC, one.percentile_btc),
        ):
            guard.add(metric, value, one.algorithm)
    return newest


def _account(reading: PoolReading, guard: Guard) -> None:
    for window, rate in reading.hashrate.items():
        guard.add(c.MINING_POOL_HASHRATE, rate, window)
    guard.add(c.MINING_POOL_WORKERS, reading.workers_online, "online")
    guard.add(c.MINING_POOL_WORKERS, reading.workers_offline, "offline")
    if reading.workers:
        guard.add(c.MINING_POOL_WORKERS_CUT, reading.workers_cut)
    guard.add(c.MINING_POOL_FEE, reading.fee_ratio)
    guard.add(c.MINING_POOL_PAYS, reading.pays_ratio)
    for ticker, coin in reading.coins.items():
        guard.add(c.MINING_POOL_BALANCE, coin.balance_confirmed, ticker, "confirmed")
        guard.add(c.MINING_POOL_BALANCE, coin.balance_unconfirmed, ticker, "unconfirmed")
        for metric, value in (
            (c.MINING_POOL_EARNED_24H, coin.earned_24h),
            (c.MINING_POOL_EARNED_YESTERDAY, coin.earned_yesterday),
            (c.MINING_POOL_EXPECTED_24H, coin.expected_24h),
            (c.MINING_POOL_PAID, coin.paid_total),
            (c.MINING_POOL_LAST_PAYOUT, coin.last_payout),
            (c.MINING_POOL_LAST_PAYOUT_TIME, coin.last_payout_time),
            (c.MINING_POOL_BLOCKS, coin.blocks_found),
        ):
            guard.add(metric, value, ticker)


def _worker(worker: Worker, guard: Guard) -> None:
    for window, rate in worker.hashrate.items():
        guard.add(c.MINING_POOL_WORKER_HASHRATE, rate, worker.name, window)
    for metric, value in (
        (c.MINING_POOL_WORKER_ONLINE, worker.online),
        (c.MINING_POOL_WORKER_LAST_SHARE, worker.last_share),
        (c.MINING_POOL_WORKER_SHARES_ACCEPTED, worker.shares_accepted),
        (c.MINING_POOL_WORKER_SHARES_REJECTED, worker.shares_rejected),
        (c.MINING_POOL_WORKER_SHARES_STALE, worker.shares_stale),
        (c.MINING_POOL_WORKER_HASHES_ACCEPTED, worker.hashes_accepted),
        (c.MINING_POOL_WORKER_HASHES_REJECTED, worker.hashes_rejected),
        (c.MINING_POOL_WORKER_HASHES_STALE, worker.hashes_stale),
        (c.MINING_POOL_WORKER_RATE_ACCEPTED, worker.rate_accepted),
        (c.MINING_POOL_WORKER_RATE_REJECTED, worker.rate_rejected),
        (c.MINING_POOL_WORKER_RATE_STALE, worker.rate_stale),
        (c.MINING_POOL_WORKER_REJECT, worker.reject_ratio),
    ):
        guard.add(metric, value, worker.name)


def figures_dated(page: Page) -> float | None:
    """When the figures on the page of an account are from, in Unix seconds; prices tell, else the account."""
    dated = c.MINING_POOL_DATA_TIMESTAMP
    return page.value(dated, "profitability") or page.value(dated, "account")


def usd_per_hash(page: Page) -> dict[str, float]:
    """What a hash earns by algorithm, in USD, on the page of an account: all coins together.

    The pool's own quote counts; what is computed stands in where it quotes nothing.
    """
    place = {name: index for index, name in enumerate(c.MINING_POOL_USD.labels)}
    found: dict[str, dict[str, float]] = {}
    for labels, usd in page.family(c.MINING_POOL_USD).items():
        by_source = found.setdefault(labels[place["algorithm"]], {})
        source = labels[place["source"]]
        by_source[source] = by_source.get(source, 0.0) + usd
    return {
        algorithm: rates["pool"] if "pool" in rates else rates["computed"]
        for algorithm, rates in found.items()
        if "pool" in rates or "computed" in rates
    }


def write_network(ticker: str, network: Network, guard: Guard, source: str = "pool") -> None:
    """Write what is known of a coin; the market's figures are written by it too."""
    for metric, value in (
        (c.NETWORK_DIFFICULTY, network.difficulty),
        (c.NETWORK_HASHRATE, network.hashrate),
        (c.NETWORK_SUBSIDY, network.subsidy),
        (c.COIN_PRICE_USD, network.price_usd),
        (c.COIN_PRICE_BTC, network.price_btc),
    ):
        guard.add(metric, value, ticker, source)
