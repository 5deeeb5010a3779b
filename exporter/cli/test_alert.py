"""``test-alert``: send a marked alert through Alertmanager, and say of each channel whether it took it.

Alertmanager tells nobody who asks what became of a message; it counts. Its interface is
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml, its counters
https://github.com/prometheus/alertmanager/blob/main/notify/notify.go.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.text import Text

from exporter.cli.common import command, console, json_option, print_json
from exporter.config.load import ConfigError
from exporter.units import duration_seconds

ALERT = "MinefleetTestAlert"
_REQUEST_SECONDS = 10.0
_POLL_SECONDS = 0.5
# Beyond what the route waits for: an attempt, and Alertmanager's own look at its groups.
_SLACK_SECONDS = 30.0
_LASTS_SECONDS = 300.0
_COUNTERS = {
    # Counted when an attempt is over, whatever came of it.
    "alertmanager_notification_latency_seconds_count": "attempts",
    "alertmanager_notification_requests_failed_total": "refused",
    # Counted when it is given up.
    "alertmanager_notifications_failed_total": "given_up",
}


class AlertmanagerError(Exception):
    """Alertmanager does not answer, or not as it should; the text says how."""


@dataclass(slots=True)
class Counts:
    """What Alertmanager has counted of one kind of channel; *reasons* are those of what it gave up."""

    attempts: float = 0.0
    refused: float = 0.0
    given_up: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Channel:
    """What came of the alert on one channel."""

    name: str
    receiver: str
    accepted: bool
    text: str


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "test-alert",
        "send a marked alert through Alertmanager, and say which channels took it",
        """
        minefleet-exporter test-alert
        minefleet-exporter test-alert --alertmanager.url http://127.0.0.1:9094
        """,
    )
    parser.add_argument(
        "--alertmanager.url",
        dest="url",
        metavar="URL",
        default="http://127.0.0.1:9093",
        help="where Alertmanager is (default: %(default)s)",
    )
    parser.add_argument(
        "--severity",
        default="critical",
        help="its severity, which decides who gets it (default: %(default)s)",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a label more, where routes look at others, such as a team; may be repeated",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="how long to wait for the channels (default: as long as its route holds messages back)",
    )
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send it; 0 if every channel of its receivers took it, 1 if one did not or there is none."""
    labels = {"severity": arguments.severity, **_labels(arguments.label)}
    if not arguments.url.startswith(("http://", "https://")):
        raise ConfigError(
            [f"--alertmanager.url: expected an http:// or https:// URL, found {arguments.url!r}"]
        )
    out = console()

    def say(text: str) -> None:
        if not arguments.json:
            out.print(Text(text))

    try:
        channels = asyncio.run(_send(arguments.url.rstrip("/"), labels, arguments.timeout, say))
    except AlertmanagerError as error:
        if arguments.json:
            print_json({"error": str(error), "channels": []})
        say(str(error))
        return 1
    if arguments.json:
        print_json(
            {
                "channels": [
                    {"channel": c.name, "receiver": c.receiver, "accepted": c.accepted, "text": c.text}
                    for c in channels
                ]
            }
        )
    for channel in channels:
        say(f"{channel.name} ({channel.receiver}): {channel.text}")
    if not channels:
        say("no channel: the receivers this alert goes to send nothing anywhere")
    return int(not channels or not all(channel.accepted for channel in channels))


def _labels(given: list[str]) -> dict[str, str]:
    labels = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise ConfigError([f"--label: expected NAME=VALUE, found {text!r}"])
        labels[name] = value
    return labels


async def _send(
    url: str, labels: Mapping[str, str], patience: float | None, say: Callable[[str], None]
) -> list[Channel]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS)) as session:
        api = _Api(session, url)
        config = yaml.safe_load((await api.json("/api/v2/status"))["config"]["original"])
        before = await api.counts()
        mark = f"test-{secrets.token_hex(3)}"
        # A site of its own is a group of its own: who tests twice need not wait for the first group.
        sent = {"alertname": ALERT, "site": mark, "instance": mark, **labels}
        now = datetime.now(UTC)
        await api.post(
            {
                "labels": sent,
                "annotations": {
                    "summary": "This is a test: nothing is wrong.",
                    "description": f"Somebody ran test-alert ({mark}). It ends by itself in five minutes.",
                    "dashboard_url": "/d/minefleet-alerts",
                    "runbook_url": f"docs/runbook.md#{ALERT.lower()}",
                },
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(seconds=_LASTS_SECONDS)).isoformat(),
            }
        )
        receivers = await api.receivers_of(mark)
        wanted = [
            (receiver["name"], kind.removesuffix("_configs"), len(channels))
            for receiver in config["receivers"]
            if receiver["name"] in receivers
            for kind, channels in receiver.items()
            if kind.endswith("_configs") and channels
        ]
        patience = held_back(config["route"]) + _SLACK_SECONDS if patience is None else patience
        say(f"sent {ALERT} {mark}; it goes to {', '.join(receivers)}; waiting for at most {patience:.0f} s")
        until = time.monotonic() + patience
        while True:
            after = await api.counts()
            channels = [_channel(name, kind, count, before, after) for name, kind, count in wanted]
            given_up = {
                kind
                for _, kind, _ in wanted
                if after.get(kind, Counts()).given_up > before.get(kind, Counts()).given_up
            }
            if all(c.accepted or kind in given_up for c, (_, kind, _) in zip(channels, wanted, strict=True)):
                return channels
            if time.monotonic() >= until:
                if any(not c.accepted for c in channels) and (why := await api.muted(mark)):
                    say(why)
                return channels
            await asyncio.sleep(_POLL_SECONDS)


