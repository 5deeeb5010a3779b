"""``probe``: one look at a miner or pool, as a table, as the raw page, or as JSON."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from exporter.catalogue import Metric
from exporter.cli.common import (
    command,
    config_option,
    console,
    find,
    json_option,
    open_fleet,
    print_json,
    read_config,
    verdict,
)
from exporter.config.schema import Config
from exporter.exposition import Format, Page, render
from exporter.fleet import Target
from exporter.market.market import Market
from exporter.probe import Look
from exporter.units import hashrate_text
from exporter.vnish.verdict import Condition, Glance, Verdict

# Labels of which a target has one series each.
_PARTS = frozenset({"board", "fan", "pool", "sensor", "position", "worker", "coin", "preset", "metric"})


class Depth(IntEnum):
    """How much of a page is shown."""

    SUMS = 0
    PARTS = 1
    CHIPS = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "probe",
        "look at one miner or pool; exit status 1 if it is down",
        """
        minefleet-exporter probe barn1-l9-01             what it does, and what is wrong
        minefleet-exporter probe barn1-l9-01 --all       with each board, fan and pool
        minefleet-exporter probe 192.168.1.101 --raw     the page Prometheus gets
        """,
    )
    parser.add_argument(
        "target", help="a configured name or address, or an address inside fleet.allowed_networks"
    )
    config_option(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true", help="print the page Prometheus would get")
    json_option(form)  # type: ignore[arg-type]
    parser.add_argument(
        "--all", action="store_true", help="show each board, fan and pool too, not the sums only"
    )
    parser.add_argument("--chips", action="store_true", help="show all of it and the chips too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Probe and print; 0 if the target is up."""
    return asyncio.run(_run(arguments, read_config(arguments)))


async def _run(arguments: argparse.Namespace, config: Config) -> int:
    async with open_fleet(config) as fleet:
        target = find(fleet, arguments.target)
        look, page = await target.probe(asyncio.get_running_loop().time() + config.fleet.timeout_seconds)
    judged = verdict(target, look)
    if arguments.raw:
        print(render([({}, page)], Format.TEXT).decode(), end="")
    elif arguments.json:
        print_json(
            {
                "target": target.instance,
                "up": look.up,
                "reason": str(look.error.reason) if look.error else None,
                "detail": look.error.detail if look.error else None,
                "seconds": look.seconds,
                "verdict": judged and _verdict_row(judged),
                "samples": [
                    {
                        "name": metric.name,
                        "labels": dict(zip(metric.labels, labels, strict=True)),
                        "value": value,
                    }
                    for metric, family in page.families()
                    for labels, value in family.items()
                ],
            }
        )
    else:
        _print_table(target, look, page, judged, _depth(arguments))
    return 0 if look.up else 1


def _verdict_row(judged: Verdict) -> dict[str, Any]:
    return {
        "condition": str(judged.condition),
        "hashes": judged.hashes,
        "faults": [{"kind": str(fault.kind), "text": fault.text} for fault in judged.faults],
    }


def _depth(arguments: argparse.Namespace) -> Depth:
    return Depth.CHIPS if arguments.chips else Depth.PARTS if arguments.all else Depth.SUMS


def _print_table(
    target: Target | Market, look: Look[Any], page: Page, judged: Verdict | None, depth: Depth
) -> None:
    out = console()
    name = escape(target.instance)
    if look.error:
        out.print(f"[bold]{name}[/] is [red]down[/]: ", end="")
        out.print(str(look.error), markup=False)
        for step in look.steps:
            out.print(f"  {step.method} {step.path}: {step.problem or step.status}", markup=False)
        return
    out.print(f"[bold]{name}[/] is [green]up[/], read in {look.seconds * 1000:.0f} ms")
    if judged is not None and isinstance(target, Target):
        _print_summary(out, target.reader.glance(look), judged)
    table = Table(box=None, pad_edge=False, show_header=False)
    for series, value in _rows(page, depth):
        table.add_row(Text(series), Text(value))
    out.print(table)
    more = sum(1 for _ in _rows(page, Depth.PARTS)) - table.row_count
    if more > 0:
        out.print(f"\n{more} more, of its parts and limits: --all")


def _print_summary(out: Console, glance: Glance, judged: Verdict) -> None:
    colour = "green" if judged.condition is Condition.OK else "yellow" if judged.hashes else "red"
    words = "hashing" if judged.hashes else "not hashing"
    rate, nominal = glance.hashrate, glance.hashrate_nominal
    figures = [
        hashrate_text(rate) + (f" of {hashrate_text(nominal)} nominal" if nominal else "")
        if rate is not None
        else "",
        f"{glance.hottest:.0f} °C" if glance.hottest is not None else "",
        f"{glance.power:,.0f} W" if glance.power is not None else "",
    ]
    out.print(f"[{colour}]{words}[/]", *map(Text, filter(None, figures)), sep=", ")
    if judged.faults:
        out.print(Text(f"what is wrong: {judged.why}", style=colour))
    out.print()


def _rows(page: Page, depth: Depth) -> Iterator[tuple[str, str]]:
    for metric, family in sorted(page.families(), key=lambda item: item[0].name):
        if _depth_of(metric) > depth:
            continue
        for labels, value in family.items():
            if metric.states and value == 0:
                continue
            pairs = ", ".join(
                f"{label}={text}" for label, text in zip(metric.labels, labels, strict=True) if text
            )
            shown = f"{metric.name}{{{pairs}}}" if pairs else metric.name
            yield shown, _value(value, metric.unit)


def _depth_of(metric: Metric) -> Depth:
    if "chip" in metric.labels:
        return Depth.CHIPS
    # Thresholds are the configuration's, not the miner's.
    whole = _PARTS.isdisjoint(metric.labels) and not metric.name.startswith("minefleet_threshold_")
    return Depth.SUMS if whole else Depth.PARTS


def _value(value: float, unit: str) -> str:
    if unit == "hashes_per_second":
        return hashrate_text(value)
    if unit == "hertz":
        return f"{value / 1e6:g} MHz"
    if unit == "ratio":
        return f"{value:.2%}"
    suffix = {"celsius": " °C", "watts": " W", "volts": " V", "seconds": " s", "rpm": " rpm", "bytes": " B"}
    return f"{value:.6g}{suffix.get(unit, '')}"
