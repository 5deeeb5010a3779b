"""The replay behind ``make alert-quality``: its pieces, and the same fleet through two databases."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter.simulator.stack import find_program, free_port
from scripts.quality import __main__ as command
from scripts.quality import faults, rules
from scripts.quality.inbox import Inbox
from scripts.quality.report import Findings
from scripts.quality.rules import Firing, Replay
from scripts.quality.store import Grid, Series, Store
from tests.conftest import ROOT

GRID = Grid(1_772_409_600, 60, 240)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store() as opened:
        yield opened


def series(name: str, values: list[float], **labels: str) -> Series:
    filled = np.full(GRID.size, np.nan)
    filled[: len(values)] = values
    return Series({"__name__": name, **labels}, filled)


def rule_files(tmp_path: Path, text: str) -> list[Path]:
    path = tmp_path / "rules.yml"
    path.write_text(text)
    return [path]


def test_what_is_written_is_read_again_and_ends_where_it_ends(store: Store) -> None:
    values = [1.5, -2.0, 1e12, 0.1]
    store.write([series("written", values, site='q"uo\\te')], GRID)
    store.flush()
    [found] = store.query("written", GRID)
    assert found.labels == {"__name__": "written", "site": 'q"uo\\te'}
    assert found.values[:4].tolist() == values
    assert np.isnan(found.values[4:]).all(), "an ended series is not held"


def test_a_rule_that_holds_its_own_value_holds_it_as_step_by_step_evaluation_does(
    store: Store, tmp_path: Path
) -> None:
    up = [1.0] * 10 + [0.0] * 100 + [1.0] * 10
    store.write([series("node_up", up, instance="a")], GRID)
    text = """
groups:
  - name: g
    rules:
      - record: last_up
        expr: (timestamp(node_up == 1) or last_over_time(last_up[1h]) or timestamp(node_up)) and node_up
      - alert: Down
        expr: time() - last_up > 1800
        for: 5m
        keep_firing_for: 10m
"""
    [down] = Replay(rules.load(rule_files(tmp_path, text)), store, GRID).run(50)
    # Last up in minute 9; more than 30 minutes ago from minute 40 on, and that for 5; over in minute 110.
    assert (down.first, down.last) == (45, 120)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([0, 1, 1, 0, 0, 0, 0, 0], []),
        ([0, 1, 1, 1, 0, 0, 0, 0], [(3, 6)]),
        ([0, 1, 1, 1, 0, 1, 0, 0], [(3, 8)]),
        ([1, 1, 1, 1, 1, 1, 1, 1], [(2, 8)]),
    ],
)
def test_for_and_keep_firing_for(held: list[int], expected: list[tuple[int, int]]) -> None:
    rule = rules.Rule("A", "x", record=False, labels={}, hold=120.0, keep=120.0)
    replay = Replay([], None, Grid(0, 60, 8))  # type: ignore[arg-type]
    found = replay._firings(rule, {}, np.array(held, dtype=bool))
    assert [(one.first, one.last) for one in found] == expected


def test_rules_come_after_those_they_read_and_unread_ones_are_left_out(tmp_path: Path) -> None:
    text = """
groups:
  - name: g
    rules:
      - {alert: A, expr: "b > 1"}
      - {record: b, expr: c * 2}
      - {record: c, expr: 'raw{x=~"y|z"}'}
      - {record: d, expr: c * 3}
"""
    loaded = rules.load(rule_files(tmp_path, text))
    assert [rule.name for rule in loaded] == ["c", "b", "A"]
    [selector] = rules.raw(loaded)
    assert selector.takes({"__name__": "raw", "x": "z"})
    assert not selector.takes({"__name__": "raw", "x": "yz"})


def test_rules_that_read_each_other_are_refused(tmp_path: Path) -> None:
    text = "groups: [{name: g, rules: [{record: a, expr: b}, {record: b, expr: a}, {alert: A, expr: a}]}]"
    with pytest.raises(rules.RuleError, match="read each other"):
        rules.load(rule_files(tmp_path, text))


CONFIG = """
route:
  receiver: team
  group_by: [alertname]
  group_wait: 45s
  group_interval: 5m
  repeat_interval: 1h
  routes:
    - {matchers: ['severity="critical"'], receiver: pager}
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: [alertname=~"Slow|Hot"]
    equal: [instance]
