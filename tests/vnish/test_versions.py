"""Every version and dialect in the field, simulated and read back to exact values."""

from __future__ import annotations

import pytest

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.simulator import api_v1
from exporter.simulator.hosts import MinerHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.metrics import samples
from exporter.vnish.reading import MinerReading
from exporter.vnish.source import VnishSource
from tests.conftest import FakeClock

MODELS = ("l9", "l7", "s19jpro")


async def read(
    outgoing: Outgoing, clock: FakeClock, host: MinerHost, source: VnishSource | None = None
) -> MinerReading:
    client = Client(outgoing, Endpoint("http", host.address, host.port), Policy(None), outgoing.clock() + 30)
    return await (source or VnishSource(clock)).read(client)


def page_of(reading: MinerReading) -> Page:
    page = Page()
    dropped = samples(reading, page)
    assert dropped == {}, "nothing a real firmware sends is implausible"
    assert reading.unexpected == {}, "nothing a real firmware sends is unexpected"
    return page


@pytest.mark.parametrize("version", api_v1.ALL_VERSIONS)
@pytest.mark.parametrize("model", MODELS)
async def test_a_version_reads_back_exactly(
    outgoing: Outgoing, clock: FakeClock, model: str, version: str
) -> None:
    async with Simulation([MinerSpec("m", model, version)]) as simulation:
        host = simulation.miners["m"]
        reading = await read(outgoing, clock, host)
        miner, hardware = host.miner, host.miner.hardware
        page = page_of(reading)
        assert reading.identity.algorithm == hardware.algorithm
        assert reading.identity.firmware_version == version
        assert reading.identity.model == hardware.name
        assert page.value(c.HASHRATE) == pytest.approx(miner.rate() * hardware.unit, rel=1e-6)
        assert page.value(c.POWER) == round(miner.watts())
        assert page.value(c.STATE, "mining") == 1.0
        assert page.value(c.CHIP_TEMPERATURE_MAX) == max(round(board.celsius) for board in miner.boards)
        assert page.value(c.BOARDS) == hardware.boards
        for board in miner.boards:
            number = str(board.number)
            assert page.value(c.BOARD_HASHRATE, number) == pytest.approx(
                miner.board_rate(board) * hardware.unit, rel=1e-5
            )
            assert page.value(c.BOARD_CHIP_TEMPERATURE_MAX, number) == round(board.celsius)
            assert page.value(c.BOARD_VOLTAGE, number) == hardware.board_millivolts / 1000
            assert page.value(c.BOARD_FREQUENCY, number) == hardware.chip_mhz * 1e6
            assert page.value(c.BOARD_CHIPS, number, "grey") == hardware.chips
            jitter = miner.jitter(board)
            rates = [miner.chip_rate(board, chip, jitter) for chip in range(hardware.chips)]
            for chip in (0, hardware.chips - 1):
                key = (number, str(chip + 1))
                assert page.value(c.CHIP_HASHRATE, *key) == pytest.approx(
                    round(rates[chip], 2) * hardware.unit
                )
                assert page.value(c.CHIP_FREQUENCY, *key) == hardware.chip_mhz * 1e6
                assert page.value(c.CHIP_GRADE, *key, "grey") == 1.0
        fans = [page.value(c.FAN_SPEED, str(index)) for index in range(hardware.fans)]
        assert fans == [round(rpm) for rpm in miner.fan_rpm]
        user = miner.pools[0]
        assert page.value(c.POOL_ACCEPTED, "0", "UserPool") == user.accepted
        assert page.value(c.POOL_DIFFICULTY, "0", "UserPool") == pytest.approx(user.difficulty, rel=0.01)


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        (
            "1.2.0-beta10",
            {
                c.HASHRATE_NOMINAL,
                c.POOL_PING,
                c.FAN_OK,
                c.PRESET_INFO,
                c.BOARD_INFO,
                c.CHIP_VOLTAGE,
                c.WARRANTY,
            },
        ),
        ("1.2.0-rc3", {c.HASHRATE_NOMINAL, c.FAN_OK, c.FAN_SPEED_MAX, c.BOARDS_EXPECTED, c.CHIP_VOLTAGE}),
        ("1.2.0-rc5", {c.HASHRATE_NOMINAL, c.FAN_SPEED_MAX, c.PSU_TEMPERATURE}),
        ("1.2.5", {c.BOARDS_EXPECTED, c.PSU_TEMPERATURE, c.RESTARTS, c.THROTTLE}),
        ("1.2.7", {c.RESTARTS, c.THROTTLE}),
        ("1.2.8", {c.RESTARTS, c.THROTTLE}),
        ("1.3.4", set()),
    ],
)
async def test_what_a_version_does_not_send_is_no_series(
    outgoing: Outgoing, clock: FakeClock, version: str, absent: set[c.Metric]
) -> None:
    async with Simulation([MinerSpec("m", "l9", version)]) as simulation:
        page = page_of(await read(outgoing, clock, simulation.miners["m"]))
        exported = {metric for metric, values in page.families() if values}
        assert not exported & absent
        later = {
            c.HASHRATE_NOMINAL,
            c.FAN_OK,
            c.PSU_TEMPERATURE,
            c.BOARDS_EXPECTED,
            c.RESTARTS,
            c.THROTTLE,
            c.PRESET_INFO,
            c.PRESET_SWITCHER_INFO,
            c.PRESET_TOP_POWER,
            c.FANS_REQUIRED,
            c.HASHRATE_FACTORY,
            c.BOARD_SENSOR_OK,
        }
        if version == "1.3.4":
            assert later <= exported


