"""``digest``: yesterday in one short message, printed or sent."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp

from exporter.cli.common import command, json_option, print_json
from exporter.config.load import ConfigError
from exporter.digest import channels, figures, message

_CHANNELS = ("slack", "email")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "digest",
        "tell yesterday in one short message: money, the worst miners, alerts, the pool",
        """
        minefleet-exporter digest --prometheus.url http://127.0.0.1:9090
        minefleet-exporter digest --send slack,email       as Alertmanager's file says
        minefleet-exporter digest --send slack --at 07:00  stay, and send it every morning
        """,
    )
    parser.add_argument(
        "--prometheus.url",
        dest="url",
        metavar="URL",
        default="http://127.0.0.1:9090",
        help="where Prometheus or VictoriaMetrics is (default: %(default)s)",
    )
    parser.add_argument(
        "--send",
        default="",
        metavar="CHANNELS",
        help="slack, email or slack,email: send it there, and print it too",
    )
    parser.add_argument(
        "--alertmanager.file",
        dest="alertmanager_file",
        metavar="FILE",
        default="alertmanager/alertmanager.yml",
        help="Alertmanager's file, which says where Slack and the mail server are (default: %(default)s)",
    )
    parser.add_argument("--day", metavar="YYYY-MM-DD", help="another day than yesterday")
    parser.add_argument("--at", metavar="HH:MM", help="stay, and do it every day at this time")
    parser.add_argument("--timezone", metavar="ZONE", help="where the day begins and ends (default: here)")
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the digest, and send it; 1 if Prometheus does not answer or a channel does not take it."""
    day = _day(arguments.day, arguments.timezone)
    if not arguments.url.startswith(("http://", "https://")):
        raise ConfigError([f"--prometheus.url: expected an http:// or https:// URL, found {arguments.url!r}"])
    senders = _senders(arguments.send, Path(arguments.alertmanager_file))
    if arguments.at is None:
        return _tell(arguments, day, senders)
    at = _clock(arguments.at)
    if arguments.day:
        raise ConfigError(["--at: expected without --day: it tells of each day's yesterday"])
    while True:
        now = datetime.now(_zone(arguments.timezone)).astimezone(_zone(arguments.timezone))
        time.sleep(max(1.0, following(now, at).timestamp() - time.time()))
        # Secrets may have been changed since.
        senders = _senders(arguments.send, Path(arguments.alertmanager_file))
        _tell(arguments, _day(None, arguments.timezone), senders)
        sys.stdout.flush()


def following(now: datetime, at: clock_time) -> datetime:
    """The next time it is *at*, after *now*, by the clock on the wall there."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _clock(text: str) -> clock_time:
    try:
        return clock_time.fromisoformat(text)
    except ValueError:
        raise ConfigError([f"--at: expected HH:MM, found {text!r}"]) from None


def _tell(
    arguments: argparse.Namespace, day: figures.Day, senders: Mapping[str, Callable[[str, str], None]]
) -> int:
    try:
        digest = asyncio.run(_read(arguments.url, day))
    except figures.PrometheusError as error:
        print(error, file=sys.stderr)
        return 1
    subject, text = message.subject(digest), message.text(digest)
    if arguments.json:
        print_json(figures.as_json(digest))
    else:
        print(f"{subject}\n\n{text}")
    status = 0
    for name, send in senders.items():
        try:
            send(subject, text)
        except channels.SendError as error:
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


async def _read(url: str, day: figures.Day) -> figures.Digest:
    async with aiohttp.ClientSession() as session:
        return await figures.read(figures.Prometheus(session, url), day, time.time())


def _day(given: str | None, zone: str | None) -> figures.Day:
    where = _zone(zone)
    today = datetime.now(where).astimezone(where).date()
    if given is None:
        return figures.Day.of(today - timedelta(days=1), where)
    try:
        wanted = date.fromisoformat(given)
    except ValueError:
        raise ConfigError([f"--day: expected YYYY-MM-DD, found {given!r}"]) from None
    if wanted >= today:
        raise ConfigError([f"--day: expected a day that is over, found {given}"])
    return figures.Day.of(wanted, where)


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError([f"--timezone: expected a zone such as Europe/Berlin, found {name!r}"]) from None


def _senders(names: str, file: Path) -> dict[str, Callable[[str, str], None]]:
    """The channels asked for, ready to be sent to: what is wrong with one is said before anything is sent."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in _CHANNELS]
    if unknown:
        raise ConfigError([f"--send: expected {' or '.join(_CHANNELS)}, found {', '.join(unknown)}"])
    senders: dict[str, Callable[[str, str], None]] = {}
    if "slack" in wanted:
        hook = channels.slack(file)
        senders["slack"] = lambda subject, text: asyncio.run(hook.send(subject, text))
    if "email" in wanted:
        senders["email"] = channels.email(file).send
    return senders
