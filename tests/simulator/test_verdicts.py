"""Each simulated fault is seen for what it is, through each of the firmware's interfaces."""

from __future__ import annotations

import pytest

from exporter.address import Endpoint, Policy
from exporter.config.schema import Thresholds
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.audit import PoolAudit
from exporter.vnish.metrics import samples
from exporter.vnish.source import VnishSource
from exporter.vnish.verdict import Condition, Glance, Kind, Limits, Verdict, judge
from tests.conftest import FakeClock

SPECS = {
    "v1": MinerSpec("l9", "l9", "1.2.7"),
    "v1.3": MinerSpec("l9", "l9", "1.3.4"),
    "cgi": MinerSpec("l3", "l3+", "3.9.0"),
    "simple": MinerSpec("l7", "l7", "simple"),
}
AUDIT = PoolAudit(frozenset({"eu.pool.example", "us.pool.example"}), None, None)
DEFAULTS = Thresholds()
LIMITS = Limits(
    DEFAULTS.temperature_warning, DEFAULTS.temperature_critical, DEFAULTS.hashrate_drop_percent / 100
)
# The worst that is wrong; None if all is well as far as one look can tell.
SEEN: dict[str, Kind | None] = {
    "slow": None,
    "board_lost": Kind.BOARD_DEAD,
    "board_missing": Kind.BOARD_MISSING,
    "chips_orange": None,
    "chips_red": None,
    "fan_stopped": Kind.FAN_LOST,
    "overheating": Kind.OVERHEATING,
    "hashrate_drop": Kind.HASHRATE_LOW,
    "power_spike": None,
    "reboot_loop": Kind.NOT_HASHING,
    "paused": Kind.NOT_HASHING,
    "failure": Kind.NOT_HASHING,
    "process_dead": Kind.NOT_HASHING,
    "shares_rejected": None,
    "wrong_worker": Kind.WRONG_POOL,
    "wrong_types": Kind.NOT_HASHING,
}
SILENT = {"unplugged", "hanging", "http_500", "html", "truncated_json"}


async def look(outgoing: Outgoing, spec: MinerSpec, fault: str | None) -> Verdict:
    clock = FakeClock(0.0)
    async with Simulation([spec], clock=clock) as simulation:
        [host] = simulation.miners.values()
        if fault:
            given = {"slow": {"seconds": 0.0}, "overheating": {"celsius": 60.0}}.get(fault)
            await simulation.inject(spec.name, fault, given)
        # Heat takes a while; a reboot loop is caught starting.
        clock.now = 95.0 if fault == "reboot_loop" else 600.0
        client = Client(
            outgoing, Endpoint("http", host.address, host.port), Policy(None), outgoing.clock() + 30
        )
        reading = await VnishSource(FakeClock(), algorithm="scrypt").read(client)
        page = Page()
        samples(reading, page)
        return judge(Glance.of(reading, page), LIMITS, AUDIT)


def test_every_fault_is_expected_to_look_like_something() -> None:
    assert set(SEEN) | SILENT == set(MINER_FAULTS)


@pytest.mark.parametrize("dialect", SPECS)
async def test_a_healthy_miner(outgoing: Outgoing, dialect: str) -> None:
    assert await look(outgoing, SPECS[dialect], None) == Verdict(Condition.OK)


@pytest.mark.parametrize("dialect", ["v1", "v1.3"])
@pytest.mark.parametrize("fault", SEEN)
async def test_a_fault(outgoing: Outgoing, dialect: str, fault: str) -> None:
    found = await look(outgoing, SPECS[dialect], fault)
    assert (found.faults[0].kind if found.faults else None) == SEEN[fault], found
