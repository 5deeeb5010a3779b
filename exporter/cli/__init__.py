"""The command ``minefleet-exporter``; one module a sub-command, each with ``add_parser`` and ``run``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from exporter import __version__
from exporter.cli import check, demo, diagnose, discover, probe, serve, worker
from exporter.config.load import ConfigError

_COMMANDS = (serve, check, probe, diagnose, discover, worker, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit status is 0, 1 for a failure it reports, 2 for a bad configuration."""
    parser = argparse.ArgumentParser(
        prog="minefleet-exporter",
        description="Prometheus exporter for VNish ASIC miners and their mining pool.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
