"""The dashboards: made by their source, readable, and asking only for what exists.

A query that gives data proves nothing of what a person sees. Most tests here are of one way in which a panel was
seen broken in a real Grafana while every query of it gave data.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE, Kind
from exporter.simulator.faults import MINER_FAULTS
from tests.bundle.dashboards import FILES, FOLDER, Asked, annotations, load, panels, queries, sent, variables
from tests.bundle.test_prometheus import known_names, names_in, rules
from tests.conftest import ROOT

FLEET, MINER = FOLDER / "dashboards/minefleet-fleet.json", FOLDER / "dashboards/minefleet-miner.json"
# Unit ids Grafana knows, of those in use; an unknown one would be printed as it is.
UNITS = {
    *("Hs", "watt", "celsius", "percentunit", "currencyUSD", "rotrpm", "locale", "dtdurations", "si:J/GH"),
    *("s", "bytes", "volt", "hertz", "none", "reqps"),
}
FITTING = {"celsius": {"celsius"}, "hashes_per_second": {"Hs"}, "watts": {"watt"}}
COMMON = ["datasource", "job", "site", "rack", "miner"]
VARIABLES = {
    "minefleet-alerts": ["datasource", "severity"],
    "minefleet-boards": [*COMMON, "pictured", "board", "weak"],
    "minefleet-exporter": ["datasource", "exporter_job", "exporter"],
    "minefleet-loss": [*COMMON, "cause"],
    "minefleet-pool": [*COMMON, "account"],
}
# What other programs export.
FOREIGN = r"(node|process|prometheus|alertmanager)_\w+|ALERTS_FOR_STATE"


def every_panel() -> Iterator[Any]:
    for path in FILES:
        for panel in panels(path):
            yield pytest.param(panel, id=f"{path.stem}-{panel['id']}-{panel['title']}")


def tables() -> Iterator[Any]:
    """Those whose frames are merged into rows."""
    for made in every_panel():
        kinds = [step["id"] for step in made.values[0].get("transformations", [])]
        if made.values[0]["type"] == "table" and "filterFieldsByName" in kinds:
            yield made


def every_query() -> list[Any]:
    return [
        pytest.param(asked, id=f"{asked.dashboard}-{asked.panel}-{asked.ref}")
        for asked in (*queries(), *annotations())
    ]


def properties(panel: dict[str, Any], kind: str) -> list[Any]:
    return [
        prop["value"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        # One without a value takes the default away.
        if prop["id"] == kind and "value" in prop
    ]


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param", "args"):
        child = getattr(node, name, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None:
                yield from selectors(one)


def calls(node: Any) -> Iterator[Any]:
    yield node
    for name in ("expr", "lhs", "rhs", "param", "args"):
        child = getattr(node, name, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None:
                yield from calls(one)


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
    assert board["tags"] == ["minefleet"]
    ids = [panel["id"] for panel in board["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    assert list(variables(path)) == VARIABLES.get(path.stem, COMMON)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(titles) == len(set(titles)), "queries are listed by the panel's title"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_fill_the_page_without_holes(path: Path) -> None:
    places = [panel["gridPos"] for panel in load(path)["panels"]]
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, f"panels overlap: {one} {other}"
    area = sum(place["w"] * place["h"] for place in places)
    assert area == 24 * max(place["y"] + place["h"] for place in places)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_links_keep_time_and_filters(path: Path) -> None:
    [link] = load(path)["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == ["minefleet"]
    assert link["keepTime"]
    assert link["includeVars"]


def test_links_lead_to_dashboards_that_exist_and_set_what_they_have() -> None:
    known = {path.stem: variables(path) for path in FILES}
    for path in FILES:
        for uid, arguments in re.findall(r"/d/([\w-]+)\?([^\"\\]*)", path.read_text("utf-8")):
            assert set(re.findall(r"var-(\w+)=", arguments)) <= known[uid].keys()
            assert "${__url_time_range}" in arguments
        assert set(re.findall(r"/d/([\w-]+)", path.read_text("utf-8"))) <= known.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_filters_show_all_and_each_is_within_the_one_before(path: Path) -> None:
    for variable in variables(path).values():
        if variable["type"] == "datasource":
            assert variable["query"] == "prometheus"
            continue
        assert variable["datasource"]["uid"] == "${datasource}"
        single = not variable.get("multi")
        assert single == (variable["name"] == "pictured" or (path == MINER and variable["name"] == "miner"))
        if not single:
            assert variable["includeAll"]
            # Job and instance of an exporter are labels that everything has: all are those that were found.
            some = {"exporter_job": None, "exporter": None, "weak": None, "site": ".*", "rack": ".*"}
            assert variable.get("allValue") == some.get(variable["name"], ".+")
    asked = [
        variable["query"]["query"] for variable in variables(path).values() if variable["type"] == "query"
    ]
    if path.stem not in VARIABLES:
        assert [len(re.findall(r"\$", ask)) for ask in asked] == [0, 1, 2, 3]


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_panel_is_readable(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    units = {panel["fieldConfig"]["defaults"].get("unit"), *properties(panel, "unit")}
    assert units - {None} <= UNITS
    if panel["type"] in ("stat", "timeseries", "bargauge"):
        assert panel["fieldConfig"]["defaults"].get("unit"), "a number has a unit"


@pytest.mark.parametrize("asked", every_query())
def test_a_panel_asks_only_for_what_exists(asked: Asked) -> None:
    names = names_in(sent(asked.expression)) - known_names()
    assert {name for name in names if not re.fullmatch(FOREIGN, name)} == set()


@pytest.mark.parametrize("panel", list(every_panel()))
def test_the_unit_fits_the_metric(panel: dict[str, Any]) -> None:
    if properties(panel, "unit"):
        return
    unit = panel["fieldConfig"]["defaults"].get("unit")
    for target in panel["targets"]:
        plain = re.fullmatch(r"[\w(), ]*?(\w+)\{[^}]*\}\)?", target["expr"])
        metric = CATALOGUE.get(plain[1]) if plain else None
        if metric and unit and metric.unit in FITTING:
            assert unit in FITTING[metric.unit]


@pytest.mark.parametrize("asked", every_query())
def test_every_query_obeys_the_filters(asked: Asked) -> None:
    tree = promql_parser.parse(sent(asked.expression, {"account": "ACCOUNT", "miner": "MINER"}))
    for selector in selectors(tree):
        name = str(selector.name)
        has = {str(matcher.name): str(matcher.value) for matcher in selector.matchers.matchers}
        where = f"{name} in {asked.expression}"
        if has.get("instance") == "":
            # Of a whole site.
            assert {"site", "rack"} <= has.keys(), where
            continue
        if asked.dashboard in ("minefleet-fleet", "minefleet-miner", "minefleet-loss", "minefleet-inventory"):
            assert {"job", "site", "rack", "instance"} <= has.keys(), where
            assert has["instance"] == "MINER", where
        elif asked.dashboard in ("minefleet-boards", "minefleet-exporter"):
            # Those of a machine are of its node-exporter, whatever the exporter is called.
            assert "job" in has, where
        elif asked.dashboard == "minefleet-pool" and name != "mining_coin_price_usd":
            # The price of a coin is the same for all accounts.
            assert has["instance"] in ("ACCOUNT", "MINER"), where


@pytest.mark.parametrize("asked", list(queries()), ids=lambda asked: f"{asked.dashboard}-{asked.panel}")
def test_the_first_of_many_are_chosen_for_one_moment_only(asked: Asked) -> None:
    # Over time topk takes other series at each step, and draws all that were ever among the first.
    if asked.instant:
        return
    for node in calls(promql_parser.parse(sent(asked.expression))):
        assert not (isinstance(node, promql_parser.AggregateExpr) and str(node.op) in ("topk", "bottomk"))


@pytest.mark.parametrize("asked", list(queries()), ids=lambda asked: f"{asked.dashboard}-{asked.panel}")
def test_a_counter_is_asked_for_what_was_added(asked: Asked) -> None:
    for name in names_in(sent(asked.expression)):
        if name in CATALOGUE and CATALOGUE[name].kind is Kind.COUNTER:
            assert re.search(rf"(rate|increase|changes|resets)\(\s*{name}", asked.expression), name


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_line_or_number_has_a_name(panel: dict[str, Any]) -> None:
    if panel["type"] != "table":
        for target in panel["targets"]:
            assert target["legendFormat"], "else it is called Value, or by all its labels"
            # A label a series has not leaves its place empty, as in "power ".
            for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                if name in ("algorithm", "coin"):
                    assert name in target["expr"]


@pytest.mark.parametrize("panel", list(every_panel()))
def test_no_line_runs_through_a_number(panel: dict[str, Any]) -> None:
    if panel["type"] == "stat":
        assert panel["options"]["graphMode"] == "none"
        assert all(target.get("instant") for target in panel["targets"])


@pytest.mark.parametrize("panel", list(every_panel()))
def test_temperatures_are_held_against_the_configured_thresholds(panel: dict[str, Any]) -> None:
    known = [panel["fieldConfig"]["defaults"].get("thresholds", {}), *properties(panel, "thresholds")]
    values = {step["value"] for steps in known for step in steps.get("steps", [])}
    assert not {value for value in values if value and value > 50}, (
        "a literal where the owner has set another"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_colours_stand_for_one_thing(path: Path) -> None:
    # Red and green alone are one colour to one man in twelve.
    assert '"green"' not in path.read_text("utf-8")


def test_a_phone_shows_the_worst_first_and_whole() -> None:
    [first, *_] = sorted(panels(FLEET), key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    assert first["type"] == "table"
    looks = looks_of(first)
    seen = {name: look for name, look in looks.items() if not look.get("custom.hideFrom.viz")}
    # Names of more than twelve letters were cut in a column of their own.
    assert set(seen) == {"Severity", "what", "Losing"}
    # Of 390 pixels 340 are the panel's. The words get what is left, and take more lines.
    least = first["fieldConfig"]["defaults"]["custom"]["minWidth"]
    assert sum(look.get("custom.width", least) for look in seen.values()) <= 340
    assert looks["what"]["custom.wrapText"]
    assert "custom.width" not in looks["what"]
    [asked] = [target["expr"] for target in first["targets"] if target["refId"] == "What"]
    assert re.search(r'label_join\(.+, "what", ": ", "instance", "problem"\)', asked)
    assert looks["what"]["links"][0]["url"].endswith("&var-miner=${__data.fields.instance}")


@pytest.mark.parametrize("panel", list(tables()))
def test_one_column_at_most_takes_more_lines(panel: dict[str, Any]) -> None:
    # Grafana fits a row's height to one of several, and cuts the others.
    assert len(properties(panel, "custom.wrapText")) <= 1


@pytest.mark.parametrize("panel", list(tables()))
def test_a_title_of_one_word_is_in_one_line(panel: dict[str, Any]) -> None:
    # A word and the arrow of what the table is sorted by were put in two, of which one was cut off.
    for name, look in looks_of(panel).items():
        if " " not in look.get("displayName", name):
            assert look["custom.wrapHeaderText"] is False


@pytest.mark.parametrize("path", [FLEET, MINER], ids=lambda path: path.stem)
def test_a_phone_shows_numbers_large_enough(path: Path) -> None:
    # All panels are 340 pixels wide there; Grafana makes a number as small as its place.
    for panel in panels(path):
        if panel["type"] == "stat":
            assert len(panel["targets"]) <= 4
            assert max(len(target["legendFormat"]) for target in panel["targets"]) <= 13


@pytest.mark.parametrize(
    ("path", "title", "word"),
    [
        (FLEET, "Who needs me now, and why", '"what", "no miner has a problem"'),
        (MINER, "What is wrong?", '"problem", "nothing is wrong"'),
    ],
    ids=["fleet", "miner"],
)
def test_that_all_is_well_is_said_only_where_it_is_known(path: Path, title: str, word: str) -> None:
    # A panel that cannot ask, since Prometheus is down, shows the words for nothing found: "No miner has a problem".
    [panel] = [panel for panel in panels(path) if panel["title"] == title]
    assert panel["fieldConfig"]["defaults"]["noValue"].startswith("Nothing is known")
    assert any(word in target["expr"] for target in panel["targets"])


def test_that_nothing_is_lost_is_not_said_where_no_price_is_known() -> None:
    # "Nothing is lost" stood beside a third of the fleet that did not hash, since its pool did not answer.
    for panel in panels(FOLDER / "dashboards/minefleet-loss.json"):
        none = panel["fieldConfig"]["defaults"].get("noValue", "")
        if panel["type"] != "stat" and any("usd" in target["expr"] for target in panel["targets"]):
            assert "price" in none or "known" in none


def test_a_pool_is_listed_also_where_prometheus_gets_no_page_of_it() -> None:
    # Its page had more samples than Prometheus took: no row said so.
    [asked] = [asked for asked in queries() if asked.dashboard == "minefleet-pool" and asked.ref == "Answers"]
    assert re.search(r"or on \(job, instance\) up\{[^}]*\} \* 0", asked.expression)


def test_one_screen_shows_what_matters() -> None:
    # 1080 pixels less Grafana's own and the filters are 26 rows of 38.
    first = [panel for panel in panels(FLEET) if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= 26]
    assert len(first) >= 6
    # A row of the table takes 36 pixels; edges, title and heads 100.
    [table] = [panel for panel in first if panel["type"] == "table" and panel["title"].startswith("Who")]
    assert (table["gridPos"]["h"] * 38 - 100) // 36 >= len(MINER_FAULTS)


def looks_of(panel: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A table's properties by the name of their column."""
    return {
        override["matcher"]["options"]: {prop["id"]: prop.get("value") for prop in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
        if override["matcher"]["id"] == "byName"
    }


def labels_left(expression: str) -> set[str]:
    """The labels that the outermost aggregation keeps; a series without one keeps its name, too."""
    tree = promql_parser.parse(sent(expression))
    if isinstance(tree, promql_parser.BinaryExpr) and str(tree.op) == "and":
        tree = tree.lhs
    assert isinstance(tree, promql_parser.AggregateExpr), f"keeps __name__ and any label: {expression}"
    assert tree.modifier is not None
    assert tree.modifier.type == promql_parser.AggModifierType.By
    return set(tree.modifier.labels)


@pytest.mark.parametrize("panel", list(tables()))
def test_frames_that_are_merged_have_the_same_labels(panel: dict[str, Any]) -> None:
    assert [step["id"] for step in panel["transformations"]].count("merge") == 1
    frames = {target["refId"]: labels_left(target["expr"]) for target in panel["targets"]}
    common = set.intersection(*frames.values())
    assert common
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
    for name, labels in frames.items():
        assert name in shown or labels & set(shown), "a query of which nothing is shown"


@pytest.mark.parametrize("panel", list(tables()))
def test_a_table_is_sorted_by_columns_it_has(panel: dict[str, Any]) -> None:
    [shown] = [
        step["options"]["include"]["names"]
        for step in panel["transformations"]
        if step["id"] == "filterFieldsByName"
    ]
    titled = {
        override["matcher"]["options"]: prop["value"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "displayName"
    }
    assert {by["displayName"] for by in panel["options"]["sortBy"]} <= {
        titled.get(name, name) for name in shown
    }
    assert set(titled) <= set(shown)


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_tables_words_for_no_rows_are_not_in_its_cells(panel: dict[str, Any]) -> None:
    config = panel["fieldConfig"]
    if panel["type"] == "table" and "noValue" in config["defaults"]:
        assert {
            "matcher": {"id": "byRegexp", "options": "/.*/"},
            "properties": [{"id": "noValue", "value": ""}],
        } in config["overrides"]
    assert set(properties(panel, "noValue")) <= {""}


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_panel_says_what_it_means_that_it_is_empty(panel: dict[str, Any]) -> None:
    # "No data" stood where all miners were down, and where nothing was wrong; "none" beside a bar without a name.
    assert panel["fieldConfig"]["defaults"]["noValue"] not in ("", "none")


@pytest.mark.parametrize("panel", list(every_panel()))
def test_the_words_for_nothing_are_not_said_of_a_gap(panel: dict[str, Any]) -> None:
    # Under the pointer each series without a value at that moment was listed with them.
    if panel["type"] in ("timeseries", "state-timeline"):
        first = panel["fieldConfig"]["overrides"][0]
        assert first["matcher"] == {"id": "byRegexp", "options": "/.*/"}
        assert first["properties"] == [{"id": "noValue"}]


def test_each_alert_that_fired_can_be_told_from_the_others() -> None:
    # Twenty-four areas in colours of which some were the same.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-alerts.json")
        if panel["title"] == "When did they fire?"
    ]
    assert panel["type"] == "state-timeline"
    [words] = [mapping["options"] for mapping in panel["fieldConfig"]["defaults"]["mappings"]]
    assert {value: word["text"] for value, word in words.items()} == {
        "-1": "none",
        "0": "note",
        "1": "warning",
        "2": "critical",
    }
    # Where none fired "Data does not have a time field" stood.
    worst, target = panel["targets"]
    assert worst["expr"].endswith(" or max(up) * 0 - 1")
    assert re.findall(r'severity="(\w+)"[^}]*\} \* (\d)', target["expr"]) == [
        ("critical", "2"),
        ("warning", "1"),
    ]


def test_the_evaluation_is_held_against_the_time_it_may_take() -> None:
    # Twelve groups in twelve colours, and nothing they could be too slow for.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-alerts.json")
        if panel["title"] == "Does the evaluation keep up?"
    ]
    assert [target["expr"].partition("{")[0] for target in panel["targets"]] == [
        "max(prometheus_rule_group_last_duration_seconds",
        "min(prometheus_rule_group_interval_seconds",
    ]


