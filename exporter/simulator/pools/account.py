"""The ledger of one simulated account: shares of the simulated miners, as work, hashrates and coins.

Every share a simulated miner finds for its owner is booked here under the worker's name, so what the pool
says and what the miners did can be held against each other. Times are Unix seconds.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.simulator.faults import POOL_FAULTS, parameters
from exporter.simulator.miner import SimMiner, SimPool, poisson

DAY = 86_400.0
# A share of difficulty 1 stands for so many hashes of scrypt; network difficulty counts 2^32 for each.
HASHES_PER_SHARE = 2.0**16
HASHES_PER_DIFFICULTY = 2.0**32
_BUCKET_SECONDS = 60.0
_OFFLINE_SECONDS = 600.0
HOSTILE_NAMES = ('q"uo\\te', "new\nline", "w" * 300, "", "<b>bold</b>", "\u202erevo")


class Work(NamedTuple):
    """Shares and the work in them, in shares of difficulty 1."""

    shares: int = 0
    difficulty: float = 0.0

    def plus(self, shares: int, difficulty: float) -> Work:
        """This and some more."""
        return Work(self.shares + shares, self.difficulty + difficulty)


NO_WORK = Work()


@dataclass(slots=True)
class SimNetwork:
    """A coin's network and price."""

    difficulty: float
    subsidy: float
    block_seconds: float
    usd: float
    height: int

    @property
    def hashrate(self) -> float:
        """Hashes per second that find a block in its time."""
        return self.difficulty * HASHES_PER_DIFFICULTY / self.block_seconds

    @property
    def coins_per_hash(self) -> float:
        """What a hash earns on average."""
        return self.subsidy / (self.difficulty * HASHES_PER_DIFFICULTY)


class Payout(NamedTuple):
    """One payout."""

    time: float
    amount: float
    txid: str


@dataclass(slots=True)
class SimCoin:
    """What the account holds and was paid in one coin; *earned* is all it ever earned."""

    balance: float = 0.0
    earned: float = 0.0
    yesterday: float = 0.0
    paid: float = 0.0
    payouts: list[Payout] = field(default_factory=list)


@dataclass(slots=True)
class SimWorker:
    """One worker: its counters since *reset*, and what was credited, minute by minute, for a day."""

    name: str
    number: int
    reset: float
    accepted: Work = NO_WORK
    rejected: Work = NO_WORK
    stale: Work = NO_WORK
    last_share: float | None = None
    credited: deque[tuple[float, float]] = field(default_factory=deque)
    refused: deque[tuple[float, float]] = field(default_factory=deque)

    def rate(self, now: float, seconds: float) -> float:
        """Credited hashes per second over the last *seconds*."""
        return _sum(self.credited, now - seconds) * HASHES_PER_SHARE / seconds

    def refused_rate(self, now: float, seconds: float) -> float:
        """Hashes per second in shares that were not credited."""
        return _sum(self.refused, now - seconds) * HASHES_PER_SHARE / seconds

    def online(self, now: float) -> bool:
        """Whether a share came lately."""
        return self.last_share is not None and now - self.last_share < _OFFLINE_SECONDS


def _txid(ticker: str, time: float) -> str:
    return hashlib.sha256(f"{ticker}/{time:.0f}".encode()).hexdigest()


def _sum(buckets: deque[tuple[float, float]], since: float) -> float:
    total = 0.0
    for minute, work in reversed(buckets):
        if minute + _BUCKET_SECONDS <= since:
            break
        # The oldest minute counts as far as it lies within.
        total += work * min(1.0, (minute + _BUCKET_SECONDS - since) / _BUCKET_SECONDS)
    return total


def _book(buckets: deque[tuple[float, float]], now: float, work: float) -> None:
    minute = now // _BUCKET_SECONDS * _BUCKET_SECONDS
    if buckets and buckets[-1][0] == minute:
        buckets[-1] = (minute, buckets[-1][1] + work)
    else:
        buckets.append((minute, work))
        while buckets[0][0] < now - DAY - _BUCKET_SECONDS:
            buckets.popleft()


