"""Grafana's own transformations of what a table's queries may be answered. ``make dashboards-test`` runs these."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bundle.dashboards import FILES, panels
from tests.bundle.test_grafana import labels_left
from tests.grafana.tables import check, needs_grafana, tables

pytestmark = needs_grafana


LISTS = [
    panel
    for path in FILES
    for panel in panels(path)
    if any(step["id"] == "filterFieldsByName" for step in panel.get("transformations", []))
]


def answer(panel: dict[str, Any], *, named: bool, miners: int = 3) -> dict[str, list[Any]]:
    """Each query's answer of some miners, as a query of a bare series would have it if *named*."""
    made: dict[str, list[Any]] = {}
    kept = {target["refId"]: labels_left(target["expr"]) for target in panel["targets"]}
    common = set.intersection(*kept.values())
    for number, (ref, labels) in enumerate(kept.items()):
        extra = {"__name__": f"series_{number}"} if named else {}
        made[ref] = [
            {
                "metric": {name: f"{name} {miner}" if name in common else name for name in labels} | extra,
                "value": [1.0, str(number * 10 + miner)],
            }
            for miner in range(miners)
        ]
    return made


def test_a_list_has_one_row_for_each_miner() -> None:
    given = [(panel, answer(panel, named=False)) for panel in LISTS]
    for (panel, answers), made in zip(given, tables(given), strict=True):
        check(panel, answers, made)


def test_a_list_of_bare_series_is_seen_to_be_broken() -> None:
    # So the first dashboard was: a row for each miner and query, since the series differ in their name.
    [panel] = [panel for panel in LISTS if panel["title"] == "All miners"]
    # The steps of then, which had no groups.
    panel = {
        **panel,
        "transformations": [step for step in panel["transformations"] if step["id"] != "groupBy"],
    }
    answers = answer(panel, named=True)
    [made] = tables([(panel, answers)])
    [table] = made
    assert len(table.rows()) == 3 * len(panel["targets"])
    with pytest.raises(AssertionError):
        check(panel, answers, made)


def test_nothing_but_words_is_shown_where_nothing_is_found() -> None:
    given: list[tuple[dict[str, Any], dict[str, list[Any]]]] = [
        (panel, {target["refId"]: [] for target in panel["targets"]}) for panel in LISTS
    ]
    for (panel, answers), made in zip(given, tables(given), strict=True):
        check(panel, answers, made)


def test_that_no_miner_has_a_problem_is_one_row() -> None:
    [panel] = [panel for panel in LISTS if panel["title"] == "Who needs me now, and why"]
    well = {"value": [1.0, "0"]}
    answers = {
        "Severity": [{"metric": {}, **well}],
        "What": [{"metric": {"what": "no miner has a problem"}, **well}],
        "Losing": [],
    }
    [[table]] = tables([(panel, answers)])
    [row] = table.rows()
    assert (row["Severity"], row["what"]) == (0, "no miner has a problem")


def test_the_worst_of_each_site_is_known_to_its_row() -> None:
    # Of seventeen sites the first three were shown, all well; the table sorts its rows by it.
    [panel] = [panel for path in FILES for panel in panels(path) if panel["title"] == "Where in the room?"]
    [target] = panel["targets"]
    worst = {("barn3", "10"): 3, ("barn2", "2"): 2}
    answers = {
        target["refId"]: [
            {
                "metric": {"site": f"barn{site}", "rack": str(rack)},
                "value": [1.0, str(worst.get((f"barn{site}", str(rack)), 0))],
            }
            for site in range(1, 6)
            for rack in (10, 2)
        ]
    }
    [[table]] = tables([(panel, answers)])
    assert list(table.columns) == ["site\\rack", "2", "10", "worst of the site"]
    worst_of = dict(zip(table.columns["site\\rack"], table.columns["worst of the site"], strict=True))
    assert worst_of == {"barn1": 0, "barn2": 2, "barn3": 3, "barn4": 0, "barn5": 0}