@pytest.mark.parametrize("panel", list(tables()))
def test_a_miners_name_leads_to_all_about_it(panel: dict[str, Any]) -> None:
    look = looks_of(panel).get("instance", {})
    if look.get("displayName") == "Miner":
        assert "${__value.text}" in look["links"][0]["url"]


@pytest.mark.parametrize("panel", list(tables()))
def test_a_tables_words_for_no_rows_are_not_hidden_by_bare_heads(panel: dict[str, Any]) -> None:
    # Several queries that find nothing are merged into columns of values without labels, and those have heads.
    # Grafana's groupBy leaves out what has none of its labels.
    assert panel["fieldConfig"]["defaults"]["noValue"]
    steps = [step["id"] for step in panel["transformations"]]
    [groups] = [step["options"]["fields"] for step in panel["transformations"] if step["id"] == "groupBy"]
    assert steps.index("merge") < steps.index("groupBy") < steps.index("filterFieldsByName")
    labels = set.union(*(labels_left(target["expr"]) for target in panel["targets"]))
    assert {name for name, how in groups.items() if how["operation"] == "groupby"} == labels, (
        "rows that differ in a label that is left out would become one"
    )


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_bar_that_is_alone_has_a_name_and_a_bars_size(panel: dict[str, Any]) -> None:
    if panel["type"] == "bargauge":
        [legend] = {target["legendFormat"] for target in panel["targets"]}
        named = panel["fieldConfig"]["defaults"]["displayName"]
        assert named == re.sub(r"\{\{(\w+)\}\}", r"${__field.labels.\1}", legend)
        assert panel["options"]["sizing"] == "manual"
        # "barn1-l9-…" was left of a name that was wider than the one of most letters.
        assert panel["options"]["text"]["titleSize"] == 11
        # The words for nothing would stand beside a large empty one.
        assert panel["options"]["showUnfilled"] is False


