"""An account that moves from one pool to another keeps its series, its rules and its dashboards."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporter.pools import drivers
from tests.conftest import ROOT
from tests.pools.sites import pool_site
from tests.pools.wamp import MINERS

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
SOLD = sorted(ROOT.glob("prometheus/rules/*.yml")) + sorted(ROOT.glob("grafana/dashboards/*.json"))
MINUTES = 120


async def page_of(tmp_path: Path, kind: str) -> tuple[Samples, dict[str, float]]:
    """The page of an account called main at a pool, and what its miners hash for it."""
    async with pool_site(tmp_path, kind, MINERS, account={"name": "main"}) as site:
        text = await site.get("/probe?target=main")
        rates = {name: host.miner.owner_rate() for name, host in site.simulation.miners.items()}
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return found, rates


def rows(samples: Samples, before: str) -> dict[str, str]:
    """promtool's series of a page that stays as it is, but for counters, which go on."""
    made = {}
    for (name, labels), value in samples.items():
        told = {"job": "minefleet-pools", "instance": "main", **dict(labels)}
        series = f"{name}{{{', '.join(f'{key}={json.dumps(one)}' for key, one in told.items())}}}"
        more = 0.0
        if name == "mining_pool_worker_accepted_hashes_total":
            place = ("window", "now"), ("worker", dict(labels)["worker"])
            more = samples["mining_pool_worker_hashrate_hashes_per_second", place] * 60
        made[series] = f"{before}{value:.0f}+{more:.0f}x{MINUTES}" if more else f"{before}{value!r}x{MINUTES}"
    return made


async def test_the_rules_go_on_when_an_account_moves(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, rates = await page_of(tmp_path / "one", "litecoinpool")
    second, _ = await page_of(tmp_path / "two", "viabtc")
    labels = [{name: {key for key, _ in of} for name, of in page} for page in (first, second)]
    both = labels[0].keys() & labels[1].keys()
    for name in both:
        assert labels[0][name] == labels[1][name], "a name has the same labels at any pool"
    assert {
        *("mining_pool_up", "mining_pool_hashrate_hashes_per_second", "mining_pool_workers"),
        *("mining_pool_balance_coins", "mining_pool_last_payout_coins", "mining_pool_worker_online"),
        *("mining_pool_worker_hashrate_hashes_per_second", "mining_pool_worker_miner_info"),
    } <= both

    series = rows(first, "")
    later = rows(second, f"_x{MINUTES} ")
    for name, values in later.items():
        series[name] = f"{series[name]} {values.partition(' ')[2]}" if name in series else values
    for miner, rate in rates.items():
        of = f'{{job="minefleet-miners", instance="{miner}"}}'
        series[f"vnish_up{of}"] = f"1x{2 * MINUTES}"
        series[f"vnish_hashrate_hashes_per_second{of}"] = f"{rate:.0f}x{2 * MINUTES}"
    expected: list[dict[str, Any]] = [
        {
            "expr": f"count by (instance) ({expr})",
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": '{instance="main"}', "value": count}],
        }
        for minute in (MINUTES - 5, 2 * MINUTES - 5)
        for expr, count in (
            ("mining_pool_up == 1", 1),
            ("mining_pool_balance_coins", 2),
            ("instance_worker:mining_pool_credited_per_hashed:ratio1h > 0.5 < 2", len(MINERS)),
            ("instance:mining_pool_credited_per_hashed:ratio1h > 0.8 < 1.25", 1),
        )
    ]
    test = {
        "rule_files": [str(ROOT / "prometheus/rules/minefleet.recording.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": expected,
            }
        ],
    }
    path = tmp_path / "moves.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SOLD, ids=lambda path: path.name)
def test_no_rule_and_no_dashboard_knows_a_pool(path: Path) -> None:
    text = path.read_text().lower()
    assert not [kind for kind in drivers() if kind in text]


@pytest.mark.parametrize("path", SOLD, ids=lambda path: path.name)
def test_sources_of_a_price_are_never_added(path: Path) -> None:
    """What a pool paid yesterday beside what it quotes now are two answers to one question."""
    text = path.read_text().replace('\\"', '"')
    for found in re.finditer(r"mining_pool_profitability_(?:usd|btc|coins)_per_hash(\{[^}]*\})?", text):
        assert "source=" in (found[1] or ""), found[0]
