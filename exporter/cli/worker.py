"""``worker``: the stratum settings to type into a miner."""

from __future__ import annotations

import argparse
import asyncio
import sys

from exporter.cli.common import (
    command,
    config_option,
    console,
    find,
    json_option,
    open_fleet,
    print_json,
    read_config,
)
from exporter.config.load import ConfigError
from exporter.config.schema import Config


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "worker",
        "print the pool settings for a miner",
        """
        minefleet-exporter worker barn1-l9-01
        minefleet-exporter worker barn1-l9-01 --algorithm scrypt
        """,
    )
    parser.add_argument("miner", help="a configured miner's name")
    parser.add_argument(
        "--algorithm",
        choices=("scrypt", "sha256d"),
        help="what it mines; without this and fleet.miners[].algorithm the miner is asked",
    )
    config_option(parser)
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print URL, user and password for each configured pool, or what its section lacks for them."""
    config = read_config(arguments)
    miner = next((one for one in config.fleet.all_miners() if one.instance == arguments.miner), None)
    if miner is None:
        known = ", ".join(one.instance for one in config.fleet.all_miners()) or "none"
        raise ConfigError([f"{arguments.miner}: expected a configured miner; there are {known}"])
    if not config.pools:
        raise ConfigError([f"{arguments.config_file}: expected an account in pools, found none"])
    worker = miner.worker or miner.instance
    algorithm = arguments.algorithm or miner.algorithm or asyncio.run(_asked(config, miner.instance))
    if algorithm is None:
        raise ConfigError(
            [f"{miner.instance}: expected --algorithm, since the miner does not say what it mines"]
        )
    rows, faults = [], []
    for account in config.pools:
        try:
            stratum = account.driver.stratum(account.settings, worker, algorithm)
        except ValueError as error:
            faults.append(f"{arguments.config_file}: {account.instance}: {error}")
        else:
            rows.append({"pool": account.instance, **stratum})
    if not rows:
        raise ConfigError(faults)
    # An account that is only read, for its quotes, need not say how one mines there.
    for fault in faults:
        print(fault, file=sys.stderr)
    if arguments.json:
        print_json(rows)
        return 0
    out = console()
    for row in rows:
        out.print(f"[bold]{row['pool']}[/], for {miner.instance} mining {algorithm}:")
        for key in ("url", "user", "password"):
            out.print(f"  {key:9} {row[key]}", markup=False)
    return 0


async def _asked(config: Config, name: str) -> str | None:
    """The algorithm as the miner tells it; ``None`` if it does not answer."""
    async with open_fleet(config) as fleet:
        target = find(fleet, name)
        look, _ = await target.probe(asyncio.get_running_loop().time() + config.fleet.timeout_seconds)
    return look.reading.identity.algorithm if look.reading else None
