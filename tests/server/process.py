"""A real exporter process, with the descriptors a test allows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from tests.conftest import ROOT

# How long a condition may take to come true before the test gives up; nothing is measured with it.
PATIENCE_SECONDS = 60


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clients:
    """Connections of a test, closed when it ends."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, port: int, **options: Any) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
        self._writers.append(writer)
        return reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass
class Exporter:
    process: asyncio.subprocess.Process
    port: int
    log_file: Path
    clients: Clients

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]

    def told(self, text: str) -> list[dict[str, Any]]:
        return [line for line in self.log if text in line["event"]]

    def limit(self, soft: int) -> None:
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (soft, hard))

    async def connect(self, **options: Any) -> Connection:
        return await self.clients.connect(self.port, **options)


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, str]:
    """One request on a connection that stays open."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: exporter\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line for line in head.lower().splitlines() if line.startswith("content-length:"))
    body = await reader.readexactly(int(length.partition(":")[2]))
    return int(head.split()[1]), body.decode()


@contextlib.asynccontextmanager
async def exporter(
    tmp_path: Path, config: dict[str, Any], *, soft: int, hard: int
) -> AsyncIterator[Exporter]:
    path, log_file = tmp_path / "config.yaml", tmp_path / "log"
    path.write_text(yaml.safe_dump({**config, "logging": {"format": "json"}}))
    with log_file.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"),
            *(sys.executable, "-m", "exporter", "serve", f"--config.file={path}"),
            "--web.listen-address=127.0.0.1:0",
            stderr=log,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin"},
        )
    async with end_of(process, log_file), Clients() as clients:
        made = Exporter(process, 0, log_file, clients)
        await eventually(lambda: made.told("listening") or process.returncode is not None)
        [listening] = made.told("listening")
        made.port = int(listening["address"].rpartition(":")[2])
        yield made


@contextlib.asynccontextmanager
async def end_of(process: asyncio.subprocess.Process, log_file: Path) -> AsyncIterator[None]:
    """Ends the process, which must end well."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        assert await process.wait() == 0, log_file.read_text()
