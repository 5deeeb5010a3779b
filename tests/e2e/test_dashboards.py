"""Every query of every dashboard as Grafana would send it, with the shipped rules, and each fault by its words.

Asked of the real Prometheus, and of VictoriaMetrics where that is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.simulation import Simulation, mixed_fleet
from exporter.simulator.stack import Stack, free_port
from tests.bundle.dashboards import Asked, annotations, queries, sent
from tests.conftest import ROOT
from tests.e2e.programs import all_each_second, running, serving

# Not part of the suite yet: it has not been seen green on a quiet machine.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif("MINEFLEET_E2E_DASHBOARDS" not in os.environ, reason="set MINEFLEET_E2E_DASHBOARDS"),
]

# How long a condition may take to come true before the test gives up; nothing is measured with it.
PATIENCE_SECONDS = 240

# What is wrong with a miner in the words of its first screen. A fault that shows itself in several ways has the
# worst of them here; the rest must be said within two scrapes and an evaluation of when the miner shows them.
WORDS = {
    "unplugged": "no answer: connection",
    "hanging": "no answer: timeout",
    "slow": r"answers slowly|does not tell its .*|no answer: timeout",
    "http_500": "no answer: http_status",
    "html": "no answer: not_json",
    "truncated_json": "no answer: .*",
    "wrong_types": r"answers, but does not hash|tells what cannot be read|no answer: bad_shape",
    "board_lost": "board 2 is dead",
    "board_missing": "a board is missing",
    "chips_orange": "board 1 has weak chips",
    "chips_red": "board 1 has dead chips",
    "fan_stopped": "fan 0 has stopped",
    "overheating": "chips (dangerously )?hot",
    "hashrate_drop": "hashes too little",
    "power_spike": "draws too much power",
    "reboot_loop": "no answer: .*|not mining yet: .*|reboots again and again",
    "paused": "not mining: stopped",
    "failure": "not mining: failure",
    "process_dead": "answers, but does not hash",
    "wrong_worker": "mines for somebody else",
}
# Counted over shares of a quarter of an hour; told by prometheus/tests/problems.test.yml.
SLOW_TO_SHOW = {"shares_rejected"}

# Queries that find nothing here, by panel, and why.
NOTHING = {
    ("minefleet-exporter", "Of whom is nothing known?"): "every target gives a page",
    ("minefleet-exporter", "Is the machine busy?"): "no node-exporter is run",
    ("minefleet-exporter", "Is its memory full?"): "no node-exporter is run",
    ("minefleet-exporter", "Are its disks full?"): "no node-exporter is run",
    ("minefleet-pool", "Is the pool crediting what my miners hash?"): "known after an hour",
    ("minefleet-pool", "Which worker is credited too little?"): "known after an hour",
    ("minefleet-pool", "Whose workers are they?"): "the pool sees no strangers",
    ("minefleet-pool", "Who hashes unseen by the pool?"): "the pool forgets a worker after minutes",
    ("minefleet-pool", "Which workers does the pool miss?"): "the pool forgets a worker after minutes",
    ("minefleet-inventory", "Whose preset differs?"): "all are on the preset of their model",
    ("minefleet-inventory", "Who waits for a restart?"): "nobody has changed settings",
    ("minefleet-boards", "Which boards got worse this week?"): "compared with an hour ago at least",
    ("minefleet-alerts", "Were they sent?"): "an increase needs a second message",
}
# Columns for pools of other kinds than the one that is simulated.
OTHER_POOLS = {
    ("minefleet-pool", "Does each pool answer, and how old is what it says?", "Fee"),
    ("minefleet-pool", "What lies at the pool, and when did it pay?", "Unconfirmed"),
    ("minefleet-pool", "What lies at the pool, and when did it pay?", "Yesterday"),
    ("minefleet-pool", "Is the price good now?", "C"),
}
# Those of Prometheus and Alertmanager themselves, which VictoriaMetrics has not.
OF_PROMETHEUS = ("prometheus_", "alertmanager_")


class Watched:
    """A simulated fleet, and a database that is asked of it."""

    def __init__(self, simulation: Simulation, url: str, session: aiohttp.ClientSession) -> None:
        self.simulation, self.url, self.session = simulation, url, session

    async def ask(self, asked: Asked, chosen: dict[str, str]) -> list[dict[str, Any]]:
        """What Grafana would get."""
        expression = sent(asked.expression, chosen, rate="10s")
        now = time.time()
        form = {"query": expression}
        path = "query"
        if not asked.instant:
            path, form = "query_range", {**form, "start": str(now - 60), "end": str(now), "step": "2"}
        async with self.session.post(f"{self.url}/api/v1/{path}", data=form) as response:
            answer = await response.json()
        assert answer["status"] == "success", (asked, answer)
        return answer["data"]["result"]  # type: ignore[no-any-return]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        return await self.ask(Asked("", "", "", expression, True, ""), {})


@contextlib.asynccontextmanager
async def victoria(stack: Stack, directory: Path) -> AsyncIterator[str]:
    """VictoriaMetrics with the shipped scrape configuration, and vmalert with the shipped rules."""
    config = stack._prometheus_config()
    scrapes = {"scrape_configs": [job for job in config["scrape_configs"] if "minefleet" in job["job_name"]]}
    for job in scrapes["scrape_configs"]:
        job |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        for unknown in ("body_size_limit", "label_value_length_limit"):
            job.pop(unknown, None)
        for discovery in job.get("http_sd_configs", []):
            discovery.pop("refresh_interval", None)
    (directory / "scrape.yml").write_text(yaml.safe_dump(scrapes))
    address, alerting = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    url = f"http://{address}"
    async with (
        running(
            "victoria-metrics",
            f"-httpListenAddr={address}",
            f"-storageDataPath={directory / 'victoria'}",
            f"-promscrape.config={directory / 'scrape.yml'}",
            "-promscrape.httpSDCheckInterval=1s",
            "-search.latencyOffset=1s",
            "-search.disableCache",
            directory=directory,
        ),
        running(
            "vmalert",
            f"-httpListenAddr={alerting}",
            f"-datasource.url={url}",
            f"-remoteWrite.url={url}",
            "-remoteWrite.flushInterval=500ms",
            f"-rule={ROOT / 'prometheus/rules/*.yml'}",
            "-evaluationInterval=2s",
            "-notifier.blackhole",
            directory=directory,
        ),
    ):
        yield url


@pytest.fixture(params=["prometheus", "victoriametrics"])
async def watched(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Watched]:
    other = request.param == "victoriametrics"
    if other and not (shutil.which("victoria-metrics") and shutil.which("vmalert")):
        pytest.skip("VictoriaMetrics is not installed")
    async with contextlib.AsyncExitStack() as opened:
        simulation = await opened.enter_async_context(
            Simulation(mixed_fleet(len(MINER_FAULTS) + 2), pools=("litecoinpool",))
        )
        config = simulation.configuration(
            poll_interval_seconds=5, timeout_seconds=4, min_interval_seconds=0.1
        )
        config["fleet"]["expected_pools"] = ["eu.pool.example", "us.pool.example"]
        config["alerts"] = {"thresholds": {"offline_duration_minutes": 0.1}}
        exporter = await opened.enter_async_context(serving(config, tmp_path))
        # Nobody listens at the messages' address: that they fail is not this test's matter.
        stack = Stack(
            ROOT,
            tmp_path,
            exporter=exporter,
            slack_url="http://127.0.0.1:9/slack",
            edit_prometheus=all_each_second,
        )
        if other:
            url = await opened.enter_async_context(victoria(stack, tmp_path))
        else:
            opened.push_async_callback(stack.stop)
            await stack.start()
            url = f"http://{stack.prometheus}"
        session = await opened.enter_async_context(aiohttp.ClientSession())
        yield Watched(simulation, url, session)


async def test_faults_are_named_and_no_panel_is_broken(
    watched: Watched, request: pytest.FixtureRequest
) -> None:
    # All well, first: nothing is said of a miner that has no fault.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await _asked_until_there(watched, "instance:vnish_hashing:bool == 1")) < len(
            watched.simulation.miners
        ):
            await asyncio.sleep(0.5)
    said = await watched.query('instance:minefleet_problem:severity{kind!="starting"}')
    assert {row["metric"]["instance"]: row["metric"]["problem"] for row in said} == {}

    broken = dict(zip(watched.simulation.miners, MINER_FAULTS, strict=False))
    for miner, fault in broken.items():
        await watched.simulation.inject(miner, fault)
    missing = {miner: fault for miner, fault in broken.items() if fault not in SLOW_TO_SHOW}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while missing:
            for miner, fault in list(missing.items()):
                worst = await watched.query(
                    f'topk by (instance) (1, instance:minefleet_problem:severity{{instance="{miner}",'
                    f' problem=~"{WORDS[fault]}"}})'
                )
                if worst:
                    del missing[miner]
            await asyncio.sleep(0.5)

    # Then every query, of a miner that answers where one is chosen.
    chosen = {"miner": next(miner for miner, fault in broken.items() if fault == "board_lost")}
    chosen["pictured"] = chosen["miner"]
    other = request.node.callspec.params["watched"] == "victoriametrics"
    left = [
        asked
        for asked in queries()
        if (asked.dashboard, asked.panel) not in NOTHING
        and (asked.dashboard, asked.panel, asked.ref) not in OTHER_POOLS
        and not (other and any(name in asked.expression for name in OF_PROMETHEUS))
    ]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while left:
                left = [asked for asked in left if not await watched.ask(asked, _for(asked, chosen))]
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"nothing for {[(asked.dashboard, asked.panel, asked.ref) for asked in left]}")
    # The others must at least not be refused; asking asserts it.
    for asked in (*queries(), *annotations()):
        await watched.ask(asked, _for(asked, chosen))


def _for(asked: Asked, chosen: dict[str, str]) -> dict[str, str]:
    """Only one miner's dashboards are narrowed to it."""
    if asked.dashboard == "minefleet-miner":
        # Whose boards fail is not the one with a failure of its own, nor a stopped fan's.
        return chosen
    return {"pictured": chosen["pictured"]}


async def _asked_until_there(watched: Watched, expression: str) -> list[dict[str, Any]]:
    with contextlib.suppress(aiohttp.ClientError):
        return await watched.query(expression)
    return []


async def test_a_hashrate_panel_shows_what_was_hashed(watched: Watched) -> None:
    [asked] = [
        asked for asked in queries() if asked.panel == "Is it hashing?" and asked.legend == "{{algorithm}}"
    ]
    hosts = list(watched.simulation.miners.values())

    async def close() -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            shown = await watched.ask(asked, {})
            hashed = sum(host.miner.rate() * host.miner.hardware.unit for host in hosts)
            return len(shown) == 1 and abs(float(shown[0]["value"][1]) / hashed - 1) < 0.05
        return False

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await close():
            await asyncio.sleep(0.5)
