"""The whole path with the real Prometheus and Alertmanager: from a pulled plug to a message, and back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter.simulator.simulation import Simulation, mixed_fleet
from exporter.simulator.stack import Stack
from tests.conftest import ROOT
from tests.e2e.inboxes import Mailbox, Slack
from tests.e2e.programs import all_each_second, answer_of, eventually, serving

pytestmark = pytest.mark.e2e


class World:
    """Everything the test looks at."""

    def __init__(
        self, simulation: Simulation, stack: Stack, slack: Slack, mailbox: Mailbox, exporter: str
    ) -> None:
        self.simulation = simulation
        self.stack = stack
        self.slack = slack
        self.mailbox = mailbox
        self.exporter = exporter
        self.session = aiohttp.ClientSession()

    async def query(self, expression: str) -> list[dict[str, Any]]:
        found = await answer_of(self.session, self.stack.prometheus, "query", query=expression)
        return found["result"]  # type: ignore[no-any-return]

    async def targets(self) -> list[dict[str, Any]]:
        found = await answer_of(self.session, self.stack.prometheus, "targets")
        return found["activeTargets"]  # type: ignore[no-any-return]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as opened:
        slack = await opened.enter_async_context(Slack.open())
        mailbox = await opened.enter_async_context(Mailbox.open())
        simulation = await opened.enter_async_context(Simulation(mixed_fleet(6)))
        config = simulation.configuration(
            poll_interval_seconds=1, timeout_seconds=0.8, min_interval_seconds=0.1
        )
        config["breaker"] = {"vnish": {"timeout_seconds": 2}}
        config["alerts"] = {"thresholds": {"offline_duration_minutes": 0.1}}
        config["prohashing"]["sync_interval_seconds"] = 1
        exporter = await opened.enter_async_context(serving(config, tmp_path))

        def sooner(settings: dict[str, Any]) -> None:
            settings["route"] |= {"group_wait": "2s", "group_interval": "3s"}

        stack = Stack(
            ROOT,
            tmp_path,
            exporter=exporter,
            slack_url=slack.url,
            smtp=mailbox.address,
            edit_prometheus=all_each_second,
            edit_alertmanager=sooner,
        )
        opened.push_async_callback(stack.stop)
        await stack.start()
        made = World(simulation, stack, slack, mailbox, exporter)
        opened.push_async_callback(made.session.close)
        yield made


async def test_a_pulled_plug_is_one_message_and_a_mail_and_its_end_another(world: World) -> None:
    async def all_up() -> bool:
        targets = await world.targets()
        # Six miners, the pool, the exporter, Prometheus and Alertmanager.
        return len(targets) == 10 and all(target["health"] == "up" for target in targets)

    await eventually(all_up)
    miners = [target for target in await world.targets() if target["scrapePool"] == "minefleet-miners"]
    assert {target["labels"]["instance"] for target in miners} == set(world.simulation.miners)
    assert all(target["labels"]["site"] == "barn1" for target in miners)
    assert {target["scrapeInterval"] for target in miners} == {"1000ms"}
    assert {target["scrapeTimeout"] for target in miners} == {"1000ms"}

    async def earning() -> bool:
        return len(await world.query("instance:minefleet_revenue_usd_per_day:estimate > 0")) == 6

    await eventually(earning)
    assert world.slack.attachments == []

    victim = "barn1-l9-02"
    await world.simulation.inject(victim, "unplugged")

    async def told() -> bool:
        return bool(world.slack.attachments) and bool(world.mailbox.messages)

    await eventually(told)
    [up] = await world.query(f'vnish_up{{instance="{victim}"}}')
    assert up["value"][1] == "0"
    assert await world.query(f'vnish_hashrate_hashes_per_second{{instance="{victim}"}}') == [], (
        "no frozen value"
    )

    # Several evaluations and group intervals later it is still one.
    iterations = 'prometheus_rule_group_iterations_total{rule_group=~".*minefleet-alerts-miners"}'

    async def evaluated_again() -> bool:
        return bool(await world.query(f"sum(increase({iterations}[10s])) > 5"))

    await eventually(evaluated_again)
    async with world.session.get(f"http://{world.stack.alertmanager}/metrics") as response:
        sent = [
            line
            for line in (await response.text()).splitlines()
            if line.startswith("alertmanager_notifications_total")
        ]
    assert 'alertmanager_notifications_total{integration="slack"} 1' in sent
    assert 'alertmanager_notifications_total{integration="email"} 1' in sent

    [message] = world.slack.attachments
    assert message["title"] == f"[CRITICAL] {victim}: A miner does not answer."
    assert "(connection)" in message["text"]
    assert "it loses $" in message["text"]
    assert f"/d/minefleet-miner?var-miner={victim}" in message["text"]
    assert message["color"] == "danger"
    [mail] = world.mailbox.messages
    assert mail["Subject"] == message["title"]
    assert mail["To"] == "owner@example.org"
    text = mail.get_body(preferencelist=("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(preferencelist=("html",)).get_content()  # type: ignore[union-attr]
    assert victim in text
    assert victim in html

    await world.simulation.repair(victim)

    async def over() -> bool:
        return len(world.slack.attachments) == 2 and len(world.mailbox.messages) == 2

    await eventually(over)
    assert world.slack.attachments[1]["title"] == f"[RESOLVED] {victim}: over: A miner does not answer."
    assert world.slack.attachments[1]["color"] == "good"
    assert world.mailbox.messages[1]["Subject"] == world.slack.attachments[1]["title"]
    [up] = await world.query(f'vnish_up{{instance="{victim}"}}')
    assert up["value"][1] == "1"
