"""Readings to samples: what is dropped because it cannot be true."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from exporter import catalogue as c
from exporter.exposition import Format, Page, render
from exporter.vnish.metrics import samples
from exporter.vnish.reading import (
    Board,
    BoardDetail,
    Chips,
    Factory,
    FactoryBoard,
    Fan,
    Identity,
    MinerReading,
    Pool,
    Preset,
    Range,
    Sensor,
)


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


def whole() -> MinerReading:
    """A reading in which every figure is another."""
    return MinerReading(
        Identity(
            "v1", "Antminer L9", "scrypt", "vnish", "1.2.7", "amlogic", "nand", "SN1", "aa:bb", "barn1-l9-03"
        ),
        endpoints={"/summary": True, "/chips": False},
        state="failure",
        state_seconds=11.0,
        failure_code=12.0,
        failure="board 2 lost",
        uptime=13.0,
        throttle=0.14,
        restarts=15.0,
        restart_required=True,
        reboot_required=False,
        locating=True,
        warranty="active",
        hashrate=16e9,
        hashrate_average=16.1e9,
        hashrate_nominal=16.2e9,
        hashrate_stock=16.3e9,
        devfee_hashrate=0.4e9,
        devfee_ratio=0.02,
        hardware_errors=17.0,
        hardware_error_ratio=0.001,
        found_blocks=1.0,
        best_share=18.0,
        power=3300.0,
        power_metered=True,
        preset=Preset("3300", "tuned", 3310.0, True, 75.0, 65.0, "3500", 3510.0, "2900", 2910.0, 545e6, 13.2),
        chip_temperature=Range(61.0, 72.0),
        pcb_temperature=Range(51.0, 62.0),
        water={"inlet": 31.0},
        psu_temperatures={"1": 41.0},
        fan_count=4.0,
        fans_required=3.0,
        fans=[Fan("1", 4200.0, 6000.0, True), Fan("2", 0.0, 0.0, False)],
        fan_duty=0.7,
        cooling_mode="auto",
        cooling_target=60.0,
        memory_total=256e6,
        memory_free=64e6,
        boards=[
            Board(
                "1",
                "failure",
                "no chips",
                5.1e9,
                5.4e9,
                1100.0,
                13.1,
                546e6,
                Range(63.0, 71.0),
                Range(53.0, 61.0),
                21.0,
                22.0,
                19.0,
                0.002,
                None,
                {"green": 100.0, "red": 10.0},
            ),
            Board("2", hashrate_nominal=0.0, chips_expected=111.0),
        ],
        boards_expected=3.0,
        chips_expected=110.0,
        pools=[
            Pool(
                "0",
                "UserPool",
                "stratum:3333",
                "D.w",
                "active",
                1e3,
                20.0,
                2.0,
                1e6,
                131072.0,
                65536.0,
                4.0,
                0.03,
            ),
            Pool("1", "DevFee"),
        ],
        details=[
            BoardDetail(
                "1",
                Chips(
                    ("1", "2"),
                    [45e6, 46e6],
                    [66.0, 67.0],
                    [546e6, 547e6],
                    [0.31, 0.32],
                    [3.0, 4.0],
                    [0.0, 1.0],
                    ("green", "red"),
                ),
                [Sensor("5", 52.0, 64.0, True)],
            )
        ],
        details_age=23.0,
        factory=Factory("APW12", "P1", 16.4e9, [FactoryBoard("1", "BHB", "B1", "A"), FactoryBoard("2")]),
        authenticated=True,
        unlock_wait=24.0,
    )


def test_every_figure_has_its_series(request: pytest.FixtureRequest) -> None:
    made, dropped = page(whole())
    assert dropped == {}
    lines = [line for line in render([({}, made)], Format.TEXT).decode().splitlines() if line[0] != "#"]
    golden = Path(__file__).with_name("whole_miner.prom")
    if request.config.getoption("--update-golden"):
        golden.write_text("\n".join(lines) + "\n")
    assert lines == golden.read_text().splitlines()


def test_every_figure_that_cannot_be_true_is_dropped_by_its_name() -> None:
    right, wrong = whole(), MinerReading(Identity("v1"))
    # What is not a series of its own.
    others = ("hashrate_in_words", "chips_expected", "details_age")
    figures = [
        name
        for name in MinerReading.__slots__
        if name not in others and isinstance(getattr(right, name), float | bool)
    ]
    for name in figures:
        setattr(wrong, name, math.nan)
    wrong.factory = Factory(hashrate=math.nan)
    made, dropped = page(wrong)
    assert sum(dropped.values()) == len(figures) + 1
    written = {metric.name for metric, _ in page(right)[0].families()}
    assert set(dropped) <= written
    assert {metric.name for metric, _ in made.families()} == {"vnish_miner_info"}


def test_who_the_miner_is_may_be_unknown() -> None:
    made, _ = page(MinerReading(Identity("cgi")))
    assert made.value(c.MINER_INFO, *[""] * 9, "cgi") == 1.0


@pytest.mark.parametrize(
    ("preset", "shown"),
    [
        (Preset(), {}),
        (Preset(name="3300"), {("3300", ""): 1.0}),
        (Preset(status="tuned"), {}),
        (Preset(top="3500"), {("3500", ""): 1.0}),
        (Preset(bottom="2900"), {("", "2900"): 1.0}),
    ],
)
def test_what_is_known_of_a_preset(preset: Preset, shown: dict[tuple[str, ...], float]) -> None:
    made, _ = page(miner(preset=preset))
    assert made.family(c.PRESET_INFO) | made.family(c.PRESET_SWITCHER_INFO) == shown


@pytest.mark.parametrize(
    ("factory", "shown"),
    [
        (Factory(), {}),
        (Factory(psu_model="APW12"), {("APW12", ""): 1.0}),
        (Factory(psu_serial="P1"), {("", "P1"): 1.0}),
    ],
)
def test_what_is_known_of_a_power_supply(factory: Factory, shown: dict[tuple[str, ...], float]) -> None:
    assert page(miner(factory=factory))[0].family(c.PSU_INFO) == shown


def test_what_the_board_says_of_its_chips_goes_before_what_the_model_has() -> None:
    made, _ = page(miner(chips_expected=110.0, boards=[Board("1", chips_expected=0.0), Board("2")]))
    assert made.value(c.BOARD_CHIPS_EXPECTED, "1") == 0.0
    assert made.value(c.BOARD_CHIPS_EXPECTED, "2") == 110.0


def test_limits_of_hashrates_belong_to_what_may_be() -> None:
    for rate in (1e8, 2e11):
        made, dropped = page(miner(hashrate=rate, hashrate_nominal=rate, factory=Factory(hashrate=rate)))
        assert made.value(c.HASHRATE) == made.value(c.HASHRATE_FACTORY) == rate
        assert dropped == {}
    # The better of nominal and stock rate is what three times is taken of.
    made, dropped = page(miner(hashrate=51e9, hashrate_nominal=10e9, hashrate_stock=17e9))
    assert made.value(c.HASHRATE) == 51e9
    made, dropped = page(miner(hashrate=51.1e9, hashrate_nominal=10e9, hashrate_stock=17e9))
    assert dropped == {c.HASHRATE.name: 1}


def test_without_an_algorithm_only_what_nothing_can_do_is_dropped() -> None:
    made, dropped = page(MinerReading(Identity("v1"), hashrate=1e3, factory=Factory(hashrate=1e3)))
    assert made.value(c.HASHRATE) == made.value(c.HASHRATE_FACTORY) == 1e3
    assert dropped == {}


def chips(count: int = 3, **columns: object) -> Chips:
    """Chips of which nothing is known but what is given."""
    nothing = (None,) * count
    known = Chips(tuple(map(str, range(1, count + 1))), *[nothing] * 6, nothing)
    return replace(known, **columns)  # type: ignore[arg-type]


CHIP_SERIES = [
    ("hashrate", c.CHIP_HASHRATE, 50e9 * 3),
    ("temperature", c.CHIP_TEMPERATURE, c.CHIP_TEMPERATURE.high),
    ("frequency", c.CHIP_FREQUENCY, c.CHIP_FREQUENCY.high),
    ("voltage", c.CHIP_VOLTAGE, c.CHIP_VOLTAGE.high),
    ("throttled", c.CHIP_THROTTLED, 1.0),
]


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("column", "metric", "most"), CHIP_SERIES)
def test_chips_have_the_bounds_of_their_series(
    column: str, metric: c.Metric, most: float, *, even: bool
) -> None:
    low = metric.low
    too_low, too_high = math.nextafter(low, -math.inf), math.nextafter(most, math.inf)
    for good in (low, most):
        values = [good] * 3 if even else [low, good, most]
        told = [BoardDetail("1", chips(**{column: values}))]
        made, dropped = page(miner(hashrate_nominal=50e9, details=told))
        assert [made.value(metric, "1", number) for number in "123"] == values
        assert dropped == {}
    for bad in (too_low, too_high):
        values = [bad] * 3 if even else [low, bad, most]
        told = [BoardDetail("1", chips(**{column: values}))]
        made, dropped = page(miner(hashrate_nominal=50e9, details=told))
        kept = [None] * 3 if even else [low, None, most]
        assert [made.value(metric, "1", number) for number in "123"] == kept
        assert dropped == {metric.name: 3 if even else 1}


def test_a_chip_that_says_nothing_has_no_series_and_takes_none_from_the_others() -> None:
    told = chips(temperature=[60.0, None, 62.0], grade=("green", None, "red"))
    made, dropped = page(miner(details=[BoardDetail("1", told)]))
    assert made.family(c.CHIP_TEMPERATURE) == {("1", "1"): 60.0, ("1", "3"): 62.0}
    assert made.family(c.CHIP_GRADE) == {("1", "1", "green"): 1.0, ("1", "3", "red"): 1.0}
    assert dropped == {}


@pytest.mark.parametrize(
    "twice",
    [
        [BoardDetail("1", chips(2, numbers=("1", "1"), temperature=[60.0, 61.0], grade=("green", "green")))],
        [
            BoardDetail("1", chips(1, temperature=[60.0], grade=("green",))),
            BoardDetail("1", chips(1, temperature=[61.0], grade=("green",))),
        ],
    ],
)
def test_two_chips_of_one_number_are_one_series(twice: list[BoardDetail]) -> None:
    made, _ = page(miner(details=twice))
    text = render([({}, made)], Format.TEXT).decode()
    assert text.count('vnish_chip_temperature_celsius{board="1",chip="1"} 60.0') == 1
    assert text.count("vnish_chip_temperature_celsius{") == 1
    assert text.count("vnish_chip_grade{") == 1


def test_chips_of_a_miner_in_the_wrong_unit_have_no_hashrate() -> None:
    told = [BoardDetail("1", chips(hashrate=[0.0, 0.0, 1.0]))]
    made, dropped = page(miner(hashrate_nominal=16e12, details=told))
    assert made.value(c.CHIP_HASHRATE, "1", "1") is None
    assert dropped[c.CHIP_HASHRATE.name] == 3


def test_boards_without_chips_keep_their_sensors() -> None:
    told = [BoardDetail("1", sensors=[Sensor("5", 500.0, None, False)]), BoardDetail("2", chips())]
    made, dropped = page(miner(details=told, details_age=-1.0))
    assert made.value(c.BOARD_SENSOR_OK, "1", "5") == 0.0
    assert dropped == {c.BOARD_SENSOR.name: 1, c.CHIPS_AGE.name: 1}
