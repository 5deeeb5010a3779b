"""``check``: read the configuration and say what is wrong with it, or what it asks for."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from exporter.cli.common import command, config_option
from exporter.config.load import load
from exporter.config.schema import MARKET
from exporter.market.settings import MarketSettings
from exporter.server.web_config import load_web_config
from exporter.units import DAY


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "check",
        "check the configuration file; exit status 2 if it is bad",
        """
        minefleet-exporter check --config.file /etc/minefleet/config.yaml
        """,
    )
    config_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what the file means; a bad file raises :class:`~exporter.config.load.ConfigError`."""
    config = load(arguments.config_file, os.environ)
    load_web_config(Path(config.server.web_config_file) if config.server.web_config_file else None)
    for note in config.notes:
        print(note)
    miners = config.fleet.all_miners()
    pools = ", ".join(account.instance for account in config.pools) or "none"
    print(
        f"{arguments.config_file}: good; miners: {len(miners)}, pools: {pools}, asked every"
        f" {config.fleet.poll_interval_seconds:g} s with {config.fleet.timeout_seconds:g} s to answer"
    )
    if config.market is not None:
        print(f"{MARKET}: {_market(config.market)}")
    return 0


def _market(settings: MarketSettings) -> str:
    """Who is asked, and whether the values of the file still count."""
    words = [
        f"{what} from {', '.join(names)}"
        for what, names in (("networks", settings.network), ("prices", settings.prices))
        if names
    ]
    if settings.prices_date is not None:
        days = (time.time() - settings.values_dated) / DAY
        words.append(
            f"values of {settings.prices_date}"
            if days <= settings.prices_max_age_days
            else f"values of {settings.prices_date}, which are too old and not used"
        )
    return "; ".join(words)
