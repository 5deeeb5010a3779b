"""The real interface: answers to readings, exactly."""

from __future__ import annotations

import copy
import gc
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest
from aioresponses import aioresponses

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.vnish.access import Access
from exporter.vnish.api_v1 import ApiV1
from exporter.vnish.metrics import samples
from exporter.vnish.reading import MinerReading, Range
from tests.conftest import FakeClock

BASE = "http://192.0.2.1/api/v1"

INFO: dict[str, Any] = {
    "miner": "Antminer L9",
    "model": "l9",
    "fw_name": "Vnish",
    "fw_version": "1.2.7",
    "platform": "aml",
    "install_type": "nand",
    "algorithm": "scrypt",
    "hr_measure": "MH/s",
    "serial": "N/A",
    "system": {
        "mem_total": 233712,
        "mem_free": 173956,
        "network_status": {"mac": "02:AB:00:00:00:01", "hostname": "antminer", "dns": []},
        "uptime": "1 day,  3:58",
    },
}
SUMMARY: dict[str, Any] = {
    "miner": {
        "miner_status": {"miner_state": "mining", "miner_state_time": 3564},
        "hr_stock": 16000.0,
        "average_hashrate": 17.3,
        "instant_hashrate": 17.394833,
        "hr_realtime": 17394.832,
        "hr_nominal": 17000.0,
        "hr_average": 17300.5,
        "pcb_temp": {"min": 36, "max": 50},
        "chip_temp": {"min": 51, "max": 65},
        "power_consumption": 3360,
        "power_usage": 3361,
        "hr_error": 0.5,
        "hw_errors": 12,
        "devfee_percent": 1.842,
        "devfee": 313.14,
        "pools": [
            {
                "id": 0,
                "url": "stratum+tcp://pool.example:3333",
                "pool_type": "UserPool",
                "user": "*****",
                "status": "active",
                "diff": "131K",
                "accepted": 258,
                "rejected": 2,
                "stale": 1,
                "ls_diff": 131072.0,
                "ls_time": "0:00:11",
                "diffa": 23461888.0,
                "ping": 19,
            },
            {
                "id": 3,
                "url": "DevFee",
                "pool_type": "DevFee",
                "status": "offline",
                "diff": "",
                "ls_time": "0",
            },
        ],
        "cooling": {
            "fan_num": 4,
            "fans": [
                {"id": 0, "rpm": 5820, "status": "ok", "max_rpm": 6500},
                {"id": 1, "rpm": 0, "status": "lost", "max_rpm": 6500},
            ],
            "settings": {"mode": {"name": "auto", "param": 60}},
            "fan_duty": 83,
        },
        "chains": [
            {
                "id": 1,
                "frequency": 1125.0,
                "voltage": 13600,
                "power_consumption": 1112,
                "hashrate_ideal": 5666.7,
                "hashrate_rt": 5798.277,
                "hr_error": 0.25,
                "hw_errors": 4,
                "pcb_temp": {"min": 36, "max": 50},
                "chip_temp": {"min": 51, "max": 65},
                "inlet_water_temp": 29,
                "outlet_water_temp": 39,
                "chip_statuses": {"red": 1, "orange": 2, "grey": 107},
                "status": {"state": "mining"},
            }
        ],
        "found_blocks": 1,
        "best_share": 198441277,
        "psu": {"psu_power_metering": True, "temps": {"llc1_temp": 55, "pfc_temp": 50}},
        "restart_count": 3,
    }
}
STATUS: dict[str, Any] = {
    "miner_state": "mining",
    "miner_state_time": 3565,
    "throttled": 80,
    "find_miner": True,
    "restart_required": False,
    "reboot_required": True,
    "warranty": "active",
}
MODEL: dict[str, Any] = {
    "chain": {"num_chains": 3, "chips_per_chain": 110},
    "cooling": {"fan_min_count": {"min": 0, "max": 4, "default": 3}},
}
PERF: dict[str, Any] = {
    "current_preset": {"name": "3360", "pretty": "3360 watt ~ 17000 MH", "status": "tuned"},
    "preset_switcher": {
        "enabled": True,
        "decrease_temp": 75,
        "rise_temp": 55,
        "top_preset": "3560",
        "min_preset": "eco",
    },
}
FACTORY: dict[str, Any] = {
    "hr_stock": 16100.5,
    "psu_model": "APW17",
    "psu_serial": None,
    "chains": [{"id": 1, "board_model": "L9BB", "serial": "B1", "chip_bin": 2}],
}


