"""``probe``: one look at a miner or pool, as a table, as the raw page, or as JSON."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from exporter.cli.common import config_option, console, find, json_option, open_fleet, print_json, read_config
from exporter.config.schema import Config
from exporter.exposition import Format, Page, render
from exporter.probe import Look
from exporter.units import hashrate_text


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("probe", help="look at one miner or pool; exit status 1 if it is down")
    parser.add_argument(
        "target", help="a configured name or address, or an address inside fleet.allowed_networks"
    )
    config_option(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true", help="print the page Prometheus would get")
    json_option(form)  # type: ignore[arg-type]
    parser.add_argument("--chips", action="store_true", help="show chips in the table too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Probe and print; 0 if the target is up."""
    return asyncio.run(_run(arguments, read_config(arguments)))


async def _run(arguments: argparse.Namespace, config: Config) -> int:
    async with open_fleet(config) as fleet:
        target = find(fleet, arguments.target)
        look, page = await target.probe(asyncio.get_running_loop().time() + config.fleet.timeout_seconds)
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
        _print_table(target.instance, look, page, chips=arguments.chips)
    return 0 if look.up else 1


def _print_table(name: str, look: Look[object], page: Page, *, chips: bool) -> None:  # type: ignore[type-var]
    out = console()
    if look.error:
        out.print(f"[bold]{name}[/] is [red]down[/]: ", end="")
        out.print(str(look.error), markup=False)
        for step in look.steps:
            out.print(f"  {step.method} {step.path}: {step.problem or step.status}", markup=False)
        return
    out.print(f"[bold]{name}[/] is [green]up[/], read in {look.seconds * 1000:.0f} ms")
    table = Table(box=None, pad_edge=False, show_header=False)
    for series, value in _rows(page, chips=chips):
        table.add_row(Text(series), Text(value))
    out.print(table)


def _rows(page: Page, *, chips: bool) -> Iterator[tuple[str, str]]:
    for metric, family in sorted(page.families(), key=lambda item: item[0].name):
        if metric.name.startswith("vnish_chip_") and "chip" in metric.labels and not chips:
            continue
        for labels, value in family.items():
            if metric.states and value == 0:
                continue
            pairs = ", ".join(
                f"{label}={text}" for label, text in zip(metric.labels, labels, strict=True) if text
            )
            shown = f"{metric.name}{{{pairs}}}" if pairs else metric.name
            yield shown, _value(value, metric.unit)


def _value(value: float, unit: str) -> str:
    if unit == "hashes_per_second":
        return hashrate_text(value)
    if unit == "hertz":
        return f"{value / 1e6:g} MHz"
    if unit == "ratio":
        return f"{value:.2%}"
    suffix = {"celsius": " °C", "watts": " W", "volts": " V", "seconds": " s", "rpm": " rpm", "bytes": " B"}
    return f"{value:.6g}{suffix.get(unit, '')}"
