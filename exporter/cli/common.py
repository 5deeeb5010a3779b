"""What the commands that ask miners share: the configuration, a session, and the terminal."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import shtab
import structlog
from rich.console import Console

from exporter.config.load import ConfigError, load
from exporter.config.schema import Config
from exporter.fleet import BusyError, Fleet, Target, UnknownTargetError
from exporter.http import Outgoing
from exporter.market.market import Market
from exporter.probe import Look
from exporter.vnish.verdict import Glance, Limits, Verdict, judge

DEFAULT_CONFIG = "config.yaml"


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, examples: str
) -> argparse.ArgumentParser:
    """A sub-command: *what* it does, and in its help *examples*, a line each."""
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog="examples:\n" + indent(dedent(examples).strip("\n").rstrip(), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def config_option(parser: argparse.ArgumentParser) -> None:
    """The option every command that needs a configuration has."""
    option = parser.add_argument(
        "--config.file",
        dest="config_file",
        metavar="FILE",
        default=DEFAULT_CONFIG,
        help="the configuration file (default: %(default)s)",
    )
    option.complete = shtab.FILE  # type: ignore[attr-defined]


def json_option(parser: argparse.ArgumentParser) -> None:
    """The option for scripts."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def quiet() -> None:
    """No log: the command's own output says what there is to say."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def read_config(arguments: argparse.Namespace) -> Config:
    """The configuration, and a quiet log."""
    quiet()
    return load(Path(arguments.config_file), os.environ)


@contextlib.asynccontextmanager
async def open_fleet(config: Config) -> AsyncIterator[Fleet]:
    """A fleet to ask, for one command."""
    async with Outgoing.open_session() as session:
        fleet = Fleet(config, Outgoing(session), os.environ)
        try:
            yield fleet
        finally:
            fleet.close()


def find(fleet: Fleet, name: str) -> Target | Market:
    """The target of a command line.

    Raises:
        ConfigError: it is neither configured nor inside the allowed networks.
    """
    try:
        return fleet.find(name)
    except (UnknownTargetError, BusyError) as error:
        known = ", ".join(target.instance for target in fleet) or "none"
        raise ConfigError([f"{name}: {error}; configured are {known}"]) from None


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to :func:`exporter.cli.main`, as every other output does."""
        raise BrokenPipeError


def verdict(target: Target | Market, look: Look[Any]) -> Verdict | None:
    """What is wrong with a miner that answered; ``None`` for any other target, and where nothing was read."""
    if isinstance(target, Market):
        return None
    glance = target.reader.glance(look)
    return judge(glance, Limits.of(target.static), target.audit) if isinstance(glance, Glance) else None


def console() -> Console:
    """Output in colour on a terminal, plain and as wide as it comes elsewhere.

    What devices say is printed as :class:`~rich.text.Text`, so that it is never taken for markup.
    """
    return _Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 240)


def print_json(data: Any) -> None:
    """JSON for scripts."""
    print(json.dumps(data, indent=2, ensure_ascii=False))
