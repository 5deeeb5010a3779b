"""The dashboards: made by their source, readable, and asking only for what exists."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE
from tests.bundle.test_prometheus import known_names, names_in
from tests.conftest import ROOT

FOLDER = ROOT / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
# Unit ids Grafana knows, of those in use; an unknown one would be printed as it is.
UNITS = {"Hs", "watt", "celsius", "percentunit", "currencyUSD", "rotrpm", "short", "dtdurations", "si:J/GH"}
FITTING = {"celsius": {"celsius"}, "hashes_per_second": {"Hs"}, "watts": {"watt"}}


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def panels() -> Iterator[Any]:
    for path in FILES:
        for panel in load(path)["panels"]:
            if panel["type"] != "row":
                yield pytest.param(panel, id=f"{path.stem}-{panel['id']}-{panel['title']}")


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def with_variables(expression: str, rate: str = "5m") -> str:
    expression = expression.replace("$__rate_interval", rate)
    return re.sub(r"\$(job|site|instance)\b", ".*", expression)


def test_the_files_are_what_the_source_makes() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "source" / "build.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_can_be_provisioned(path: Path) -> None:
    board = load(path)
    assert board["uid"] == path.stem
    assert not {"id", "version", "iteration"} & board.keys()
    assert board["editable"] is False
    ids = [panel["id"] for panel in board["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "site", "instance"]
    for one, other in itertools.combinations((panel["gridPos"] for panel in board["panels"]), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, f"panels overlap: {one} {other}"
        assert one["x"] + one["w"] <= 24


@pytest.mark.parametrize("panel", list(panels()))
def test_a_panel_is_readable(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    units = {panel["fieldConfig"]["defaults"].get("unit")} | {
        prop["value"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "unit"
    }
    assert units - {None} <= UNITS
    if panel["type"] in ("stat", "timeseries"):
        assert units - {None}, "a number has a unit"


@pytest.mark.parametrize("panel", list(panels()))
def test_a_panel_asks_only_for_what_exists(panel: dict[str, Any]) -> None:
    for expression in expressions(panel):
        assert names_in(with_variables(expression)) - known_names() == set()


@pytest.mark.parametrize("panel", list(panels()))
def test_the_unit_fits_the_metric(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"].get("unit")
    for expression in expressions(panel):
        plain = re.fullmatch(r"[\w(), ]*?(\w+)\{[^}]*\}\)?", expression)
        metric = CATALOGUE.get(plain[1]) if plain else None
        if metric and unit and metric.unit in FITTING:
            assert unit in FITTING[metric.unit]


@pytest.mark.parametrize("panel", list(panels()))
def test_miners_panels_obey_the_filter(panel: dict[str, Any]) -> None:
    for expression in expressions(panel):
        if "vnish_" in expression:
            assert 'instance=~"$instance"' in expression


def tables() -> Iterator[Any]:
    for path in FILES:
        for panel in load(path)["panels"]:
            if panel["type"] == "table":
                yield pytest.param(panel, id=f"{path.stem}-{panel['id']}-{panel['title']}")


def labels_left(expression: str) -> set[str]:
    """The labels that the outermost aggregation keeps; a series without one keeps its name, too."""
    tree = promql_parser.parse(with_variables(expression))
    assert isinstance(tree, promql_parser.AggregateExpr), f"keeps __name__ and any label: {expression}"
    assert tree.modifier is not None
    assert tree.modifier.type == promql_parser.AggModifierType.By
    return set(tree.modifier.labels)


@pytest.mark.parametrize("panel", list(tables()))
def test_frames_that_are_merged_have_the_same_labels(panel: dict[str, Any]) -> None:
    assert [step["id"] for step in panel["transformations"]].count("merge") == 1
    frames = {target["refId"]: labels_left(target["expr"]) for target in panel["targets"]}
    common = set.intersection(*frames.values())
    assert "instance" in common
    assert "__name__" not in set.union(*frames.values())
    # A label besides is a column, which comes from one frame only: two that differ in it would be two rows.
    besides = [label for labels in frames.values() for label in labels - common]
    assert len(set(besides)) == len(besides)
    [shown] = [
        step["options"]["include"]["names"]
        for step in panel["transformations"]
        if step["id"] == "filterFieldsByName"
    ]
    assert set(besides) <= set(shown)
    assert set(frames) - set(shown) <= {"Model"}


@pytest.mark.parametrize("panel", list(tables()))
def test_a_tables_words_for_no_rows_are_not_in_its_cells(panel: dict[str, Any]) -> None:
    config = panel["fieldConfig"]
    if "noValue" in config["defaults"]:
        first = config["overrides"][0]
        assert first["matcher"] == {"id": "byRegexp", "options": "/.*/"}
        assert first["properties"] == [{"id": "noValue", "value": ""}]
    texts = {
        prop["value"]
        for override in config["overrides"]
        for prop in override["properties"]
        if prop["id"] == "noValue"
    }
    assert texts <= {""}


def test_links_lead_to_dashboards_that_exist() -> None:
    known = {path.stem for path in FILES}
    for path in FILES:
        assert set(re.findall(r"/d/([\w-]+)", path.read_text())) <= known


def test_provisioning_finds_what_the_compose_file_mounts() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/minefleet.yml").read_text())["providers"][0]
    source = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())["datasources"][
        0
    ]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    places = {volume["source"]: volume["target"] for volume in mounts if isinstance(volume, dict)}
    assert places["./grafana/dashboards"] == provider["options"]["path"]
    assert places["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert provider["updateIntervalSeconds"] > 10
    assert source["url"] == "http://prometheus:9090"


def test_grafana_finds_every_folder_it_looks_for() -> None:
    # It logs an error at each start for one that is missing.
    for kind in ("alerting", "dashboards", "datasources", "plugins"):
        assert any((FOLDER / "provisioning" / kind).iterdir()), f"git keeps no empty {kind}"
