"""``bundle``: write out the rules, routes and dashboards, fitted to where they will run."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path

from exporter import bundle
from exporter.cli.common import command
from exporter.config.load import ConfigError

# Each field of Place: how its value is called, what it is, and what it must look like.
_HOST = r"[\w.\-\[\]:]+:\d{1,5}"
_OPTIONS = {
    "exporter": ("HOST:PORT", "the exporter, as Prometheus reaches it", _HOST),
    "prometheus": ("HOST:PORT", "Prometheus, as Grafana and it itself reach it", _HOST),
    "alertmanager": ("HOST:PORT", "Alertmanager, as Prometheus reaches it", _HOST),
    "grafana_url": ("URL", "Grafana, as who reads a message reaches it", r"https?://[^\s\"'{}]+"),
    "exporter_url": (
        "URL",
        "the exporter and its runbook, as who reads a message reaches it",
        r"https?://[^\s\"'{}]+",
    ),
    "jobs": ("PREFIX", "what the names of the scrape jobs begin with", r"[a-zA-Z0-9_]+(-[a-zA-Z0-9_]+)*"),
    "data_source": ("UID", "the uid of Grafana's data source", r"[a-zA-Z0-9_-]{1,40}"),
    "dashboards": ("DIR", "where Grafana finds the dashboards", r"/[^\s:#]*"),
    "slack_channel": ("NAME", "the channel for messages; none without it", r"\S+"),
    "slack_webhook_file": ("FILE", "the file with the webhook's address", r"/.*"),
    "mail_to": ("ADDRESS", "who gets critical alerts by e-mail; nobody without it", r"\S+@\S+"),
    "mail_from": ("ADDRESS", "who sends them (default: who gets them)", r"\S+@\S+"),
    "smtp": ("HOST:PORT", "the mail server", _HOST),
    "smtp_user": ("NAME", "the user there, if it wants one", r"\S+"),
    "smtp_password_file": ("FILE", "the file with the password there", r"/.*"),
    "dead_mans_switch": (
        "URL",
        "what calls you when it is not called every two minutes; nobody without it",
        r"https?://[^\s\"'{}]+",
    ),
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "bundle",
        "write Prometheus' rules, Alertmanager's routes and Grafana's dashboards",
        """
        minefleet-exporter bundle monitoring
        minefleet-exporter bundle monitoring --slack-channel '#mining' --grafana-url https://grafana.example.org
        minefleet-exporter bundle monitoring --mail-to owner@example.org --smtp smtp.example.org:587
        """,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="where to; what is there is kept")
    for field in fields(bundle.Place):
        metavar, what, _ = _OPTIONS[field.name]
        default = f" (default: {field.default})" if field.default else ""
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=field.name,
            metavar=metavar,
            default=field.default,
            help=what + default,
        )
    parser.add_argument("--force", action="store_true", help="write over what is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files; 2 if a value cannot be one, or a file is there."""
    values = {field.name: getattr(arguments, field.name) for field in fields(bundle.Place)}
    faults = [
        f"--{name.replace('_', '-')}: expected {_OPTIONS[name][0]}, found {value!r}"
        for name, value in values.items()
        if value is not None and not re.fullmatch(_OPTIONS[name][2], value)
    ]
    if faults:
        raise ConfigError(faults)
    made = dict(bundle.files(bundle.Place(**values)))
    folder: Path = arguments.directory
    there = [name for name in made if (folder / name).exists()]
    if there and not arguments.force:
        raise ConfigError([f"{folder / name}: is there already; --force writes over it" for name in there])
    try:
        for name, text in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError([f"{error.filename}: expected to be written, found {error.strerror}"]) from None
    for kind in sorted({Path(name).parts[0] for name in made}):
        print(f"{folder / kind}: {sum(name.startswith(f'{kind}/') for name in made)} files")
    if not (arguments.slack_channel or arguments.mail_to):
        print("Nobody is told of alerts yet: --slack-channel, --mail-to.")
    if not arguments.dead_mans_switch:
        print("Nobody is told when all of this is down: --dead-mans-switch.")
    return 0