@pytest.mark.parametrize("panel", list(every_panel()))
def test_bars_begin_at_zero(panel: dict[str, Any]) -> None:
    # Else the least of them has no bar, and of equal ones none has.
    if panel["type"] == "bargauge":
        assert panel["fieldConfig"]["defaults"]["min"] == 0


@pytest.mark.parametrize("title", ["Who runs hot against the room?", "Which boards are hot for their miner?"])
def test_who_is_cooler_than_the_others_is_not_called_hot(title: str) -> None:
    # Of three boards the ten hottest are all of them, one of which was -2 °C "hot".
    [asked] = [asked for asked in queries() if asked.panel == title]
    assert asked.expression.endswith(" >= 0.5)")


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_few_states_have_no_pages(panel: dict[str, Any]) -> None:
    if panel["type"] == "state-timeline":
        assert panel["options"]["perPage"] == 0


def test_the_chips_that_are_shown_first_are_of_a_miner_that_tells_of_them_now() -> None:
    # Nine panels were empty: the first by name did not answer any more.
    [ask] = [
        variable["query"]["query"]
        for variable in variables(FOLDER / "dashboards/minefleet-boards.json").values()
        if variable["name"] == "pictured"
    ]
    assert ask.startswith("query_result(sort(")
    boards = load(FOLDER / "dashboards/minefleet-boards.json")
    [pictured] = [made for made in boards["templating"]["list"] if made["name"] == "pictured"]
    assert pictured["sort"] == 0, "the order of the answer"


