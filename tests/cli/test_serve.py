"""``serve`` as a process: what only the real listener shows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from exporter.simulator.simulation import Simulation
from tests.conftest import L9, ROOT


async def test_a_scraper_that_leaves_takes_its_question_to_the_miner_along(tmp_path: Path) -> None:
    async with Simulation([L9]) as simulation:
        host = simulation.miners["l9"]
        await simulation.inject("l9", "hanging")
        config = simulation.configuration(timeout_seconds=120, retries=0)
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump({**config, "logging": {"format": "json"}}))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "serve", f"--config.file={file}"),
            "--web.listen-address=127.0.0.1:0",
            cwd=ROOT,
            env=dict(os.environ),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stderr
            line = b""
            while b'"listening"' not in line:
                line = await process.stderr.readline()
                assert line, "it ended"
            port = urlsplit(f"//{json.loads(line)['address']}").port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /probe?target=l9 HTTP/1.1\r\nHost: exporter\r\n\r\n")
            async with asyncio.timeout(60):
                while not host._under_way:
                    await asyncio.sleep(0.01)
                writer.close()
                while host._under_way:
                    await asyncio.sleep(0.01)
        finally:
            process.terminate()
            await process.wait()
        assert process.returncode == 0


async def test_systemd_is_told_when_it_is_ready_alive_reloaded_and_stopping(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    class Manager(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            told.put_nowait(data.decode())

    path = tmp_path / "notify"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    listening.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Manager, sock=listening)
    file = tmp_path / "config.yaml"
    file.write_text("fleet: {miner_ips: [127.77.0.1]}\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "serve", f"--config.file={file}"),
        "--web.listen-address=127.0.0.1:0",
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "20000"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            assert [await told.get() for _ in range(2)] == ["STATUS=1 miners, 0 pools", "READY=1"]
            assert [await told.get() for _ in range(3)] == ["WATCHDOG=1"] * 3

            async def news() -> str:
                while (said := await told.get()) == "WATCHDOG=1":
                    pass
                return said

            file.write_text("fleet: {miner_ips: [127.77.0.1, 127.77.0.2]}\n")
            process.send_signal(signal.SIGHUP)
            assert await news() == "STATUS=2 miners, 0 pools"
            file.write_text("fleet: {miner_ips: [127.77.0.1], miners_ip: []}\n")
            process.send_signal(signal.SIGHUP)
            assert (await news()).startswith(
                f"STATUS=2 miners, 0 pools; not taken over: {file}:1: fleet.miners_ip: unknown key"
            )
            process.terminate()
            assert await news() == "STOPPING=1"
    finally:
        if process.returncode is None:
            process.terminate()
        assert await process.wait() == 0
        transport.close()
