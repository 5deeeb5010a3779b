"""The simulated firmware answers as the documents of the real one say."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from exporter.simulator import api_v1
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner
from exporter.simulator.simulation import MinerSpec, Simulation
from tests.firmware import DEPRECATED_CHIPS, documents, faults

FAULTS: list[str | None] = [
    None,
    "board_lost",
    "board_missing",
    "chips_orange",
    "chips_red",
    "fan_stopped",
    "overheating",
    "paused",
    "failure",
    "reboot_loop",
    "process_dead",
    "wrong_worker",
]


def answers(miner: SimMiner, version: str) -> dict[str, Any]:
    return {
        "info": api_v1.info(miner, version, "127.0.0.1"),
        "model": api_v1.model(miner, version),
        "status": api_v1.status(miner, version, unlocked=False),
        "summary": api_v1.summary(miner, version, unlocked=False),
        "boards" if version.startswith("1.3") else "chains": api_v1.chains(miner),
        "chains/factory-info": api_v1.factory_info(miner),
        "perf-summary": api_v1.perf_summary(miner, version),
    }


@pytest.mark.parametrize("version", api_v1.VERSIONS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("model", sorted(HARDWARE.keys() - {"l3+", "s9"}))  # they have no such API
def test_every_answer_conforms_to_the_firmwares_document(model: str, fault: str | None, version: str) -> None:
    miner = SimMiner("m", HARDWARE[model], 7, "account.m")
    if fault:
        miner.inject(fault)
    for seconds in (0, 5, 100, 140):
        miner.advance(seconds)
        made = answers(miner, version)
        types = documents(version)
        assert made.keys() == types.keys()
        found = [fault for path, answer in made.items() for fault in faults(types[path], answer, path)]
        assert found == []


@pytest.mark.parametrize("fault", [None, "board_lost", "failure"])
def test_the_deprecated_chips_conform_and_have_the_sensors(fault: str | None) -> None:
    miner = SimMiner("m", HARDWARE["l9"], 7, "account.m")
    if fault:
        miner.inject(fault)
        miner.advance(5)
    answer = api_v1.chips(miner)
    assert faults(DEPRECATED_CHIPS, answer, "chips") == []
    sensors = [[chip["sensor"] for chip in chain["chips"] if chip["sensor"]] for chain in answer["chains"]]
    assert [len(of_a_board) for of_a_board in sensors] == ([] if fault == "failure" else [3, 3, 3])


@pytest.mark.parametrize(
    ("version", "status"), [("1.2.0-beta10", 200), ("1.2.0-rc3", 404), ("1.2.0-rc5", 404), ("1.2.7", 200)]
)
async def test_a_path_that_is_not_there_is_the_web_page_or_not_found(version: str, status: int) -> None:
    async with Simulation([MinerSpec("m", "l9", version)]) as simulation, ClientSession() as session:
        host = simulation.miners["m"]
        root = f"http://{host.address}:{host.port}"
        async with session.get(f"{root}/api/v1/boards") as answer:
            assert answer.status == status
        async with session.get(f"{root}/") as answer:
            assert "AnthillOS" in await answer.text()


def test_a_failed_miner_says_zero_and_has_no_boards() -> None:
    miner = SimMiner("m", HARDWARE["l9"], 7, "account.m")
    miner.inject("failure")
    miner.advance(5)
    answer = api_v1.summary(miner, "1.2.7", unlocked=False)["miner"]
    assert (answer["hr_realtime"], answer["power_consumption"], answer["chains"]) == (0.0, 0, [])
    assert (answer["cooling"]["fans"], answer["cooling"]["fan_num"]) == ([], 0)
    [pool] = answer["pools"]
    assert (pool["pool_type"], pool["status"], pool["ping"]) == ("DevFee", "offline", 0)
    assert answer["miner_status"]["failure_code"] == 1002
    assert set(api_v1.factory_info(miner).values()) == {None}


def test_an_initialising_miner_has_boards_of_red_chips_and_idles() -> None:
    miner = SimMiner("m", HARDWARE["l9"], 7, "account.m")
    miner.restart()
    miner.advance(20)
    answer = api_v1.summary(miner, "1.2.7", unlocked=False)["miner"]
    assert answer["miner_status"]["miner_state"] == "initializing"
    assert answer["hr_realtime"] == 0.0
    assert answer["power_consumption"] < 200
    assert [board["chip_statuses"]["red"] for board in answer["chains"]] == [110] * 3
    assert all(board["frequency"] == 0.0 for board in answer["chains"])


def test_the_user_is_hidden_without_a_token() -> None:
    miner = SimMiner("m", HARDWARE["l9"], 7, "account.m")
    hidden = api_v1.summary(miner, "1.2.7", unlocked=False)["miner"]["pools"]
    shown = api_v1.summary(miner, "1.2.7", unlocked=True)["miner"]["pools"]
    assert [pool["user"] for pool in hidden] == ["*****", "*****", "DevFee"]
    assert [pool["user"] for pool in shown] == ["account.m", "account.m", "DevFee"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (360, "0:06"),
        (3600, "1:00"),
        (86400 + 3 * 3600 + 58 * 60, "1 day,  3:58"),
        (2377440, "27 days, 12:24"),
    ],
)
def test_uptime_is_printed_as_the_control_board_does(seconds: float, text: str) -> None:
    assert api_v1.uptime(seconds) == text
