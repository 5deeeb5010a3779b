"""Which interface a miner speaks, against simulated ones; and the simple shape itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aioresponses import aioresponses

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.simulator import simple
from exporter.simulator.hosts import MinerHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.details import MAX_CHIPS, MAX_CHIPS_OF_MINER
from exporter.vnish.metrics import samples
from exporter.vnish.reading import MinerReading, Range
from exporter.vnish.source import VnishSource
from tests.conftest import L9, L9_NEW, SIMPLE, FakeClock


def client(outgoing: Outgoing, host: MinerHost) -> Client:
    endpoint = Endpoint("http", host.address, host.port)
    return Client(outgoing, endpoint, Policy(None), outgoing.clock() + 30)


def paths(host: MinerHost) -> list[str]:
    asked = [path for _, path in host.requests]
    host.requests.clear()
    return asked


async def test_each_dialect_is_found_and_remembered(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([L9, L9_NEW, SIMPLE]) as simulation:
        for name, api, first, then in (
            ("l9", "v1", ["/api/v1/info", "/api/v1/summary"], "/api/v1/summary"),
            ("l9-new", "v1", ["/api/v1/info", "/api/v1/summary"], "/api/v1/summary"),
            ("simple", "simple", ["/api/v1/info", "/summary"], "/summary"),
        ):
            host = simulation.miners[name]
            source = VnishSource(clock)
            assert (await source.read(client(outgoing, host))).identity.api == api
            assert paths(host)[:2] == first
            await source.read(client(outgoing, host))
            assert paths(host)[0] == then


async def test_a_miner_that_changes_its_firmware_is_found_again(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([SIMPLE]) as simulation:
        host = simulation.miners["simple"]
        source = VnishSource(clock)
        assert (await source.read(client(outgoing, host))).identity.api == "simple"
        host.dialect = "1.2.7"
        with pytest.raises(ProbeError) as caught:
            await source.read(client(outgoing, host))
        assert caught.value.reason is Reason.NOT_JSON
        assert (await source.read(client(outgoing, host))).identity.api == "v1"


async def test_a_miner_that_is_merely_down_keeps_its_dialect(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([SIMPLE]) as simulation:
        host = simulation.miners["simple"]
        source = VnishSource(clock)
        await source.read(client(outgoing, host))
        await simulation.inject("simple", "unplugged")
        with pytest.raises(ProbeError):
            await source.read(client(outgoing, host))
        await simulation.repair("simple")
        paths(host)
        await source.read(client(outgoing, host))
        assert paths(host)[0] == "/summary"


async def test_a_web_server_that_is_no_miner_is_told_by_the_first_reason(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    async with Simulation([L9]) as simulation:
        await simulation.inject("l9", "html")
        with pytest.raises(ProbeError) as caught:
            await VnishSource(clock).read(client(outgoing, simulation.miners["l9"]))
        assert caught.value.reason is Reason.NOT_JSON
        assert "/api/v1/info" in caught.value.detail
        assert paths(simulation.miners["l9"]) == ["/api/v1/info", "/summary"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("truncated_json", Reason.NOT_JSON),
        ("http_500", Reason.HTTP_STATUS),
        ("wrong password", Reason.UNAUTHORISED),
        ("hanging", Reason.TIMEOUT),
    ],
)
async def test_the_reason_of_old_firmware_is_the_one_of_its_own_pages(
    outgoing: Outgoing, clock: FakeClock, fault: str, reason: Reason
) -> None:
    async with Simulation([MinerSpec("l3", "l3+", "3.9.0")]) as simulation:
        host = simulation.miners["l3"]
        if fault == "wrong password":
            host.miner.password = "another"
        elif fault == "hanging":

            async def hangs(request: web.BaseRequest) -> web.StreamResponse:
                if "cgi-bin" in request.path:
                    await asyncio.Event().wait()
                return await answer(request)

            answer, host.answer = host.answer, hangs  # type: ignore[method-assign]
        else:
            await simulation.inject("l3", fault)
        endpoint = Endpoint("http", host.address, host.port)
        deadline = outgoing.clock() + (0.5 if fault == "hanging" else 30)
        with pytest.raises(ProbeError) as caught:
            await VnishSource(clock).read(Client(outgoing, endpoint, Policy(None), deadline))
        assert caught.value.reason is reason
        if fault != "http_500":
            assert "/cgi-bin/" in caught.value.detail, "not what another interface said"


@pytest.mark.parametrize(
    ("v1", "simple", "reason", "path"),
    [
        # What it said to the first is as good as to the others, where none went further.
        ({"status": 404}, {"status": 404}, Reason.HTTP_STATUS, "/api/v1/info"),
        ({"status": 404}, {"body": "<html>"}, Reason.HTTP_STATUS, "/api/v1/info"),
        ({"body": "<html>"}, {"payload": {"hashrate": 5}}, Reason.BAD_SHAPE, "/summary"),
        (
            {"payload": {"miner": "L9", "fw_version": "1.2.7"}},
            {"payload": {}},
            Reason.HTTP_STATUS,
            "/api/v1/summary",
        ),
    ],
)
async def test_the_reason_is_that_of_the_interface_that_went_furthest(
    outgoing: Outgoing, clock: FakeClock, v1: Any, simple: Any, reason: Reason, path: str
) -> None:
    one = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    with aioresponses() as mocked:
        mocked.get("http://192.0.2.1/api/v1/info", **v1)
        mocked.get("http://192.0.2.1/api/v1/summary", status=500)
        mocked.get("http://192.0.2.1/summary", **simple)
        with pytest.raises(ProbeError) as caught:
            await VnishSource(clock).read(one)
    assert caught.value.reason is reason
    assert path in caught.value.detail


async def test_a_given_interface_is_the_only_one_tried(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([SIMPLE]) as simulation:
        host = simulation.miners["simple"]
        with pytest.raises(ProbeError):
            await VnishSource(clock, api="v1").read(client(outgoing, host))
        assert paths(host) == ["/api/v1/info"]


async def read_simple(outgoing: Outgoing, clock: FakeClock, **answers: Any) -> MinerReading:
    one = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    with aioresponses() as mocked:
        for name in ("summary", "chains", "chips", "status"):
            if name in answers:
                mocked.get(f"http://192.0.2.1/{name}", payload=answers[name])
            else:
                mocked.get(f"http://192.0.2.1/{name}", status=404)
        return await VnishSource(clock, api="simple", algorithm="scrypt").read(one)


async def test_the_simple_shape_as_documented(outgoing: Outgoing, clock: FakeClock) -> None:
    reading = await read_simple(
        outgoing,
        clock,
        summary={
            "summary": {
                "hashrate": "150 TH/s",
                "temperature": {"chip": 75, "board": 65, "water_inlet": 20, "water_outlet": 25},
                "power": 3400,
                "uptime": 86400,
                "status": "mining",
            },
            "chains": [
                {"id": 0, "chips": 126, "hashrate": "50 TH/s", "temperature": 75, "status": "healthy"}
            ],
        },
    )
    assert reading.hashrate == 150e12
    assert reading.power == 3400
    assert reading.uptime == 86400
    assert reading.state == "mining"
    assert reading.chip_temperature == Range(None, 75)
    assert reading.pcb_temperature == Range(None, 65)
    assert reading.water == {"inlet": 20, "outlet": 25}
    assert reading.boards
    [board] = reading.boards
    assert (board.number, board.state, board.hashrate) == ("0", "mining", 50e12)
    assert reading.identity.algorithm == "scrypt"


async def test_the_simple_shape_flat_with_a_plain_temperature(outgoing: Outgoing, clock: FakeClock) -> None:
    reading = await read_simple(
        outgoing,
        clock,
        summary={"hashrate": "9.5 GH/s", "temperature": 71, "uptime": "1 day,  3:58"},
        status={"status": "idle"},
        chains={"chains": [{"id": 1, "hashrate": "fast", "status": "on fire"}]},
    )
    assert reading.hashrate == 9.5e9
    assert reading.chip_temperature == Range(None, 71)
    assert reading.uptime == 100_680
    assert reading.state == "stopped"
    assert reading.power is None
    assert reading.boards
    assert reading.boards[0].hashrate is None
    assert reading.boards[0].state == "on fire"
    assert reading.unexpected == {"chains[].hashrate": 1, "chains[].status": 1}


CHIPS = [
    {"id": 1, "hashrate": "1.2 TH/s", "temperature": 75, "status": "active"},
    {"id": 2, "hashrate": "0 TH/s", "temperature": 0, "status": "failed"},
]
DOCUMENTED = {"hashrate": "150 TH/s", "temperature": 75, "power": 3400, "uptime": 86400, "status": "mining"}
CHAIN = {"id": 0, "chips": 2, "hashrate": "50 TH/s", "temperature": 75, "status": "healthy"}
NESTED = {**CHAIN, "chips": CHIPS}


@pytest.mark.parametrize(
    ("answers", "board", "asked"),
    [
        ({"summary": {"summary": DOCUMENTED, "chips": CHIPS, "chains": [CHAIN]}}, "", "summary"),
        ({"summary": {**DOCUMENTED, "chips": CHIPS, "chains": [CHAIN]}}, "", "summary"),
        ({"summary": {"summary": {**DOCUMENTED, "chips": CHIPS, "chains": [CHAIN]}}}, "", "summary"),
        ({"summary": {"summary": DOCUMENTED, "chains": [NESTED]}}, "0", "summary"),
        ({"summary": {"summary": {**DOCUMENTED, "chains": [NESTED]}}}, "0", "summary"),
        (
            {"summary": {"summary": {**DOCUMENTED, "chains": [CHAIN], "chips": 2}}, "chips": CHIPS},
            "",
            "summary chips",
        ),
        (
            {"summary": {"summary": DOCUMENTED}, "chips": CHIPS, "chains": [CHAIN]},
            "",
            "summary chains chips",
        ),
        (
            {"summary": DOCUMENTED, "chips": {"chips": CHIPS}, "chains": {"chains": [CHAIN]}},
            "",
            "summary chains chips",
        ),
        ({"summary": DOCUMENTED, "chains": [NESTED]}, "0", "summary chains"),
    ],
)
async def test_the_simple_shape_in_each_of_its_forms(
    outgoing: Outgoing, clock: FakeClock, answers: dict[str, Any], board: str, asked: str
) -> None:
    one = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    source = VnishSource(clock, api="simple", algorithm="scrypt")
    with aioresponses() as mocked:
        for name in ("summary", "chains", "chips", "status"):
            status = 200 if name in answers else 404
            mocked.get(f"http://192.0.2.1/{name}", payload=answers.get(name), status=status, repeat=True)
        for _ in range(2):
            one.steps.clear()
            reading = await source.read(one)
            assert [step.path.removeprefix("/") for step in one.steps] == asked.split()
            page = page_of(reading)
            assert page.value(c.HASHRATE) == 150e12, "a figure with its unit is no mistake of the unit"
            assert page.value(c.POWER) == 3400
            assert page.value(c.BOARDS) == 1
            assert page.value(c.BOARD_HASHRATE, "0") == 50e12
            assert page.value(c.BOARD_STATE, "0", "mining") == 1
            assert page.value(c.CHIP_HASHRATE, board, "1") == 1.2e12
            assert page.value(c.CHIP_HASHRATE, board, "2") == 0
            assert page.value(c.CHIP_TEMPERATURE, board, "1") == 75
            assert page.value(c.CHIP_TEMPERATURE, board, "2") is None, "0 is no reading"
            assert page.value(c.CHIP_GRADE, board, "1", "grey") == 1
            assert page.value(c.CHIP_GRADE, board, "2", "red") == 1
            if board:
                assert page.value(c.BOARD_CHIPS, "0", "red") == 1
                assert page.value(c.BOARD_CHIPS, "0", "grey") == 1
            else:
                assert page.value(c.BOARD_CHIPS_EXPECTED, "0") == 2


def page_of(reading: MinerReading) -> Page:
    page = Page()
    assert samples(reading, page) == {}
    assert reading.unexpected == {}
    return page


@pytest.mark.parametrize("form", simple.FORMS)
async def test_every_form_is_read_back_exactly(outgoing: Outgoing, clock: FakeClock, form: str) -> None:
    async with Simulation([MinerSpec("m", "l7", form)]) as simulation:
        host = simulation.miners["m"]
        source = VnishSource(clock, algorithm="scrypt")
        reading = await source.read(client(outgoing, host))
        page, miner = page_of(reading), host.miner
        assert page.value(c.HASHRATE) == pytest.approx(miner.rate() * 1e6, rel=1e-2)
        assert page.value(c.BOARDS) == 3
        chips = page.family(c.CHIP_HASHRATE) or dict(page.families())[c.CHIP_HASHRATE]
        assert len(chips) == 3 * 120
        assert {board for board, _ in chips} == ({"0", "1", "2"} if form == "simple-nested" else {""})
        assert sum(chips.values()) == pytest.approx(miner.rate() * 1e6, rel=0.05)
        paths(host)
        await source.read(client(outgoing, host))
        # What is not there is not asked for again, and nothing that the first answer has.
        asked = set(paths(host))
        assert asked == {path for path in simple.FORMS[form] if path != "/status"}


async def test_simple_chips_without_boards(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l7", "simple-nested")]) as simulation:
        host = simulation.miners["m"]
        source = VnishSource(clock, api="simple", boards=False)
        reading = await source.read(client(outgoing, host))
        assert reading.boards is None
        assert [detail.number for detail in reading.details] == ["0", "1", "2"]
        assert paths(host) == ["/summary", "/chips", "/chains"]
        none = await VnishSource(clock, api="simple", boards=False, chips=False).read(client(outgoing, host))
        assert none.details == []
        assert paths(host) == ["/summary"]


async def test_simple_chips_have_a_slower_rhythm_if_asked_to(outgoing: Outgoing, clock: FakeClock) -> None:
    async with Simulation([MinerSpec("m", "l7", "simple")]) as simulation:
        host = simulation.miners["m"]
        source = VnishSource(clock, api="simple", chips_interval=120)
        first = await source.read(client(outgoing, host))
        clock.advance(60)
        second = await source.read(client(outgoing, host))
        assert paths(host).count("/chips") == 1
        assert second.details is first.details
        assert (first.details_age, second.details_age) == (0.0, 60.0)
        clock.advance(61)
        await source.read(client(outgoing, host))
        assert paths(host).count("/chips") == 1


async def test_a_part_that_fails_for_once_is_asked_for_again(outgoing: Outgoing, clock: FakeClock) -> None:
    one = Client(outgoing, Endpoint.parse("192.0.2.1"), Policy(None), outgoing.clock() + 5)
    source = VnishSource(clock, api="simple", chips_interval=120)
    with aioresponses() as mocked:
        mocked.get("http://192.0.2.1/summary", payload={"summary": DOCUMENTED}, repeat=True)
        mocked.get("http://192.0.2.1/chains", body='[{"id": 0, "chi')
        mocked.get("http://192.0.2.1/chips", status=500)
        reading = await source.read(one)
        assert (reading.endpoints["chains"], reading.endpoints["chips"]) == (False, False)
        assert (reading.boards, reading.details) == (None, [])
        mocked.get("http://192.0.2.1/chains", payload=[CHAIN])
        mocked.get("http://192.0.2.1/chips", payload=CHIPS)
        reading = await source.read(one)
        assert reading.boards
        assert reading.details


async def test_more_simple_chips_than_any_miner_has_are_left_out(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    many = [{"id": number} for number in range(MAX_CHIPS_OF_MINER + 1)]
    reading = await read_simple(outgoing, clock, summary={"summary": DOCUMENTED, "chips": many, "chains": []})
    [loose] = reading.details
    assert loose.chips
    assert len(loose.chips.numbers) == MAX_CHIPS_OF_MINER
    chains = [{"id": number, "chips": many[: MAX_CHIPS + 1]} for number in range(8)]
    reading = await read_simple(outgoing, clock, summary={"summary": DOCUMENTED, "chains": chains})
    counts = [len(detail.chips.numbers) for detail in reading.details if detail.chips]
    assert counts == [MAX_CHIPS] * 4


@pytest.mark.parametrize("wrong", [None, "fast", 26, True, [], {}, "1.2"])
async def test_one_wrong_simple_chip_costs_that_figure_alone(
    outgoing: Outgoing, clock: FakeClock, wrong: Any
) -> None:
    chips = [{**CHIPS[0], "hashrate": wrong, "status": wrong}, 7, CHIPS[1]]
    reading = await read_simple(
        outgoing, clock, summary={"summary": DOCUMENTED, "chips": chips, "chains": []}
    )
    page = Page()
    samples(reading, page)
    assert page.value(c.CHIP_HASHRATE, "", "1") is None
    assert page.value(c.CHIP_GRADE, "", "1", "grey") is None
    assert page.value(c.CHIP_TEMPERATURE, "", "1") == 75
    assert page.value(c.CHIP_GRADE, "", "2", "red") == 1
    assert reading.unexpected["chips[].hashrate"] == (0 if wrong is None else 1)


async def test_a_simple_miner_that_is_stopped_may_have_no_hashrate(
    outgoing: Outgoing, clock: FakeClock
) -> None:
    reading = await read_simple(outgoing, clock, summary={"summary": {"status": "idle", "hashrate": None}})
    assert (reading.state, reading.hashrate) == ("stopped", None)


@pytest.mark.parametrize("summary", [[], {"summary": []}, {"hashrate": 150}, {"miner": None}, "x"])
async def test_json_of_another_shape_is_no_reading(
    outgoing: Outgoing, clock: FakeClock, summary: Any
) -> None:
    with pytest.raises(ProbeError) as caught:
        await read_simple(outgoing, clock, summary=summary)
    assert caught.value.reason is Reason.BAD_SHAPE