def test_a_figure_of_words_has_room() -> None:
    # "14 minutes" beside four others was cut in two.
    for panel in panels(FOLDER / "dashboards/minefleet-exporter.json"):
        if panel["type"] == "stat" and "dtdurations" in properties(panel, "unit"):
            assert len(panel["targets"]) <= 3


@pytest.mark.parametrize("panel", list(every_panel()))
def test_numbers_side_by_side_have_their_names_above(panel: dict[str, Any]) -> None:
    # Long names are put on the left otherwise, and the numbers far from them.
    if panel["type"] == "stat":
        assert panel["options"]["wideLayout"] is False
        assert panel["options"]["text"]["titleSize"] >= 12


@pytest.mark.parametrize("asked", list(queries()), ids=lambda asked: f"{asked.dashboard}-{asked.panel}")
def test_a_bar_has_a_name_also_where_a_miner_does_not_tell(asked: Asked) -> None:
    # Miners of the simple shape tell no model and no firmware: their bar was called Value.
    for name in ("model", "firmware"):
        if asked.legend.startswith(f"{{{{{name}}}}}"):
            assert f'"{name}", "not told", "{name}", ""' in asked.expression


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_place_without_a_chip_is_not_painted(panel: dict[str, Any]) -> None:
    # A scale of colours has no lowest step that could be transparent.
    scales = [override for override in panel["fieldConfig"]["overrides"] if "continuous" in str(override)]
    for override in scales:
        given = {prop["id"]: prop.get("value") for prop in override["properties"]}
        assert given["min"] < given["max"], "else the coolest chip of a cool board is as blue as can be"
        assert {"match": "null", "result": {"text": "", "color": "transparent"}} in [
            mapping["options"] for mapping in given["mappings"] if mapping["type"] == "special"
        ]
        [matrix] = [step for step in panel["transformations"] if step["id"] == "groupingToMatrix"]
        assert matrix["options"]["emptyValue"] == "null"


