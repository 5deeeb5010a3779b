"""The shipped rules and configuration, checked with the real promtool and against the catalogue."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE, Kind
from tests.conftest import ROOT

FOLDER = ROOT / "prometheus"
RULE_FILES = sorted((FOLDER / "rules").glob("*.yml"))
TEST_FILES = sorted((FOLDER / "tests").glob("*.test.yml"))
# What Prometheus makes itself.
FOREIGN = {
    "up",
    "ALERTS",
    "prometheus_sd_http_failures_total",
    "prometheus_rule_evaluation_failures_total",
    "alertmanager_notifications_failed_total",
}


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULE_FILES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


RECORDED = {rule["record"] for rule in rules() if "record" in rule}
ALERTS = {rule["alert"] for rule in rules() if "alert" in rule}


def known_names() -> set[str]:
    names = RECORDED | FOREIGN
    for metric in CATALOGUE.values():
        if metric.kind is Kind.HISTOGRAM:
            names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
        names.add(metric.name)
    return names


def names_in(expression: str) -> set[str]:
    """The metric names a PromQL expression selects."""
    promql_parser.parse(expression)
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    without_selectors = re.sub(r"\{[^}]*\}", "{}", without_strings)
    without_labels = re.sub(
        r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", without_selectors
    )
    words = re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w*\s*\()", without_labels)
    return {word for word in words if "_" in word or word in ("up", "ALERTS")} - FUNCTIONS


FUNCTIONS = {"group_left", "group_right"} | {
    f"{name}_over_time" for name in ("avg", "min", "max", "sum", "count", "last", "quantile", "stddev")
}


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_configuration_and_rules_are_good() -> None:
    done = promtool("check", "config", FOLDER / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "rules", *RULE_FILES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_to_fire_and_to_stay_quiet() -> None:
    fires, quiet = set(), set()
    for path in TEST_FILES:
        for group in yaml.safe_load(path.read_text())["tests"]:
            for case in group.get("alert_rule_test", []):
                (fires if case.get("exp_alerts") else quiet).add(case["alertname"])
    assert fires == ALERTS
    assert quiet == ALERTS - {"MinefleetWatchdog"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_exists(rule: dict[str, Any]) -> None:
    expressions = [rule["expr"]]
    # Queries inside annotations, their printf verbs filled in.
    for text in rule.get("annotations", {}).values():
        queries = re.findall(r'printf "((?:[^"\\]|\\.)*\{(?:[^"\\]|\\.)*)"', text)
        expressions += [q.replace('\\"', '"').replace("%q", '"x"').replace("%f", "0.5") for q in queries]
    for expression in expressions:
        assert names_in(expression) - known_names() == set()
    assert names_in(rule["expr"]) or rule["expr"] == "vector(1)", "selects something"


def test_the_name_check_can_fail() -> None:
    assert names_in('sum by (a_b) (rate(vnish_nonsense_total{x_y="z_w"}[5m])) > on (c_d) up') == {
        "vnish_nonsense_total",
        "up",
    }


# Those that tell of the watchers, or of prices nobody knows: what is at stake is not known then, or all of it.
WITHOUT_MONEY = re.compile(
    "Minefleet(ExporterDown|ScrapeFailing|ConfigReloadFailed|DiscoveryFailing|NotificationsFailing|RulesFailing|Watchdog"
    "|MarketDown|PoolDown|PoolProfitabilityStale|PoolAuditOff|MinerUnprofitable|MinerFirmwareDiffers)"
)


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"]
)
def test_an_alert_says_what_is_at_stake(rule: dict[str, Any]) -> None:
    if not WITHOUT_MONEY.fullmatch(rule["alert"]):
        assert "$" in re.sub(r"\$(labels|value)", "", rule["annotations"]["description"]), "dollars a day"


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"]
)
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Minefleet[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info", "none")
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "dashboard_url", "runbook_url"}
    assert re.fullmatch(r"[^{}]+\.", annotations["summary"]), "fixed, so that alerts group under it"
    runbook, _, heading = annotations["runbook_url"].partition("#")
    assert heading == rule["alert"].lower()
    assert f"## {rule['alert']}\n" in (ROOT / runbook).read_text()
    uid = annotations["dashboard_url"].removeprefix("/d/").partition("?")[0]
    assert (ROOT / "grafana" / "dashboards" / f"{uid}.json").is_file()


def test_recording_rules_are_named_by_level_metric_and_operation() -> None:
    for name in RECORDED:
        assert re.fullmatch(
            r"((instance|site|fleet)(_cause)?|instance_(board|worker|pool)):[a-z0-9_]+:[a-z0-9_]+", name
        )


def test_jobs_of_the_configuration_are_those_the_rules_speak_of() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert {"minefleet-miners", "minefleet-pools", "minefleet-exporter"} <= jobs
    for job in config["scrape_configs"]:
        assert "relabel_configs" not in job, "service discovery needs none"
