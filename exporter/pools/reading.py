"""What one look at a mining pool found: the same for every pool, in base units.

Everything is optional, since no pool tells all: what a pool does not tell is absent, never zero. Hashrates
are hashes per second, times Unix seconds, money is in coins by ticker (``LTC``, ``DOGE``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

# Over which time a pool averages a hashrate; "now" is its own shortest.
WINDOWS = ("now", "10m", "1h", "2h", "24h")


@dataclass(slots=True)
class Profitability:
    """What a hash of one algorithm earns.

    *coin* is what it is earned in, or empty for all there is to earn with it. ``usd``, ``btc`` and ``coins``
    are per hash; *timestamp* is the pool's own date of the figures, ``None`` where it does not date them.
    *source* is ``pool`` for what the pool quotes or pays, ``pool_actual`` for what it paid over the last day
    where that is another figure, and ``computed`` for what follows from the network's difficulty and a price.
    *server_timestamp* is when the pool's server sent them.
    """

    algorithm: str
    timestamp: float | None = None
    server_timestamp: float | None = None
    usd: float | None = None
    btc: float | None = None
    max_usd: float | None = None
    max_btc: float | None = None
    percentile_usd: float | None = None
    percentile_btc: float | None = None
    coin: str = ""
    coins: float | None = None
    source: str = "pool"


@dataclass(slots=True)
class Coin:
    """One coin of the account: what it holds, earns and was paid."""

    balance_confirmed: float | None = None
    balance_unconfirmed: float | None = None
    earned_24h: float | None = None
    earned_yesterday: float | None = None
    expected_24h: float | None = None
    paid_total: float | None = None
    last_payout: float | None = None
    last_payout_time: float | None = None
    blocks_found: float | None = None

    def paid_at(self, time: float, amount: float | None) -> None:
        """Take note of a payout; the newest is the last, the first of several at one time."""
        if self.last_payout_time is None or time > self.last_payout_time:
            self.last_payout_time, self.last_payout = time, amount


@dataclass(slots=True)
class Network:
    """A coin's network, and its price where the pool tells it: *subsidy* is coins a block."""

    difficulty: float | None = None
    hashrate: float | None = None
    subsidy: float | None = None
    price_usd: float | None = None
    price_btc: float | None = None


@dataclass(slots=True)
class Worker:
    """One worker as the pool sees it, under the name the pool gives it.

    A pool tells of shares in one of four ways, and each has fields of its own: numbers of shares
    (``shares_...``, counters), the work in them (``hashes_...``, counters of hashes: difficulty 1 is 2^16
    hashes for scrypt), rates (``rate_...``, hashes per second), or a ratio.
    """

    name: str
    hashrate: dict[str, float] = field(default_factory=dict)
    online: bool | None = None
    last_share: float | None = None
    shares_accepted: float | None = None
    shares_rejected: float | None = None
    shares_stale: float | None = None
    hashes_accepted: float | None = None
    hashes_rejected: float | None = None
    hashes_stale: float | None = None
    rate_accepted: float | None = None
    rate_rejected: float | None = None
    rate_stale: float | None = None
    reject_ratio: float | None = None


@dataclass(slots=True)
class PoolReading:
    """One reading of one pool account.

    *dated* is when the pool says a kind of figure was true, for pools that say so; *parts* tells of each
    call of the reading whether it succeeded. *pays_ratio* is what the pool pays of what a share is worth by
    the network's difficulty alone; it may be above 1. *workers* are at most what a page may hold,
    *workers_cut* how many more there are.
    """

    profitability: list[Profitability] = field(default_factory=list)
    hashrate: dict[str, float] = field(default_factory=dict)
    workers_online: float | None = None
    workers_offline: float | None = None
    fee_ratio: float | None = None
    pays_ratio: float | None = None
    coins: dict[str, Coin] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    workers_cut: int = 0
    connected: bool | None = None
    updating: bool | None = None
    # When a relay last heard of each kind of figure, in Unix seconds; advisory as the two above.
    last_updates: dict[str, float] = field(default_factory=dict)
    dated: dict[str, float] = field(default_factory=dict)
    parts: dict[str, bool] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)

    def coin(self, ticker: str) -> Coin:
        """The coin of *ticker*, made on first use."""
        return self.coins.setdefault(ticker, Coin())

    def network(self, ticker: str) -> Network:
        """The network of *ticker*, made on first use."""
        return self.networks.setdefault(ticker, Network())

    def count_workers(self) -> None:
        """Count who is online and who is not, for a pool that tells it of each worker only."""
        self.workers_online = sum(worker.online is True for worker in self.workers)
        self.workers_offline = sum(worker.online is False for worker in self.workers)
