"""Routes, inhibitions and messages, with the real amtool."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.units import duration_seconds
from tests.bundle.test_prometheus import ALERTS
from tests.conftest import ROOT

FOLDER = ROOT / "alertmanager"
CONFIG = FOLDER / "alertmanager.yml"
GOLDEN = Path(__file__).parent / "golden"


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)


def test_the_configuration_is_good() -> None:
    done = amtool("check-config", str(CONFIG))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((FOLDER / "examples").glob("*.yml")), ids=lambda path: path.stem)
def test_the_examples_are_good(path: Path) -> None:
    done = amtool("check-config", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", [CONFIG, *sorted((FOLDER / "examples").glob("*.yml"))], ids=lambda path: path.stem
)
def test_what_was_sent_is_remembered_until_it_is_sent_again(path: Path) -> None:
    remembered = duration_seconds("120h")  # Alertmanager's default of --data.retention
    repeats = [route.get("repeat_interval", "4h") for route in _routes(path)]
    assert max(map(duration_seconds, repeats)) <= remembered


def _routes(path: Path) -> list[dict[str, Any]]:
    """The route of a configuration and all below it."""
    found = [yaml.safe_load(path.read_text("utf-8"))["route"]]
    for route in found:
        found += route.get("routes", [])
    return found


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["team=north", "severity=warning"], "north"),
        (["team=south", "severity=critical"], "everybody"),
    ],
)
def test_routes_by_team(labels: list[str], receiver: str) -> None:
    example = FOLDER / "examples" / "teams.yml"
    done = amtool(
        "config", "routes", "test", f"--config.file={example}", f"--verify.receivers={receiver}", *labels
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (
            ["alertname=MinefleetMinerOffline", "severity=critical", "instance=a", "site=barn1"],
            "slack-and-email",
        ),
        (["alertname=MinefleetMinerBoardDown", "severity=warning", "instance=a", "site=barn1"], "slack"),
        (["alertname=MinefleetWatchdog", "severity=none"], "dead-mans-switch"),
        (["alertname=Watchdog", "severity=none"], "nobody"),
        (["alertname=MinefleetMinerChipsRed", "severity=info", "instance=a"], "slack"),
        (["alertname=MinefleetSiteDown", "severity=critical", "site=barn1"], "slack-and-email"),
        # Told by the channel that works.
        (["alertname=MinefleetNotificationsFailing", "severity=critical", "integration=slack"], "email"),
        (["alertname=MinefleetNotificationsFailing", "severity=critical", "integration=email"], "slack"),
        (["alertname=SomebodyElses"], "slack"),
    ],
)
def test_routes(labels: list[str], receiver: str) -> None:
    done = amtool(
        "config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_route_is_noticed() -> None:
    labels = ["alertname=MinefleetMinerOffline", "severity=critical"]
    done = amtool("config", "routes", "test", f"--config.file={CONFIG}", "--verify.receivers=slack", *labels)
    assert done.returncode != 0


def test_no_secret_is_in_the_file_and_each_is_a_file() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert config["global"]["slack_api_url_file"].startswith("/run/secrets/")
    assert config["global"]["smtp_auth_password_file"].startswith("/run/secrets/")
    assert "smtp_auth_password" not in config["global"]
    assert "slack_api_url" not in config["global"]


RULES = [
    rule
    for path in sorted((ROOT / "prometheus/rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
INHIBITIONS = yaml.safe_load(CONFIG.read_text("utf-8"))["inhibit_rules"]


def matches(matchers: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether an alert with *labels* is one of those that *matchers*, as they stand in the file, take."""
    parts = (re.fullmatch(r'(\w+)(=~|=)"(.*)"', one).groups() for one in matchers)  # type: ignore[union-attr]
    return all(
        re.fullmatch(value if operator == "=~" else re.escape(value), labels.get(label, ""))
        for label, operator, value in parts
    )