def test_a_boards_chips_lie_in_order() -> None:
    # Columns come in the order their digits are first seen: where chips count from 1 the 0 came last.
    for panel in panels(FOLDER / "dashboards/minefleet-boards.json"):
        if "board $board" in panel["title"]:
            [order] = [
                step["options"]["indexByName"]
                for step in panel["transformations"]
                if step["id"] == "organize"
            ]
            assert sorted(order, key=order.__getitem__) == ["ten\\one", *map(str, range(10))]


def test_a_boards_chips_fit_on_a_small_screen() -> None:
    # Eleven columns, of which Grafana makes none smaller than 50 pixels: in a third of the page each picture scrolled
    # sideways below 1900, and beside Grafana's own menu above.
    pictures = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-boards.json")
        if "board $board" in panel["title"]
    ]
    assert len(pictures) == 3
    for panel in pictures:
        assert not properties(panel, "custom.width"), "else they leave the rest of the panel empty"
        assert panel["fieldConfig"]["defaults"]["custom"]["minWidth"] == 50
        beside = panel["maxPerRow"] if panel["repeatDirection"] == "h" else 1
        assert 1280 * panel["gridPos"]["w"] / 24 / beside - 40 >= 11 * 50


def test_the_chips_of_a_dead_board_are_shown_dead() -> None:
    # It has no chip that hashes, so no mean of them, and its picture was empty.
    [asked] = [asked for asked in queries() if asked.panel == "Weak: board $board"]
    assert re.search(r" or vnish_chip_hashrate_hashes_per_second\{[^}]*\} \* 0\)", asked.expression)


def test_ten_racks_fit_into_the_room_map() -> None:
    [room] = [panel for panel in panels(FLEET) if panel["title"] == "Where in the room?"]
    [rack] = [
        prop["value"]
        for override in room["fieldConfig"]["overrides"]
        if override["matcher"]["id"] == "byType"
        for prop in override["properties"]
        if prop["id"] == "custom.width"
    ]
    site = looks_of(room)["site\\rack"]["custom.width"]
    # The menu is 300 pixels wide, edges 45.
    assert site + 10 * rack <= (1920 - 300) * room["gridPos"]["w"] / 24 - 45


def test_the_watchdog_is_no_trouble() -> None:
    # It always fires, so it would always be held back, and first of those that fire.
    for asked in queries():
        for alerts in re.findall(r"\bALERTS(?:_FOR_STATE)?\{[^}]*\}", asked.expression):
            if asked.dashboard == "minefleet-alerts":
                assert 'alertname!="MinefleetWatchdog"' in alerts


def test_the_ledger_goes_all_the_way_in_hashes_and_in_dollars() -> None:
    ledger = panels(FOLDER / "dashboards/minefleet-loss.json")
    steps = ["stock", "preset", "real", "owner's", "accepted", "credited"]
    for panel, unit in zip(ledger[:2], ("Hs", "currencyUSD"), strict=True):
        # Six tiles side by side were too small to read on a phone.
        assert panel["type"] == "bargauge"
        assert [re.findall(r'"step", "([^"]+)"', target["expr"]) for target in panel["targets"]] == [
            [step] for step in steps
        ]
        assert panel["fieldConfig"]["defaults"]["unit"] == unit


def test_every_miner_has_its_place_in_the_inventory() -> None:
    # Also one that does not answer: then nothing that it says itself can tell where it stands.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-inventory.json")
        if panel["title"] == "What is where?"
    ]
    [placed] = [target["expr"] for target in panel["targets"] if "site" in labels_left(target["expr"])]
    assert names_in(sent(placed)) == {"vnish_up"}


