"""Readings to samples: what is dropped because it cannot be true."""

from __future__ import annotations

import pytest

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.vnish.metrics import samples
from exporter.vnish.reading import Board, Factory, Identity, MinerReading, Pool, Range


def page(reading: MinerReading) -> tuple[Page, dict[str, int]]:
    made = Page()
    return made, dict(samples(reading, made))


def miner(**fields: object) -> MinerReading:
    reading = MinerReading(Identity("v1", algorithm=str(fields.pop("algorithm", "scrypt"))))
    for name, value in fields.items():
        setattr(reading, name, value)
    return reading


@pytest.mark.parametrize(
    ("algorithm", "true_rate"), [("scrypt", 504e6), ("scrypt", 9.5e9), ("scrypt", 17e9), ("sha256d", 100e12)]
)
@pytest.mark.parametrize("mistake", [1e3, 1e-3])
def test_a_thousandfold_unit_error_reaches_no_graph(algorithm: str, true_rate: float, mistake: float) -> None:
    right, dropped = page(miner(algorithm=algorithm, hashrate=true_rate, hashrate_nominal=true_rate))
    assert right.value(c.HASHRATE) == true_rate
    assert dropped == {}
    rate = true_rate * mistake
    wrong, dropped = page(
        miner(
            algorithm=algorithm, hashrate=rate, hashrate_nominal=rate, boards=[Board("1", hashrate=rate / 3)]
        )
    )
    assert wrong.value(c.HASHRATE) is None
    assert wrong.value(c.BOARD_HASHRATE, "1") is None
    assert dropped[c.HASHRATE.name] == 1
    assert dropped[c.BOARD_HASHRATE.name] == 1


def test_a_rate_with_its_own_unit_is_not_held_against_the_algorithm() -> None:
    told = miner(hashrate=1.5e14, boards=[Board("0", hashrate=5e13)], hashrate_in_words=True)
    made, dropped = page(told)
    assert made.value(c.HASHRATE) == 1.5e14
    assert made.value(c.BOARD_HASHRATE, "0") == 5e13
    assert dropped == {}
    _, dropped = page(miner(hashrate=1.5e14))
    assert dropped == {c.HASHRATE.name: 1}
    _, dropped = page(miner(hashrate=1.5e18, hashrate_in_words=True))
    assert dropped == {c.HASHRATE.name: 1}, "nothing on earth does that"


@pytest.mark.parametrize(("rate", "true"), [(16e9, True), (16e6, False), (16e12, False), (0.0, None)])
def test_what_the_factory_rated_is_held_to_the_algorithm(rate: float, true: bool | None) -> None:
    made, dropped = page(miner(hashrate=17e9, factory=Factory(hashrate=rate)))
    assert made.value(c.HASHRATE_FACTORY) == (rate if true else None)
    assert dropped == ({c.HASHRATE_FACTORY.name: 1} if true is False else {})
    assert made.value(c.HASHRATE) == 17e9


def test_a_rate_far_above_nominal_is_dropped_alone() -> None:
    made, dropped = page(miner(hashrate=60e9, hashrate_average=17e9, hashrate_nominal=17e9))
    assert made.value(c.HASHRATE) is None
    assert made.value(c.HASHRATE_AVERAGE) == 17e9
    assert dropped == {c.HASHRATE.name: 1}


def test_zero_while_mining_is_zero() -> None:
    made, _ = page(miner(hashrate=0.0, hashrate_nominal=17e9, state="mining"))
    assert made.value(c.HASHRATE) == 0.0


def test_a_nominal_rate_of_zero_is_no_rating() -> None:
    made, dropped = page(miner(hashrate=0.0, hashrate_nominal=0.0, hashrate_stock=0.0, state="failure"))
    assert made.value(c.HASHRATE) == 0.0
    assert made.value(c.HASHRATE_NOMINAL) is None
    assert dropped == {}


def test_power_of_zero_while_hashing_is_dropped_and_while_stopped_is_true() -> None:
    made, dropped = page(miner(power=0.0, hashrate=17e9))
    assert made.value(c.POWER) is None
    assert dropped == {c.POWER.name: 1}
    made, dropped = page(miner(power=0.0, hashrate=0.0))
    assert made.value(c.POWER) == 0.0
    assert dropped == {}


@pytest.mark.parametrize("celsius", [-40.0, -1.0, 0.0, 201.0, 65_535.0])
def test_temperatures_no_running_board_has(celsius: float) -> None:
    made, dropped = page(miner(chip_temperature=Range(None, celsius)))
    assert made.value(c.CHIP_TEMPERATURE_MAX) is None
    assert dropped == {c.CHIP_TEMPERATURE_MAX.name: 1}


def test_ratios_and_counters_stay_in_their_range() -> None:
    made, dropped = page(miner(fan_duty=1.2, hardware_errors=-1.0, devfee_ratio=0.5))
    assert made.value(c.FAN_DUTY) is None
    assert made.value(c.HARDWARE_ERRORS) is None
    assert made.value(c.DEVFEE_RATIO) == 0.5
    assert dropped == {c.FAN_DUTY.name: 1, c.HARDWARE_ERRORS.name: 1}


def test_two_boards_of_one_number_are_one_series() -> None:
    made, _ = page(miner(boards=[Board("1", hashrate=5e9), Board("1", hashrate=6e9)]))
    assert made.value(c.BOARD_HASHRATE, "1") == 5e9
    assert made.value(c.BOARDS) == 2


def test_no_boards_and_unknown_boards_differ() -> None:
    assert page(miner(boards=[]))[0].value(c.BOARDS) == 0
    assert page(miner(boards=None))[0].value(c.BOARDS) is None


def test_a_pool_mined_to_is_active() -> None:
    made, _ = page(
        miner(pools=[Pool("0", "UserPool", status="active"), Pool("1", "UserPool", status="working")])
    )
    assert made.value(c.POOL_ACTIVE, "0", "UserPool") == 1.0
    assert made.value(c.POOL_ACTIVE, "1", "UserPool") == 0.0
    assert made.value(c.POOL_STATUS, "1", "UserPool", "working") == 1.0


def test_what_is_unknown_is_absent() -> None:
    made, dropped = page(MinerReading(Identity("v1")))
    assert {metric.name for metric, _ in made.families()} == {"vnish_miner_info"}
    assert dropped == {}