@pytest.mark.parametrize(
    ("alert", "repeat"),
    [
        ("MinefleetMinerOffline", "4h"),
        # A board that will die is told of until somebody has seen to it; one dead chip is not.
        ("MinefleetMinerChipsDying", "12h"),
        ("MinefleetMinerChipsRed", "5d"),
        ("MinefleetWatchdog", "2m"),
    ],
)
def test_how_often_an_alert_is_told_again(alert: str, repeat: str) -> None:
    [labels] = [{"alertname": alert, **rule["labels"]} for rule in RULES if rule["alert"] == alert]
    route = yaml.safe_load(CONFIG.read_text("utf-8"))["route"]
    taken = next((one for one in route["routes"] if matches(one["matchers"], labels)), {})
    assert taken.get("repeat_interval", route["repeat_interval"]) == repeat


def inhibited(source: str, target: str) -> bool:
    """Whether an alert of one name silences one of another, for the same instance."""
    return any(
        matches(one["source_matchers"], {"alertname": source})
        and matches(one["target_matchers"], {"alertname": target})
        for one in INHIBITIONS
    )


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("MinefleetExporterDown", "MinefleetMinerOffline", True),
        ("MinefleetExporterDown", "MinefleetPoolDown", True),
        ("MinefleetExporterDown", "MinefleetMarketDown", True),
        ("MinefleetExporterDown", "MinefleetScrapeFailing", True),
        ("MinefleetMinerOffline", "MinefleetMinerHashrateDrop", True),
        ("MinefleetMinerNotMining", "MinefleetMinerBoardDown", True),
        ("MinefleetMinerBoardDown", "MinefleetMinerHashrateDrop", True),
        ("MinefleetMinerBoardMissing", "MinefleetMinerHashrateLow", True),
        ("MinefleetPoolDown", "MinefleetPoolProfitabilityStale", True),
        ("MinefleetExporterDown", "MinefleetSiteDown", True),
        ("MinefleetSiteDown", "MinefleetMinerOffline", True),
        ("MinefleetSiteDown", "MinefleetMinerTemperatureHigh", False),
        ("MinefleetPoolUnreachable", "MinefleetMinerNoShares", True),
        ("MinefleetPoolUnreachable", "MinefleetMinerOffline", False),
        ("MinefleetPoolKeyRefused", "MinefleetPoolDown", True),
        ("MinefleetMinerNotMining", "MinefleetMinerChipsRed", True),
        ("MinefleetMinerBoardDown", "MinefleetMinerChipsDying", True),
        ("MinefleetMinerChipsDying", "MinefleetMinerChipsRed", True),
        ("MinefleetMinerWrongPool", "MinefleetMinerUnseenByPool", True),
        ("MinefleetMinerOffline", "MinefleetMinerWrongPool", False),
        ("MinefleetMinerHashrateLow", "MinefleetMinerHashrateDrop", False),
        ("MinefleetMinerHashrateDrop", "MinefleetMinerOffline", False),
        ("MinefleetMinerOffline", "MinefleetMinerTemperatureHigh", False),
        ("MinefleetPoolDown", "MinefleetMinerOffline", False),
    ],
)
def test_inhibitions(source: str, target: str, expected: bool) -> None:
    assert {source, target} <= ALERTS
    assert inhibited(source, target) is expected


# What these inhibit needs a time of undisturbed hashing, or an exporter, to begin with.
ENDS_FIRST = re.compile(
    r"Minefleet(ExporterDown|SiteDown|Miner(Offline|NotMining|RebootLoop|Zombie|Throttled)|Pool(Down|KeyRefused))"
)


def test_what_an_alert_inhibits_is_over_before_it() -> None:
    """Else the end of a trouble is told together with a new one that is none."""

    def taken(matchers: Sequence[str]) -> list[dict[str, Any]]:
        return [rule for rule in RULES if matches(matchers, {"alertname": rule["alert"], **rule["labels"]})]

    for inhibition in INHIBITIONS:
        if not any(one.startswith("alertname") for one in inhibition["source_matchers"]):
            continue
        targets = taken(inhibition["target_matchers"])
        assert targets
        for source in taken(inhibition["source_matchers"]):
            for target in targets:
                # Dying chips are told of long before their board dies.
                foretold = "Chips" in target["alert"] and "Chips" not in source["alert"]
                if not foretold and not ENDS_FIRST.fullmatch(source["alert"]):
                    kept = [duration_seconds(one.get("keep_firing_for", "0")) for one in (source, target)]
                    assert kept[0] > kept[1], f"{source['alert']} ends before {target['alert']}"


