"""The one verdict: what it says of readings, and that rules and dashboards decide the same."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter import catalogue as c
from exporter.config.schema import Thresholds
from exporter.exposition import Page
from exporter.vnish.audit import PoolAudit
from exporter.vnish.metrics import samples
from exporter.vnish.reading import Board, Fan, Identity, MinerReading, Pool, Range
from exporter.vnish.verdict import (
    DEAD_BOARD_STATES,
    FANLESS_COOLING,
    HASHING_STATES,
    IDLE_BOARD_STATES,
    STARTING_STATES,
    Condition,
    Glance,
    Kind,
    Limits,
    Verdict,
    judge,
    unknown,
    unreachable,
)
from tests.conftest import ROOT

DEFAULTS = Thresholds()
LIMITS = Limits(
    DEFAULTS.temperature_warning, DEFAULTS.temperature_critical, DEFAULTS.hashrate_drop_percent / 100
)
AUDIT = PoolAudit(frozenset({"pool.example"}), None, None)


def boards(*states: str | None, rate: float | None = 5e9) -> list[Board]:
    return [Board(str(number), state=state, hashrate=rate) for number, state in enumerate(states, 1)]


def miner(**fields: Any) -> MinerReading:
    """A healthy miner, but for *fields*."""
    healthy: dict[str, Any] = {
        "state": "mining",
        "hashrate": 15e9,
        "hashrate_nominal": 15e9,
        "chip_temperature": Range(50.0, 65.0),
        "boards": boards("mining", "mining", "mining"),
        "boards_expected": 3.0,
        "fans": [Fan("0", 5000.0, ok=True)],
        "cooling_mode": "auto",
        "pools": [Pool("0", "UserPool", "stratum+tcp://pool.example:3333", status="active")],
    }
    reading = MinerReading(Identity("v1", algorithm="scrypt"))
    for name, value in {**healthy, **fields}.items():
        setattr(reading, name, value)
    return reading


def page_of(reading: MinerReading) -> Page:
    page = Page()
    samples(reading, page)
    return page


def verdict(reading: MinerReading) -> Verdict:
    return judge(Glance.of(reading, page_of(reading)), LIMITS, AUDIT)


def kinds(found: Verdict) -> list[Kind]:
    return [fault.kind for fault in found.faults]


# A reading, its condition, and what is wrong with it.
CASES: dict[str, tuple[MinerReading, Condition, list[Kind]]] = {
    "healthy": (miner(), Condition.OK, []),
    "tuning": (miner(state="auto-tuning"), Condition.OK, []),
    # Firmware 3.9 has no state, and says no nominal rate.
    "stateless": (
        miner(state=None, hashrate_nominal=None, boards=boards(None, None, None)),
        Condition.OK,
        [],
    ),
    "stateless-idle": (miner(state=None, hashrate=0.0), Condition.STOPPED, [Kind.NOT_HASHING]),
    "stateless-silent": (miner(state=None, hashrate=None), Condition.STOPPED, [Kind.NOT_HASHING]),
    "process-dead": (
        miner(hashrate=None, hashrate_nominal=None, boards=None, boards_expected=None),
        Condition.STOPPED,
        [Kind.NOT_HASHING],
    ),
    "wrong-unit": (miner(hashrate=15e12, hashrate_nominal=15e12), Condition.STOPPED, [Kind.NOT_HASHING]),
    "stopped": (
        miner(state="stopped", hashrate=0.0, boards=boards("stopped", "stopped", "stopped", rate=0.0)),
        Condition.STOPPED,
        [Kind.NOT_HASHING],
    ),
    "failure": (
        miner(state="failure", hashrate=0.0, hashrate_nominal=0.0, boards=[], fans=[]),
        Condition.STOPPED,
        [Kind.NOT_HASHING],
    ),
    "starting": (
        miner(state="initializing", hashrate=0.0, boards=boards(*["initializing"] * 3, rate=0.0)),
        Condition.STARTING,
        [Kind.NOT_HASHING],
    ),
    "board-failed": (miner(boards=boards("mining", "failure", "mining")), Condition.WARN, [Kind.BOARD_DEAD]),
    "board-gone": (
        miner(boards=boards("mining", "mining", "disconnected")),
        Condition.WARN,
        [Kind.BOARD_DEAD],
    ),
    "board-failed-and-stopped": (
        miner(state="stopped", hashrate=0.0, boards=boards("failure", "stopped", "stopped", rate=0.0)),
        Condition.STOPPED,
        [Kind.NOT_HASHING, Kind.BOARD_DEAD],
    ),
    "board-silent": (
        miner(boards=[*boards("mining", "mining"), Board("3", state="mining", hashrate=0.0)]),
        Condition.WARN,
        [Kind.BOARD_DEAD],
    ),
    "board-stopped": (
        miner(boards=[*boards("mining", "mining"), Board("3", state="stopped", hashrate=0.0)]),
        Condition.WARN,
        [Kind.BOARD_DEAD],
    ),
    "board-disabled": (
        miner(boards=[*boards("mining", "mining"), Board("3", state="disabled", hashrate=0.0)]),
        Condition.OK,
        [],
    ),
    "board-missing": (miner(boards=boards("mining", "mining")), Condition.WARN, [Kind.BOARD_MISSING]),
    "weak": (miner(hashrate=11.9e9), Condition.WARN, [Kind.HASHRATE_LOW]),
    "not-weak": (miner(hashrate=12.1e9), Condition.OK, []),
    "no-hashes": (miner(hashrate=0.0), Condition.WARN, [Kind.NO_HASHES]),
    "hot": (miner(chip_temperature=Range(50.0, 80.0)), Condition.WARN, [Kind.HOT]),
    "not-hot": (miner(chip_temperature=Range(50.0, 79.9)), Condition.OK, []),
    "overheating": (miner(chip_temperature=Range(50.0, 90.0)), Condition.WARN, [Kind.OVERHEATING]),
    "fan-lost": (miner(fans=[Fan("0", 0.0, ok=False)]), Condition.WARN, [Kind.FAN_LOST]),
    "immersed": (miner(fans=[Fan("0", 0.0, ok=False)], cooling_mode="immersion"), Condition.OK, []),
    "hijacked": (
        miner(pools=[Pool("0", "UserPool", "stratum+tcp://thief.example:1", status="active")]),
        Condition.WARN,
        [Kind.WRONG_POOL],
    ),
    "fee-pool": (
        miner(pools=[*miner().pools, Pool("3", "DevFee", "DevFee"), Pool("1", "UserPool", "")]),
        Condition.OK,
        [],
    ),
    "everything": (
        miner(
            hashrate=1e9,
            boards=boards("failure", "mining"),
            fans=[Fan("0", 0.0, ok=False)],
            chip_temperature=Range(50.0, 95.0),
        ),
        Condition.WARN,
        [Kind.OVERHEATING, Kind.BOARD_DEAD, Kind.BOARD_MISSING, Kind.HASHRATE_LOW, Kind.FAN_LOST],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict(name: str) -> None:
    reading, condition, expected = CASES[name]
    found = verdict(reading)
    assert (found.condition, kinds(found)) == (condition, expected)
    assert bool(found.why) == (condition is not Condition.OK)
    assert found.hashes == (condition in (Condition.OK, Condition.WARN))


def test_the_worst_miner_comes_first() -> None:
    order = [
        unreachable("timeout: no answer"),
        unknown("not asked yet"),
        verdict(CASES["board-failed-and-stopped"][0]),
        verdict(CASES["starting"][0]),
        verdict(CASES["no-hashes"][0]),
        verdict(CASES["overheating"][0]),
        verdict(CASES["hijacked"][0]),
        verdict(CASES["board-missing"][0]),
        verdict(CASES["hot"][0]),
        verdict(CASES["healthy"][0]),
    ]
    shuffled = [*order[1::2], *order[::2]]
    assert sorted(shuffled, key=lambda one: one.rank) == order


def test_without_limits_nothing_is_too_hot_or_too_weak() -> None:
    reading = miner(hashrate=1e9, chip_temperature=Range(50.0, 120.0))
    assert judge(Glance.of(reading, page_of(reading)), Limits()) == Verdict(Condition.OK)


state = st.sampled_from([None, *c.MINER_STATES])
figure = st.one_of(st.none(), st.floats())


@given(
    state,
    figure,
    figure,
    figure,
    st.lists(
        st.builds(Board, st.text(max_size=3), st.sampled_from([None, *c.BOARD_STATES]), figure), max_size=4
    ),
    figure,
)
def test_any_reading_has_a_verdict(
    state: str | None,
    rate: float | None,
    nominal: float | None,
    hottest: float | None,
    found: list[Board],
    expected: float | None,
) -> None:
    one = verdict(
        miner(
            state=state,
            hashrate=rate,
            hashrate_nominal=nominal,
            chip_temperature=Range(None, hottest),
            boards=found,
            boards_expected=expected,
        )
    )
    assert [kind.rank for kind in kinds(one)] == sorted(kind.rank for kind in kinds(one))
    assert one.hashes == (Kind.NOT_HASHING not in kinds(one))
    assert (one.condition is Condition.OK) == (not one.faults)


def expressions() -> Iterator[str]:
    for path in (ROOT / "prometheus" / "rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    for path in (ROOT / "grafana" / "dashboards").glob("*.json"):
        yield from re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', path.read_text().replace(r"\"", "'"))


def chosen(metric: c.Metric, label: str) -> set[tuple[str, ...]]:
    """The sets of values of a label that rules and dashboards select of a metric."""
    found = set()
    for expression in expressions():
        for selector in re.findall(metric.name + r"\{([^}]*)\}", expression):
            for _, value in re.findall(rf"(?<!\w){label}(=~?)['\"]([^'\"]*)['\"]", selector):
                found.add(tuple(value.split("|")))
    return found


def test_rules_and_dashboards_select_the_states_the_verdict_knows() -> None:
    several = {states for states in chosen(c.STATE, "state") if len(states) > 1}
    # A miner that tunes itself earns less for a while, as one that starts does: money has a cause for both.
    assert several == {HASHING_STATES, STARTING_STATES, (*STARTING_STATES, "auto-tuning")}
    assert {state for states in chosen(c.STATE, "state") for state in states} <= set(c.MINER_STATES)
    boards = chosen(c.BOARD_STATE, "state")
    assert {DEAD_BOARD_STATES, IDLE_BOARD_STATES} <= boards
    assert {states for states in boards if len(states) > 1} == {DEAD_BOARD_STATES}
    assert {state for states in boards for state in states} <= set(c.BOARD_STATES)
    assert chosen(c.COOLING_MODE, "mode") == {FANLESS_COOLING}
    assert {*HASHING_STATES, *STARTING_STATES} <= set(c.MINER_STATES)
    assert {*DEAD_BOARD_STATES, *IDLE_BOARD_STATES} <= set(c.BOARD_STATES)
    assert set(FANLESS_COOLING) <= set(c.COOLING_MODES)


def test_rules_compare_with_the_thresholds_the_verdict_uses() -> None:
    static = Page()
    series = (c.THRESHOLD_TEMPERATURE_WARNING, c.THRESHOLD_TEMPERATURE_CRITICAL, c.THRESHOLD_HASHRATE_DROP)
    for value, metric in enumerate(series, 1):
        static.add(metric, value)
    assert Limits.of(static) == Limits(1, 2, 3)
    used = " ".join(expressions())
    assert all(metric.name in used for metric in series)


def test_dashboards_write_no_limit_of_temperature() -> None:
    """Limits are series, since they are each miner's own; a colour that begins at 0 °C is for what is known."""
    steps = [step["value"] for config in temperature_steps() for step in config["value"]["steps"][1:]]
    assert set(steps) == {0}


