"""The CGI pages of VNish 3.9, as simulated miners print them, and pages no one should print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.simulator import cgi
from exporter.simulator.hosts import MinerHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.cgi import lenient, mended
from exporter.vnish.metrics import samples
from exporter.vnish.reading import MinerReading
from exporter.vnish.source import VnishSource
from tests.conftest import FakeClock

L3 = MinerSpec("l3", "l3+", "3.9.0")
S9 = MinerSpec("s9", "s9", "3.9.0")
STOCK = MinerSpec("stock", "l9", "stock")
OLD_STOCK = MinerSpec("old-stock", "l3+", "stock")


def client(outgoing: Outgoing, host: MinerHost) -> Client:
    endpoint = Endpoint("http", host.address, host.port)
    return Client(outgoing, endpoint, Policy(None), outgoing.clock() + 30)


async def read(
    outgoing: Outgoing, clock: FakeClock, host: MinerHost, source: VnishSource | None = None
) -> tuple[MinerReading, Page]:
    reading = await (source or VnishSource(clock)).read(client(outgoing, host))
    page = Page()
    assert not samples(reading, page)
    assert not reading.unexpected
    return reading, page


def printing(host: MinerHost, page: Any, info: dict[str, Any] | None = None) -> None:
    """Let the host print *page* from now on, and change its system information."""
    text = page if isinstance(page, str) else json.dumps(page)
    host._cgi_pages = {
        "/cgi-bin/get_system_info.cgi": lambda m: json.dumps(cgi.system_info(m) | (info or {})),
        "/cgi-bin/get_miner_status.cgi": lambda _: text,
    }


@pytest.mark.parametrize(
    ("spec", "unit", "boards", "fans"),
    [(L3, 1e6, ["1", "2", "3", "4"], ["0", "1"]), (S9, 1e9, ["6", "7", "8"], ["4", "5"])],
)
async def test_everything_the_pages_tell(
    outgoing: Outgoing, clock: FakeClock, spec: MinerSpec, unit: float, boards: list[str], fans: list[str]
) -> None:
    async with Simulation([spec], clock=clock) as simulation:
        host = simulation.miners[spec.name]
        miner, hardware = host.miner, host.miner.hardware
        reading, page = await read(outgoing, clock, host)
        assert reading.identity.model == hardware.name
        assert reading.identity.algorithm == hardware.algorithm
        assert page.value(c.HASHRATE) == pytest.approx(miner.rate() * unit, rel=1e-4)
        assert page.value(c.HASHRATE_NOMINAL) == hardware.rate * unit
        watts = [round(miner.board_watts(board)) for board in miner.boards]
        assert page.value(c.POWER) == sum(watts)
        for number, board, own in zip(boards, miner.boards, watts, strict=True):
            assert page.value(c.BOARD_POWER, number) == own
            assert page.value(c.BOARD_HASHRATE_NOMINAL, number) == pytest.approx(miner.board_nominal() * unit)
            assert page.value(c.BOARD_VOLTAGE, number) == pytest.approx(hardware.board_millivolts / 1000)
            assert page.value(c.BOARD_CHIPS_EXPECTED, number) == hardware.chips
            assert page.value(c.BOARD_CHIPS, number, "grey") == hardware.chips
            assert page.value(c.BOARD_CHIPS, number, "red") == 0
            assert page.value(c.BOARD_PCB_TEMPERATURE_MAX, number) == round(board.celsius - 14)
        hottest = max(board.celsius for board in miner.boards)
        assert page.value(c.CHIP_TEMPERATURE_MAX) == round(hottest)
        assert page.value(c.PCB_TEMPERATURE_MAX) == round(hottest - 14)
        assert sorted(page.family(c.FAN_SPEED)) == [(fan,) for fan in fans]
        assert page.value(c.FAN_SPEED, fans[0]) == round(miner.fan_rpm[0])
        days = 86_400 * (miner.uptime // 86_400)
        assert page.value(c.UPTIME) == days
        assert page.value(c.MEMORY_TOTAL) == 243_356 * 1024
        assert page.value(c.MEMORY_FREE) == 182_352 * 1024
        assert reading.state is None, "these pages have none"


async def test_the_development_fee_is_no_pool_of_the_owners_and_one_pool_is_active(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        reading, page = await read(outgoing, clock, host)
        assert [pool.kind for pool in reading.pools] == ["UserPool", "UserPool", "DevFee"]
        assert page.value(c.POOL_ACTIVE, "0", "UserPool") == 1
        assert page.value(c.POOL_ACTIVE, "1", "UserPool") == 0
        assert page.value(c.POOL_ACTIVE, "2", "DevFee") == 0
        assert page.value(c.POOL_STATUS, "1", "UserPool", "working") == 1
        assert page.value(c.POOL_LAST_SHARE_DIFFICULTY, "0", "UserPool") == host.miner.pools[0].difficulty
        assert page.value(c.POOL_LAST_SHARE_DIFFICULTY, "1", "UserPool") is None, "it had no share yet"

        data = cgi.miner_status(host.miner)
        data["pools"][0]["status"] = "Dead"
        printing(host, data)
        _, page = await read(outgoing, clock, host)
        assert page.value(c.POOL_STATUS, "0", "UserPool", "offline") == 1
        assert page.value(c.POOL_ACTIVE, "0", "UserPool") == 0
        assert page.value(c.POOL_ACTIVE, "1", "UserPool") == 1

        # The order in which they are tried is the priority's, not the list's; an empty slot is no pool.
        for pool, priority in zip(data["pools"], (5, 4, 993), strict=True):
            pool |= {"status": "Alive", "priority": priority}
        data["pools"].append({"index": 3, "url": "", "user": "", "status": "Alive", "priority": 0})
        printing(host, data)
        _, page = await read(outgoing, clock, host)
        assert [page.value(c.POOL_ACTIVE, number, "UserPool") for number in "013"] == [0, 1, 0]


@pytest.mark.parametrize("spec", [L3, S9])
@pytest.mark.parametrize("fault", ["paused", "process_dead"])
async def test_a_miner_that_is_stopped_or_refuses_is_up_and_does_not_hash(
    outgoing: Outgoing, clock: FakeClock, spec: MinerSpec, fault: str
) -> None:
    async with Simulation([spec], clock=clock) as simulation:
        await simulation.inject(spec.name, fault)
        clock.advance(5)
        source = VnishSource(clock)
        for _ in range(2):
            reading, page = await read(outgoing, clock, simulation.miners[spec.name], source)
            assert reading.identity.model == simulation.miners[spec.name].miner.hardware.name
            assert page.value(c.STATE, "stopped") == 1
            assert page.value(c.STATE, "mining") == 0
            for metric in (c.HASHRATE, c.POWER, c.BOARDS, c.HARDWARE_ERRORS):
                assert page.value(metric) is None, "nobody measured it"
            assert not page.family(c.FAN_SPEED)
        await simulation.repair(spec.name)
        clock.advance(60)
        reading, page = await read(outgoing, clock, simulation.miners[spec.name], source)
        assert page.value(c.HASHRATE)
        assert reading.state is None


@pytest.mark.parametrize(
    "summary", ['{"elapsed": , "ghs5s":"" , "ghsav": ,"hw": }', '{"elapsed":"","ghs5s":"","ghsav":""}']
)
async def test_a_summary_of_blanks_is_a_stopped_miner(
    outgoing: Outgoing, clock: FakeClock, summary: str
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        printing(host, f'{{"summary": {summary}, "pools": [{{"index": ,"url":""}}], "devs": [{{"rate": }}]}}')
        reading, page = await read(outgoing, clock, host)
        assert reading.state == "stopped"
        assert page.value(c.HASHRATE) is None


@pytest.mark.parametrize("page", ['{"summary": {}}', '{"summary": 5}', '{"summary": [1]}', "{}", "[]", "5"])
async def test_json_of_another_shape_is_told_as_that(outgoing: Outgoing, clock: FakeClock, page: str) -> None:
    async with Simulation([L3]) as simulation:
        printing(simulation.miners["l3"], page)
        with pytest.raises(ProbeError) as caught:
            await read(outgoing, clock, simulation.miners["l3"])
        assert caught.value.reason is Reason.BAD_SHAPE


async def test_a_fan_that_turned_and_says_0_has_stopped(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L3], clock=clock) as simulation:
        source = VnishSource(clock)
        host = simulation.miners["l3"]
        _, page = await read(outgoing, clock, host, source)
        assert page.value(c.FAN_OK, "0") == 1
        await simulation.inject("l3", "fan_stopped")
        clock.advance(120)
        _, page = await read(outgoing, clock, host, source)
        assert page.value(c.FAN_SPEED, "0") == 0
        assert page.value(c.FAN_OK, "0") == 0
        assert page.value(c.FAN_OK, "1") == 1
        assert len(page.family(c.FAN_SPEED)) == 2, "no fan where none ever turned"


async def test_power_is_the_sum_of_all_boards_or_unknown(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        data = cgi.miner_status(host.miner)
        del data["devs"][1]["chain_consumption"]
        printing(host, data)
        _, page = await read(outgoing, clock, host)
        assert page.value(c.POWER) is None
        assert page.value(c.BOARD_POWER, "1")
        for dev in data["devs"]:
            dev["chain_consumption"] = "0"
        printing(host, data)
        _, page = await read(outgoing, clock, host)
        assert page.value(c.POWER) is None, "it hashes, and so draws more than nothing"
        assert page.value(c.BOARD_POWER, "1") is None


async def test_bad_chips_are_counted(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L3], clock=clock) as simulation:
        await simulation.inject("l3", "chips_red", {"board": 2, "count": 3})
        _, page = await read(outgoing, clock, simulation.miners["l3"])
        assert page.value(c.BOARD_CHIPS, "2", "red") == 3
        assert page.value(c.BOARD_CHIPS, "2", "grey") == 69


@pytest.mark.parametrize(
    ("uptime", "elapsed", "seconds"),
    [
        ("2:03", 119, 7_380),
        ("5", 3 * 86_400, 5 * 86_400),
        ("400", 119, 400 * 86_400),
        # Minutes of a board, or days of one whose mining was restarted: nobody knows.
        ("5", 119, None),
        ("27 days, 12:24", 119, 27 * 86_400 + 44_640),
        ("", 119, None),
        ("soon", 119, None),
    ],
)
async def test_uptime_is_one_word_of_what_the_board_prints(
    outgoing: Outgoing, clock: FakeClock, uptime: str, elapsed: int, seconds: float | None
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        data = cgi.miner_status(host.miner)
        data["summary"]["elapsed"] = elapsed
        printing(host, data, {"uptime": uptime})
        reading = await VnishSource(clock).read(client(outgoing, host))
        assert reading.uptime == seconds
        assert bool(reading.unexpected) == (uptime == "soon")


async def test_uptime_goes_on_while_the_page_with_it_is_kept_and_begins_anew_with_the_miner(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        data = cgi.miner_status(host.miner)
        printing(host, data, {"uptime": "2:03"})
        source = VnishSource(clock)
        await read(outgoing, clock, host, source)
        clock.advance(50)
        reading, _ = await read(outgoing, clock, host, source)
        assert reading.uptime == 7_380 + 50
        # Read again in the same minute, as after a reading that failed.
        source._dialects["cgi"].forget()
        printing(host, data, {"uptime": "2:03"})
        reading, _ = await read(outgoing, clock, host, source)
        assert reading.uptime == 7_380 + 50
        clock.advance(5)
        data["summary"]["elapsed"] = 10
        printing(host, data, {"uptime": "1:00"})
        reading, _ = await read(outgoing, clock, host, source)
        assert reading.uptime == 3600


@pytest.mark.parametrize("kind", ["devs", "pools"])
@pytest.mark.parametrize(
    ("index", "label"),
    [("\x1b[31m\n7", "[31m7"), ("123456789", "12345678"), (7, "7"), (True, "?"), ([], "?"), ("\ud800", "?")],
)
async def test_an_index_is_cleaned_like_every_label(
    outgoing: Outgoing, clock: FakeClock, kind: str, index: Any, label: str
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        data = cgi.miner_status(host.miner)
        data[kind][0]["index"] = index
        printing(host, data)
        reading = await VnishSource(clock).read(client(outgoing, host))
        assert ((reading.boards or []) if kind == "devs" else reading.pools)[0].number == label


@pytest.mark.parametrize("spec", [STOCK, OLD_STOCK])
async def test_the_makers_firmware_is_a_reason_of_its_own(
    outgoing: Outgoing, clock: FakeClock, spec: MinerSpec
) -> None:
    async with Simulation([spec]) as simulation:
        source = VnishSource(clock)
        for _ in range(2):
            with pytest.raises(ProbeError) as caught:
                await source.read(client(outgoing, simulation.miners[spec.name]))
            assert caught.value.reason is Reason.STOCK_FIRMWARE
            assert "stock firmware, not VNish" in caught.value.detail


async def test_a_name_without_vnish_is_still_vnish_where_its_pages_are(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    """The script asks the mining process what it is called, and some brands leave the name out."""
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        for name in ("Antminer L3+", "Antminer L3+ (A.P. 3.8.6)"):
            printing(host, cgi.status_page(host.miner), {"minertype": name})
            reading, _ = await read(outgoing, clock, host)
            assert reading.hashrate
            assert reading.identity.model == "Antminer L3+"
        # Stopped, and nameless: it is what it was.
        source = VnishSource(clock)
        printing(host, cgi.status_page(host.miner))
        await read(outgoing, clock, host, source)
        for name in ("Antminer L3+", ""):
            printing(host, '{"summary": [ ], "pools": [ ], "devs": [ ]}', {"minertype": name})
            clock.advance(600)
            reading, _ = await read(outgoing, clock, host, source)
            assert reading.state == "stopped"
            assert (reading.identity.model, reading.identity.firmware_version) == ("Antminer L3+", "3.9.0")


@pytest.mark.parametrize(
    ("printed", "model", "firmware", "version"),
    [
        ("Antminer S9 (vnish 3.8.6)", "Antminer S9", "vnish", "3.8.6"),
        ("Antminer S9 (vnish for AWESOME 3.8.6)", "Antminer S9", "vnish for AWESOME", "3.8.6"),
        ("Antminer L3+ (vnish)", "Antminer L3+", "vnish", None),
    ],
)
async def test_names_as_they_are_in_the_field(
    outgoing: Outgoing, clock: FakeClock, printed: str, model: str, firmware: str, version: str | None
) -> None:
    async with Simulation([L3]) as simulation:
        host = simulation.miners["l3"]
        printing(host, cgi.status_page(host.miner), {"minertype": printed})
        who = (await VnishSource(clock).read(client(outgoing, host))).identity
        assert (who.model, who.firmware, who.firmware_version) == (model, firmware, version)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "1"}', {"a": "1"}),
        ('{"a": [45,temp5=0]}', {"a": [45]}),
        ('{"a": "1",}', {"a": "1"}),
        ('{"a": [1, 2,]}', {"a": [1, 2]}),
        ('{"a": "1"\n"b": "2"}', {"a": "1", "b": "2"}),
        ('{"a": [{"b": 1}{"b": 2}]}', {"a": [{"b": 1}, {"b": 2}]}),
        ('{"a": , "b": [{"c": }], "d": ,}', {"a": None, "b": [{"c": None}], "d": None}),
        # What stands in a string is not mended.
        ('{"a": ":, }{ x=1", "b": }', {"a": ":, }{ x=1", "b": None}),
        (r'{"a": "\":,\\", "b": }', {"a": '":,\\', "b": None}),
    ],
)
def test_pages_broken_in_a_known_way_are_read(text: str, expected: object) -> None:
    assert lenient(text.encode()) == expected


@pytest.mark.parametrize("text", ["<html></html>", "", "{", "=" * 300_000, "{{{{", ":", '"', '{"a": "'])
def test_other_text_is_not_json(text: str) -> None:
    with pytest.raises(ProbeError):
        lenient(text.encode())


@pytest.mark.parametrize("start", ["{", '{"a": 1', '{"a": "'])
@pytest.mark.parametrize(
    "unit",
    [" ", "\n", "a", ":", ",", '"', '\\"', "\\", "=", "a=", "[", "{", "}{", '"\n', ": ,", '":', ", \n"],
)
def test_no_page_takes_long_to_mend(start: str, unit: str) -> None:
    # Quadratic work on these would be hours; the test would not end.
    assert mended(start + unit * (200_000 // len(unit)) + "!")


def test_a_page_far_larger_than_any_miners_is_not_mended() -> None:
    with pytest.raises(ProbeError):
        lenient(b'{"a": ,' + b" " * 70_000 + b'"b": 1}')