async def test_the_place_of_the_chips_is_found_and_remembered(outgoing: Outgoing, clock: FakeClock) -> None:
    for version, tried in (
        ("1.2.0-rc5", ["/api/v1/chains", "/api/v1/boards", "/api/v1/chips"]),
        ("1.2.7", ["/api/v1/chains"]),
        ("1.3.4", ["/api/v1/boards"]),
    ):
        async with Simulation([MinerSpec("m", "l9", version)]) as simulation:
            host = simulation.miners["m"]
            source = VnishSource(clock)
            places = {"/api/v1/chains", "/api/v1/boards", "/api/v1/chips"}
            assert (await read(outgoing, clock, host, source)).details
            assert [path for _, path in host.requests if path in places] == tried
            host.requests.clear()
            assert (await read(outgoing, clock, host, source)).details
            assert [path for _, path in host.requests if path in places] == tried[-1:]


async def test_chips_have_a_slower_rhythm_if_asked_to(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l9", "1.2.7")]) as simulation:
        host = simulation.miners["m"]
        source = VnishSource(clock, chips_interval=120)
        first = await read(outgoing, clock, host, source)
        clock.advance(60)
        second = await read(outgoing, clock, host, source)
        assert [path for _, path in host.requests].count("/api/v1/chains") == 1
        assert second.details is first.details
        assert (first.details_age, second.details_age) == (0.0, 60.0)
        clock.advance(61)
        await read(outgoing, clock, host, source)
        assert [path for _, path in host.requests].count("/api/v1/chains") == 2


async def test_nothing_is_asked_that_is_not_exported(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l9", "1.2.7")]) as simulation:
        host = simulation.miners["m"]
        await read(outgoing, clock, host, VnishSource(clock, boards=False, pools=False, chips=False))
        assert [path.removeprefix("/api/v1/") for _, path in host.requests] == [
            "info",
            "summary",
            "status",
            "model",
            "perf-summary",
        ]


async def test_only_sensors_that_measure_are_readings(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l9", "1.3.4")]) as simulation:
        page = page_of(await read(outgoing, clock, simulation.miners["m"]))
        sensors = page.family(c.BOARD_SENSOR)
        assert {place for _, _, place in sensors} == {"board", "chip"}
        assert len(sensors) == 3 * 2 * 2, "three boards, two sensors that measure of three, two places"
        assert set(page.family(c.BOARD_SENSOR_OK).values()) == {1.0}


async def test_a_lost_boards_sensors_are_in_error_and_it_says_why(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    for version in ("1.2.0-rc5", "1.2.7", "1.3.4"):
        async with Simulation([MinerSpec("m", "l9", version)]) as simulation:
            await simulation.inject("m", "board_lost")
            page = page_of(await read(outgoing, clock, simulation.miners["m"]))
            broken = {board for (board, _), ok in page.family(c.BOARD_SENSOR_OK).items() if not ok}
            assert broken == {"2"}
            assert {board for board, _, _ in page.family(c.BOARD_SENSOR)} == {"1", "3"}
            assert page.family(c.BOARD_FAILURE_INFO) == {("2", "chain#2 failed to init pic controller"): 1.0}


async def test_the_sensors_and_the_size_of_a_board_of_early_builds(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    for version in ("1.2.0-beta10", "1.2.0-rc3", "1.2.0-rc5"):
        async with Simulation([MinerSpec("m", "s19jpro", version)]) as simulation:
            host = simulation.miners["m"]
            page = page_of(await read(outgoing, clock, host))
            assert page.value(c.BOARD_CHIPS_EXPECTED, "2") == 126
            celsius = round(host.miner.boards[1].celsius)
            assert page.value(c.BOARD_SENSOR, "2", "63", "chip") == celsius
            assert page.value(c.BOARD_SENSOR, "2", "63", "board") == celsius - 12
            assert page.value(c.BOARD_SENSOR_OK, "2", "126") == 1


async def test_a_stopped_miners_boards_keep_their_rating(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l9", "1.3.4")]) as simulation:
        host = simulation.miners["m"]
        await simulation.inject("m", "paused")
        host.miner.advance(host.miner.now + 5)
        page = page_of(await read(outgoing, clock, host))
        assert page.value(c.STATE, "stopped") == 1
        assert page.value(c.BOARD_HASHRATE_NOMINAL, "1") == pytest.approx(17e9 / 3, rel=1e-4)


async def test_an_l3_plus_speaks_cgi_and_counts_in_megahashes(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l3+", "3.9.0")]) as simulation:
        host = simulation.miners["m"]
        source = VnishSource(clock)
        reading = await read(outgoing, clock, host, source)
        page = page_of(reading)
        who = reading.identity
        assert (who.api, who.model, who.algorithm, who.firmware, who.firmware_version) == (
            "cgi",
            "Antminer L3+",
            "scrypt",
            "vnish",
            "3.9.0",
        )
        rate = page.value(c.HASHRATE)
        assert rate == pytest.approx(host.miner.rate() * 1e6, rel=1e-4)
        assert 450e6 < (rate or 0) < 550e6
        assert page.value(c.BOARDS) == 4
        assert page.value(c.BOARD_CHIPS, "1", "grey") == 72
        assert page.value(c.BOARD_FREQUENCY, "1") == 384e6
        assert page.value(c.FAN_SPEED, "0") == pytest.approx(host.miner.fan_rpm[0], abs=1)
        assert page.value(c.POOL_ACCEPTED, "0", "UserPool") == host.miner.pools[0].accepted
        host.requests.clear()
        await read(outgoing, clock, host, source)
        assert [path for _, path in host.requests] == ["/cgi-bin/get_miner_status.cgi"], (
            "the challenge is remembered"
        )
