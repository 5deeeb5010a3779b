"""Every query of every dashboard as Grafana would send it, with the shipped rules, and each fault by its words.

Asked of the real Prometheus, once with discovery and once with the exporter's one page for all, and of VictoriaMetrics
where that is installed; all watch the same fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from exporter.simulator import simple
from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.miner import SimMiner
from exporter.simulator.simulation import Simulation, mixed_fleet
from exporter.simulator.stack import Stack, free_port
from tests.bundle.dashboards import FILES, Asked, annotations, panels, queries, sent, variables
from tests.conftest import ROOT
from tests.e2e.programs import all_each_second, eventually, running, serving
from tests.grafana.tables import check, needs_grafana, tables

# The tests share a fleet and go on from one another, in this order.
pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

STORES = ("prometheus", "one_page", "victoriametrics")

# What Fleet's first panel says of each miner in trouble.
[WHO] = [asked for asked in queries() if asked.panel == "Who needs me now, and why" and asked.ref == "What"]

# How long a condition may take to come true before the test gives up; nothing is measured with it.
PATIENCE_SECONDS = 240

# What Fleet's first screen may say of a miner with each fault. One that shows itself in several ways has the worst
# of them here.
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
    # At some moments of a boot it tells no hashrate, and some versions of VictoriaMetrics hold for minutes what a rule
    # has recorded once.
    "reboot_loop": "not mining yet: .*|reboots again and again|answers, but does not hash",
    "paused": "not mining: stopped",
    "failure": "not mining: failure",
    "process_dead": "answers, but does not hash",
    "shares_rejected": "its pool rejects shares",
    "wrong_worker": "mines for somebody else",
}
# Where a fault takes its time, whether the miner shows it yet: what the rules can know begins there. Shares are
# counted from those that were rejected before the fault; more than five in a quarter of an hour are too many.
SHOWS: Mapping[str, Callable[[SimMiner, int], bool]] = {
    "fan_stopped": lambda miner, _: miner.fan_rpm[0] == 0,
    "overheating": lambda miner, _: max(board.celsius for board in miner.boards) >= 80,
    "reboot_loop": lambda miner, _: miner.state != "mining",
    "shares_rejected": lambda miner, before: miner.pools[0].rejected - before > 5,
}
# Out of step with the scrapes, which else would see the same moment of each boot.
FAULT_PARAMETERS = {"reboot_loop": {"seconds": 7.0}}
# Rises above what the miner drew a minute ago.
NEEDS_A_MINUTE = "power_spike"

# Queries that find nothing here, by panel, and why.
NOTHING = {
    ("minefleet-exporter", "Of whom is nothing known?"): "every target gives a page",
    ("minefleet-exporter", "Is the machine busy?"): "no node-exporter is run",
    ("minefleet-exporter", "Is its memory full?"): "no node-exporter is run",
    ("minefleet-exporter", "Are its disks full?"): "no node-exporter is run",
    ("minefleet-pool", "Is the pool crediting what my miners hash?"): "known after an hour and a half",
    ("minefleet-pool", "Which worker is credited too little?"): "known after an hour and a half",
    ("minefleet-pool", "Whose workers are they?"): "the pool sees no strangers",
    ("minefleet-pool", "Who hashes unseen by the pool?"): "the pool forgets a worker after minutes",
    ("minefleet-pool", "Which workers does the pool miss?"): "the pool forgets a worker after minutes",
    ("minefleet-inventory", "Whose preset differs?"): "all are on the preset of their model",
    ("minefleet-inventory", "Who waits for a restart?"): "nobody has changed settings",
    ("minefleet-boards", "Which boards got worse this week?"): "compared with an hour ago at least",
    ("minefleet-alerts", "Were they sent?"): "an increase needs a second message",
}
# Columns that are empty here: of pools of other kinds than the one that is simulated, and of the dashboard of a miner
# that mines for its owner.
EMPTY_COLUMNS = {
    ("minefleet-miner", "Whom does it mine for?", "Stranger"),
    ("minefleet-pool", "Does each pool answer, and how old is what it says?", "Fee"),
    ("minefleet-pool", "What lies at the pool, and when did it pay?", "Unconfirmed"),
    ("minefleet-pool", "What lies at the pool, and when did it pay?", "Yesterday"),
    ("minefleet-pool", "Is the price good now?", "C"),
}
# Those of Prometheus and Alertmanager themselves, which VictoriaMetrics has not.
OF_PROMETHEUS = ("prometheus_", "alertmanager_")
# What the one page leaves out: chips are hundreds for each miner.
OF_CHIPS = re.compile("vnish_chip_(?!temperature_m)")


class Store:
    """A database that is asked as Grafana asks."""

    def __init__(self, name: str, url: str, session: aiohttp.ClientSession) -> None:
        self.name, self.url, self.session = name, url, session

    async def ask(
        self, asked: Asked, chosen: Mapping[str, str], *, steps: str = "5m"
    ) -> list[dict[str, Any]]:
        """What Grafana would get, sums over long times taken in *steps*."""
        expression = sent(asked.expression, chosen, rate="10s").replace(":5m]", f":{steps}]")
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

    async def values(self, variable: Mapping[str, Any]) -> set[str]:
        """What there is to choose in a variable."""
        ask = sent(variable["query"]["query"], {})
        if found := re.fullmatch(r"query_result\((.+)\)", ask):
            return {row["metric"]["instance"] for row in await self.query(found[1])}
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", ask)
        assert found, ask
        parameters = {"match[]": found[1]}
        async with self.session.get(
            f"{self.url}/api/v1/label/{found[2]}/values", params=parameters
        ) as response:
            answer = await response.json()
        assert answer["status"] == "success", (ask, answer)
        return set(answer["data"])


class Fleet:
    """A simulated fleet with the databases that watch it, and what was broken when."""

    def __init__(self, simulation: Simulation, stores: Mapping[str, Store]) -> None:
        self.simulation, self.stores = simulation, stores
        # Faults are given to miners that tell everything; those of the simple shape have no fans, for one.
        telling = [name for name, host in simulation.miners.items() if host.dialect not in simple.FORMS]
        self.faults = dict(zip(telling, MINER_FAULTS, strict=False))
        assert set(self.faults.values()) == set(MINER_FAULTS)
        self.shown: dict[str, float] = {}
        # With the shares that were rejected before.
        self._injected: dict[str, int] = {}

    def miner_with(self, fault: str) -> str:
        return next(miner for miner, of in self.faults.items() if of == fault)

    async def inject(self, *faults: str) -> None:
        for fault in faults:
            miner = self.miner_with(fault)
            if miner not in self._injected:
                self._injected[miner] = self.simulation.miners[miner].miner.pools[0].rejected
                await self.simulation.inject(miner, fault, FAULT_PARAMETERS.get(fault))

    def look(self) -> None:
        """Note of which miners the fault can be seen by now."""
        for miner, before in self._injected.items():
            shows = SHOWS.get(self.faults[miner], lambda *_: True)
            if miner not in self.shown and shows(self.simulation.miners[miner].miner, before):
                self.shown[miner] = time.time()


def one_page(exporter: str) -> Callable[[dict[str, Any]], None]:
    """Edit Prometheus' settings to those shipped for a stack that can add one target only."""
    shipped = yaml.safe_load((ROOT / "prometheus/examples/single-target.yml").read_text("utf-8"))

    def edit(settings: dict[str, Any]) -> None:
        ours = {job["job_name"]: job for job in shipped["scrape_configs"]}
        kept = [
            job
            for job in settings["scrape_configs"]
            if "http_sd_configs" not in job and job["job_name"] not in ours
        ]
        for job in ours.values():
            job["static_configs"] = [{"targets": [exporter]}]
        settings["scrape_configs"] = [*ours.values(), *kept]
        all_each_second(settings)
        # As discovery tells for each miner: the slowest has that long to answer.
        for job in ours.values():
            if job.get("metrics_path") == "/fleet":
                job |= {"scrape_interval": "5s", "scrape_timeout": "5s"}

    return edit


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
    for path in (ROOT / "prometheus/rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text("utf-8"))
        for group in rules["groups"]:
            for rule in group["rules"]:
                # Debian's vmalert is older than it; no panel asks how long an alert is held open.
                rule.pop("keep_firing_for", None)
        (directory / f"vmalert-{path.name}").write_text(yaml.safe_dump(rules))
    known = subprocess.run(["vmalert", "-help"], capture_output=True, text=True, check=False)
    # A newer one looks half a minute back, else.
    at_once = ["-rule.evalDelay=0"] if "-rule.evalDelay" in known.stdout + known.stderr else []
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
            f"-rule={directory / 'vmalert-*.yml'}",
            "-evaluationInterval=1s",
            f"-notifier.url=http://{stack.alertmanager}",
            *at_once,
            directory=directory,
        ),
    ):
        yield url


