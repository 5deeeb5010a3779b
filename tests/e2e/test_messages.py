"""What a person gets for each thing that goes wrong: the shipped rules and routes in the real programs, sped up.

A minute takes two seconds, in the rules, the routes and the simulated miners alike. Nothing else is changed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.simulator.stack import Stack
from exporter.units import duration_seconds
from tests.conftest import ROOT
from tests.e2e.inboxes import Mailbox, Slack
from tests.e2e.programs import answer_of, discovering_each_second, eventually, serving

pytestmark = pytest.mark.e2e

POOL_KIND = "litecoinpool"

SPEED = 30

# Of these one is meant to fire, and one tells of miners that are as different as simulated ones are.
ALWAYS = ("MinefleetWatchdog", "MinefleetMinerFirmwareDiffers")
# True on a machine that is slow, whatever the test does.
OF_THE_MACHINE = "MinefleetReadingSlow"
SILENT = ("CRITICAL", "", "A miner does not answer.")
IDLE = ("WARNING", "", "A miner answers but does not mine.")
# For each fault the one message: how bad, which part, what.
FAULTS = {
    "unplugged": SILENT,
    "hanging": SILENT,
    "http_500": SILENT,
    "html": SILENT,
    "truncated_json": SILENT,
    "board_lost": ("WARNING", " board 2", "A hashing board has died."),
    "board_missing": ("WARNING", "", "A miner has lost a hashing board from sight."),
    "fan_stopped": ("WARNING", " fan 0", "A fan has stopped."),
    "overheating": ("CRITICAL", "", "A miner's chips are dangerously hot."),
    "hashrate_drop": ("WARNING", "", "A miner hashes much less than in its last hour."),
    "power_spike": ("WARNING", "", "A miner draws much more power than in its last hour."),
    "paused": IDLE,
    "failure": IDLE,
    "process_dead": IDLE,
    "shares_rejected": ("WARNING", "", "A pool rejects a miner's shares."),
    "wrong_worker": ("CRITICAL", "", "A miner mines for somebody else."),
}

_DURATION = r"\d+[smhd](?:\d+[smhd])*"
_IN_QUERIES = re.compile(rf"(\[|offset )({_DURATION})(?=[\]:]|\b)")


def sooner(duration: object) -> str:
    """A duration of the rules or the routes in the time of this test."""
    return f"{round(1000 * duration_seconds(duration) / SPEED)}ms"


def sped_up(part: Any, key: str = "") -> Any:
    """A rule, or what stands in one at *key*, whose times are shorter."""
    if isinstance(part, dict):
        return {name: sped_up(inner, name) for name, inner in part.items()}
    if isinstance(part, list):
        return [sped_up(inner) for inner in part]
    if key in ("for", "keep_firing_for", "interval"):
        return sooner(part)
    if isinstance(part, str):
        return _IN_QUERIES.sub(lambda found: found[1] + sooner(found[2]), part)
    return part


class World:
    """A sped-up site and those who hear of it."""

    def __init__(self, simulation: Simulation, slack: Slack, mailbox: Mailbox, directory: Path) -> None:
        self.simulation = simulation
        self.slack = slack
        self.mailbox = mailbox
        self._directory = directory
        self._opened = contextlib.AsyncExitStack()
        self._exporter = contextlib.AsyncExitStack()
        self._address = ""
        self.config = simulation.configuration(
            poll_interval_seconds=1, timeout_seconds=1.4, min_interval_seconds=0.1, collect={"chips": False}
        )
        self.config["fleet"]["expected_pools"] = ["eu.pool.example", "us.pool.example"]
        # So cheap that a miner earns whatever it draws.
        self.config["economics"] = {"electricity_usd_per_kwh": 0.03}
        self.config["breaker"] = {"vnish": {"timeout_seconds": 2}, POOL_KIND: {"timeout_seconds": 2}}
        self.config["alerts"] = {"thresholds": {"offline_duration_minutes": 5 / SPEED}}

    async def start(self) -> None:
        """Start the exporter, Prometheus and Alertmanager, and wait until every miner hashes for a while."""
        await self.start_exporter()
        rules = self._directory / "rules"
        rules.mkdir()
        for path in (ROOT / "prometheus/rules").glob("*.yml"):
            parts = sped_up(yaml.safe_load(path.read_text()))
            for group in parts["groups"]:
                group["rules"] = [rule for rule in group["rules"] if rule.get("alert") != OF_THE_MACHINE]
            (rules / path.name).write_text(yaml.safe_dump(parts))

        def prometheus(settings: dict[str, Any]) -> None:
            settings["global"] = {
                "scrape_interval": "1500ms",
                "scrape_timeout": "1500ms",
                "evaluation_interval": "1s",
            }
            discovering_each_second(settings)
            settings["rule_files"] = [f"{rules}/*.yml"]

        def routes(settings: dict[str, Any]) -> None:
            shorten(settings["route"])

        def shorten(route: dict[str, Any]) -> None:
            for key in ("group_wait", "group_interval", "repeat_interval"):
                if key in route:
                    route[key] = sooner(route[key])
            for one in route.get("routes", []):
                shorten(one)

        self.stack = Stack(
            ROOT,
            self._directory,
            exporter=self._address,
            slack_url=self.slack.url,
            smtp=self.mailbox.address,
            edit_prometheus=prometheus,
            edit_alertmanager=routes,
        )
        self._opened.push_async_callback(self.stack.stop)
        await self.stack.start()
        self.session = await self._opened.enter_async_context(aiohttp.ClientSession())
        # A slow machine takes so long to begin that what has not begun yet is missed.
        silence = await self.silence()
        await self.until(
            f"count(count_over_time(instance:vnish_hashing:bool[{sooner('15m')}]) > 20)"
            f" == {len(self.simulation.miners)}"
        )
        await self.quiet()
        await self.speak(silence)

    async def start_exporter(self) -> None:
        """Start the exporter, at the address it had before."""
        self._address = await self._exporter.enter_async_context(
            serving(self.config, self._directory, self._address)
        )

    async def stop_exporter(self) -> None:
        """Let the exporter end."""
        await self._exporter.aclose()

    async def stop(self) -> None:
        """Stop everything."""
        await self._opened.aclose()
        await self._exporter.aclose()

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers now."""
        found = await answer_of(self.session, self.stack.prometheus, "query", query=expression)
        return found["result"]  # type: ignore[no-any-return]

    async def until(self, expression: str) -> None:
        """Wait until an expression is anything."""

        async def there() -> bool:
            return bool(await self.query(expression))

        await eventually(there)

    async def quiet(self) -> None:
        """Wait until no alert is pending or firing but those that always are, and Alertmanager knows."""
        await self.until(f'absent(ALERTS{{alertname!~"{"|".join(ALWAYS)}"}})')

        async def known() -> bool:
            async with self.session.get(f"{self._alertmanager}/alerts") as response:
                return {one["labels"]["alertname"] for one in await response.json()} <= set(ALWAYS)

        await eventually(known)

    @property
    def _alertmanager(self) -> str:
        return f"http://{self.stack.alertmanager}/api/v2"

    async def silence(self) -> str:
        """Have nobody told of anything; the silence, for :meth:`speak`."""
        now = datetime.now(UTC)
        silence = {
            "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(days=1)).isoformat(),
            "createdBy": "test",
            "comment": "the programs begin",
        }
        async with self.session.post(f"{self._alertmanager}/silences", json=silence) as response:
            return (await response.json())["silenceID"]  # type: ignore[no-any-return]

    async def speak(self, silence: str) -> None:
        """End a silence."""
        async with self.session.delete(f"{self._alertmanager}/silence/{silence}") as response:
            assert response.ok

    async def hears(self, *titles: str) -> None:
        """Wait until each of *titles* has arrived in Slack."""

        async def heard() -> bool:
            return set(titles) <= set(self.slack.titles)

        try:
            await eventually(heard)
        except TimeoutError:
            missing = sorted(set(titles) - set(self.slack.titles))
            raise AssertionError(f"not heard of {missing}, but of {self.slack.titles}") from None


