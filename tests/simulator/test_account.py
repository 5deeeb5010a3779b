"""The ledger: what the pool credits is what the miners did, and its faults take what they say."""

from __future__ import annotations

import pytest

from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner
from exporter.simulator.pools.account import DAY, HASHES_PER_SHARE, SimAccount

STARTED = 1_790_000_000.0


class Farm:
    """Some L9s and their account, in a time of their own."""

    def __init__(self, seed: int, count: int = 2) -> None:
        self.now = 0.0
        self.miners = [
            SimMiner(f"m{index}", HARDWARE["l9"], seed * 100 + index, f"account.m{index}")
            for index in range(count)
        ]
        self.account = SimAccount(self.miners, seed=seed, started=STARTED, clock=lambda: self.now)
        self.before = {miner.worker: miner.hashes_done for miner in self.miners}

    def live(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 600.0)
            self.account.advance()

    def credited(self, worker: str) -> float:
        one = self.account.workers[worker]
        return (one.accepted.difficulty + one.rejected.difficulty + one.stale.difficulty) * HASHES_PER_SHARE


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_share_of_difficulty_1_is_65536_hashes_by_the_miners_own_count(seed: int) -> None:
    farm = Farm(seed)
    start = {miner.worker: farm.credited(miner.worker) for miner in farm.miners}
    farm.live(6 * 3600)
    for miner in farm.miners:
        hashes = (miner.hashes_done - farm.before[miner.worker]) * (1 - 0.01842)
        credited = farm.credited(miner.worker) - start[miner.worker]
        shares = credited / (miner.pools[0].difficulty * HASHES_PER_SHARE)
        # Shares are a Poisson process: four standard errors.
        assert credited == pytest.approx(hashes, rel=4 / shares**0.5)
        assert farm.account.done[miner.worker] == pytest.approx(credited)


@pytest.mark.parametrize("seconds", [600.0, 3600.0, DAY])
def test_every_window_shows_the_rate_of_the_miners(seconds: float) -> None:
    farm = Farm(4)
    farm.live(1200)
    miner = farm.miners[0]
    worker = farm.account.workers[miner.worker]
    shares = miner.owner_rate() * seconds / (miner.pools[0].difficulty * HASHES_PER_SHARE)
    assert worker.rate(farm.account.now, seconds) == pytest.approx(
        miner.owner_rate() * 0.997, rel=0.02 + 4 / shares**0.5
    )


@pytest.mark.parametrize("into_the_minute", [0.0, 1.0, 30.0, 59.0])
def test_the_first_window_is_full_whenever_the_pool_starts(into_the_minute: float) -> None:
    started = STARTED // 60 * 60 + into_the_minute
    miner = SimMiner("m", HARDWARE["l9"], 1, "account.m")
    account = SimAccount([miner], seed=1, started=started, clock=lambda: 0.0)
    shares = miner.owner_rate() * 300 / (miner.pools[0].difficulty * HASHES_PER_SHARE)
    assert account.rate(300.0) == pytest.approx(miner.owner_rate(), rel=0.02 + 4 / shares**0.5)


def test_a_skim_of_5_percent_takes_5_percent() -> None:
    honest, skimmed = Farm(5), Farm(5)
    skimmed.account.inject("skim", {"percent": 5})
    rates = []
    for farm in (honest, skimmed):
        start = farm.account.workers["account.m0"].accepted.difficulty
        farm.live(DAY / 2)
        rates.append(farm.account.workers["account.m0"].accepted.difficulty - start)
    assert rates[1] / rates[0] == pytest.approx(0.95, abs=0.01)


def test_swapped_workers_get_each_others_shares() -> None:
    farm = Farm(6)
    farm.miners[1].inject("paused")
    farm.account.inject("swapped_worker")
    farm.live(1800)
    now = farm.account.now
    assert farm.account.workers["account.m1"].rate(now, 600) > 1e10
    assert farm.account.workers["account.m0"].rate(now, 600) == 0


@pytest.mark.parametrize("fault", ["unplugged", "wrong_worker", "paused"])
def test_who_does_not_mine_for_the_owner_is_credited_nothing(fault: str) -> None:
    farm = Farm(7)
    farm.live(60)
    farm.miners[0].inject(fault)
    farm.live(1800)
    assert farm.account.workers["account.m0"].rate(farm.account.now, 600) == 0
    assert not farm.account.workers["account.m0"].online(farm.account.now)
    assert farm.account.workers["account.m1"].online(farm.account.now)


def test_money_follows_from_the_work() -> None:
    farm = Farm(8)
    for ticker, coin in farm.account.coins.items():
        before = coin.balance + coin.paid
        work = sum(worker.accepted.difficulty for worker in farm.account.workers.values())
        earned = coin.earned
        farm.live(2 * DAY)
        done = sum(worker.accepted.difficulty for worker in farm.account.workers.values()) - work
        worth = done * HASHES_PER_SHARE * farm.account.coins_per_hash(ticker)
        assert coin.earned - earned == pytest.approx(worth)
        assert coin.balance + coin.paid - before == pytest.approx(worth)
        assert [one.time % DAY for one in coin.payouts] == [0] * len(coin.payouts)