def in_state(state: str, seconds: float, **more: Any) -> dict[str, Any]:
    """The summary of a miner in a state."""
    return {
        "miner": {
            **SUMMARY["miner"],
            "miner_status": {"miner_state": state, "miner_state_time": seconds, **more},
        }
    }


HTML = "<!doctype html><html></html>"


@pytest.fixture
def dialect(clock: FakeClock) -> ApiV1:
    return ApiV1(clock, Access(clock), chips=False)


async def read(
    dialect: ApiV1,
    outgoing: Outgoing,
    *,
    info: Any = INFO,
    summary: Any = SUMMARY,
    status: Any = STATUS,
    model: Any = MODEL,
    perf: Any = PERF,
    factory: Any = FACTORY,
) -> tuple[MinerReading, list[str]]:
    client = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    with aioresponses() as mocked:
        for name, answer in {
            "info": info,
            "summary": summary,
            "status": status,
            "model": model,
            "perf-summary": perf,
            "chains/factory-info": factory,
        }.items():
            if isinstance(answer, int):
                mocked.get(f"{BASE}/{name}", status=answer)
            elif answer == HTML:
                mocked.get(f"{BASE}/{name}", body=HTML, content_type="text/html")
            else:
                mocked.get(f"{BASE}/{name}", payload=answer)
        reading = await dialect.read(client)
    return reading, [step.path.removeprefix("/api/v1/") for step in client.steps]


async def test_every_field_in_base_units(dialect: ApiV1, outgoing: Outgoing) -> None:
    reading, asked = await read(dialect, outgoing)
    assert asked == ["info", "summary", "status", "model", "perf-summary", "chains/factory-info"]
    who = reading.identity
    assert (who.model, who.algorithm, who.firmware, who.firmware_version) == (
        "Antminer L9",
        "scrypt",
        "Vnish",
        "1.2.7",
    )
    assert (who.serial, who.mac, who.hostname) == (None, "02:ab:00:00:00:01", "antminer")
    assert reading.hashrate == pytest.approx(17394.832e6)
    assert reading.hashrate_average == pytest.approx(17300.5e6)
    assert reading.hashrate_nominal == 17e9
    assert reading.hashrate_stock == 16e9
    assert reading.devfee_hashrate == pytest.approx(313.14e6)
    assert reading.devfee_ratio == pytest.approx(0.01842)
    assert reading.power == 3360
    assert reading.power_metered is True
    assert reading.hardware_error_ratio == 0.005
    assert reading.hardware_errors == 12
    assert (reading.restarts, reading.found_blocks, reading.best_share) == (3, 1, 198441277)
    assert (reading.state, reading.state_seconds, reading.throttle) == ("mining", 3564, 0.8)
    assert (reading.locating, reading.restart_required, reading.reboot_required) == (True, False, True)
    assert reading.uptime == 86400 + 3 * 3600 + 58 * 60
    assert (reading.memory_total, reading.memory_free) == (233712 * 1024, 173956 * 1024)
    assert reading.chip_temperature == Range(51, 65)
    assert reading.psu_temperatures == {"llc1": 55, "pfc": 50}
    assert (reading.fan_count, reading.fan_duty, reading.cooling_mode, reading.cooling_target) == (
        4,
        0.83,
        "auto",
        60,
    )
    assert [(fan.number, fan.speed, fan.speed_max, fan.ok) for fan in reading.fans] == [
        ("0", 5820, 6500, True),
        ("1", 0, 6500, False),
    ]
    assert reading.boards
    [board] = reading.boards
    assert (board.number, board.state, board.voltage, board.frequency) == ("1", "mining", 13.6, 1125e6)
    assert board.hashrate == pytest.approx(5798.277e6)
    assert board.hashrate_nominal == pytest.approx(5666.7e6)
    assert (board.water_inlet, board.water_outlet) == (29, 39)
    assert board.grades == {"grey": 107, "orange": 2, "red": 1}
    pool, devfee = reading.pools
    assert (pool.number, pool.kind, pool.status, pool.difficulty) == ("0", "UserPool", "active", 131_000)
    assert (pool.last_share_age, pool.ping, pool.accepted_difficulty) == (11, 0.019, 23461888)
    assert (devfee.kind, devfee.status, devfee.difficulty, devfee.last_share_age) == (
        "DevFee",
        "offline",
        None,
        None,
    )
    assert reading.boards_expected == 3
    assert reading.preset
    assert (reading.preset.name, reading.preset.power, reading.preset.switcher) == ("3360", 3360, True)
    assert (reading.preset.top, reading.preset.top_power) == ("3560", 3560)
    assert (reading.preset.bottom, reading.preset.bottom_power) == ("eco", None)
    assert reading.fans_required == 3
    assert reading.factory
    assert reading.factory.hashrate == pytest.approx(16100.5e6)
    assert (reading.factory.psu_model, reading.factory.psu_serial) == ("APW17", None)
    [factory] = reading.factory.boards
    assert (factory.number, factory.model, factory.serial, factory.chip_bin) == ("1", "L9BB", "B1", "2")
    assert reading.unexpected == {}


