"""When an answer must be on its way."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from exporter.config.schema import Config, Root
from exporter.http import Outgoing
from exporter.server.app import deadline
from exporter.server.runtime import Runtime
from tests.conftest import FakeClock


@pytest.mark.parametrize(
    ("header", "offset", "seconds"),
    [
        (None, 0.5, 10.0),
        ("5", 0.5, 4.5),
        ("5", 2, 3.0),
        ("5", 0, 5.0),
        ("10.5", 0.5, 10.0),
        ("60", 0.5, 10.0),
        ("0.5", 0.5, 0.25),
        ("0.4", 0.5, 0.2),
    ],
)
def test_the_scrapers_timeout_less_the_offset_within_the_fleets(
    clock: FakeClock, header: str | None, offset: float, seconds: float
) -> None:
    root = Root.model_validate(
        {"fleet": {"timeout_seconds": 10}, "server": {"scrape_timeout_offset_seconds": offset}}
    )
    runtime = Runtime(Path(), Config(root, ()), Outgoing(None, clock=clock), {}, clock=clock)  # type: ignore[arg-type]
    headers = {} if header is None else {"X-Prometheus-Scrape-Timeout-Seconds": header}
    assert deadline(make_mocked_request("GET", "/probe", headers), runtime) == clock() + seconds
