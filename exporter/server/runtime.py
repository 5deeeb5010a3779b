"""What the server works on: the running configuration and its fleet, and how they are replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog

from exporter import logs
from exporter.config.load import ConfigError, load
from exporter.config.schema import Config
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.server import service
from exporter.server.http_sd import Discovery
from exporter.telemetry import Telemetry

log = structlog.get_logger("config")


class Runtime:
    """The running configuration. A bad new file changes nothing but the reload series."""

    def __init__(
        self,
        path: Path,
        config: Config,
        outgoing: Outgoing,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.outgoing = outgoing
        self.environ = environ
        self.clock = clock
        self.wall_clock = wall_clock
        self.telemetry = Telemetry()
        self._reading = asyncio.Lock()
        self._waiting: asyncio.Task[list[str]] | None = None
        self._reloads: set[asyncio.Task[list[str]]] = set()
        self._forced = False
        self.fleet = Fleet(config, outgoing, environ, clock=clock, wall_clock=wall_clock)
        self.telemetry.count_breakers(self._breaker_states)
        self._taken_over()

    @property
    def config(self) -> Config:
        """The running configuration."""
        return self.fleet.config

    async def reload(self, *, force: bool = False) -> list[str]:
        """Read the file again and take it over; the faults are returned if it cannot be used.

        Not taken over is a file that looks cut short, unless *force* says it is meant. Reloads that arrive
        together are one, which goes on if those who asked have gone.
        """
        return await asyncio.shield(self.reload_soon(force=force))

    def reload_soon(self, *, force: bool = False) -> asyncio.Task[list[str]]:
        """As :meth:`reload`, without waiting for it."""
        self._forced |= force
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._reload())
            self._reloads.add(self._waiting)
            self._waiting.add_done_callback(self._reloads.discard)
        return self._waiting

    async def _reload(self) -> list[str]:
        async with self._reading:
            # Who asks from here on may mean a file newer than the one read now, and gets the next reload.
            force, self._forced, self._waiting = self._forced, False, None
            return await self._read_again(force)

    async def _read_again(self, force: bool) -> list[str]:
        try:
            # A file of thousands of miners takes seconds, in which others are to be answered.
            config = await asyncio.to_thread(load, self.path, self.environ)
            if doubts := [] if force else self._doubts(config):
                return self._not_taken_over(doubts)
            logs.configure(config.root.logging)
            fleet = Fleet(
                config,
                self.outgoing,
                self.environ,
                self.fleet,
                clock=self.clock,
                wall_clock=self.wall_clock,
            )
        except (ConfigError, OSError) as error:
            faults = error.faults if isinstance(error, ConfigError) else [f"logging.file: {error.strerror}"]
            return self._not_taken_over(faults)
        except Exception as error:
            log.exception("defect while reading the configuration")
            return self._not_taken_over([f"{self.path}: could not be read: {type(error).__name__}"])
        if config.server != self.config.server:
            log.warning("a changed server section is used after a restart only")
        self.fleet = fleet
        self._taken_over()
        log.info("configuration taken over", miners=len(self.fleet.miners), pools=len(self.fleet.pools))
        return []

    def _doubts(self, config: Config) -> list[str]:
        """Why the file may be the first part of one that was still being written."""
        doubts = []
        if self.config.ended and not config.ended:
            doubts.append(
                f"{self.path}: expected the end marker ... which the running configuration has, found none"
            )
        before, after = len(self.fleet.miners), len(config.fleet.all_miners())
        if 2 * after < before:
            doubts.append(
                f"{self.path}: fleet: expected at least half of the {before} miners there are, found {after}"
            )
        if doubts:
            doubts.append(
                f"{self.path}: the file may be cut short; if it is whole, POST /-/reload?force=1 or restart"
            )
        return doubts

    def _not_taken_over(self, faults: list[str]) -> list[str]:
        self.telemetry.reload_successful.set(0)
        log.error("configuration not taken over", file=str(self.path), faults=faults)
        # Who reloads by signal, as systemd does, gets no answer.
        service.show(f"{self._counts()}; not taken over: {faults[0]}")
        return faults

    def _taken_over(self) -> None:
        self.miner_discovery = Discovery(self.fleet.miners.values(), self.config)
        market = [] if self.fleet.market is None else [self.fleet.market]
        self.pool_discovery = Discovery([*self.fleet.pools.values(), *market], self.config)
        self.telemetry.miners.set(len(self.fleet.miners))
        self.telemetry.pools.set(len(self.fleet.pools))
        self.telemetry.reload_successful.set(1)
        self.telemetry.reload_timestamp.set(self.wall_clock())
        service.show(self._counts())

    def _counts(self) -> str:
        return f"{len(self.fleet.miners)} miners, {len(self.fleet.pools)} pools"

    def _breaker_states(self) -> Iterator[tuple[str, str]]:
        for target in self.fleet:
            for breaker in target.breakers:
                yield target.module, str(breaker.state)
