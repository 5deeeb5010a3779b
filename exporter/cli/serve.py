"""``serve``: answer scrapes until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
from pathlib import Path

import structlog
from aiohttp import web

from exporter import __version__, logs
from exporter.cli.common import command, config_option
from exporter.config.load import ConfigError, load
from exporter.config.schema import Config
from exporter.http import Outgoing
from exporter.server import descriptors, service
from exporter.server.app import create_app
from exporter.server.listener import Listener
from exporter.server.runtime import Runtime
from exporter.server.web_config import WebConfig, load_web_config

log = structlog.get_logger("server")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "serve",
        "answer Prometheus' scrapes",
        """
        minefleet-exporter serve --config.file config.yaml
        minefleet-exporter serve --web.listen-address 0.0.0.0:10777 --web.config.file web.yml
        """,
    )
    config_option(parser)
    parser.add_argument(
        "--web.listen-address",
        dest="listen",
        metavar="HOST:PORT",
        help="where to listen, instead of server.listen of the file",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        metavar="FILE",
        help="TLS and passwords, instead of server.web_config_file of the file",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve; returns when a signal ends it."""
    config = load(arguments.config_file, os.environ)
    web_file = arguments.web_config or config.server.web_config_file
    web_config = load_web_config(Path(web_file) if web_file else None)
    listen = arguments.listen or config.server.listen
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError([f"--web.listen-address: expected HOST:PORT, found {listen!r}"])
    try:
        logs.configure(config.root.logging)
    except OSError as error:
        raise ConfigError(
            [f"{arguments.config_file}: logging.file: expected a file to write, found {error.strerror}"]
        ) from None
    return asyncio.run(_serve(Path(arguments.config_file), config, web_config, host.strip("[]"), int(port)))


async def _serve(path: Path, config: Config, web_config: WebConfig, host: str, port: int) -> int:
    stop = asyncio.Event()
    limit = descriptors.raise_limit()
    if limit < descriptors.needed(config):
        log.warning("too few file descriptors for the fleet", limit=limit, needed=descriptors.needed(config))
    # What was loaded stays; a page of thousands of samples need not have it searched for garbage.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    async with Outgoing.open_session() as session:
        runtime = Runtime(path, config, Outgoing(session), os.environ)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        with contextlib.suppress(AttributeError):
            loop.add_signal_handler(signal.SIGHUP, runtime.reload_soon)
        # Cancellation reaches a probe when its scraper has gone; nobody waits for the miner then.
        runner = web.AppRunner(
            create_app(runtime, web_config), access_log=None, handler_cancellation=True, shutdown_timeout=5
        )
        await runner.setup()
        assert runner.server is not None, "it was set up"  # noqa: S101
        listener = Listener(
            runner.server, room=lambda: descriptors.room(runtime.config, limit), tls=web_config.tls
        )
        try:
            try:
                addresses = await listener.start(host or None, port)
            except (OSError, UnicodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not a host"
                log.error("cannot listen", address=f"{host}:{port}", reason=reason)
                return 1
            for address in addresses:
                log.info(
                    "listening",
                    version=__version__,
                    address=f"{address[0]}:{address[1]}",
                    miners=len(runtime.fleet.miners),
                    pools=len(runtime.fleet.pools),
                )
            async with service.ready():
                await stop.wait()
            log.info("stopping")
        finally:
            listener.close()
            await runner.cleanup()
    return 0