class SimAccount:
    """The account all scrypt *miners* mine for; *clock* is the miners' own, and was 0 at *started*.

    *fee* is the share the pool keeps. What the account sees of a time before the start is drawn as the same
    miners would have left it.
    """

    def __init__(
        self,
        miners: Sequence[SimMiner],
        *,
        seed: int,
        started: float,
        clock: Callable[[], float],
        name: str = "account",
        key: str = "simulated-key",
        fee: float = 0.02,
    ) -> None:
        self.name = name
        self.key = key
        self.fee = fee
        self.faults: dict[str, dict[str, float]] = {}
        self.networks = {
            "LTC": SimNetwork(1.05e8, 6.25, 150.0, 42.5, 3_050_000),
            "DOGE": SimNetwork(4.2e7, 10_000.0, 60.0, 0.0726, 6_100_000),
        }
        self.coins = {ticker: SimCoin() for ticker in self.networks}
        self.workers: dict[str, SimWorker] = {}
        # Hashes the owner's shares stood for, by the miner that did them: the truth, whatever is credited.
        self.done: dict[str, float] = {}
        self.now = started
        self._rng = random.Random(f"{seed}/account")
        self._miners = [miner for miner in miners if miner.hardware.share_factor == HASHES_PER_SHARE]
        self._clock = clock
        self._started = started
        self._day = started // DAY
        for miner in self._miners:
            self._history(miner, started)
            miner.on_shares = self._shares_of(miner)
        for coin in self.coins.values():
            coin.balance = coin.yesterday * (started % DAY) / DAY

    def inject(self, fault: str, given: Mapping[str, object] | None = None) -> None:
        """Start misbehaving.

        Raises:
            UnknownFaultError: there is no such fault.
        """
        self.faults[fault] = parameters(POOL_FAULTS, fault, given)
        if fault == "counter_reset":
            for worker in self.workers.values():
                worker.accepted = worker.rejected = worker.stale = NO_WORK
                worker.reset = self.now

    def repair(self, fault: str | None = None) -> None:
        """Stop misbehaving in one way, or in all."""
        for name in [fault] if fault else list(self.faults):
            self.faults.pop(name, None)

    def advance(self) -> None:
        """Book what the miners found until now."""
        elapsed = self._clock()
        for miner in self._miners:
            miner.advance(elapsed)
        self.now = self._started + elapsed
        if self.now // DAY > self._day:
            self._day = self.now // DAY
            for ticker, coin in self.coins.items():
                coin.yesterday = self.earned_24h(ticker)
                self._pay(ticker, coin, self._day * DAY)

    def rate(self, seconds: float) -> float:
        """Credited hashes per second of all workers over the last *seconds*."""
        return sum(worker.rate(self.now, seconds) for worker in self.workers.values())

    def coins_per_hash(self, ticker: str) -> float:
        """What the pool pays for a hash."""
        return self.networks[ticker].coins_per_hash * (1 - self.fee)

    def earned_24h(self, ticker: str) -> float:
        """What the credited work of the last day was worth."""
        return self.rate(DAY) * DAY * self.coins_per_hash(ticker)

    def expected_24h(self, ticker: str) -> float:
        """What a day at the rate of the last ten minutes is worth."""
        return self.rate(600.0) * DAY * self.coins_per_hash(ticker)

    def shown_workers(self) -> list[SimWorker]:
        """The workers as the pool lists them, its faults included."""
        workers = list(self.workers.values())
        if "vanishing_worker" in self.faults:
            workers = workers[1:]
        if "hostile_names" in self.faults:
            workers += [
                SimWorker(f"{self.name}.{name}", 9000 + index, self.now)
                for index, name in enumerate(HOSTILE_NAMES)
            ]
        if "many_workers" in self.faults:
            count = int(self.faults["many_workers"]["count"])
            workers += [
                SimWorker(f"{self.name}.extra{index}", 10_000 + index, self.now) for index in range(count)
            ]
        return workers

    def _pay(self, ticker: str, coin: SimCoin, time: float) -> None:
        coin.payouts.insert(0, Payout(time, coin.balance, _txid(ticker, time)))
        coin.paid += coin.balance
        coin.balance = 0.0
        del coin.payouts[30:]

    def _shares_of(self, miner: SimMiner) -> Callable[[SimPool, int, int, int], None]:
        def shares(pool: SimPool, good: int, bad: int, late: int) -> None:
            if pool.kind != "UserPool" or "wrong_worker" in miner.faults:
                return
            self.done[miner.worker] = self.done.get(miner.worker, 0.0) + (
                (good + bad + late) * pool.difficulty * HASHES_PER_SHARE
            )
            # When the miner found them, which is before now where nobody has looked for a while.
            at = self._started + miner.now
            self._credit(self._worker(miner.worker), at, pool.difficulty, good, bad, late)

        return shares

    def _worker(self, name: str) -> SimWorker:
        names = list(self.workers)
        if "swapped_worker" in self.faults and len(names) > 1 and name in names[:2]:
            name = names[1] if name == names[0] else names[0]
        return self.workers.setdefault(name, SimWorker(name, 1 + len(self.workers), self.now))

    def _credit(
        self, worker: SimWorker, at: float, difficulty: float, good: int, bad: int, late: int
    ) -> None:
        if "skim" in self.faults:
            kept = self.faults["skim"]["percent"] / 100
            taken = sum(self._rng.random() < kept for _ in range(good)) if good <= 50 else round(good * kept)
            good -= taken
        worker.accepted = worker.accepted.plus(good, good * difficulty)
        worker.rejected = worker.rejected.plus(bad, bad * difficulty)
        worker.stale = worker.stale.plus(late, late * difficulty)
        _book(worker.credited, at, good * difficulty)
        _book(worker.refused, at, (bad + late) * difficulty)
        if good:
            worker.last_share = at
        for ticker, coin in self.coins.items():
            earned = good * difficulty * HASHES_PER_SHARE * self.coins_per_hash(ticker)
            coin.balance += earned
            coin.earned += earned

    def _history(self, miner: SimMiner, started: float) -> None:
        """What a day of the same miner would have left, in the ledger and among the payouts."""
        worker = self._worker(miner.worker)
        worker.reset = started - 30 * DAY
        pool = miner.pools[0]
        a_minute = miner.owner_rate() * _BUCKET_SECONDS
        shares_a_minute = a_minute / (pool.difficulty * HASHES_PER_SHARE)
        this_minute = started // _BUCKET_SECONDS * _BUCKET_SECONDS
        for minute in range(-int(DAY / _BUCKET_SECONDS), 1):
            at = this_minute + minute * _BUCKET_SECONDS
            # The minute of the start is as long as it has lasted.
            seconds = min(_BUCKET_SECONDS, started - at)
            good = poisson(self._rng, shares_a_minute * seconds / _BUCKET_SECONDS)
            _book(worker.credited, at, good * pool.difficulty)
            if good:
                worker.last_share = at + self._rng.uniform(0, seconds)
        work = _sum(worker.credited, started - DAY)
        worker.accepted = Work(round(30 * work / pool.difficulty), 30 * work)
        worker.rejected = Work(round(0.06 * work / pool.difficulty), 0.06 * work)
        worker.stale = Work(round(0.03 * work / pool.difficulty), 0.03 * work)
        for ticker, coin in self.coins.items():
            a_day = work * HASHES_PER_SHARE * self.coins_per_hash(ticker)
            coin.yesterday += a_day
            coin.earned += 30 * a_day
            coin.paid += 29 * a_day
            for day in range(3):
                time = (self._day - day) * DAY
                if len(coin.payouts) <= day:
                    coin.payouts.append(Payout(time, 0.0, _txid(ticker, time)))
                coin.payouts[day] = coin.payouts[day]._replace(amount=coin.payouts[day].amount + a_day)
