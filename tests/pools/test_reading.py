"""What drivers share in making a reading: coins, workers and their bounds."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter.fields import Fields
from exporter.pools.figures import hashrates
from exporter.pools.reading import Coin, PoolReading, Worker
from exporter.pools.workers import MOST_WORKERS, Seen, WorkerNames, bounded
from tests.conftest import FakeClock


def test_the_newest_payout_is_the_last_and_of_two_at_once_the_first() -> None:
    coin = Coin()
    for time, amount in ((200.0, 2.0), (100.0, 1.0), (200.0, 3.0)):
        coin.paid_at(time, amount)
        assert (coin.last_payout_time, coin.last_payout) == (200.0, 2.0)
    coin.paid_at(201.0, None)
    assert (coin.last_payout_time, coin.last_payout) == (201.0, None)


def test_a_coin_and_a_network_are_made_once() -> None:
    found = PoolReading()
    found.coin("LTC").earned_24h = 0.1
    found.network("LTC").difficulty = 38e6
    assert found.coin("LTC").earned_24h == 0.1
    assert found.network("LTC").difficulty == 38e6
    assert found.coin("DOGE").earned_24h is None
    assert set(found.coins) == {"LTC", "DOGE"}
    assert set(found.networks) == {"LTC"}


def test_who_is_neither_online_nor_offline_is_counted_as_neither() -> None:
    found = PoolReading(workers=[Worker(str(n), online=on) for n, on in enumerate((True, True, False, None))])
    found.count_workers()
    assert (found.workers_online, found.workers_offline) == (2, 1)


def test_hashrates_are_told_by_window_and_scaled() -> None:
    odd: Counter[str] = Counter()
    data = Fields({"now": "2.5", "day": 3, "odd": []}, "x", odd)
    windows = (("now", "now", 1e9), ("24h", "day", 1.0), ("1h", "hour", 1.0), ("10m", "odd", 1.0))
    assert hashrates(data, windows) == {"now": 2.5e9, "24h": 3.0}
    assert odd == {"x.odd": 1}


def test_workers_are_cleaned_bounded_and_each_once() -> None:
    raw = ["a\x00b", "", " ", "ab", "x" * 200, "c"]
    workers, cut = bounded((name, Worker) for name in raw)
    assert [worker.name for worker in workers] == ["ab", "x" * 128, "c"]
    assert cut == 3
    workers, cut = bounded((str(number), Worker) for number in range(MOST_WORKERS + 5))
    assert len(workers) == MOST_WORKERS
    assert cut == 5


def test_a_new_list_of_workers_takes_the_place_of_the_old() -> None:
    names = WorkerNames()
    assert list(names.miners("rig")) == []
    names.update([("rig", "a")])
    names.update([("rig2", "b")])
    assert list(names.miners("rig")) == []
    assert list(names.miners("account.rig2")) == ["b"]


def test_who_was_listed_before_is_gone_until_forgotten(clock: FakeClock) -> None:
    seen = Seen(clock, 600.0)
    assert seen.gone(["a", "b"]) == []
    clock.advance(599)
    assert seen.gone(["b", "c"]) == ["a"]
    assert seen.gone(["b", "c"]) == ["a"]
    clock.advance(1)
    assert sorted(seen.gone([])) == ["b", "c"]
    assert seen.gone(["a", "b", "c"]) == []


def test_those_gone_are_told_latest_first_and_leave_room_for_the_rest(clock: FakeClock) -> None:
    seen = Seen(clock, 1e9)
    for name in ("first", "second", "third"):
        seen.gone([name])
        clock.advance(1)
    assert seen.gone([]) == ["third", "second", "first"]
    crowd = [str(number) for number in range(MOST_WORKERS - 2)]
    assert seen.gone(crowd) == ["third", "second"]
    assert seen.gone([*crowd, "x", "y", "z"]) == []
    assert "third" not in seen.gone([])


@pytest.mark.parametrize("worker", ["a.rig", "rig"])
def test_a_worker_without_a_miner_has_none(worker: str) -> None:
    assert list(WorkerNames().miners(worker)) == []
