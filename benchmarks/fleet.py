"""What a large fleet costs: benchmarks/fleet.py [--miners N] [--minutes M] [--no-chips]

The exporter runs in a process of its own on the first core; this one plays the miners and Prometheus on the
second. Every miner is probed once a minute: most are healthy, 10 % are dead (nobody listens), 5 % accept and
never answer, 1 % give hostile answers. Printed: healthy scrapes that were missed, the exporter's resident
memory and its share of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import yaml

from exporter.simulator.api_v1 import uptime
from exporter.units import uptime_seconds
from tests.hostile.faults import healthy_answers, miner_faults

PORT = 8177
_TIMEOUT = 10.0
# The kinds of every hundred miners, from which place on.
_KINDS = ((16, "healthy"), (15, "hostile"), (10, "hanging"), (0, "dead"))


class Farm:
    """Listening sockets of loopback addresses, one a miner, each with prepared answers."""

    def __init__(self, count: int) -> None:
        faults = [fault for fault in miner_faults() if fault.reasons is not None]
        healthy = [
            {
                path: raw.replace(b"HTTP/1.1 200 X", b"HTTP/1.1 200 OK")
                for path, raw in healthy_answers(model).items()
            }
            for model in ("l9", "l7")
        ]
        self.kinds: list[str] = []
        self._servers: dict[int, asyncio.Server] = {}
        self._answers: list[dict[str, bytes] | None] = []
        self._started = time.monotonic()
        for index in range(count):
            place = index % 100
            kind = (
                "dead" if place < 10 else "hanging" if place < 15 else "hostile" if place == 15 else "healthy"
            )
            self.kinds.append(kind)
            answers = healthy[index % 2]
            if kind == "hostile":
                fault = faults[index // 100 % len(faults)]
                answers = {**answers, fault.path: fault.raw}
            self._answers.append(answers if kind in ("healthy", "hostile") else None)

    def address(self, index: int) -> str:
        """The address of a miner."""
        return f"127.78.{index // 250}.{1 + index % 250}"

    async def start(self) -> None:
        """Listen for all but the dead."""
        for index, kind in enumerate(self.kinds):
            if kind != "dead":
                handler = self._hang if kind == "hanging" else self._handler(index)
                self._servers[index] = await asyncio.start_server(
                    handler, self.address(index), PORT, backlog=16
                )

    def unplug(self, index: int) -> None:
        """Nobody listens at this miner's address any more."""
        self._servers.pop(index).close()
        # The connections that are open stay so; who asks on them finds them closed.
        self._answers[index] = None

    async def _hang(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3 * _TIMEOUT)
        writer.close()

    def _handler(self, index: int):  # type: ignore[no-untyped-def]
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    answers = self._answers[index]
                    if answers is None:
                        break
                    path = head.split(b" ", 2)[1].decode("latin-1").removeprefix("/api/v1/")
                    answer = answers.get(path, b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n")
                    writer.write(self._dated(answer) if path == "info" else answer)
                    await writer.drain()
                    if self.kinds[index] == "hostile":
                        break
            writer.close()

        return serve

    def _dated(self, answer: bytes) -> bytes:
        """With the uptime of now, of the same length: one that stands still would look like restarts."""
        passed = time.monotonic() - self._started
        return re.sub(
            rb'(?<="uptime": ")\d+ days, [ \d]\d:\d\d(?=")',
            lambda found: uptime((uptime_seconds(found[0].decode()) or 0.0) + passed).encode(),
            answer,
            count=1,
        )


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def write_config(path: Path, farm: Farm, arguments: argparse.Namespace) -> Path:
    """The exporter's configuration for the whole farm."""
    miners = [
        {"address": f"{farm.address(index)}:{PORT}", "name": f"m{index}"} for index in range(arguments.miners)
    ]
    fleet = {
        "miners": miners,
        "poll_interval_seconds": 60,
        "timeout_seconds": _TIMEOUT,
        "collect": {"chips": not arguments.no_chips},
    }
    path.write_text(yaml.safe_dump({"fleet": fleet, "logging": {"level": "ERROR"}}), "utf-8")
    return path


async def main(arguments: argparse.Namespace) -> int:
    """Run and print; 1 if a healthy scrape was missed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    farm = Farm(arguments.miners)
    await farm.start()
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        config = write_config(Path(directory, "config.yaml"), farm, arguments)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "serve"),
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            return await measure(arguments, farm, port, process.pid)
        finally:
            process.terminate()
            await process.wait()


async def measure(arguments: argparse.Namespace, farm: Farm, port: int, pid: int) -> int:
    """Probe everybody once a minute, evenly spread, and print what it cost."""
    connector = aiohttp.TCPConnector(limit=400)
    missed: list[str] = []
    scraped = 0
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/-/ready") as response:
                    if response.status == 200:
                        break
            await asyncio.sleep(0.2)
        empty = resident_mib(pid)

        async def scrape(index: int) -> None:
            nonlocal scraped
            why = ""
            try:
                async with session.get(
                    "/probe",
                    params={"target": f"m{index}"},
                    headers={"X-Prometheus-Scrape-Timeout-Seconds": f"{_TIMEOUT}"},
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
                ) as response:
                    text = await response.text()
                    if response.status != 200:
                        why = f"status {response.status}"
                    elif "\nvnish_up 1" not in text:
                        why = "down"
            except (aiohttp.ClientError, TimeoutError) as error:
                why = type(error).__name__
            scraped += 1
            if farm.kinds[index] == "healthy" and why:
                missed.append(f"m{index}: {why}")

        most = 0.0
        used, started = cpu_seconds(pid), time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        for minute in range(arguments.minutes):
            for index in range(arguments.miners):
                due = started + 60.0 * (minute + index / arguments.miners)
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                tasks.append(asyncio.create_task(scrape(index)))
                if index % 500 == 0:
                    most = max(most, resident_mib(pid))
        await asyncio.gather(*tasks)
        seconds = time.monotonic() - started
        used = cpu_seconds(pid) - used
    kinds = {kind: farm.kinds.count(kind) for kind in ("healthy", "dead", "hanging", "hostile")}
    print(
        ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        "miners;",
        f"chips {not arguments.no_chips}",
    )
    print(f"scrapes {scraped} in {seconds:.0f} s; healthy ones missed: {len(missed)}")
    for line in missed[:10]:
        print(f"  {line}")
    print(f"exporter: {used / seconds:.0%} of a core, {used / max(1, scraped) * 1000:.2f} ms a scrape")
    end = resident_mib(pid)
    print(
        f"resident memory: {empty:.0f} MiB at the start, {max(most, end):.0f} at most, {end:.0f} at the end"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--miners", type=int, default=5000)
    parser.add_argument("--minutes", type=int, default=3)
    parser.add_argument("--no-chips", action="store_true")
    sys.exit(asyncio.run(main(parser.parse_args())))
