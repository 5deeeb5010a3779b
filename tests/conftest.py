"""What several tests share: a repaired aioresponses, simulated sites, and an exporter that serves them."""

from __future__ import annotations

import contextlib
import inspect
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import aioresponses
import pytest
import structlog
import yaml
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, settings

from exporter.config.load import load
from exporter.http import Outgoing
from exporter.server.app import create_app
from exporter.server.runtime import Runtime
from exporter.server.web_config import WebConfig
from exporter.simulator.simulation import MinerSpec, Simulation

ROOT = Path(__file__).parent.parent

# No test may depend on the machine's speed, property tests included.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("mutants", settings.get_profile("project"), max_examples=15, derandomize=True)
settings.load_profile("project")


def near(expected: Any, rel: float = 1e-6) -> Any:
    """As pytest.approx, which takes all figures below its absolute tolerance of 1e-12 for the same.

    What a hash earns is far below.
    """
    return pytest.approx(expected, rel=rel, abs=0.0)


class FakeClock:
    """A clock that moves only when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        """A pause that is over at once."""
        self.advance(seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time is not UTC."""
    monkeypatch.setenv("TZ", "UTC+5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[list[dict[str, Any]]]:
    """Log events are collected, not printed, whatever level another test's command has set."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    with structlog.testing.capture_logs() as events:
        yield events


if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:

    class _Response(aiohttp.ClientResponse):
        """aioresponses 0.7.9 does not know an argument of aiohttp 3.14 (aioresponses issue 289)."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*args, **kwargs)

    @pytest.fixture(autouse=True)
    def _aioresponses_on_aiohttp_3_14(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aioresponses.core, "ClientResponse", _Response)


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    async with Outgoing.open_session() as session:
        yield Outgoing(session, rng=random.Random(1))


def make_certificate(file: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1, its key beside it."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=miner -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", file.with_name("key.pem"), "-out", file],
        check=True,
        capture_output=True,
    )
    return file


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, its key beside it."""
    return make_certificate(tmp_path / "cert.pem")


class Site:
    """A simulated site and an exporter for it, which is asked through ``get``."""

    def __init__(self, simulation: Simulation, runtime: Runtime, client: TestClient[Any, Any]) -> None:
        self.simulation = simulation
        self.runtime = runtime
        self.client = client

    async def get(self, path: str, status: int = 200, **headers: str) -> str:
        async with self.client.get(path, headers=headers) as response:
            text = await response.text()
            assert response.status == status, text
            return text


@contextlib.asynccontextmanager
async def serve_site(
    tmp_path: Path,
    specs: list[MinerSpec],
    *,
    edit: Callable[[dict[str, Any]], None] | None = None,
    environ: dict[str, str] | None = None,
    web_config: WebConfig | None = None,
    wall_clock: Callable[[], float] = time.time,
    **fleet: Any,
) -> AsyncIterator[Site]:
    """Simulate *specs* and serve an exporter configured for them."""
    async with Simulation(specs) as simulation, Outgoing.open_session() as session:
        config = simulation.configuration(**{"min_interval_seconds": 0, "retries": 0, **fleet})
        if edit:
            edit(config)
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        runtime = Runtime(
            path, load(path, environ or {}), Outgoing(session), environ or {}, wall_clock=wall_clock
        )
        server = TestServer(create_app(runtime, web_config))
        await server.start_server()
        async with TestClient(server) as client:
            yield Site(simulation, runtime, client)


L9 = MinerSpec("l9", "l9", "1.2.7")
L9_NEW = MinerSpec("l9-new", "l9", "1.3.4")
L7 = MinerSpec("l7", "l7", "1.2.7")
SIMPLE = MinerSpec("simple", "l7", "simple")


def pytest_configure() -> None:
    """What is started in the background, or by nohup, ignores signals that the tests send to its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Still ignored here, and not by those that are started from here.
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what tests compare with")
