"""``discover``: find miners in a network, and write them down ready to use; others of the maker's apart."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from exporter.address import Address
from exporter.cli.common import config_option, console, json_option, print_json, read_config
from exporter.config.load import ConfigError
from exporter.config.schema import Config
from exporter.http import Outgoing
from exporter.scan import Found, addresses, configuration, file_sd, scan

_STOCK = "stock firmware, not VNish"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("discover", help="find miners in networks; exit status 1 if there are none")
    parser.add_argument("networks", nargs="+", metavar="CIDR", help="networks inside fleet.allowed_networks")
    config_option(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--yaml", action="store_true", help="print a fleet section for the configuration")
    form.add_argument(
        "--file-sd", metavar="EXPORTER", help="print Prometheus file_sd for an exporter at HOST:PORT"
    )
    json_option(form)  # type: ignore[arg-type]
    parser.add_argument("--port", type=int, default=80, help="where miners listen (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=256, metavar="N", help="how many to ask at once")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Scan and print; 0 if a miner was found."""
    config = read_config(arguments)
    if not 1 <= arguments.port <= 65_535 or not 1 <= arguments.at_once <= 1024:
        raise ConfigError(["expected --port of 1 to 65535 and --at-once of 1 to 1024"])
    try:
        hosts = addresses(arguments.networks, config.fleet.networks)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    found = asyncio.run(_scan(arguments, config, hosts))
    found.sort(key=lambda one: (one.endpoint.address is None, int(one.endpoint.address or 0)))
    # Miners with their maker's firmware come last, and into no configuration.
    found.sort(key=lambda one: one.stock)
    miners = [one for one in found if not one.stock]
    if arguments.yaml or arguments.file_sd:
        made = file_sd(miners, arguments.file_sd) if arguments.file_sd else configuration(miners)
        print(_dump(made), end="")
        for one in found[len(miners) :]:
            print(f"# {_STOCK}: {one.endpoint} {one.row()['model']}")
    elif arguments.json:
        print_json([one.row() for one in found])
    else:
        _print_tables(miners, found[len(miners) :], len(hosts))
    return 0 if miners else 1


class _Dumper(yaml.SafeDumper):
    """Quotes what devices say: a hostname such as ``124e567`` is a number to many a parser."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if re.fullmatch("[a-z_]+", text) else '"'
    ),
)


def _dump(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)


async def _scan(arguments: argparse.Namespace, config: Config, hosts: list[Address]) -> list[Found]:
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    async with Outgoing.open_session() as session:
        with bar:
            task = bar.add_task("asking", total=len(hosts))
            return [
                one
                async for one in scan(
                    Outgoing(session),
                    hosts,
                    config.fleet.networks,
                    port=arguments.port,
                    at_once=arguments.at_once,
                    progress=lambda: bar.advance(task),
                    miners=config.fleet.all_miners(),
                )
            ]


def _print_tables(miners: list[Found], stock: list[Found], asked: int) -> None:
    out = console()
    if miners:
        more = {"Worker": "worker"} if any(one.worker for one in miners) else {}
        out.print(_table(miners, State="state", Interface="api", **more))
    out.print(
        f"{len(miners)} miners at {asked} addresses."
        + (" --yaml prints them for the configuration." if miners else "")
    )
    if stock:
        out.print(f"\n{len(stock)} more have {_STOCK}:")
        out.print(_table(stock))


def _table(found: list[Found], **more: str) -> Table:
    columns = {"Address": "address", "Model": "model", "Firmware": "firmware", "MAC": "mac"}
    columns |= {"Hostname": "hostname", **more}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, no_wrap=True)
    for one in found:
        row = one.row()
        table.add_row(*(Text(row[key]) for key in columns.values()))
    return table
