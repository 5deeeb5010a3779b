"""Whether the pool credits what the miners hash, from simulated shares to the rules' own figures.

Simulated miners hash for an hour on a clock that moves when told. The exporter reads them and their pool over
sockets, its pages become the series of a promtool test, and promtool evaluates the shipped recording rules on
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from exporter.config.load import load
from exporter.exposition import Page
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.simulator.simulation import MinerSpec, Simulation
from tests.bundle.test_prometheus import FOLDER, names_in, promtool
from tests.conftest import FakeClock

RULES = FOLDER / "rules" / "minefleet.recording.yml"
# An hour, a minute a step, and some more; the rules of the day's window are the same with other numbers.
STEPS = 70
RATIO = "instance_worker:mining_pool_credited_per_hashed:ratio1h"
ERROR = "instance_worker:mining_pool_credited_per_hashed:stderr1h"


def read_by_the_rules() -> set[str]:
    """The exporter's series that the reconciliation is made of."""
    [group] = [
        group
        for group in yaml.safe_load(RULES.read_text())["groups"]
        if group["name"] == "minefleet-reconciliation"
    ]
    names = set().union(*(names_in(rule["expr"]) for rule in group["rules"]))
    of_other_groups = {"vnish_state", "vnish_miner_info", "minefleet_miner_account_info"}
    return {name for name in names if ":" not in name} | of_other_groups


@dataclass
class Recording:
    """What Prometheus would have: each series with its value at each step, or none."""

    steps: int = STEPS
    series: dict[str, list[str]] = field(default_factory=dict)

    def add(self, step: int, job: str, instance: str, page: Page, names: set[str]) -> None:
        for metric, samples in page.families():
            if metric.name not in names:
                continue
            for labels, value in samples.items():
                pairs = {"job": job, "instance": instance, **dict(zip(metric.labels, labels, strict=True))}
                written = ", ".join(f'{name}="{text}"' for name, text in pairs.items())
                values = self.series.setdefault(f"{metric.name}{{{written}}}", ["_"] * self.steps)
                values[step] = repr(value)


async def record(
    tmp_path: Path,
    name: str,
    seed: int,
    fault: str | None = None,
    *,
    kind: str = "litecoinpool",
    models: tuple[str, ...] = ("l9", "l7", "l9"),
    broken: tuple[str, str] | None = None,
) -> Recording:
    """An hour of a farm whose account is *name*, with *fault* at the pool or a miner *broken*, from the start on."""
    clock = FakeClock()
    recording = Recording()
    names = read_by_the_rules()

    def wall() -> float:
        return 1_795_000_000.0 + clock()

    specs = [MinerSpec(f"{name}-{model}-{index}", model, "1.2.7") for index, model in enumerate(models)]
    async with (
        Simulation(specs, seed=seed, pools=(kind,), clock=clock, wall_clock=wall) as simulation,
        Outgoing.open_session() as session,
    ):
        if fault:
            await simulation.inject(kind, fault)
        if broken:
            await simulation.inject(f"{name}-{broken[0]}", broken[1])
        config = simulation.configuration(collect={"chips": False})
        config["pools"][0]["name"] = config["fleet"]["pool"] = name
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        fleet = Fleet(
            load(path, {}),
            Outgoing(session, clock=clock, sleep=clock.sleep),
            {},
            clock=clock,
            wall_clock=wall,
        )
        for step in range(STEPS):
            for target in (*fleet.miners.values(), *fleet.pools.values()):
                look, page = await target.probe(clock() + 10)
                assert look.up, str(look.error)
                recording.add(step, "pools" if target.account else "miners", target.instance, page, names)
            clock.advance(60)
    return recording


def expect(tmp_path: Path, recordings: list[Recording], cases: dict[str, dict[str, float]]) -> None:
    """Let promtool evaluate each expression after the hour; it must give these samples, by their labels."""
    series = {name: values for one in recordings for name, values in one.series.items()}
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": " ".join(values)} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{STEPS - 1}m",
                        "exp_samples": [
                            {"labels": labels, "value": value} for labels, value in samples.items()
                        ],
                    }
                    for expression, samples in cases.items()
                ],
            }
        ],
    }
    path = tmp_path / "reconciliation.test.yml"
    path.write_text(yaml.safe_dump(test, width=10**9))
    done = promtool("test", "rules", path)
    assert done.returncode == 0, re.sub(r"\n\s*\n", "\n", done.stdout + done.stderr)[:4000]