async def healthy(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether a VictoriaMetrics answers."""
    async with session.get(f"{url}/health") as response:
        return response.ok


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    directory = tmp_path_factory.mktemp("dashboards")
    async with contextlib.AsyncExitStack() as opened:
        simulation = await opened.enter_async_context(
            Simulation(mixed_fleet(len(MINER_FAULTS) * 6 // 5 + 2), pools=("litecoinpool",))
        )
        config = simulation.configuration(
            poll_interval_seconds=5, timeout_seconds=4, min_interval_seconds=0.1
        )
        config["fleet"]["expected_pools"] = ["eu.pool.example", "us.pool.example"]
        config["alerts"] = {"thresholds": {"offline_duration_minutes": 0.1}}
        exporter = await opened.enter_async_context(serving(config, directory))
        session = await opened.enter_async_context(aiohttp.ClientSession())
        stores = {}
        for name, edit in (("one_page", one_page(exporter)), ("prometheus", all_each_second)):
            (directory / name).mkdir()
            # Nobody listens at the messages' address: that they fail is not this test's matter.
            stack = Stack(
                ROOT,
                directory / name,
                exporter=exporter,
                slack_url="http://127.0.0.1:9/slack",
                edit_prometheus=edit,
            )
            opened.push_async_callback(stack.stop)
            await stack.start()
            stores[name] = Store(name, f"http://{stack.prometheus}", session)
        if shutil.which("victoria-metrics") and shutil.which("vmalert"):
            url = await opened.enter_async_context(victoria(stack, directory))
            stores["victoriametrics"] = Store("victoriametrics", url, session)
            await eventually(functools.partial(healthy, session, url))
        yield Fleet(simulation, stores)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, fleet: Fleet) -> Store:
    if request.param not in fleet.stores:
        pytest.skip("VictoriaMetrics is not installed")
    return fleet.stores[request.param]


@contextlib.asynccontextmanager
async def patiently(what: Callable[[], object]) -> AsyncIterator[None]:
    """Fail with what is still missing if the condition does not come true."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield
    except TimeoutError:
        pytest.fail(f"still missing: {what()}")


async def test_nothing_is_said_of_a_fleet_without_faults(fleet: Fleet, store: Store) -> None:
    hashing: list[Any] = []
    async with patiently(lambda: f"{len(hashing)} hash"):
        while len(hashing) < len(fleet.simulation.miners):
            await asyncio.sleep(0.5)
            with contextlib.suppress(aiohttp.ClientError):
                hashing = await store.query("instance:vnish_hashing:bool == 1")
    said = [row["metric"]["what"] for row in await store.ask(WHO, {})]
    # That may be true, of a machine that has too much to do.
    slow = [one for one in said if one.endswith(": answers slowly")]
    assert said == (slow or ["no miner has a problem"])


async def test_a_hashrate_panel_shows_what_was_hashed(fleet: Fleet, store: Store) -> None:
    [asked] = [
        asked for asked in queries() if asked.panel == "Is it hashing?" and asked.legend == "{{algorithm}}"
    ]
    hosts = list(fleet.simulation.miners.values())
    shown, hashed = 0.0, 1.0
    async with patiently(lambda: f"{shown} of {hashed} H/s"):
        while abs(shown / hashed - 1) > 0.05:
            await asyncio.sleep(0.5)
            [row] = await store.ask(asked, {})
            shown = float(row["value"][1])
            hashed = sum(host.miner.rate() * host.miner.hardware.unit for host in hosts)


async def test_each_fault_is_named_on_the_first_screen(fleet: Fleet, store: Store) -> None:
    await fleet.inject(*(fault for fault in MINER_FAULTS if fault != NEEDS_A_MINUTE))
    missing, said = dict(fleet.faults), dict[str, set[str]]()
    late = fleet.miner_with(NEEDS_A_MINUTE)
    async with patiently(lambda: [(miner, fault, said.get(miner)) for miner, fault in missing.items()]):
        while missing:
            fleet.look()
            if await store.query(f'avg_over_time(vnish_power_watts{{instance="{late}"}}[1h] offset 1m)'):
                await fleet.inject(NEEDS_A_MINUTE)
            for row in await store.ask(WHO, {}):
                miner, _, problem = row["metric"]["what"].partition(": ")
                said.setdefault(miner, set()).add(problem)
                if miner in missing and re.fullmatch(WORDS[missing[miner]], problem):
                    del missing[miner]
            await asyncio.sleep(0.2)
    if store.name == "prometheus":
        for miner, fault in fleet.faults.items():
            assert await evaluations_late(fleet, store, miner) <= 2, fault


async def evaluations_late(fleet: Fleet, store: Store, miner: str) -> int:
    """How often the rules were evaluated, two scrapes after a fault could be seen, until it was named.

    Two stand for one: the problems' rules build on the miners', and each may see the scrape one evaluation late.
    """
    problems = await store.query("instance:minefleet_problem:severity[10m]")
    named = min(
        float(row["values"][0][0])
        for row in problems
        if row["metric"]["instance"] == miner
        and re.fullmatch(WORDS[fleet.faults[miner]], row["metric"]["problem"])
    )
    [took] = await store.query(f'scrape_duration_seconds{{job="minefleet-miners", instance="{miner}"}}[10m]')
    seen = sorted(
        float(at) + float(seconds) for at, seconds in took["values"] if float(at) > fleet.shown[miner]
    )
    if len(seen) < 2:
        return 0
    # Of whichever group is slower: a busy machine skips evaluations.
    groups = (problems, await store.query("instance:vnish_last_up:timestamp_seconds[10m]"))
    return min(
        len({at for row in rows for at, _ in row["values"] if seen[1] < float(at) < named}) for rows in groups
    )


async def test_no_panel_is_broken_and_none_is_empty_without_a_reason(fleet: Fleet, store: Store) -> None:
    # Of a miner that answers, where one is chosen.
    chosen = {"miner": fleet.miner_with("board_lost"), "pictured": fleet.miner_with("board_lost")}
    left = [
        asked
        for asked in queries()
        if (asked.dashboard, asked.panel) not in NOTHING
        and (asked.dashboard, asked.panel, asked.ref) not in EMPTY_COLUMNS
        and not (store.name == "victoriametrics" and any(name in asked.expression for name in OF_PROMETHEUS))
        and not (store.name == "one_page" and OF_CHIPS.search(asked.expression))
    ]
    async with patiently(lambda: [(asked.dashboard, asked.panel, asked.ref) for asked in left]):
        while left:
            # There may have been no round five minutes since the fleet began.
            left = [asked for asked in left if not await store.ask(asked, _for(asked, chosen), steps="5s")]
            await asyncio.sleep(0.5)
    # The others must at least not be refused; asking asserts it. Whatever is drawn has a name.
    for asked in (*queries(), *annotations()):
        for row in await store.ask(asked, _for(asked, chosen)):
            labels = row["metric"]
            name = re.sub(
                r"\{\{(\w+)\}\}", lambda found, labels=labels: labels.get(found[1], ""), asked.legend
            )
            assert name.strip() or not asked.legend, (asked, labels)


async def test_every_variable_has_values(store: Store) -> None:
    for path in FILES:
        for variable in variables(path).values():
            left_out = store.name == "one_page" and OF_CHIPS.search(str(variable["query"]))
            if variable["type"] == "query" and not left_out:
                # A page of all miners that came too late leaves a gap.
                async with patiently(lambda: (path.stem, variable["name"])):  # noqa: B023 - called here
                    while not await store.values(variable):
                        await asyncio.sleep(0.5)


@needs_grafana
async def test_grafana_makes_of_the_answers_what_a_person_should_see(fleet: Fleet, store: Store) -> None:
    lost = fleet.miner_with("board_lost")
    shown = [(path, panel) for path in FILES for panel in panels(path) if panel.get("transformations")]
    given = []
    for path, panel in shown:
        # A picture is of one board.
        chosen = {"miner": lost} if path.stem == "minefleet-miner" else {"pictured": lost, "board": "1"}
        asked = [one for one in queries() if (one.dashboard, one.panel) == (path.stem, panel["title"])]
        given.append((panel, {one.ref: await store.ask(one, chosen) for one in asked}))
    for (panel, answers), made in zip(given, tables(given), strict=True):
        check(panel, answers, made)


def _for(asked: Asked, chosen: Mapping[str, str]) -> Mapping[str, str]:
    """Only one miner's dashboards are narrowed to it."""
    return chosen if asked.dashboard == "minefleet-miner" else {"pictured": chosen["pictured"]}