# Rules of Grafana's own dashboard linter that no test above restates, and why they do not hold where they do not.
TABLES_OF_WORDS = {"Whose firmware differs?", "Whose preset differs?", "Who waits for a restart?"} | {
    "What is it?",
    "What does the firmware say of it?",
}
# Shares are few: over less than ten minutes their ratio jumps.
OWN_WINDOWS = {"Are its shares taken?"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_linter_variables_follow_the_time_and_the_data_source(path: Path) -> None:
    # It wants one called instance: people know miners, accounts and exporters. Of alerts and pools, which come
    # from several jobs, no job is chosen.
    first, *others = variables(path).values()
    assert (first["name"], first["label"], first["type"]) == ("datasource", "Data source", "datasource")
    for variable in others:
        assert variable["refresh"] == 2
        assert variable["label"]


@pytest.mark.parametrize("panel", list(every_panel()))
def test_linter_units(panel: dict[str, Any]) -> None:
    if not panel["fieldConfig"]["defaults"].get("unit") and not properties(panel, "unit"):
        # A column of words, or of numbers that are words, needs none.
        mapped = panel["fieldConfig"]["defaults"].get("mappings") or properties(panel, "mappings")
        assert mapped or panel["title"] in TABLES_OF_WORDS


@pytest.mark.parametrize("asked", list(queries()), ids=lambda asked: f"{asked.dashboard}-{asked.panel}")
def test_linter_rates_are_over_the_interval_that_fits(asked: Asked) -> None:
    if asked.panel not in OWN_WINDOWS:
        windows = re.findall(r"\b(?:i?rate)\([^\[]*\[([^\]]+)\]", asked.expression)
        assert set(windows) <= {"$__rate_interval"}


@pytest.mark.parametrize("panel", list(every_panel()))
def test_a_cell_without_a_value_is_not_painted(panel: dict[str, Any]) -> None:
    # Grafana paints it in the colour of the lowest threshold, which is green where none is given.
    for override in panel["fieldConfig"]["overrides"]:
        given = {prop["id"]: prop.get("value") for prop in override["properties"]}
        if given.get("custom.cellOptions", {}).get("type") == "color-background" and "color" not in given:
            assert given["thresholds"]["steps"][0] == {"color": "transparent", "value": None}


@pytest.mark.parametrize("asked", list(queries()), ids=lambda asked: f"{asked.dashboard}-{asked.panel}")
def test_no_panel_asks_for_the_chips_of_all_miners(asked: Asked) -> None:
    # Of a thousand miners they are 340,000 series, and one query of them took a minute.
    for chips in re.findall(r"\bvnish_chip_(?!temperature_m)\w+\{[^}]*\}", asked.expression):
        assert re.search(r'instance=~"\$(pictured|weak)"', chips)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_filter_asks_for_the_chips_of_all_miners(path: Path) -> None:
    for variable in variables(path).values():
        for chips in re.findall(r"\bvnish_chip_(?!temperature_m)\w+\{[^}]*\}", str(variable["query"])):
            assert 'instance=~"$pictured"' in chips


def test_an_alert_does_not_hide_the_graphs_it_is_marked_in() -> None:
    # Grafana paints all the time that an annotation's series has values: of a hot miner every graph was orange.
    marks = [asked for asked in annotations() if "ALERTS" in asked.expression]
    assert marks
    for asked in marks:
        [firing] = set(re.findall(r"ALERTS\{[^}]*\}", asked.expression))
        assert asked.expression == f"{firing} unless {firing} offset 5m"


def test_the_first_hour_of_credit_is_not_shown_as_theft() -> None:
    # The pool tells late of what was hashed: when its first hour was full the line began at 85 % and rose.
    titles = {"Is the pool crediting what my miners hash?", "Which worker is credited too little?"}
    for asked in queries():
        if asked.panel in titles:
            assert re.search(r"owner_hashrate_hashes_per_second:1h\{[^}]*\} offset 30m", asked.expression)


def test_what_a_stolen_miner_hashes_is_nowhere_the_owners() -> None:
    # The ledger had it as accepted, Pool as earned, and the thief's pool was active, in blue.
    for asked in queries():
        if asked.dashboard == "minefleet-loss" and re.search("owner's|accepted", asked.expression):
            assert re.search(r"unless on \(job, instance\) instance:minefleet_stolen:bool", asked.expression)
        if asked.panel == "Which coin earns it?":
            assert re.search(r"unless on \(job, instance\) instance:minefleet_stolen:bool", asked.expression)
    [pools] = [panel for panel in panels(MINER) if panel["title"] == "Whom does it mine for?"]
    [mappings] = looks_of(pools)["Stranger"]["mappings"]
    assert mappings["options"]["1"] == {"text": "not yours", "color": "semi-dark-red", "index": 0}


def test_nothing_looks_large_for_want_of_something_larger() -> None:
    # Three cents were a mountain, and breakers that were all closed were drawn on a scale up to a hundred.
    [lost] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-loss.json")
        if panel["title"] == "When was it lost, and why?"
    ]
    assert lost["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] == 1
    # Half a percent of credit that was missing filled the panel from top to bottom.
    [credit] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-pool.json")
        if panel["title"] == "Is the pool crediting what my miners hash?"
    ]
    custom = credit["fieldConfig"]["defaults"]["custom"]
    assert (custom["axisSoftMin"], custom["axisSoftMax"]) == (0.9, 1.05)
    [asked] = [asked for asked in queries() if asked.panel == "Whom does it spare?"]
    assert asked.expression.endswith(" > 0")


def test_a_verdict_that_is_not_known_says_why() -> None:
    # Miners of the simple shape tell no shares: their luck and verdict were empty.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-pool.json")
        if panel["title"] == "Which worker is credited too little?"
    ]
    [asked] = [target["expr"] for target in panel["targets"] if target["refId"] == "Verdict"]
    assert re.search(r" or \(instance_worker:[^}]*ratio1h\{.+\* 0 \+ 2", asked)
    [mappings] = looks_of(panel)["Verdict"]["mappings"]
    assert mappings["options"]["2"]["text"] == "no shares told"


