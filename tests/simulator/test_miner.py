from __future__ import annotations

import random
import statistics

import pytest

from exporter.simulator.faults import MINER_FAULTS, UnknownFaultError
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner, poisson


def miner(model: str = "l9", seed: int = 3) -> SimMiner:
    return SimMiner("m", HARDWARE[model], seed, "account.m")


def state(one: SimMiner) -> tuple[float, float, float, list[int]]:
    return one.rate(), one.watts(), one.boards[0].celsius, [pool.accepted for pool in one.pools]


def test_the_same_seed_is_the_same_miner_and_another_is_not() -> None:
    twins, other = [miner(), miner()], miner(seed=4)
    for one in (*twins, other):
        one.advance(500)
    assert state(twins[0]) == state(twins[1])
    assert state(twins[0]) != state(other)


def test_looking_often_or_seldom_makes_no_difference() -> None:
    often, seldom = miner(), miner()
    for now in range(0, 301, 3):
        often.advance(now)
    seldom.advance(300)
    assert state(often) == state(seldom)


@pytest.mark.parametrize("model", HARDWARE)
def test_a_healthy_miner_is_near_its_data_sheet(model: str) -> None:
    one = miner(model)
    hardware = HARDWARE[model]
    rates, watts, hottest = [], [], []
    for now in range(0, 1200, 10):
        one.advance(now)
        rates.append(one.rate())
        watts.append(one.watts())
        hottest.append(max(board.celsius for board in one.boards))
    assert statistics.mean(rates) == pytest.approx(hardware.rate, rel=0.03)
    assert statistics.stdev(rates) > 0
    assert statistics.mean(watts) == pytest.approx(hardware.watts, rel=0.03)
    assert all(50 < celsius < 80 for celsius in hottest)


def test_chips_add_up_to_their_board() -> None:
    one = miner()
    board = one.boards[1]
    jitter = one.jitter(board)
    total = sum(one.chip_rate(board, chip, jitter) for chip in range(110))
    assert total == pytest.approx(one.board_rate(board), rel=0.05)


def test_shares_are_a_poisson_process_at_the_pools_difficulty() -> None:
    one = miner()
    before = one.pools[0].accepted
    one.advance(900)
    found = one.pools[0].accepted - before
    mean = one.rate() * 1e6 * 900 * 0.98 / (131_072 * 2**16)
    assert abs(found - mean) < 6 * mean**0.5


@pytest.mark.parametrize("mean", [0.1, 3.0, 200.0])
def test_poisson_has_its_mean_and_variance(mean: float) -> None:
    rng = random.Random(5)
    drawn = [poisson(rng, mean) for _ in range(4000)]
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.15)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.15)


def test_a_restart_goes_through_the_firmwares_states() -> None:
    one = miner()
    one.advance(10)
    one.restart()
    seen = [one.state]
    for now in range(11, 120):
        one.advance(now)
        if one.state != seen[-1]:
            seen.append(one.state)
    assert seen == ["shutting-down", "starting", "initializing", "mining"]
    assert one.restarts == 1


def test_overheating_heats_and_drives_the_fans() -> None:
    one = miner()
    one.advance(300)
    before = max(board.celsius for board in one.boards), one.duty
    one.inject("overheating")
    one.advance(900)
    assert max(board.celsius for board in one.boards) > 90
    assert one.duty > before[1]


def test_a_stopped_fan_stands_still_and_the_others_work_harder() -> None:
    one = miner()
    one.inject("fan_stopped", {"fan": 2})
    one.advance(300)
    assert one.fan_rpm[2] == 0.0
    assert one.fan_rpm[0] > 3000


def test_a_lost_board_takes_its_hashes_with_it() -> None:
    one = miner()
    one.inject("board_lost", {"board": 2})
    one.advance(60)
    assert one.rate() == pytest.approx(17_000 * 2 / 3, rel=0.05)
    assert [one.board_state(board) for board in one.boards] == ["mining", "failure", "mining"]


def test_rejected_shares_are_rejected() -> None:
    one = miner()
    one.advance(10)
    accepted, rejected = one.pools[0].accepted, one.pools[0].rejected
    one.inject("shares_rejected", {"percent": 50})
    one.advance(600)
    more_accepted, more_rejected = one.pools[0].accepted - accepted, one.pools[0].rejected - rejected
    assert more_rejected / (more_accepted + more_rejected) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("fault", MINER_FAULTS)
def test_every_fault_can_come_and_go(fault: str) -> None:
    one = miner()
    one.inject(fault)
    one.advance(200)
    one.repair(fault)
    one.advance(600)
    assert one.faults == {}
    assert one.state == "mining"


def test_unknown_faults_and_parameters_are_refused() -> None:
    with pytest.raises(UnknownFaultError, match="no fault 'gremlins'; there are unplugged"):
        miner().inject("gremlins")
    with pytest.raises(UnknownFaultError, match="has no parameter 'colour'; it has board"):
        miner().inject("board_lost", {"colour": 1})
    with pytest.raises(UnknownFaultError, match="expected a number"):
        miner().inject("board_lost", {"board": "two"})