def workers(name: str, value: float, *models: str) -> dict[str, float]:
    """One sample for each worker of a farm."""
    found: dict[str, float] = {}
    for index, model in enumerate(models):
        worker = f"account.{name}-{model}-{index}"
        found[f'{{job="pools", instance="{name}", worker="{worker}"}}'] = value
    return found


FARM = ("l9", "l7", "l9")


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_what_is_credited_is_what_is_hashed_within_the_stated_error(tmp_path: Path, seed: int) -> None:
    recording = await record(tmp_path, "honest", seed)
    expect(
        tmp_path,
        [recording],
        {
            # Three shares in a thousand are rejected or stale.
            f"abs({RATIO} - 0.997) < bool 4 * {ERROR}": workers("honest", 1, *FARM),
            # The error is that of some ten thousand shares: small enough to mean something.
            f"{ERROR} < bool 0.013": workers("honest", 1, *FARM),
            f"abs(avg({RATIO}) - 0.997) < bool 0.02": {"{}": 1},
            "instance_worker:mining_pool_worker_unknown:bool": {},
            "instance:minefleet_unseen_by_pool:bool": {},
        },
    )


async def test_a_skim_of_5_percent_moves_the_ratio_by_5_percent(tmp_path: Path) -> None:
    honest = await record(tmp_path, "honest", 5)
    skimmed = await record(tmp_path, "skimmed", 5, "skim")
    of = f"avg by (instance) ({RATIO})"
    expect(
        tmp_path,
        [honest, skimmed],
        {
            f'abs(avg({RATIO}{{instance="skimmed"}}) / avg({RATIO}{{instance="honest"}}) - 0.95) < bool 0.006': {
                "{}": 1
            },
            f"{of} > bool 0.97": {'{instance="honest"}': 1, '{instance="skimmed"}': 0},
            # The account's shortfall is outside of what luck explains.
            f"1 - {of} > bool 4 * avg by (instance) ({ERROR}) * {len(FARM) ** -0.5}": {
                '{instance="honest"}': 0,
                '{instance="skimmed"}': 1,
            },
        },
    )


async def test_workers_that_are_swapped_are_the_two_that_are_named(tmp_path: Path) -> None:
    recording = await record(tmp_path, "swapped", 7, "swapped_worker")
    l9, l7, other = workers("swapped", 0, *FARM)
    expect(
        tmp_path,
        [recording],
        {
            f"round({RATIO}, 0.1)": {l9: 0.6, l7: 1.8, other: 1.0},
            f"abs({RATIO} - 0.997) > bool 10 * {ERROR}": {l9: 1, l7: 1, other: 0},
            # What the alert and its message are made of.
            "round(instance_worker:mining_pool_shortfall:ratio, 0.1)": {l9: 0.4},
            "round(instance_worker:mining_pool_surplus:ratio, 0.1)": {l7: 0.8},
        },
    )


async def test_a_miner_that_mines_for_somebody_else_is_not_seen_and_credited_nothing(tmp_path: Path) -> None:
    recording = await record(tmp_path, "strayed", 8, broken=("l9-0", "wrong_worker"))
    l9, l7, other = workers("strayed", 0, *FARM)
    expect(
        tmp_path,
        [recording],
        {
            f"round({RATIO}, 0.1)": {l9: 0, l7: 1, other: 1},
            "instance:minefleet_unseen_by_pool:bool": {
                'instance:minefleet_unseen_by_pool:bool{job="miners", instance="strayed-l9-0"}': 1
            },
        },
    )


@pytest.mark.parametrize("kind", ["yiimp", "powerpool", "viabtc", "f2pool"])
async def test_pools_that_tell_rates_are_held_against_the_miners_too(tmp_path: Path, kind: str) -> None:
    recording = await record(tmp_path, "rates", 9, kind=kind)
    workers_of = f'{RATIO}{{instance="rates"}}'
    expect(
        tmp_path,
        [recording],
        {
            # At the edges of the hour a rate over minutes knows a little more or less than the miner.
            f"count(abs({workers_of} - 0.997) < 4 * {ERROR} + 0.01)": {"{}": len(FARM)},
            f"abs(avg({workers_of}) - 0.997) < bool 0.025": {"{}": 1},
        },
    )