"""


def test_the_inbox_groups_inhibits_repeats_and_says_when_it_is_over(tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIG)
    messages = Inbox(file, 60).messages(
        [
            Firing("Down", {"instance": "a", "severity": "critical"}, 10, 130),
            Firing("Down", {"instance": "b", "severity": "critical"}, 10, 130),
            Firing("Slow", {"instance": "a"}, 12, 130),
            Firing("Slow", {"instance": "c"}, 200, 203),
        ]
    )
    shown = [(one.time, one.receiver, len(one.firing), len(one.opened), len(one.closed)) for one in messages]
    assert shown == [
        (11, "pager", 2, 2, 0),
        (71, "pager", 2, 0, 0),
        (131, "pager", 0, 0, 2),
        (201, "team", 1, 1, 0),
        (206, "team", 0, 0, 1),
    ]


def fault(number: int, start: float, end: float, target: str, *alerts: str) -> faults.Fault:
    return faults.Fault(number, start, end, target, "unplugged", "x", alerts)


def test_a_fault_is_found_by_its_own_alert_only_and_what_has_none_excuses_nothing() -> None:
    miners = ["barn1-l9-01", "barn1-l9-02"]
    found = Findings(
        GRID,
        miners,
        [
            fault(1, 600, 1200, "barn1-l9-01", "Down"),
            fault(2, 600, 1200, "barn1-l9-02", "Slow"),
            fault(3, 9000, 9600, "barn1-l9-01"),
        ],
        [
            Firing("Down", {"instance": "barn1-l9-01"}, 12, 20),
            Firing("Down", {"instance": "barn1-l9-02"}, 12, 20),
            Firing("Hot", {"instance": "barn1-l9-01"}, 152, 155),
            Firing("Watchdog", {}, 0, 240),
        ],
    )
    assert [one.number for one in found.missed] == [2]
    assert found.found[0].seconds(GRID) == 120
    assert [one.alert for one in found.false] == ["Hot"]
    assert found.always == ["Watchdog"]
    assert found.false_per_thousand() == pytest.approx(1000 / (2 * 240 / 1440))


def test_a_bad_file_of_faults_has_a_line_for_each_fault(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "- {at: 1d, for: 2h, target: nobody, fault: unplugged}\n"
        "- {at: soon, for: 2h, target: pool, fault: dead}\n"
        "- {at: 1d, for: 2h, target: m, fault: board_lost, bord: 2}\n"
        "- {for: 2h, target: m, fault: unplugged}\n"
    )
    with pytest.raises(faults.FaultFileError) as caught:
        faults.load(path, ["m"], [], 1e6)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["fault 1", "fault 2", "fault 3", "fault 4"]
    assert "board" in lines[2]


LIST = """
- {at: 3h, for: 2h, target: barn1-l9-01, fault: unplugged, alert: MinefleetMinerOffline}
- {at: 7h, for: 2h, target: barn1-l9-02, fault: board_lost, board: 2, alert: MinefleetMinerBoardDown}
- {at: 10h, for: 2h, target: barn2-l9-04, fault: wrong_worker, alert: MinefleetMinerWrongPool}
- {at: 13h, for: 1h, target: pool, fault: dead, alert: MinefleetPoolDown}
- {at: 16h, for: 2h, target: barn2-l7-03, fault: hashrate_drop, percent: 40, alert: MinefleetMinerHashrateDrop}
- {at: 20h, for: 30m, target: exporter, fault: dead, alert: MinefleetExporterDown}
- {at: 22h, for: 1m, target: barn1, fault: restart}
- {at: 33h, for: 3h, target: barn1-l9-01, fault: uncredited, alert: MinefleetMinerUnseenByPool}
- {at: 26h, for: 2h, target: pool, fault: skim, percent: 20, alert: MinefleetPoolCreditsLess}
"""


def options(tmp_path: Path, url: str | None) -> argparse.Namespace:
    (tmp_path / "faults.yaml").write_text(LIST)
    return argparse.Namespace(
        faults=tmp_path / "faults.yaml",
        rules=ROOT / "prometheus/rules",
        alertmanager=ROOT / "alertmanager/alertmanager.yml",
        miners=4,
        days=2,
        seed=3,
        url=url,
    )


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    config = tmp_path / "prometheus.yml"
    config.write_text("storage: {tsdb: {out_of_order_time_window: 100d}}\n")
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                find_program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={address}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=log,
            stderr=log,
        )
    yield f"http://{address}"
    process.terminate()
    process.wait()
    shutil.rmtree(tmp_path / "data")


def test_two_days_find_every_fault_and_the_same_in_prometheus(tmp_path: Path, prometheus: str) -> None:
    findings, page = command.replay(options(tmp_path, None))
    assert findings.missed == []
    assert findings.false == []
    assert "nothing missed | 0 of 8 missed | yes" in page
    other, _ = command.replay(options(tmp_path, prometheus))
    assert other.false == []

    def times(one: Findings) -> list[tuple[str, str, int]]:
        return sorted((f.alert, str(sorted(f.labels.items())), f.first) for f in one.firings)

    # How a rate is read at the edge of a window differs between the two; never by more than a look or two.
    ours, theirs = times(findings), times(other)
    assert [one[:2] for one in ours] == [one[:2] for one in theirs]
    assert all(abs(a[2] - b[2]) <= 2 for a, b in zip(ours, theirs, strict=True))