@contextlib.asynccontextmanager
async def watched(specs: Sequence[MinerSpec], directory: Path) -> AsyncIterator[World]:
    async with (
        Slack.open() as slack,
        Mailbox.open() as mailbox,
        Simulation(specs, pools=[POOL_KIND], speed=SPEED) as simulation,
    ):
        world = World(simulation, slack, mailbox, directory)
        try:
            await world.start()
            yield world
        finally:
            await world.stop()


async def test_each_fault_is_one_message_and_its_end_another(tmp_path: Path) -> None:
    """Each miner is alone at its site, so that no message is shared."""
    miners = {fault: f"{fault.replace('_', '')}-l9-1" for fault in FAULTS}
    specs = [MinerSpec(name, "l9", "1.3.4") for name in miners.values()]
    async with watched(specs, tmp_path) as world:
        begun, over = [], []
        for fault, (severity, what, summary) in FAULTS.items():
            name = miners[fault]
            begun.append(f"[{severity}] {name}{what}: {summary}")
            over.append(f"[RESOLVED] {name}{what}: over: {summary}")
            await world.simulation.inject(name, fault)
        await world.hears(*begun)
        assert sorted(world.slack.titles) == sorted(begun), "one each, and nothing is over"
        assert sorted(world.mailbox.subjects) == sorted(one for one in begun if one.startswith("[CRITICAL]"))
        for attachment in world.slack.attachments:
            assert re.search(r"\$(?!0\.00)\d", attachment["text"]), "what it costs"
            assert "/d/minefleet-miner?var-miner=" in attachment["text"]
            assert "/docs/runbook.md#minefleet" in attachment["text"]
        stolen = f'{{instance="{miners["wrong_worker"]}"}}'
        await world.until(f"instance:minefleet_revenue_usd_per_day:estimate{stolen} == 0")
        await world.until(f"instance:minefleet_hashes_usd_per_day:estimate{stolen} > 0")
        for name in miners.values():
            await world.simulation.repair(name)
        await world.until(f"instance:minefleet_revenue_usd_per_day:estimate{stolen} > 0")
        await world.hears(*over)
        await world.quiet()
        assert sorted(world.slack.titles) == sorted([*begun, *over])