def temperature_steps() -> Iterator[dict[str, Any]]:
    for path in (ROOT / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] == "row":
                continue
            config = panel["fieldConfig"]
            steps = config["defaults"].get("thresholds", {"steps": []})
            if config["defaults"].get("unit") == "celsius" and len(steps["steps"]) > 1:
                yield {"value": steps}
            for override in config["overrides"]:
                properties = {one["id"]: one for one in override["properties"]}
                if properties.get("unit", {}).get("value") == "celsius" and "thresholds" in properties:
                    yield properties["thresholds"]


# The alert that says over time what a fault says now.
ALERTS = {
    Kind.NOT_HASHING: "MinefleetMinerNotMining",
    Kind.NO_HASHES: "MinefleetMinerHashrateLow",
    Kind.OVERHEATING: "MinefleetMinerTemperatureHigh",
    Kind.WRONG_POOL: "MinefleetMinerWrongPool",
    Kind.BOARD_DEAD: "MinefleetMinerBoardDown",
    Kind.BOARD_MISSING: "MinefleetMinerBoardMissing",
    Kind.HASHRATE_LOW: "MinefleetMinerHashrateLow",
    Kind.FAN_LOST: "MinefleetMinerFanLost",
    Kind.HOT: "MinefleetMinerTemperatureHigh",
}
STATES_AND_RATES = {
    f"{state}-{rate}": miner(state=state, hashrate=rate)
    for state, rate in itertools.product((None, *c.MINER_STATES), (None, 0.0, 15e9))
}


