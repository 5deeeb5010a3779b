"""``discover``: find miners in a network, and write them down ready to use; others of the maker's apart."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from exporter.address import Address, Network
from exporter.cli.common import (
    DEFAULT_CONFIG,
    command,
    config_option,
    console,
    json_option,
    print_json,
    quiet,
    read_config,
)
from exporter.config.load import ConfigError
from exporter.config.schema import Miner
from exporter.http import Outgoing
from exporter.scan import Found, addresses, configuration, file_sd, own_networks, private_networks, scan

_STOCK = "stock firmware, not VNish"
_ROUTES = Path("/proc/net/route")
_FIRST = """# Made by minefleet-exporter discover. All keys: docs/configuration.md; all pools: docs/pools.md.
{fleet}
# What a kilowatt-hour costs, for costs and profit:
# economics:
#   electricity_usd_per_kwh: 0.08

# Where they mine, for earnings; the key is in a file beside this one:
# pools:
#   - {{type: litecoinpool, account: YOURS, api_key_file: litecoinpool.key}}

# The end: a file without this line is taken for one cut short when it is read again.
...
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "discover",
        "find miners in networks; exit status 1 if there are none",
        """
        minefleet-exporter discover 192.168.1.0/24                      a table
        minefleet-exporter discover 192.168.1.0/24 --write config.yaml  a first configuration
        minefleet-exporter discover 10.1.0.0/24 10.2.0.0/24 --json      for scripts
        """,
    )
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="CIDR",
        help="networks inside fleet.allowed_networks; without a configuration any private ones;"
        " by default those this machine is in",
    )
    config_option(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--write", type=Path, metavar="FILE", help="write a configuration; never over one that is there"
    )
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
    if not 1 <= arguments.port <= 65_535 or not 1 <= arguments.at_once <= 1024:
        raise ConfigError(["expected --port of 1 to 65535 and --at-once of 1 to 1024"])
    if arguments.write and arguments.write.exists():
        raise ConfigError([f"{arguments.write}: is there already; --yaml prints what was found"])
    try:
        networks, allowed, known = _networks(arguments)
        hosts = addresses(networks, allowed)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    found = asyncio.run(_scan(arguments, allowed, hosts, known))
    found.sort(key=lambda one: (one.endpoint.address is None, int(one.endpoint.address or 0)))
    # Miners with their maker's firmware come last, and into no configuration.
    found.sort(key=lambda one: one.stock)
    miners = [one for one in found if not one.stock]
    if arguments.yaml or arguments.file_sd:
        made = file_sd(miners, arguments.file_sd) if arguments.file_sd else configuration(miners, networks)
        print(_dump(made), end="")
        for one in found[len(miners) :]:
            print(f"# {_STOCK}: {one.endpoint} {one.row()['model']}")
    elif arguments.json:
        print_json([one.row() for one in found])
    else:
        _print_tables(miners, found[len(miners) :], len(hosts))
        if miners and arguments.write:
            _write(arguments.write, configuration(miners, networks))
        elif miners:
            print("--write config.yaml makes a configuration of them; --yaml prints it.")
    return 0 if miners else 1


def _networks(arguments: argparse.Namespace) -> tuple[list[str], tuple[Network, ...], list[Miner]]:
    """The networks to scan, those in which addresses may be touched, and the miners known already.

    Raises:
        ConfigError: the configuration cannot be used, or no network was named or found.
        ValueError: without a configuration, one named is not private.
    """
    named = list(arguments.networks)
    # A first configuration is made without one.
    first = arguments.config_file == DEFAULT_CONFIG and not Path(DEFAULT_CONFIG).exists()
    config = None if first else read_config(arguments)
    if first:
        quiet()
    if not named and config:
        named = list(config.fleet.allowed_networks)
    elif not named and _ROUTES.exists():
        named = own_networks(_ROUTES.read_text())
        print(f"This machine is in {', '.join(named) or 'no private network'}.", file=sys.stderr)
    if not named:
        raise ConfigError(["expected a network, such as 192.168.1.0/24"])
    if config is None:
        return named, private_networks(named), []
    return named, config.fleet.networks, config.fleet.all_miners()


def _write(path: Path, made: dict[str, Any]) -> None:
    """A new configuration, with what cannot be found out left as comments.

    Raises:
        ConfigError: it cannot be written, or is there already.
    """
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(_FIRST.format(fleet=_dump(made)))
    except OSError as error:
        raise ConfigError([f"{path}: expected a new file to write, found {error.strerror}"]) from None
    print(f"Wrote {path}. Set the price of electricity and your pool in it, then:")
    print(f"  minefleet-exporter check --config.file {path}")


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


async def _scan(
    arguments: argparse.Namespace, allowed: Sequence[Network], hosts: list[Address], known: list[Miner]
) -> list[Found]:
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
                    allowed,
                    port=arguments.port,
                    at_once=arguments.at_once,
                    progress=lambda: bar.advance(task),
                    miners=known,
                )
            ]


def _print_tables(miners: list[Found], stock: list[Found], asked: int) -> None:
    out = console()
    if miners:
        more = {"Worker": "worker"} if any(one.worker for one in miners) else {}
        out.print(_table(miners, State="state", Interface="api", **more))
    out.print(f"{len(miners)} miners at {asked} addresses.")
    if stock:
        out.print(f"\n{len(stock)} more have {_STOCK}:")
        out.print(_table(stock))


def _table(found: list[Found], **more: str) -> Table:
    columns = {"Address": "address", "Model": "model", "Firmware": "firmware", "MAC": "mac"}
    columns |= {"Hostname": "hostname", **more}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        # Folded where the terminal is too narrow: nothing is cut off, and an address is in one piece.
        table.add_column(title, overflow="fold", no_wrap=title in ("Address", "State", "Interface"))
    for one in found:
        row = one.row()
        table.add_row(*(Text(row[key]) for key in columns.values()))
    return table
