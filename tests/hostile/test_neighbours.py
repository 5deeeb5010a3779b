"""Hundreds of hostile devices and pools among thirty healthy miners, who must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from exporter.simulator.simulation import MinerSpec
from tests.conftest import Site, serve_site
from tests.hostile.faults import Fault, RawServer, healthy_answers, miner_faults, pool_faults

KEY = "k3y-of-an-account-nobody-may-see"
NEIGHBOURS = [MinerSpec(f"good-{number:02}", "l9", "1.2.7") for number in range(30)]
MINER_FAULTS = list(miner_faults())
POOL_FAULTS = list(pool_faults(KEY))
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
ROUNDS = 2


@contextlib.asynccontextmanager
async def servers(
    faults: list[Fault], answers: dict[str, bytes], prefix: str
) -> AsyncIterator[list[RawServer]]:
    async with contextlib.AsyncExitStack() as opened:
        made = []
        for fault in faults:
            server = RawServer({**answers, fault.path: fault.raw}, prefix=prefix)
            await server.start()
            opened.push_async_callback(server.stop)
            made.append(server)
        yield made


async def ask(site: Site, names: list[str]) -> dict[str, str]:
    """Every target at once, two dozen at a time; both formats must be valid."""
    gate = asyncio.Semaphore(24)

    async def one(name: str) -> tuple[str, str]:
        async with gate:
            text = await site.get(f"/probe?target={name}")
            list(openmetrics(await site.get(f"/probe?target={name}", Accept=OPENMETRICS)))
            return name, text

    return dict(await asyncio.gather(*map(one, names)))


def values(text: str) -> dict[tuple[str, str], float]:
    """By series and the value of its last label, if any."""
    found = {}
    for family in plain(text):
        for sample in family.samples:
            found[sample.name, next(reversed(sample.labels.values()), "")] = sample.value
    return found


def among(bad: list[str], good: list[str]) -> list[str]:
    """The good ones, spread evenly among the bad."""
    step = len(bad) / len(good)
    places = [(index * step, name) for index, name in enumerate(good)]
    return [name for _, name in sorted([*places, *((float(index), name) for index, name in enumerate(bad))])]


def check(fault: Fault, text: str, kind: str) -> str:
    """What is wrong with the page of *fault*, or nothing."""
    found = values(text)
    failures = {
        reason for (name, reason), value in found.items() if name == f"{kind}_scrape_failure" and value
    }
    up = found[f"{kind}_up", ""]
    if fault.reasons is None:
        return "" if up in (0, 1) and (up == 1) == (not failures) else f"up {up} and {failures}"
    if up != 0 or not failures <= fault.reasons or not failures:
        return f"up {up} and {failures or 'no reason'}, not {set(fault.reasons)}"
    return ""


def test_there_are_hundreds_of_faults() -> None:
    assert min(len(MINER_FAULTS), len(POOL_FAULTS)) >= 200
    for faults in (MINER_FAULTS, POOL_FAULTS):
        assert len({fault.name for fault in faults}) == len(faults)


async def neighbours_alone(tmp_path: Path) -> list[tuple[str, str]]:
    """What one healthy miner is asked where there is nobody else."""
    async with serve_site(tmp_path, NEIGHBOURS[:1]) as site:
        for _ in range(ROUNDS):
            await ask(site, ["good-00"])
        return list(site.simulation.miners["good-00"].requests)


async def test_hostile_miners_fail_alone(tmp_path: Path, quiet_logs: list[dict[str, Any]]) -> None:
    alone = await neighbours_alone(tmp_path)
    async with servers(MINER_FAULTS, healthy_answers(), "/api/v1/") as hostile:

        def edit(config: dict[str, Any]) -> None:
            config["fleet"]["miners"] += [
                {"address": f"127.0.0.1:{server.port}", "name": f"bad-{number}", "api": "v1"}
                for number, server in enumerate(hostile)
            ]
            config["breaker"] = {"vnish": {"failure_threshold": 1000}}

        async with serve_site(tmp_path, NEIGHBOURS, edit=edit) as site:
            bad = [f"bad-{number}" for number in range(len(hostile))]
            good = [spec.name for spec in NEIGHBOURS]
            mixed = among(bad, good)
            for _ in range(ROUNDS):
                pages = await ask(site, mixed)
                for name in good:
                    assert values(pages[name])["vnish_up", ""] == 1, name
                wrong = {
                    fault.name: said
                    for number, fault in enumerate(MINER_FAULTS)
                    if (said := check(fault, pages[f"bad-{number}"], "vnish"))
                }
                assert wrong == {}
            for name in good:
                assert list(site.simulation.miners[name].requests) == alone, (
                    "asked as often, in the same order"
                )
    assert [event for event in quiet_logs if "defect" in str(event["event"])] == []


async def test_hostile_pools_fail_alone_and_tell_no_key(
    tmp_path: Path, quiet_logs: list[dict[str, Any]]
) -> None:
    alone = await neighbours_alone(tmp_path)
    async with servers(POOL_FAULTS, {}, "/") as hostile:

        def edit(config: dict[str, Any]) -> None:
            config["pools"] = [
                {
                    "type": "litecoinpool",
                    "name": f"bad-{number}",
                    "base_url": f"http://127.0.0.1:{server.port}",
                    "api_key": KEY,
                }
                for number, server in enumerate(hostile)
            ]
            config["breaker"] = {"litecoinpool": {"failure_threshold": 1000}}

        async with serve_site(tmp_path, NEIGHBOURS, edit=edit) as site:
            good = [spec.name for spec in NEIGHBOURS]
            for _ in range(ROUNDS):
                pages = await ask(site, among([f"bad-{n}" for n in range(len(hostile))], good))
                for name in good:
                    assert values(pages[name])["vnish_up", ""] == 1, name
                wrong = {
                    fault.name: said
                    for number, fault in enumerate(POOL_FAULTS)
                    if (said := check(fault, pages[f"bad-{number}"], "mining_pool"))
                }
                assert wrong == {}
                assert [name for name, page in pages.items() if KEY in page] == []
            for name in good:
                assert list(site.simulation.miners[name].requests) == alone
            for number in range(0, len(hostile), 17):
                assert KEY not in await site.get(f"/probe?target=bad-{number}&debug=true")
            assert KEY not in await site.get("/")
            assert KEY not in await site.get("/config")
    assert KEY not in json.dumps(quiet_logs, default=str)
    assert [event for event in quiet_logs if "defect" in str(event["event"])] == []


@pytest.mark.parametrize("fault", ["hanging", "slow"])
async def test_who_never_ends_costs_its_own_time_only(tmp_path: Path, fault: str) -> None:
    slow = [MinerSpec(f"slow-{number}", "l9", "1.2.7") for number in range(20)]
    async with serve_site(tmp_path, [*NEIGHBOURS, *slow], timeout_seconds=1.0) as site:
        for spec in slow:
            await site.simulation.inject(spec.name, fault, {"seconds": 30} if fault == "slow" else None)
        pages = dict(
            await asyncio.gather(
                *(
                    asyncio.create_task(_named(site, spec.name))
                    for pair in zip([*slow, *[None] * 10], NEIGHBOURS, strict=True)
                    for spec in pair
                    if spec is not None
                )
            )
        )
        for spec in NEIGHBOURS:
            assert values(pages[spec.name])["vnish_up", ""] == 1
        for spec in slow:
            assert values(pages[spec.name])["vnish_scrape_failure", "timeout"] == 1


async def _named(site: Site, name: str) -> tuple[str, str]:
    return name, await site.get(f"/probe?target={name}")