def test_a_pool_is_not_blamed_for_what_it_cannot_have_credited_yet() -> None:
    # Its figures were 52 seconds old: 1.4 % of the hour was missing of every worker, and thirty were "too little".
    late = r"time\(\) - max by \(job, instance\) \(mining_pool_data_timestamp_seconds\{[^}]*\}\)\) / 3600"
    for asked in queries():
        if asked.dashboard == "minefleet-pool" and (
            asked.ref in ("Luck", "Verdict") or "by luck" in asked.legend
        ):
            assert re.search(late, asked.expression)


def test_a_pool_is_not_blamed_for_a_miner_that_mines_for_somebody_else() -> None:
    # One stolen of forty, and the account's line was at 95 %, far below what luck explains.
    held = r"and on \(job, instance, worker\) instance_worker:mining_pool_credited_per_hashed:held1h"
    asked = [asked for asked in queries() if asked.panel == "Is the pool crediting what my miners hash?"]
    assert all(re.search(held, one.expression) for one in asked)
    [verdict] = [
        asked for asked in queries() if asked.panel.startswith("Which worker") and asked.ref == "Verdict"
    ]
    assert re.search(
        r"unless on \(job, instance, worker\) \S+:held1h\{[^}]*\}\) \* 0 \+ 3 or ", verdict.expression
    )


def test_an_alert_somebody_was_told_of_comes_first_and_leads_to_its_miner() -> None:
    # Four hundred that were held back stood before the nineteen that were told.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-alerts.json")
        if panel["title"] == "What fires now?"
    ]
    assert panel["options"]["sortBy"][0] == {"displayName": "Told", "desc": True}
    assert "/d/minefleet-miner?" in looks_of(panel)["miner"]["links"][0]["url"]
    [whose] = [target["expr"] for target in panel["targets"] if target["refId"] == "Whose"]
    # An account's name leads to no miner.
    assert '"miner", "$1", "miner", "(?:MinefleetMiner[^ ]+ (.+)|.*)"' in whose


def test_a_note_alarms_nobody() -> None:
    # Where all was well thirteen notes of differing firmware were orange on Fleet and Alerts.
    fleet = [
        asked for asked in queries() if asked.dashboard == "minefleet-fleet" and asked.legend == "alerts"
    ]
    assert all(
        'severity!="info"' in alerts
        for [asked] in [fleet]
        for alerts in re.findall(r"alert_active:bool\{[^}]*", asked.expression)
    )
    many, noise = (
        panel
        for title in ("How many?", "Which rule makes most noise?")
        for panel in panels(FOLDER / "dashboards/minefleet-alerts.json")
        if panel["title"] == title
    )
    colours = {
        target["legendFormat"]: [
            step["color"]
            for override in many["fieldConfig"]["overrides"]
            if override["matcher"]["options"] == target["refId"]
            for prop in override["properties"]
            if prop["id"] == "thresholds"
            for step in prop["value"]["steps"]
        ]
        for target in many["targets"]
    }
    assert colours == {
        "critical": ["semi-dark-blue", "semi-dark-red"],
        "warnings": ["semi-dark-blue", "orange"],
        "notes": [],
        "held back": [],
        "pending": [],
    }
    assert [step["color"] for step in noise["fieldConfig"]["defaults"]["thresholds"]["steps"]] == ["#808080"]
    # Thirty-two were pending for days, and nobody could see what.
    [pending] = [target["expr"] for target in many["targets"] if target["legendFormat"] == "pending"]
    assert 'severity!="info"' in pending


def test_what_cannot_be_true_is_named() -> None:
    # Bars of counts by miner: nobody could tell which sensor to look at.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-exporter.json")
        if panel["title"] == "Who sends what cannot be true?"
    ]
    looks = looks_of(panel)
    assert list(looks) == ["miner", "account", "figure", "Dropped", "why"]
    assert "/d/minefleet-miner?" in looks["miner"]["links"][0]["url"]
    assert "/d/minefleet-pool?" in looks["account"]["links"][0]["url"]
    [asked] = [target["expr"] for target in panel["targets"]]
    kinds = {"implausible": "metric", "unexpected": "field"}
    for series in ("vnish", "mining_pool"):
        for kind, named in kinds.items():
            assert re.search(rf'{series}_{kind}_values_total\{{[^}}]*\}}.+?"figure", "\$1", "{named}"', asked)
    assert asked.count('"why"') == 4


def test_a_worker_that_is_credited_too_little_can_be_read() -> None:
    # "account.barn1-l7-1" was left of it, at 1920 pixels beside Grafana's menu.
    [panel] = [
        panel
        for panel in panels(FOLDER / "dashboards/minefleet-pool.json")
        if panel["title"] == "Which worker is credited too little?"
    ]
    assert looks_of(panel)["worker"]["custom.width"] >= 190


def test_a_whole_site_that_is_down_is_an_alert() -> None:
    # Its alert holds back those of its miners: with all three down the tile said 0, in blue.
    [asked] = [
        asked for asked in queries() if asked.panel == "What does it earn?" and asked.legend == "alerts"
    ]
    assert re.search(r'alert_active:bool\{[^}]*instance="", site=~"\$site"', asked.expression)


def test_a_page_that_did_not_come_is_not_fresh() -> None:
    # While the exporter was away its oldest page was of 14 seconds ago: that Prometheus had asked in vain then.
    [asked] = [asked for asked in queries() if asked.legend == "oldest page, ago"]
    assert re.fullmatch(r"max\(time\(\) - timestamp\(up\{[^}]*\} == 1\)\)", asked.expression)