async def test_sixty_miners_behind_a_dead_switch_are_one_message(tmp_path: Path) -> None:
    specs = [MinerSpec(f"barn1-l9-{number:02d}", "l9", "1.3.4") for number in range(1, 61)]
    async with watched(specs, tmp_path) as world:
        for spec in specs:
            await world.simulation.inject(spec.name, "unplugged")
        await world.until('count(ALERTS{alertname="MinefleetMinerOffline", alertstate="firing"}) == 60')
        await world.until(f'count_over_time(ALERTS{{alertname="MinefleetSiteDown"}}[{sooner("15m")}]) > 25')
        title = "[CRITICAL] barn1: Many miners of a site are down at once."
        assert world.slack.titles == world.mailbox.subjects == [title]
        # All that had gone silent by then: a slow machine has not yet asked each.
        [told] = re.findall(
            r"(\d+) of 60 miners of barn1 went silent together", world.slack.attachments[0]["text"]
        )
        assert 60 * 0.3 <= int(told) <= 60
        for spec in specs:
            await world.simulation.repair(spec.name)
        await world.hears("[RESOLVED] barn1: over: Many miners of a site are down at once.")
        await world.quiet()
        assert len(world.slack.titles) == 2


async def test_a_dead_pool_a_dead_exporter_and_a_wrong_secret_are_told_of_once(tmp_path: Path) -> None:
    specs = [MinerSpec(f"barn1-l9-{number}", "l9", "1.3.4") for number in range(1, 4)]
    async with watched(specs, tmp_path) as world:
        slack, mailbox = world.slack, world.mailbox

        await world.simulation.inject("pool", "dead")
        await world.hears(f"[WARNING] {POOL_KIND}: A pool's interface gives no data.")
        await world.simulation.repair("pool")
        await world.hears(f"[RESOLVED] {POOL_KIND}: over: A pool's interface gives no data.")
        await world.quiet()
        assert len(slack.titles) == 2, slack.titles

        await world.stop_exporter()
        await world.hears("[CRITICAL] minefleet: The exporter does not answer.")
        # Long enough for the miners to be missed one by one.
        await world.until(
            f'count_over_time(ALERTS{{alertname="MinefleetExporterDown"}}[{sooner("20m")}]) > 30'
        )
        await world.start_exporter()
        await world.hears("[RESOLVED] minefleet: over: The exporter does not answer.")
        await world.quiet()
        assert len(slack.titles) == 4, slack.titles

        slack.refuses = True
        await world.simulation.inject("barn1-l9-1", "paused")

        async def told() -> bool:
            return any("Messages do not arrive" in one for one in mailbox.subjects)

        await eventually(told)
        assert len(slack.titles) == 4
