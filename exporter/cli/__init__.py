"""The command ``minefleet-exporter``; one module a sub-command, each with ``add_parser`` and ``run``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import shtab

from exporter import __version__
from exporter.cli import (
    bundle,
    check,
    demo,
    diagnose,
    digest,
    discover,
    install_service,
    probe,
    serve,
    test_alert,
    worker,
)
from exporter.config.load import ConfigError

_COMMANDS = (
    discover,
    check,
    serve,
    install_service,
    bundle,
    probe,
    diagnose,
    worker,
    digest,
    test_alert,
    demo,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; the exit status is 0, 1 for a failure it reports, 2 for a bad configuration.

    When who reads the output goes away, as ``head`` does, it is that of any program whose pipe broke.
    """
    arguments = parse_arguments(argv)
    try:
        status = int(arguments.run(arguments))
        if sys.stdout is not None:
            # Here, and not when the interpreter ends, where a broken pipe is a complaint on the terminal.
            sys.stdout.flush()
        return status
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 130


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The sub-command and its options; ``run`` is what to call with them.

    Raises:
        SystemExit: they are none, or ask for nothing but a text, such as help.
    """
    parser = argparse.ArgumentParser(
        prog="minefleet-exporter",
        description="Prometheus exporter for VNish ASIC miners and their mining pool.",
        epilog="""examples:
  minefleet-exporter discover 192.168.1.0/24 --write config.yaml
  minefleet-exporter check
  minefleet-exporter serve
  minefleet-exporter COMMAND --help                              what a command does, with examples

completion: minefleet-exporter --print-completion bash > /etc/bash_completion.d/minefleet-exporter""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shtab.add_argument_to(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser.parse_args(argv)
