"""What tests of several pools share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """All that any logger of the process says, at any level, as text with its traceback."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler, root = Handler(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        yield lines
        lines.extend(map(repr, events))
    root.removeHandler(handler)
    root.setLevel(before)
