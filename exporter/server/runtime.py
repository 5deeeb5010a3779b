"""What the server works on: the running configuration and its fleet, and how they are replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog

from exporter import logs
from exporter.config.load import ConfigError, load
from exporter.config.schema import Config
from exporter.fleet import Fleet
from exporter.http import Outgoing
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
        self.fleet = Fleet(config, outgoing, environ, clock=clock, wall_clock=wall_clock)
        self.telemetry.count_breakers(self._breaker_states)
        self._taken_over()

    @property
    def config(self) -> Config:
        """The running configuration."""
        return self.fleet.config

    def reload(self) -> list[str]:
        """Read the file again and take it over; the faults are returned if it cannot be used."""
        try:
            config = load(self.path, self.environ)
            logs.configure(config.root.logging)
        except (ConfigError, OSError) as error:
            faults = error.faults if isinstance(error, ConfigError) else [f"logging.file: {error.strerror}"]
            return self._not_taken_over(faults)
        except Exception as error:
            log.exception("defect while reading the configuration")
            return self._not_taken_over([f"{self.path}: could not be read: {type(error).__name__}"])
        if config.server != self.config.server:
            log.warning("a changed server section is used after a restart only")
        self.fleet = Fleet(
            config,
            self.outgoing,
            self.environ,
            self.fleet,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )
        self._taken_over()
        log.info("configuration taken over", miners=len(self.fleet.miners), pools=len(self.fleet.pools))
        return []

    def _not_taken_over(self, faults: list[str]) -> list[str]:
        self.telemetry.reload_successful.set(0)
        log.error("configuration not taken over", file=str(self.path), faults=faults)
        return faults

    def _taken_over(self) -> None:
        self.telemetry.miners.set(len(self.fleet.miners))
        self.telemetry.pools.set(len(self.fleet.pools))
        self.telemetry.reload_successful.set(1)
        self.telemetry.reload_timestamp.set(self.wall_clock())

    def _breaker_states(self) -> Iterator[tuple[str, str]]:
        for target in self.fleet:
            yield target.module, str(target.reader.breaker.state)
