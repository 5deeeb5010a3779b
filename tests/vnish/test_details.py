from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import fields
from exporter.simulator import api_v1
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner
from exporter.vnish.details import MAX_CHIPS, decode, details
from exporter.vnish.reading import BoardDetail, Sensor
from tests.firmware import documents
from tests.vnish.test_properties import conforming

CHAINS = api_v1.chains(SimMiner("m", HARDWARE["l9"], 7, "account.m"))


def plain(boards: list[BoardDetail]) -> list[tuple[Any, ...]]:
    return [
        (
            board.number,
            board.chips and [tuple(getattr(board.chips, name)) for name in board.chips.__slots__],
            board.sensors,
            board.board,
        )
        for board in boards
    ]


def quick(answer: Any) -> bool:
    return bool(answer) and not isinstance(answer[0], dict)


@pytest.mark.parametrize("path", ["chains", "boards"])
def test_what_the_firmware_sends_goes_the_quick_way(path: str) -> None:
    body = json.dumps(CHAINS).encode()
    assert quick(decode(body))
    odd: Counter[str] = Counter()
    assert plain(details(decode(body), path, 1e6, odd)) == plain(details(json.loads(body), path, 1e6, odd))
    assert not odd


@given(data=st.data(), version=st.sampled_from(["1.2.7", "1.3.4"]))
@settings(max_examples=100)
def test_both_ways_read_the_same(data: st.DataObject, version: str) -> None:
    kinds = documents(version)
    answer = data.draw(conforming(kinds["boards" if version == "1.3.4" else "chains"]))
    body = json.dumps(answer).encode()
    slow: Counter[str] = Counter()
    read = plain(details(decode(body), "chains", 1e6, Counter()))
    assert read == plain(details(fields.decode(body), "chains", 1e6, slow))


@pytest.mark.parametrize("wrong", ["51", True, None, [], {}, -1e999, 10**400])
@pytest.mark.parametrize("key", ["hr", "temp", "freq", "errs", "volt"])
def test_one_wrong_figure_costs_that_figure_alone(key: str, wrong: Any) -> None:
    answer = json.loads(json.dumps(CHAINS))
    answer[1]["chips"][3][key] = wrong
    odd: Counter[str] = Counter()
    body = json.dumps(answer).encode()
    assert not quick(decode(body))
    boards = plain(details(decode(body), "chains", 1e6, odd))
    expected = plain(details(CHAINS, "chains", 1e6, Counter()))
    column = 1 + ["hr", "temp", "freq", "volt", "errs"].index(key)
    assert boards[1][1][column][3] is None
    boards[1][1][column] = expected[1][1][column]
    assert boards == expected
    assert odd == ({} if wrong is None else {"chips[]": 1})


def test_a_sensor_in_error_is_told_apart_from_one_that_measures_and_one_that_will() -> None:
    sensors = [
        {"loc": 1, "board": 40, "chip": 55, "state": "measure"},
        {"loc": 2, "board": -64, "chip": 0, "state": "error"},
        {"loc": 3, "board": 0, "chip": 0, "state": "init"},
        {"loc": 4, "board": 12, "chip": 12, "state": "unknown"},
        {"loc": 5, "board": 0, "chip": 50, "state": "measure"},
    ]
    expected = [
        Sensor("1", 40, 55, True),
        Sensor("2", None, None, False),
        Sensor("3", None, None, True),
        Sensor("4", None, None, None),
        Sensor("5", None, 50, True),
    ]
    body = json.dumps([{"id": 1, "sensors": sensors}]).encode()
    for answer in (decode(body), json.loads(body)):
        [board] = details(answer, "boards", 1e6, Counter())
        assert board.sensors == expected
    chips = [
        {
            "id": one["loc"],
            "sensor": {"pcb_temp": one["board"], "chip_temp": one["chip"], "status": one["state"]},
        }
        for one in sensors
    ]
    chips.insert(1, {"id": 77, "sensor": None})
    odd: Counter[str] = Counter()
    [board] = details({"chips_per_chain": 126, "chains": [{"id": 1, "chips": chips}]}, "chips", 1e6, odd)
    assert board.sensors == expected
    assert board.chips_expected == 126
    assert not odd


def test_what_only_the_list_of_boards_may_know() -> None:
    board = {
        "id": 2,
        "freq": 1125.0,
        "hr_nominal": 5666.7,
        "hr_realtime": 5600.0,
        "status": {"state": "failure", "failure_message": "chain#2\x00 failed to init " + "x" * 500},
    }
    body = json.dumps([board]).encode()
    for answer in (decode(body), json.loads(body)):
        [detail] = details(answer, "boards", 1e6, Counter())
        told = detail.board
        assert told
        assert (told.number, told.state, told.frequency) == ("2", "failure", 1125e6)
        assert told.hashrate == pytest.approx(5600e6)
        assert told.hashrate_nominal == pytest.approx(5666.7e6)
        assert told.failure
        assert told.failure.startswith("chain#2 failed to init xxx")
        assert len(told.failure) == 128


@pytest.mark.parametrize("wrong", ["on fire", 7, [], {}])
def test_an_unknown_sensor_state_is_counted(wrong: Any) -> None:
    odd: Counter[str] = Counter()
    body = json.dumps([{"id": 1, "sensors": [{"loc": 1, "board": 40, "chip": 55, "state": wrong}]}]).encode()
    [board] = details(decode(body), "chains", 1e6, odd)
    assert board.sensors == [Sensor("1", None, None, None)]
    assert odd == {"chains[].sensors[].state": 1}


def test_more_chips_than_any_board_has_are_left_out() -> None:
    chip = CHAINS[0]["chips"][0]
    body = json.dumps([{"id": 1, "chips": [{**chip, "id": n} for n in range(MAX_CHIPS + 1)]}]).encode()
    [board] = details(decode(body), "chains", 1e6, Counter())
    assert board.chips
    assert len(board.chips.numbers) == MAX_CHIPS


@pytest.mark.parametrize("wrong", [0, "0"])
def test_a_miner_of_more_chips_than_there_are_keeps_those_of_its_first_boards(wrong: Any) -> None:
    chip = CHAINS[0]["chips"][0]
    chips = [{**chip, "id": n} for n in range(MAX_CHIPS)]
    chips[0]["errs"] = wrong
    odd: Counter[str] = Counter()
    body = json.dumps([{"id": n, "chips": chips} for n in range(8)]).encode()
    boards = details(decode(body), "chains", 1e6, odd)
    assert [board.number for board in boards if board.chips] == ["0", "1", "2", "3"]
    assert odd["chains[].chips"] == 4
