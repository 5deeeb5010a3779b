"""What the shipped alerts say of a miner with VNish 3.9: the simulated miner's own page, under the real rules."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporter.simulator.simulation import MinerSpec
from tests.bundle.test_prometheus import ALERTS, RULE_FILES
from tests.conftest import FakeClock, serve_site

NOT_MINING = {
    "exp_labels": {"job": "m", "instance": "l3", "severity": "warning"},
    "exp_annotations": {
        "summary": "A miner answers but does not mine.",
        "description": "l3 answers but does not mine (state stopped).",
        "dashboard_url": "/d/minefleet-miner?var-miner=l3",
        "runbook_url": "docs/runbook.md#minefleetminernotmining",
    },
}


def series(page: str) -> list[dict[str, str]]:
    """The page's samples, as they would be scraped for two hours."""
    found = []
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = {**sample.labels, "job": "m", "instance": "l3"}
            inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
            found.append({"series": f"{sample.name}{{{inner}}}", "values": f"{sample.value:.15g}x240"})
    return found


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, {}),
        ("paused", {"MinefleetMinerNotMining": NOT_MINING}),
        ("process_dead", {"MinefleetMinerNotMining": NOT_MINING}),
    ],
)
async def test_what_the_alerts_say(tmp_path: Path, fault: str | None, expected: dict[str, Any]) -> None:
    clock = FakeClock()

    def owners(config: dict[str, Any]) -> None:
        config["fleet"] |= {
            "expected_pools": ["eu.pool.example", "us.pool.example"],
            "pool_account": "account",
        }

    async with serve_site(tmp_path, [MinerSpec("l3", "l3+", "3.9.0")], edit=owners) as site:
        host = site.simulation.miners["l3"]
        host._clock = clock
        if fault:
            await site.simulation.inject("l3", fault)
        clock.advance(5)
        page = await site.get("/probe?target=l3")
    assert "vnish_up 1" in page
    rules = tmp_path / "test.yml"
    rules.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(path) for path in RULE_FILES],
                "evaluation_interval": "30s",
                "tests": [
                    {
                        "interval": "30s",
                        "input_series": series(page),
                        "alert_rule_test": [
                            {
                                "eval_time": "100m",
                                "alertname": name,
                                "exp_alerts": [expected[name]] if name in expected else [],
                            }
                            for name in sorted(ALERTS)
                            if name.startswith("MinefleetMiner")
                        ],
                    }
                ],
            }
        )
    )
    done = subprocess.run(["promtool", "test", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