def test_the_rules_come_to_the_same_verdict(tmp_path: Path) -> None:
    """All cases as series that stay as they are, through the real rules."""
    readings = {name: case[0] for name, case in CASES.items()} | STATES_AND_RATES
    series, hashing, alerts = [], [], []
    for name, reading in readings.items():
        page = page_of(reading)
        page.add(c.UP, 1.0)
        page.add(c.THRESHOLD_TEMPERATURE_WARNING, LIMITS.temperature_warning)
        page.add(c.THRESHOLD_TEMPERATURE_CRITICAL, LIMITS.temperature_critical)
        page.add(c.THRESHOLD_HASHRATE_DROP, LIMITS.hashrate_drop)
        AUDIT.write(reading, page)
        for metric, family in page.families():
            for labels, value in family.items():
                pairs = {"job": "m", "instance": name, **dict(zip(metric.labels, labels, strict=True))}
                text = ",".join(f"{label}={json.dumps(given)}" for label, given in pairs.items())
                series.append({"series": f"{metric.name}{{{text}}}", "values": f"{value!r}+0x100"})
        where = f'{{instance="{name}"}}'
        hashing.append({"labels": where, "value": float(Glance.of(reading, page).hashing)})
        alerts += [
            {"labels": f'{{alertname="{alert}",instance="{name}"}}', "value": 1.0}
            for alert in {ALERTS[kind] for kind in kinds(verdict(reading))}
        ]
    check = {
        "rule_files": [str(path) for path in (ROOT / "prometheus" / "rules").glob("*.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": "max by (instance) (instance:vnish_hashing:bool)",
                        "eval_time": "90m",
                        "exp_samples": hashing,
                    },
                    {
                        "expr": (
                            'max by (instance, alertname) (ALERTS{alertstate="firing", instance!="", alertname=~"'
                            + "|".join(sorted({name for name in ALERTS.values() if name}))
                            + '"} > 0)'
                        ),
                        "eval_time": "90m",
                        "exp_samples": alerts,
                    },
                ],
            }
        ],
    }
    assert {*ALERTS} == {*Kind} - {Kind.SILENT}
    path = tmp_path / "verdict.test.yml"
    path.write_text(yaml.safe_dump(check))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
