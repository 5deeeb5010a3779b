"""Programs that run while a test does, a Prometheus that need not be waited for, and what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from exporter.simulator.stack import free_port
from tests.conftest import ROOT

# How long a condition may take to come true before a test gives up; nothing is measured with it.
PATIENCE_SECONDS = 400


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* is true; a program that does not listen yet is asked again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                if await condition():
                    return
            await asyncio.sleep(0.2)


async def answer_of(session: aiohttp.ClientSession, address: str, path: str, **query: str) -> Any:
    """The data that the Prometheus at *address*, or what speaks like it, answers at *path* of its API."""
    async with session.get(f"http://{address}/api/v1/{path}", params=query) as response:
        return (await response.json())["data"]


@contextlib.asynccontextmanager
async def running(*command: str, directory: Path) -> AsyncIterator[None]:
    """A program, with *directory* for its log and as its own."""
    with (directory / f"{Path(command[0]).name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=directory)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def serving(config: dict[str, Any], directory: Path, address: str = "") -> AsyncIterator[str]:
    """The exporter with *config*, which is written into *directory*; its address, free unless given."""
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    address = address or f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "serve"),
        f"--config.file={path}",
        f"--web.listen-address={address}",
        cwd=ROOT,
    )
    try:
        yield address
    finally:
        process.terminate()
        status = await process.wait()
    assert status == 0, "the exporter stops cleanly"


def discovering_each_second(settings: dict[str, Any]) -> None:
    """Edit Prometheus' *settings*."""
    for job in settings["scrape_configs"]:
        for discovery in job.get("http_sd_configs", []):
            discovery["refresh_interval"] = "1s"


def all_each_second(settings: dict[str, Any]) -> None:
    """Edit Prometheus' *settings*."""
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    discovering_each_second(settings)
