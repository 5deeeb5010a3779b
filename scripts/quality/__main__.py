"""``make alert-quality``: replay the shipped rules over a simulated fleet, and write what came of it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path

import structlog
import yaml

from scripts.quality import faults, inbox, pages, report, rules
from scripts.quality.fleet import VirtualFleet
from scripts.quality.store import Grid, Store, StoreError

ROOT = Path(__file__).parents[2]
STEP = 60
DAY = 86_400
# A Monday; the page must not hang on the day it was made.
START = 1_772_409_600
# Days evaluated at once.
_PART_DAYS = 7


def main() -> int:
    """The exit status: 0 if every aim is reached, 1 if not, 2 if a file cannot be used."""
    parser = argparse.ArgumentParser(prog="alert-quality", description=__doc__)
    parser.add_argument(
        "--faults", type=Path, default=Path(__file__).with_name("faults.yaml"), metavar="FILE"
    )
    parser.add_argument("--rules", type=Path, default=ROOT / "prometheus/rules", metavar="DIRECTORY")
    parser.add_argument(
        "--alertmanager", type=Path, default=ROOT / "alertmanager/alertmanager.yml", metavar="FILE"
    )
    parser.add_argument("--miners", type=int, default=60)
    parser.add_argument("--days", type=int, default=56)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="an empty VictoriaMetrics to use, instead of one of its own")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/alert-quality.md", metavar="FILE")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        findings, text = replay(options)
    except (faults.FaultFileError, rules.RuleError, StoreError) as error:
        print(error, file=sys.stderr)
        return 2
    options.out.write_text(text, "utf-8")
    print(f"wrote {options.out}")
    reached = True
    for aim, measured, good in report.aims(findings):
        reached &= good
        print(f"{'reached' if good else 'MISSED ':8} {aim}: {measured}")
    return int(not reached)


def replay(options: argparse.Namespace) -> tuple[report.Findings, str]:
    """What a replay shows, and the page that says so."""
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:5.0f} s  {text}", file=sys.stderr, flush=True)

    grid = Grid(START, STEP, options.days * DAY // STEP)
    specs = pages.specs(options.miners)
    names = [spec.name for spec in specs]
    listed = faults.load(
        options.faults, names, {name.partition("-")[0] for name in names}, options.days * DAY
    )
    files = sorted(options.rules.glob("*.yml"))
    shipped = rules.load(files)
    alerts = [
        item["alert"]
        for file in files
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for item in group["rules"]
        if "alert" in item
    ]
    unknown = {alert for fault in listed for alert in fault.alerts} - set(alerts)
    if unknown:
        tell(f"no rule has these alerts of {options.faults}: {', '.join(sorted(unknown))}")

    async def make() -> VirtualFleet:
        async with pages.open_pages(specs, options.seed) as asked:
            fleet = VirtualFleet(asked, specs, grid, listed, rules.raw(shipped), options.seed)
            await fleet.prepare()
            return fleet

    fleet = asyncio.run(make())
    tell("the exporter's pages are read in every condition")
    with Store(options.url) as store:
        series = samples = 0
        for made in fleet.series():
            samples += store.write(made, grid)
            series += len(made)
        store.flush()
        tell(f"{series} series with {samples:,} samples are stored")
        firings = rules.Replay(shipped, store, grid).run(_PART_DAYS * DAY // STEP, tell)
    findings = report.Findings(grid, names, listed, firings)
    findings.deliver(inbox.Inbox(options.alertmanager, STEP).messages(findings.loud()))
    head = {
        "fleet": f"{len(names)} miners, {options.days / 7:g} weeks, a look a minute:"
        f" {findings.miner_days:,.0f} miner-days",
        "series": f"{series}, {samples / 1e6:,.0f} million samples: those that rules read",
        "rules": f"{sum(not rule.record for rule in shipped)} alerts and"
        f" {sum(rule.record for rule in shipped)} recorded series that they read",
        "faults": f"{len(findings.found)} that an alert is to find, {len(findings.quiet)} that it is not",
        "shares": f"{sum(float(one.good.sum()) for one in fleet.shares.values()) / 1e6:,.0f} million",
    }
    return findings, report.markdown(findings, alerts, head)


if __name__ == "__main__":
    sys.exit(main())