async def test_a_sha256_miner_counts_in_gigahashes(dialect: ApiV1, outgoing: Outgoing) -> None:
    info = {**INFO, "miner": "Antminer S19j Pro", "algorithm": "sha256d", "hr_measure": "GH/s"}
    summary = {"miner": {"hr_realtime": 104478.5, "instant_hashrate": 104.4785, "hr_nominal": 105523.3}}
    reading, _ = await read(dialect, outgoing, info=info, summary=summary)
    assert reading.hashrate == pytest.approx(104.4785e12)


async def test_older_firmware_without_measure_and_realtime(dialect: ApiV1, outgoing: Outgoing) -> None:
    info = {key: value for key, value in INFO.items() if key not in ("algorithm", "hr_measure")}
    summary = {"miner": {"instant_hashrate": 17.394833, "average_hashrate": 17.3, "power_usage": 3361.5}}
    reading, _ = await read(dialect, outgoing, info=info, summary=summary)
    assert reading.identity.algorithm == "scrypt"
    assert reading.hashrate == pytest.approx(17.394833e9)
    assert reading.hashrate_average == pytest.approx(17.3e9)
    assert reading.power == 3361.5
    assert reading.hashrate_nominal is None


async def test_the_boards_add_up_where_the_miner_has_no_total(dialect: ApiV1, outgoing: Outgoing) -> None:
    summary = {"miner": {"chains": [{"id": 1, "hashrate_rt": 5000.0}, {"id": 2, "hashrate_rt": 5100.0}]}}
    reading, _ = await read(dialect, outgoing, summary=summary)
    assert reading.hashrate == pytest.approx(10.1e9)


@pytest.mark.parametrize("summary", [{}, {"miner": None}])
async def test_a_dead_mining_process_leaves_the_state_and_no_figures(
    dialect: ApiV1, outgoing: Outgoing, summary: Any
) -> None:
    reading, _ = await read(dialect, outgoing, summary=summary)
    assert reading.state == "mining"
    assert (reading.hashrate, reading.power, reading.boards, reading.pools) == (None, None, None, [])


async def test_zeros_that_are_no_readings_are_absent(dialect: ApiV1, outgoing: Outgoing) -> None:
    summary = copy.deepcopy(SUMMARY)
    summary["miner"]["chip_temp"] = {"min": 0, "max": 0}
    reading, _ = await read(dialect, outgoing, summary=summary)
    assert reading.chip_temperature == Range(None, None)


