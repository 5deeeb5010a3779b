"""File descriptors: how many the process may have, and how they are shared out."""

from __future__ import annotations

import contextlib
import resource
import sys

from exporter.config.schema import Config
from exporter.fleet import MAX_UNCONFIGURED

# Standard streams, log file, event loop, listening sockets, look-ups of names, refusals under way.
RESERVED = 64
_CONNECTIONS = 512
_FEWEST_CONNECTIONS = 16


def raise_limit() -> int:
    """Raise the soft limit to the hard one, and say how many descriptors the process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a hard limit that they do not grant.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def needed(config: Config) -> int:
    """Descriptors with which the configured fleet is served in full."""
    return RESERVED + _outgoing(config) + _wanted(config)


def room(config: Config, limit: int) -> int:
    """How many connections to the server *limit* leaves room for, with enough to ask the fleet."""
    return min(_wanted(config), max(_FEWEST_CONNECTIONS, limit - RESERVED - _outgoing(config)))


def _wanted(config: Config) -> int:
    """Connections to the server: by default room for a scrape of every target at once."""
    return config.server.max_connections or max(_CONNECTIONS, _targets(config))


def _outgoing(config: Config) -> int:
    """Connections to targets: each has one request under way at most."""
    return _targets(config) + (MAX_UNCONFIGURED if config.fleet.allowed_networks else 0)


def _targets(config: Config) -> int:
    market = len(config.market.names) if config.market else 0
    return len(config.fleet.miner_ips) + len(config.fleet.miners) + len(config.pools) + market