def _channel(
    receiver: str, kind: str, count: int, before: Mapping[str, Counts], after: Mapping[str, Counts]
) -> Channel:
    was, now = before.get(kind, Counts()), after.get(kind, Counts())
    refused = now.refused - was.refused
    taken = now.attempts - was.attempts - refused
    reasons = ", ".join(now.reasons - was.reasons)
    because = f" ({reasons})" if reasons else ""
    if taken >= count:
        return Channel(kind, receiver, accepted=True, text="accepted")
    if refused > 0:
        times = "once" if refused == 1 else f"{refused:.0f} times"
        text = f"refused {times}{because}; Alertmanager's log says why"
    elif now.given_up > was.given_up:
        text = f"given up before it was sent{because}; Alertmanager's log says why"
    else:
        text = "nothing was sent"
    if 0 < taken < count:
        text = f"accepted by {taken:.0f} of {count}; {text}"
    return Channel(kind, receiver, accepted=False, text=text)


def held_back(route: Mapping[str, Any]) -> float:
    """The longest time any route holds a new alert back, in seconds, where its group is new."""
    own = duration_seconds(route.get("group_wait", "30s"))
    return max([own, *(held_back(child) for child in route.get("routes") or [])])


class _Api:
    """What is asked of Alertmanager."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def json(self, path: str, **parameters: str) -> Any:
        text = await self._ask("GET", path, params=parameters)
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise AlertmanagerError(f"{self._url}{path}: expected JSON; is this an Alertmanager?") from None

    async def post(self, alert: Mapping[str, Any]) -> None:
        await self._ask("POST", "/api/v2/alerts", json=[alert])

    async def receivers_of(self, mark: str) -> list[str]:
        """The receivers of the alert, by its own routing."""
        for _ in range(20):
            found = await self.json("/api/v2/alerts", filter=f'site="{mark}"')
            if found:
                return sorted({receiver["name"] for receiver in found[0]["receivers"]})
            await asyncio.sleep(_POLL_SECONDS)
        raise AlertmanagerError(f"{self._url}: took the alert and does not know of it")

    async def muted(self, mark: str) -> str | None:
        """Why the alert is held back, if it is."""
        for alert in await self.json("/api/v2/alerts", filter=f'site="{mark}"'):
            status = alert["status"]
            for key, words in (
                ("silencedBy", "a silence covers it"),
                ("inhibitedBy", "another alert inhibits it"),
                ("mutedBy", "a mute time covers it"),
            ):
                if status.get(key):
                    return f"{words}: {', '.join(status[key])}"
        return None

    async def counts(self) -> dict[str, Counts]:
        """What is counted, by kind of channel."""
        text = await self._ask("GET", "/metrics")
        found: dict[str, Counts] = {}
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    counter = _COUNTERS.get(sample.name)
                    if counter is None:
                        continue
                    counts = found.setdefault(sample.labels["integration"], Counts())
                    setattr(counts, counter, getattr(counts, counter) + sample.value)
                    reason = sample.labels.get("reason")
                    if reason and counter == "given_up" and sample.value:
                        counts.reasons[reason] += int(sample.value)
        except (ValueError, KeyError):
            raise AlertmanagerError(f"{self._url}/metrics: expected Alertmanager's counters") from None
        return found

    async def _ask(self, method: str, path: str, **more: Any) -> str:
        try:
            async with self._session.request(
                method, f"{self._url}{path}", allow_redirects=False, **more
            ) as answer:
                text = await answer.text()
                if answer.status != 200:
                    raise AlertmanagerError(
                        f"{self._url}{path}: status {answer.status}: {text.strip()[:200]}"
                    )
                return text
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AlertmanagerError(f"{self._url} does not answer: {error or type(error).__name__}") from None