def test_a_critical_alert_is_over_after_the_warning_it_holds_back() -> None:
    """Else what gets better is told of as new."""
    kept = {
        (rule["alert"], rule["labels"]["severity"]): duration_seconds(rule.get("keep_firing_for", "0"))
        for rule in RULES
    }
    both = {name for name, severity in kept if severity == "warning" and (name, "critical") in kept}
    # Power without hashes and hashes without power are two troubles, never one after the other.
    both.remove("MinefleetMinerZombie")
    assert both
    for name in both:
        assert kept[name, "critical"] > kept[name, "warning"], name


def test_no_alert_silences_itself() -> None:
    assert [name for name in ALERTS if inhibited(name, name)] == []


def alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": labels,
        "annotations": {
            "summary": "A miner does not answer.",
            "description": f"{labels.get('instance')} has not answered for 6m 30s (connection); it loses $14.69 a day.",
            "dashboard_url": f"/d/minefleet-miner?var-miner={labels.get('instance')}",
            "runbook_url": "docs/runbook.md#minefleetmineroffline",
        },
        "startsAt": "2026-11-23T02:00:00Z",
        "endsAt": "2026-11-23T02:10:30.5Z" if status == "resolved" else "0001-01-01T00:00:00Z",
    }


def notification(status: str, *alerts: dict[str, Any], **common: str) -> dict[str, Any]:
    return {
        "receiver": "slack",
        "status": status,
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {"alertname": "MinefleetMinerOffline", "severity": "critical", **common},
        "commonAnnotations": {
            "summary": "A miner does not answer.",
            "runbook_url": "docs/runbook.md#minefleetmineroffline",
        },
        "externalURL": "http://alertmanager",
    }


NOTIFICATIONS = {
    "one": notification("firing", alert(instance="barn1-l9-01", site="barn1"), site="barn1"),
    "seven": notification(
        "firing", *(alert(instance=f"barn1-l9-0{n}", site="barn1") for n in range(7)), site="barn1"
    ),
    "half-resolved": notification(
        "firing",
        alert(instance="a"),
        alert("resolved", instance="b", board="2"),
        alert("resolved", instance="c", fan="0"),
    ),
    "resolved": notification("resolved", alert("resolved", instance="a")),
    "exporter": notification("firing", alert()),
    # What a site is called is no pattern, and a name may be shorter.
    "other-name": notification("firing", alert(instance="l9", site="barn (1)"), site="barn (1)"),
    "site": notification("firing", alert(site="barn1"), site="barn1"),
}


def render(template: str, *options: str) -> str:
    done = amtool(
        "template",
        "render",
        f"--template.glob={FOLDER}/templates/*.tmpl",
        f"--template.text={template}",
        *options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NOTIFICATIONS)
@pytest.mark.parametrize("template", ["title", "link", "color", "slack.text", "email.text", "email.html"])
def test_messages(name: str, template: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps(NOTIFICATIONS[name]))
    found = render(
        f'{{{{ template "minefleet.{template}" . }}}}',
        f"--template.data={data}",
        *(["--template.type=html"] if template.endswith("html") else []),
    )
    golden = GOLDEN / f"{name}.{template}"
    if request.config.getoption("--update-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


def test_each_message_says_what_to_do_now() -> None:
    """In a line for a phone, which is neither markup nor one of the template's own."""
    names = sorted(ALERTS)
    lines = render("\n".join(f'{{{{ template "minefleet.now" "{name}" }}}}' for name in names)).splitlines()
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert re.fullmatch(r"[^<>&{}*`]{10,130}[.?]", line), name
    assert len(set(lines)) > 0.9 * len(names)
