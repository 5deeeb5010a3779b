"""Logging: readable on a terminal, JSON or logfmt for machines, an optional rotating file.

Secrets never come here in the first place: details of failures are built from our own words. As a second
line, the values of fields with a secret's name are replaced.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from exporter.config.schema import Logging

_SECRET_WORDS = ("password", "api_key", "token", "secret", "authorization")


def configure(settings: Logging) -> None:
    """Set up logging for the process; may be called again after a reload.

    Raises:
        OSError: the log file cannot be opened.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(_formatter(settings.format, terminal=sys.stderr.isatty()))
    if settings.file:
        rotating = logging.handlers.RotatingFileHandler(
            settings.file,
            maxBytes=int(settings.max_size_mb * 1e6),
            backupCount=settings.backup_count,
            encoding="utf-8",
        )
        rotating.setFormatter(_formatter(settings.format, terminal=False))
        handlers.append(rotating)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(settings.level)
    # The libraries' own chatter is of no use to a miner owner.
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "<secret>"
    return event


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _redact,
]


def _formatter(form: str, *, terminal: bool) -> logging.Formatter:
    if form == "console" or (form == "auto" and terminal):
        renderer: Any = structlog.dev.ConsoleRenderer(colors=terminal)
    elif form == "logfmt":
        renderer = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
