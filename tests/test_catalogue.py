from __future__ import annotations

import re

import pytest

from exporter.catalogue import CATALOGUE, UNITS, Kind, Metric

METRICS = list(CATALOGUE.values())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_fields_rules(metric: Metric) -> None:
    assert re.fullmatch(r"(vnish|mining|minefleet)_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.name.endswith("_info") == (metric.kind is Kind.INFO)
    assert len(set(metric.labels)) == len(metric.labels)
    assert not {"instance", "job", "le", "quantile"} & set(metric.labels)
    assert metric.low <= metric.high


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_name_carries_a_unit_that_is_not_a_base_unit(metric: Metric) -> None:
    assert not re.search(
        r"_(percent|percentage|ms|milliseconds|minutes|hours|mhz|ghz|mv|kw|ths?|ghs?)(_|$)", metric.name
    )
    if metric.unit:
        assert metric.unit in UNITS


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_help_text_says_where_the_figure_is_from(metric: Metric) -> None:
    assert "\n" not in metric.help
    if metric.name.startswith(("vnish_", "mining_")):
        assert re.search(r"\([^()]+\)$", metric.help), "ends with the source field in brackets"


def test_state_sets_have_their_states() -> None:
    for metric in METRICS:
        if metric.labels and metric.labels[-1] in ("state", "mode", "reason") and metric.kind is Kind.GAUGE:
            assert metric.states or metric.name in (
                "minefleet_breakers",
                # Numbers by state: how many are in it, or how much.
                "mining_pool_workers",
                "mining_pool_balance_coins",
            )
