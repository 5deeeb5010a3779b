"""Tables as Grafana shows them: its own transformations, where ``make dashboards-test`` has brought them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bundle.test_grafana import labels_left
from tests.conftest import ROOT

# The folder they are installed in.
PACKAGES = os.environ.get("MINEFLEET_GRAFANA_DATA", "")

# By which the room map is sorted; nobody sees it.
WORST_OF_SITE = "worst of the site"

needs_grafana = pytest.mark.skipif(not PACKAGES, reason="needs Node.js: make dashboards-test")


@dataclass(frozen=True)
class Table:
    """Columns by name, in the order shown, all as long."""

    columns: Mapping[str, Sequence[Any]]

    def rows(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


def tables(panels: Sequence[tuple[Mapping[str, Any], Mapping[str, list[Any]]]]) -> list[list[Table]]:
    """The tables that are made of each panel and what its queries were answered, by their name."""
    given = [
        {
            "transformations": panel["transformations"],
            "queries": [
                {
                    "refId": target["refId"],
                    "table": target.get("format") == "table",
                    "answer": answers[target["refId"]],
                }
                for target in panel["targets"]
            ],
        }
        for panel, answers in panels
    ]
    done = subprocess.run(
        ["node", str(ROOT / "tests/grafana/tables.js")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=PACKAGES,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        [Table({field["name"]: field["values"] for field in frame["fields"]}) for frame in frames]
        for frames in json.loads(done.stdout)
    ]


def check(panel: Mapping[str, Any], answers: Mapping[str, list[Any]], made: Sequence[Table]) -> None:
    """What a person should see of a panel's answers: one row for each thing, and each figure once."""
    kinds = [step["id"] for step in panel["transformations"]]
    answered = [row for rows in answers.values() for row in rows]
    if not answered:
        heads = [name for table in made for name in table.columns]
        assert heads == [], f"{panel['title']}: bare heads hide the words for nothing"
        return
    [table] = made
    rows = table.rows()
    if "filterFieldsByName" in kinds:
        _check_list(panel, answers, table)
    elif "labelsToFields" in kinds:
        assert set(table.columns) >= {"label", "value"}
        assert len(rows) == len({(row["label"], row["value"]) for row in rows})
    else:
        _check_matrix(answered, table)


def _check_list(panel: Mapping[str, Any], answers: Mapping[str, list[Any]], table: Table) -> None:
    told = {ref: rows for ref, rows in answers.items() if rows}
    by = sorted(set.intersection(*(labels_left(target["expr"]) for target in panel["targets"])))
    things = {tuple(row["metric"].get(name) for name in by) for rows in told.values() for row in rows}
    rows = table.rows()
    assert len(rows) == len(things), f"{panel['title']}: {len(rows)} rows for {len(things)} of {by}"
    [shown] = [
        step["options"]["include"]["names"]
        for step in panel["transformations"]
        if step["id"] == "filterFieldsByName"
    ]
    assert list(table.columns) == [name for name in shown if name in table.columns]
    for ref, answer in told.items():
        if ref in shown:
            figures = [value for value in table.columns[ref] if value is not None]
            assert sorted(figures) == sorted(float(row["value"][1]) for row in answer), ref
    labels = {name for rows in told.values() for row in rows for name in row["metric"]}
    assert labels & set(shown) <= set(table.columns)


def _check_matrix(answer: Sequence[Any], table: Table) -> None:
    [corner, *across] = (name for name in table.columns if name != WORST_OF_SITE)
    down_by, _, across_by = corner.partition("\\")
    assert {row["metric"][across_by] for row in answer} == set(across)
    numbered = [int(name) for name in across if name.isdigit()]
    assert numbered == sorted(numbered)
    placed = {(row[corner], name): row[name] for row in table.rows() for name in across}
    assert len(placed) == len(table.columns[corner]) * len(across), "two rows of one name"
    figures = {place: value for place, value in placed.items() if value not in (None, "")}
    assert figures == {
        (row["metric"][down_by], row["metric"][across_by]): float(row["value"][1]) for row in answer
    }
