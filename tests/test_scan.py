"""A scan of many addresses stays within its bounds."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from exporter.http import Outgoing
from exporter.scan import MOST_ADDRESSES, addresses, scan
from exporter.simulator.simulation import Simulation, mixed_fleet
from exporter.simulator.stack import free_port

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


async def test_it_finds_the_miners_among_thousands_of_addresses() -> None:
    async with Simulation(mixed_fleet(1)) as simulation, Outgoing.open_session() as session:
        [host] = simulation.miners.values()
        network = ipaddress.ip_network(f"{host.address}/21", strict=False)
        hosts = addresses([str(network)], LOOPBACK)
        assert len(hosts) > 2000
        asked = 0

        def count() -> None:
            nonlocal asked
            asked += 1

        found = [
            one async for one in scan(Outgoing(session), hosts, LOOPBACK, port=host.port, progress=count)
        ]
        assert [str(one.endpoint) for one in found] == [f"{host.address}:{host.port}"]
        assert asked == len(hosts)


async def test_it_keeps_no_more_than_it_asks_at_once() -> None:
    hosts = addresses(["127.66.0.0/22"], LOOPBACK)
    before = len(asyncio.all_tasks())
    most = 0

    def watch() -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()) - before)

    async with Outgoing.open_session() as session:
        nobody = free_port("127.66.0.1")
        async for _ in scan(Outgoing(session), hosts, LOOPBACK, port=nobody, at_once=16, progress=watch):
            pytest.fail("nobody listens there")
    # A connection being made may be a task of its own.
    assert 0 < most <= 3 * 16


async def test_it_begins_no_more_than_so_many_a_second() -> None:
    now = 100.0
    starts: list[float] = []

    async def sleep(seconds: float) -> None:
        starts.append(now + seconds)

    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, clock=lambda: now, sleep=sleep)
        hosts = addresses(["127.66.0.0/26"], LOOPBACK)
        nobody = free_port("127.66.0.1")
        assert [one async for one in scan(outgoing, hosts, LOOPBACK, port=nobody, per_second=50)] == []
    assert starts == pytest.approx([now + index / 50 for index in range(len(hosts))])


async def test_a_defect_is_not_swallowed() -> None:
    def broken() -> None:
        raise KeyError("defect")

    async with Outgoing.open_session() as session:
        hosts = addresses(["127.66.0.0/28"], LOOPBACK)
        with pytest.raises(KeyError, match="defect"):
            async for _ in scan(
                Outgoing(session), hosts, LOOPBACK, port=free_port("127.66.0.1"), progress=broken
            ):
                pass


def test_the_largest_network_is_a_16() -> None:
    assert len(addresses(["127.66.0.0/16"], LOOPBACK)) == MOST_ADDRESSES - 2
    with pytest.raises(ValueError, match="at most 65536 addresses"):
        addresses(["127.66.0.0/15"], LOOPBACK)