def test_what_is_not_known_is_no_zero() -> None:
    # While the exporter was away Fleet said that 0 miners hash, and no word of the exporter.
    for asked in queries():
        if asked.dashboard == "minefleet-fleet" and "vnish_hashing" in asked.expression:
            assert "vector(0)" not in asked.expression
    who = {asked.ref: asked.expression for asked in queries() if asked.panel == "Who needs me now, and why"}
    missing = r'up\{[^}]*, job=~"minefleet-\(miners\|fleet\)"\} == 0'
    # Below six hundred miners that did not answer nobody saw that as many more were not known of.
    assert re.search(rf"count\({missing}\) \* 0 \+ 4", who["Severity"])
    assert re.search(rf'count\({missing}\)\), "what", "no page from the exporter', who["What"])
    for ref in ("Severity", "What"):
        # Nor is all well.
        assert re.search(rf"unless on \(\) \(.+? or {missing}\)", who[ref])


def test_no_more_miners_hash_than_answer() -> None:
    # While a thousand went away, the rule's last evaluation still had them: "not" was -279.
    for asked in queries():
        if asked.dashboard == "minefleet-fleet" and asked.panel in ("Is it hashing?", "How many hash?"):
            for rule in re.findall(r"instance:vnish_hashing:bool\{[^}]*\}.{60}", asked.expression):
                assert " and on (job, instance) vnish_up{" in rule


def test_where_all_are_down_nothing_is_left_out() -> None:
    # With all three down neither the share of what is expected nor the ledger's "real" was there.
    [share] = [asked for asked in queries() if asked.legend == "of expected"]
    assert re.search(r" or count\(vnish_up\{[^}]*\}\) \* 0\) / sum\(", share.expression)
    for asked in queries():
        if asked.dashboard == "minefleet-loss" and asked.legend.startswith("real"):
            assert re.search(r"hashes_per_second\{[^}]*\} or on \(job, instance\)", asked.expression)


def test_racks_and_sites_are_in_order() -> None:
    [room] = [panel for panel in panels(FLEET) if panel["title"] == "Where in the room?"]
    steps = room["transformations"]
    assert [step["options"]["sort"] for step in steps if step["id"] == "sortBy"] == [[{"field": "rack"}]]
    # Of seventeen sites three are in sight: the worst. By a transformation barn10 came before barn2.
    assert room["options"]["sortBy"] == [
        {"displayName": "worst of the site", "desc": True},
        {"displayName": "Site", "desc": False},
    ]
    assert looks_of(room)["worst of the site"]["custom.hideFrom.viz"] is True
    [worst] = [step["options"] for step in steps if step["id"] == "calculateField"]
    assert (worst["alias"], worst["reduce"]["reducer"]) == ("worst of the site", "max")
    [order] = [step["options"]["indexByName"] for step in steps if step["id"] == "organize"]
    assert order["site\\rack"] < order["2"] < order["10"]


def test_a_count_is_shown_whole() -> None:
    # 999 of 1000 and 1000 are both 1 K.
    for path in FILES:
        assert '"short"' not in path.read_text("utf-8")


def test_severity_then_money_decide_who_is_first() -> None:
    for title in ("Who needs me now, and why", "All miners"):
        [panel] = [panel for panel in panels(FLEET) if panel["title"] == title]
        assert panel["options"]["sortBy"] == [
            {"displayName": "Severity", "desc": True},
            {"displayName": "Lost a day", "desc": True},
        ]


def test_long_lists_have_pages() -> None:
    for path in FILES:
        for panel in panels(path):
            if panel["title"] in ("All miners", "What is where?"):
                assert panel["options"]["footer"]["enablePagination"]


def test_an_alert_leads_to_a_dashboard_and_sets_what_it_has() -> None:
    known = {path.stem: variables(path) for path in FILES}
    for rule in rules():
        if "alert" in rule:
            target = rule["annotations"]["dashboard_url"].removeprefix("/d/")
            uid, _, arguments = target.partition("?")
            assert set(re.findall(r"var-(\w+)=", arguments)) <= known[uid].keys(), rule["alert"]


def test_alerts_held_back_by_alertmanager_are_not_counted() -> None:
    [rule] = [rule for rule in rules() if rule.get("record") == "instance:minefleet_alert_active:bool"]
    config = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text("utf-8"))
    for inhibition in config["inhibit_rules"]:
        for matcher in (*inhibition["source_matchers"], *inhibition["target_matchers"]):
            assert matcher in rule["expr"]


def test_provisioning_finds_what_the_compose_file_mounts() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/minefleet.yml").read_text())["providers"][0]
    sources = [
        source
        for name in ("prometheus", "alerting")
        for source in yaml.safe_load((FOLDER / f"provisioning/datasources/{name}.yml").read_text())[
            "datasources"
        ]
    ]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    places = {
        volume["source"]: volume["target"]
        for volume in services["grafana"]["volumes"]
        if isinstance(volume, dict)
    }
    assert places["./grafana/dashboards"] == provider["options"]["path"]
    assert places["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert provider["updateIntervalSeconds"] > 10
    assert {source["type"]: source["url"] for source in sources} == {
        "prometheus": "http://prometheus:9090",
        "alertmanager": "http://alertmanager:9093",
    }
    assert [source["isDefault"] for source in sources] == [True, False]
    for source in sources:
        assert source["url"].partition("//")[2].partition(":")[0] in services


def test_grafana_finds_every_folder_it_looks_for() -> None:
    # It logs an error at each start for one that is missing.
    for kind in ("alerting", "dashboards", "datasources", "plugins"):
        assert any((FOLDER / "provisioning" / kind).iterdir()), f"git keeps no empty {kind}"
