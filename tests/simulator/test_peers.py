"""Other people's readers of this firmware recognise the simulated miners, and agree with our series."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.simulator import rpc
from exporter.simulator.hosts import MinerHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.metrics import samples
from exporter.vnish.source import VnishSource
from tests.conftest import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore")

SPECS = [MinerSpec("l9", "l9", "1.2.7"), MinerSpec("l7", "l7", "1.2.7"), MinerSpec("s19", "s19jpro", "1.3.4")]
NAMES = {"l9": "L9", "l7": "L7", "s19": "S19j Pro"}
UNITS = {"MH/s": 1e6, "GH/s": 1e9, "TH/s": 1e12}


def may_use_port_80() -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.78.0.250", 80))
        except PermissionError:
            return False
    return True


needs_port_80 = pytest.mark.skipif(
    not may_use_port_80(), reason="these tools know port 80 only; that takes root"
)


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulation]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with contextlib.AsyncExitStack() as opened:
        simulation = await opened.enter_async_context(Simulation(SPECS, port=80, network="127.78.0"))
        for host in simulation.miners.values():
            # All readers see one moment.
            host._clock = lambda: 0.0
            server = await rpc.serve(host.miner, host.dialect, host.address)
            opened.callback(server.close)
        yield simulation


async def ours(outgoing: Outgoing, host: MinerHost) -> Page:
    client = Client(outgoing, Endpoint("http", host.address, 80), Policy(None), outgoing.clock() + 30)
    page = Page()
    samples(await VnishSource(FakeClock()).read(client), page)
    return page


def agree(
    page: Page, host: MinerHost, *, rate: float, watts: float, fans: list[float], boards: list[float]
) -> None:
    assert rate == pytest.approx(page.value(c.HASHRATE), rel=1e-6)
    assert watts == page.value(c.POWER)
    assert fans == pytest.approx([page.value(c.FAN_SPEED, str(index)) for index in range(len(fans))])
    assert len(fans) == host.miner.hardware.fans
    expected = [page.value(c.BOARD_HASHRATE, str(board.number)) for board in host.miner.boards]
    assert boards == pytest.approx(expected, rel=1e-5)


@needs_port_80
async def test_pyasic(site: Simulation, outgoing: Outgoing) -> None:
    factory = pytest.importorskip("pyasic.miners.factory").miner_factory
    for name, host in site.miners.items():
        miner: Any = await factory.get_miner(host.address)
        data = await miner.get_data()
        assert data.model == NAMES[name]
        assert str(data.firmware).lower().endswith("vnish")
        assert data.fw_ver == host.dialect
        assert data.mac.lower() == host.miner.mac.lower()
        # It takes MH/s of a scrypt miner for GH/s.
        error = 1000 if host.miner.hardware.algorithm == "scrypt" else 1

        def hashes(rate: Any, error: int = error) -> float:
            return float(rate) * UNITS[str(rate.unit)] / error

        agree(
            await ours(outgoing, host),
            host,
            rate=hashes(data.hashrate),
            watts=data.wattage,
            fans=[fan.speed for fan in data.fans],
            boards=[hashes(board.hashrate) for board in data.hashboards],
        )


@needs_port_80
async def test_pyasic_rs(site: Simulation, outgoing: Outgoing) -> None:
    factory = pytest.importorskip("pyasic_rs").MinerFactory()
    for name, host in site.miners.items():
        miner: Any = await factory.get_miner(host.address)
        data = await miner.get_data()
        info = data.device_info
        assert str(info.model).replace(" ", "") == NAMES[name].replace(" ", "")
        assert str(info.firmware).lower().endswith("vnish")
        assert data.firmware_version == host.dialect

        def hashes(rate: Any) -> float:
            return float(rate.value) * UNITS[str(rate.unit)]

        agree(
            await ours(outgoing, host),
            host,
            rate=hashes(data.hashrate),
            watts=data.wattage,
            fans=[fan.rpm for fan in data.fans],
            boards=[hashes(board.hashrate) for board in data.hashboards],
        )
