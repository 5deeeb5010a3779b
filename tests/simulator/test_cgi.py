"""The simulated CGI pages are printed as the firmware's scripts print them."""

from __future__ import annotations

import json

import pytest

from exporter.simulator import cgi
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner


def miner(model: str = "l3+", *faults: str) -> SimMiner:
    one = SimMiner("m", HARDWARE[model], 7, "account.m")
    for fault in faults:
        one.inject(fault)
    one.advance(5)
    return one


@pytest.mark.parametrize(("model", "boards"), [("l3+", "1234"), ("s9", "678")])
def test_a_board_is_all_text_and_the_first_carries_the_fans(model: str, boards: str) -> None:
    devs = json.loads(cgi.status_page(miner(model)))["devs"]
    assert "".join(dev["index"] for dev in devs) == boards
    assert {type(value) for dev in devs for value in dev.values()} == {str}
    assert [sum(key.startswith("fan") for key in dev) for dev in devs] == [8] + [0] * (len(boards) - 1)
    assert sum(devs[0][f"fan{socket}"] != "0" for socket in range(1, 9)) == 2


def test_the_summary_and_the_pools_are_the_scripts() -> None:
    page = json.loads(cgi.status_page(miner()))
    assert "getworks " in page["summary"]
    assert isinstance(page["summary"]["ghs5s"], str)
    assert [(pool["url"], pool["user"], pool["priority"]) for pool in page["pools"]][-1] == (
        "DevFee",
        "DevFee",
        993,
    )


def test_a_stopped_miner_prints_nothing_after_its_colons_and_a_refused_one_empty_lists() -> None:
    stopped = cgi.status_page(miner("l3+", "paused"))
    assert '"summary": ,' in stopped
    assert '"rate": ,' in stopped
    assert '"hw":"",' in stopped
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(stopped)
    for fault in ("process_dead", "failure"):
        refused = cgi.status_page(miner("l3+", fault))
        assert json.loads(refused) == {"summary": [], "pools": [], "devs": []}


def test_the_makers_firmware_names_no_vnish_and_lacks_what_vnish_adds() -> None:
    for model in ("l9", "l3+"):
        info = json.loads(cgi.STOCK_PAGES["/cgi-bin/get_system_info.cgi"](miner(model)))
        assert info["minertype"] == HARDWARE[model].name
    assert cgi.STOCK_PAGES["/cgi-bin/get_miner_status.cgi"](miner("l9")) == ""
    older = json.loads(cgi.STOCK_PAGES["/cgi-bin/get_miner_status.cgi"](miner("l3+")))
    assert "chain_consumption" not in older["devs"][0]
    assert "DevFee" not in str(older)