async def test_what_this_version_does_not_have_is_not_asked_for_each_time(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    reading, asked = await read(dialect, outgoing, model=HTML, perf=HTML)
    assert "model" not in reading.endpoints
    assert reading.boards_expected is None
    _, asked = await read(dialect, outgoing, model=HTML, perf=HTML)
    assert asked == ["summary"]
    clock.advance(301)
    _, asked = await read(dialect, outgoing)
    assert asked == ["info", "summary", "status", "model", "perf-summary", "chains/factory-info"]


async def test_minutes_that_are_printed_anew_do_not_set_the_uptime_back(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    # After a reading that failed the page with it is read again: each such step back counted as a reboot.
    day = 86400.0
    before = await printed(dialect, outgoing, "1 day,  3:58")
    for seconds, text, after in (
        (50, "1 day,  3:58", 50),
        (15, "1 day,  3:59", 65),
        # The board has been up for longer than was known.
        (5, "1 day,  4:00", 120),
        (100, "0:01", 60 - day - 3 * 3600 - 58 * 60),
    ):
        clock.advance(seconds)
        dialect.forget()
        assert await printed(dialect, outgoing, text) - before == after


async def printed(dialect: ApiV1, outgoing: Outgoing, uptime: str) -> float:
    reading, _ = await read(dialect, outgoing, info={**INFO, "system": {**INFO["system"], "uptime": uptime}})
    assert reading.uptime is not None
    return reading.uptime


async def test_what_changes_rarely_is_kept_and_read_again_after_a_restart(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    await read(dialect, outgoing)
    clock.advance(30)
    reading, asked = await read(dialect, outgoing, summary=in_state("mining", 3594))
    assert asked == ["summary"]
    assert reading.state_seconds == 3594
    assert reading.uptime == 86400 + 3 * 3600 + 58 * 60 + 30
    newer = {**INFO, "fw_version": "1.3.4"}
    reading, asked = await read(dialect, outgoing, info=newer, summary=in_state("mining", 2))
    assert asked == ["summary", "info", "status", "model", "perf-summary", "chains/factory-info"]
    assert reading.identity.firmware_version == "1.3.4"


async def test_the_status_is_asked_again_after_a_minute_and_when_the_state_is_another(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    reading, _ = await read(dialect, outgoing)
    assert reading.reboot_required is True
    rebooted = {**STATUS, "reboot_required": False, "throttled": 50}
    reading, asked = await read(dialect, outgoing, summary=in_state("mining", 3565), status=rebooted)
    assert (reading.reboot_required, asked) == (True, ["summary"])
    assert reading.endpoints["status"] is True
    clock.advance(61)
    reading, asked = await read(dialect, outgoing, summary=in_state("mining", 3630), status=rebooted)
    assert (reading.reboot_required, reading.throttle) == (False, 0.5)
    assert "status" in asked
    failed = in_state("failure", 3631, failure_code=1002)
    reading, asked = await read(dialect, outgoing, summary=failed, status=STATUS)
    assert (reading.state, reading.failure_code, reading.reboot_required) == ("failure", 1002, True)
    assert asked == ["summary", "status"]


async def test_without_a_mining_process_the_status_is_asked_each_time(
    dialect: ApiV1, outgoing: Outgoing
) -> None:
    for state in ("stopped", "stopped", "failure"):
        status = {"miner_state": state, "miner_state_time": 7}
        reading, asked = await read(dialect, outgoing, summary={}, status=status)
        assert (reading.state, reading.state_seconds) == (state, 7)
        assert "status" in asked


async def test_what_failed_is_left_alone_for_a_minute_and_seen_to_have_failed(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    for _ in range(2):
        reading, asked = await read(dialect, outgoing, factory=500)
        assert reading.endpoints["chains/factory-info"] is False
    assert asked == ["summary"]
    clock.advance(61)
    reading, asked = await read(dialect, outgoing)
    assert reading.endpoints["chains/factory-info"] is True
    assert "model" not in asked, "kept for longer"


async def test_a_part_that_fails_leaves_the_rest(dialect: ApiV1, outgoing: Outgoing) -> None:
    reading, _ = await read(dialect, outgoing, status=500, perf=500)
    assert reading.hashrate is not None
    assert reading.state == "mining", "from the summary"
    assert reading.endpoints == {
        "info": True,
        "summary": True,
        "status": False,
        "model": True,
        "perf-summary": False,
        "chains/factory-info": True,
    }


@pytest.mark.parametrize(
    ("info", "summary", "reason"),
    [
        (HTML, SUMMARY, Reason.NOT_JSON),
        ({"name": "a printer"}, SUMMARY, Reason.BAD_SHAPE),
        ([], SUMMARY, Reason.BAD_SHAPE),
        (500, SUMMARY, Reason.HTTP_STATUS),
        (401, SUMMARY, Reason.UNAUTHORISED),
        (INFO, HTML, Reason.NOT_JSON),
        (INFO, [1], Reason.BAD_SHAPE),
        (INFO, 503, Reason.HTTP_STATUS),
    ],
)
async def test_without_info_and_summary_there_is_no_reading(
    dialect: ApiV1, outgoing: Outgoing, info: Any, summary: Any, reason: Reason
) -> None:
    with pytest.raises(ProbeError) as caught:
        await read(dialect, outgoing, info=info, summary=summary)
    assert caught.value.reason is reason


@pytest.mark.parametrize(("name", "by_hand"), [("disabled", True), (None, True), ("3360", False)])
async def test_what_the_owner_has_set_where_no_preset_rules(
    dialect: ApiV1, outgoing: Outgoing, name: str | None, by_hand: bool
) -> None:
    perf = {"current_preset": {"name": name, "globals": {"volt": 1380, "freq": 675}}}
    reading, _ = await read(dialect, outgoing, perf=perf)
    assert reading.preset
    told = (reading.preset.frequency, reading.preset.voltage)
    assert told == ((675e6, pytest.approx(13.8)) if by_hand else (None, None))
    assert reading.preset.power == (None if by_hand else 3360)


@pytest.mark.parametrize("volt", [{"volt": 0, "freq": 0}, {}, None])
async def test_what_nobody_has_set_is_absent(dialect: ApiV1, outgoing: Outgoing, volt: Any) -> None:
    perf = {"current_preset": {"name": "disabled", "globals": volt}}
    reading, _ = await read(dialect, outgoing, perf=perf)
    assert reading.preset
    assert (reading.preset.frequency, reading.preset.voltage) == (None, None)


async def test_why_it_failed(dialect: ApiV1, outgoing: Outgoing) -> None:
    summary = in_state("failure", 1, description="Failed to parse \x1bminer configuration" + "x" * 500)
    summary["miner"]["chains"] = [{"id": 1, "status": {"state": "failure", "description": "chain break"}}]
    reading, _ = await read(dialect, outgoing, summary=summary)
    assert reading.failure
    assert reading.failure.startswith("Failed to parse miner configurationxxx")
    assert len(reading.failure) == 128
    assert reading.boards
    assert reading.boards[0].failure == "chain break"
    page = Page()
    samples(reading, page)
    assert page.value(c.FAILURE_INFO, reading.failure) == 1
    assert page.value(c.BOARD_FAILURE_INFO, "1", "chain break") == 1
    failed = {**STATUS, "miner_state": "failure", "description": "no hash boards"}
    reading, _ = await read(dialect, outgoing, summary={}, status=failed)
    assert reading.failure == "no hash boards", "without a mining process"
    reading, _ = await read(dialect, outgoing)
    assert reading.failure is None


@pytest.mark.parametrize(
    ("changed", "ping"),
    [
        ({"status": "offline", "accepted": 0}, None),
        ({"status": "unknown", "accepted": 0}, None),
        ({"status": "working", "accepted": 0}, None),
        ({"status": "offline", "accepted": 7}, None),
        ({"status": "offline", "accepted": 7, "ping": 19}, 0.019),
        ({"status": "working", "accepted": 7}, 0.0),
        ({"status": "active", "accepted": 0}, 0.0),
    ],
)
async def test_a_ping_of_a_pool_never_connected_is_unknown(
    dialect: ApiV1, outgoing: Outgoing, changed: dict[str, Any], ping: float | None
) -> None:
    pool = {"id": 1, "pool_type": "UserPool", "rejected": 0, "stale": 0, "ping": 0, "ls_diff": 0.0, **changed}
    reading, _ = await read(dialect, outgoing, summary={"miner": {"pools": [pool]}})
    assert reading.pools[0].ping == ping
    assert reading.pools[0].last_share_difficulty is None, "before the first share"


async def test_a_path_that_is_not_found_is_not_there(
    dialect: ApiV1, outgoing: Outgoing, clock: FakeClock
) -> None:
    reading, _ = await read(dialect, outgoing, model=404, perf=404, factory=404)
    assert reading.endpoints == {"info": True, "summary": True, "status": True}
    clock.advance(61)
    _, asked = await read(dialect, outgoing)
    assert asked == ["summary", "status"], "kept for longer"


BOARDS = [
    {
        "id": 1,
        "freq": 1100.0,
        "hr_nominal": 5666.7,
        "hr_realtime": 5600.0,
        "status": {"state": "mining", "failure_message": None},
        "chips": [{"id": 1, "hr": 50.0, "temp": 60.0}],
    }
]


async def read_boards(
    source: ApiV1, outgoing: Outgoing, summary: Any, **answers: Any
) -> tuple[Any, list[str]]:
    client = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    with aioresponses() as mocked:
        for name, answer in {"info": INFO, "summary": summary, **answers}.items():
            status = answer if isinstance(answer, int) else 200
            mocked.get(f"{BASE}/{name}", payload=answer, status=status, repeat=True)
        for name in ("status", "model", "perf-summary", "chains/factory-info", "chains", "boards", "chips"):
            mocked.get(f"{BASE}/{name}", body=HTML, content_type="text/html", repeat=True)
        reading = await source.read(client)
    asked = [step.path.removeprefix("/api/v1/") for step in client.steps]
    return reading, [name for name in asked if name in ("chains", "boards", "chips")]


async def test_chains_that_are_not_found_do_not_end_the_search(outgoing: Outgoing, clock: FakeClock) -> None:
    source = ApiV1(clock, Access(clock))
    reading, asked = await read_boards(source, outgoing, SUMMARY, chains=404, boards=BOARDS)
    assert asked == ["chains", "boards"]
    assert reading.details[0].chips
    assert "chains" not in reading.endpoints
    _, asked = await read_boards(source, outgoing, SUMMARY, chains=404, boards=BOARDS)
    assert asked == ["boards"]
    # Gone from where they were: looked for anew, and then no more.
    reading, asked = await read_boards(source, outgoing, SUMMARY, chains=404, boards=404)
    assert (reading.details, asked) == ([], ["boards"])
    _, asked = await read_boards(source, outgoing, SUMMARY, chains=404, boards=404, chips=404)
    assert asked == ["chains", "boards", "chips"]
    _, asked = await read_boards(source, outgoing, SUMMARY, chains=404, boards=BOARDS)
    assert asked == []


async def test_a_failure_of_chains_ends_the_search_for_this_time(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    source = ApiV1(clock, Access(clock))
    reading, asked = await read_boards(source, outgoing, SUMMARY, chains=500, boards=BOARDS)
    assert (asked, reading.endpoints["chains"]) == (["chains"], False)


async def test_what_the_summary_does_not_tell_of_a_board_is_in_its_own_list(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    summary = copy.deepcopy(SUMMARY)
    [chain] = summary["miner"]["chains"]
    del chain["hashrate_ideal"], chain["frequency"]
    chain["status"] = {"state": "stopped"}
    listed = [{**BOARDS[0], "status": {"state": "failure", "failure_message": "chain break"}}]
    reading, _ = await read_boards(ApiV1(clock, Access(clock)), outgoing, summary, chains=listed)
    [board] = reading.boards
    assert board.hashrate_nominal == pytest.approx(5666.7e6)
    assert board.frequency == 1100e6
    assert board.failure == "chain break"
    assert board.hashrate == pytest.approx(5798.277e6), "the summary is believed first"
    assert board.state == "stopped"
    reading, _ = await read_boards(ApiV1(clock, Access(clock)), outgoing, SUMMARY, chains=listed)
    assert reading.boards[0].frequency == 1125e6
    assert reading.boards[0].failure is None, "it mines"


@pytest.mark.parametrize("chips", [True, False])
async def test_boards_of_a_summary_without_them(outgoing: Outgoing, clock: FakeClock, chips: bool) -> None:
    summary = copy.deepcopy(SUMMARY)
    del summary["miner"]["chains"], summary["miner"]["hr_realtime"], summary["miner"]["instant_hashrate"]
    source = ApiV1(clock, Access(clock), chips=chips, chips_interval=600)
    for _ in range(2):
        reading, asked = await read_boards(source, outgoing, summary, chains=BOARDS)
        assert asked == ["chains"], "never a frozen state of a board"
        [board] = reading.boards
        assert (board.number, board.state, board.frequency) == ("1", "mining", 1100e6)
        assert board.hashrate_nominal == pytest.approx(5666.7e6)
        assert reading.hashrate == board.hashrate == pytest.approx(5600e6)
        assert bool(reading.details) is chips
    reading, asked = await read_boards(source, outgoing, {"miner": None}, chains=BOARDS)
    assert reading.boards is None


async def test_a_white_label_is_a_vnish_miner(dialect: ApiV1, outgoing: Outgoing) -> None:
    reading, _ = await read(dialect, outgoing, info={**INFO, "fw_name": "UniPlusOS"})
    assert reading.identity.firmware == "UniPlusOS"


def held_bytes(root: object) -> int:
    """The size of all that an object keeps alive, but for code and what is shared by all."""
    seen: set[int] = set()
    total, waiting = 0, [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting.extend(gc.get_referents(one))
    return total


async def test_of_answers_only_what_was_read_is_kept(dialect: ApiV1, outgoing: Outgoing) -> None:
    def padded(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "more": [[] for _ in range(5_000)], "text": "x" * 5_000}

    await read(dialect, outgoing)
    before = held_bytes(dialect)
    dialect.forget()
    reading, _ = await read(
        dialect,
        outgoing,
        info=padded({**INFO, "miner": "Antminer L9" + "x" * 20_000}),
        status=padded(STATUS),
        model=padded(MODEL),
        perf=padded(PERF),
        factory=padded({**FACTORY, "chains": FACTORY["chains"] * 300}),
    )
    assert reading.preset
    assert reading.factory
    # Thirty-two boards of a factory are the most there is room for.
    assert held_bytes(dialect) < before + 32 * 1024


async def test_unknown_words_are_kept_and_counted(dialect: ApiV1, outgoing: Outgoing) -> None:
    reading, _ = await read(dialect, outgoing, summary=in_state("defrosting", 1))
    assert reading.state == "defrosting"
    assert reading.unexpected == {"summary.miner.miner_status.miner_state": 1}


async def test_wrong_types_are_absent_and_counted(dialect: ApiV1, outgoing: Outgoing) -> None:
    summary = copy.deepcopy(SUMMARY)
    summary["miner"] |= {
        "power_consumption": "3360",
        "power_usage": None,
        "cooling": [1],
        "chains": {"1": {}},
    }
    reading, _ = await read(dialect, outgoing, summary=summary)
    assert reading.power is None
    assert reading.fans == []
    assert reading.boards == []
    assert reading.unexpected == {
        "summary.miner.power_consumption": 1,
        "summary.miner.cooling": 1,
        "summary.miner.chains": 1,
    }


async def test_parts_nobody_collects_are_not_read(outgoing: Outgoing, clock: FakeClock) -> None:
    reading, _ = await read(ApiV1(clock, Access(clock), boards=False, pools=False, chips=False), outgoing)
    assert reading.boards is None
    assert reading.pools == []
