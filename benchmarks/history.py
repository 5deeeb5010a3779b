"""What history costs on disk: benchmarks/history.py [--hours H] [--programs DIRECTORY] [--write]

Some simulated miners are probed at a time of their own, which runs as fast as the machine does; what
Prometheus would have stored goes to its blocks (by promtool) and into VictoriaMetrics. The bytes of a sample
are measured; what 60 miners make of them in 90 days and two years is reckoned. Everything is on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import yaml

from benchmarks.report import write
from exporter.config.load import load
from exporter.exposition import Format, render
from exporter.http import Outgoing
from exporter.server.runtime import Runtime
from exporter.simulator.simulation import RELAY, MinerSpec, Simulation
from exporter.simulator.stack import free_port

INTERVAL = 30
THINNED = 300
FLEET = 60
SPANS = {"90 days": 90, "2 years": 730}
SPECS = [MinerSpec("barn1-l9-01", "l9", "1.3.4"), MinerSpec("barn1-l7-02", "l7", "1.2.7")]
# What is stored, the file of its samples, and whether it is thinned to one sample in five minutes.
KINDS = {
    "chips": ("each chip", INTERVAL),
    "rest": ("all but chips", INTERVAL),
    "thinned": ("all but chips, every 5 minutes", THINNED),
}


@dataclass
class Count:
    """What one kind of series came to, all miners together."""

    samples: int = 0
    series: int = 0
    prometheus_bytes: int = 0
    victoria_bytes: int = 0


class Time:
    """A clock that is set; it starts a while ago, so that no sample lies in the future."""

    def __init__(self, hours: float) -> None:
        self.elapsed = 0.0
        # Blocks of Prometheus begin at even hours.
        self.started = float((int(time.time() - hours * 3600) // 86400 - 1) * 86400)

    def clock(self) -> float:
        """Seconds since the start."""
        return self.elapsed

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.started + self.elapsed


async def collect(directory: Path, hours: float, counts: dict[str, Count]) -> None:
    """Probe for *hours* and write each kind's samples, as OpenMetrics, into *directory*."""
    now = Time(hours)
    seen: dict[str, set[str]] = {kind: set() for kind in KINDS}
    async with Simulation(SPECS, clock=now.clock, wall_clock=now.wall, pools=(RELAY,)) as simulation:
        config = directory / "config.yaml"
        wanted = simulation.configuration(poll_interval_seconds=INTERVAL, min_interval_seconds=0)
        config.write_text(yaml.safe_dump(wanted), "utf-8")
        with contextlib.ExitStack() as opened:
            files = {
                kind: opened.enter_context((directory / f"{kind}.om").open("w", encoding="utf-8"))
                for kind in KINDS
            }
            async with Outgoing.open_session() as session:
                outgoing = Outgoing(session, clock=now.clock)
                runtime = Runtime(
                    config, load(config, {}), outgoing, {}, clock=now.clock, wall_clock=now.wall
                )
                for step in range(int(hours * 3600 / INTERVAL)):
                    now.elapsed = float(step * INTERVAL)
                    for target in runtime.fleet.miners.values():
                        _, page = await target.probe(now.clock() + 10)
                        labels = {"job": "minefleet-miners", "instance": target.instance, **target.labels}
                        stamp = f" {now.wall():.0f}\n"
                        for line in render([(labels, page)], Format.TEXT).decode().splitlines():
                            if line.startswith("#"):
                                continue
                            kind = "chips" if 'chip="' in line else "rest"
                            kinds = (
                                (kind, "thinned")
                                if kind == "rest" and step % (THINNED // INTERVAL) == 0
                                else (kind,)
                            )
                            for one in kinds:
                                files[one].write(line + stamp)
                                counts[one].samples += 1
                                seen[one].add(line.rpartition(" ")[0])
            for file in files.values():
                file.write("# EOF\n")
    for kind, names in seen.items():
        counts[kind].series = len(names)


def size(directory: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


async def prometheus_bytes(promtool: str, samples: Path, directory: Path) -> int:
    """The size of Prometheus' blocks of *samples*, a day each, which is what it merges to in a fortnight."""
    process = await asyncio.create_subprocess_exec(
        *(promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h", "--quiet"),
        *(str(samples), str(directory)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise SystemExit(f"promtool made no blocks of {samples.name}")
    return size(directory)


@contextlib.asynccontextmanager
async def victoria(program: str, directory: Path) -> AsyncIterator[str]:
    """A VictoriaMetrics that stores in *directory*; its address."""
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        program,
        *(f"-storageDataPath={directory}", f"-httpListenAddr={address}", "-retentionPeriod=10y"),
        *("-loggerLevel=ERROR", "-maxInsertRequestSize=1GB"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{address}/health") as response:
                        if response.status == 200:
                            break
                await asyncio.sleep(0.1)
        yield address
    finally:
        process.terminate()
        await process.wait()


async def victoria_bytes(program: str, samples: Path, directory: Path) -> int:
    """The size of VictoriaMetrics' data for *samples*, once merged."""
    timeout = aiohttp.ClientTimeout(total=600)
    async with victoria(program, directory) as address, aiohttp.ClientSession(timeout=timeout) as session:
        with samples.open(encoding="utf-8") as lines:
            while block := list(itertools.islice(lines, 200_000)):
                # It takes milliseconds here, where OpenMetrics has seconds.
                body = "".join(f"{line.rstrip()}000\n" for line in block if not line.startswith("#")).encode()
                async with session.post(f"http://{address}/api/v1/import/prometheus", data=body) as response:
                    response.raise_for_status()
        async with session.get(f"http://{address}/internal/force_flush") as response:
            response.raise_for_status()
        async with session.get(f"http://{address}/internal/force_merge") as response:
            response.raise_for_status()
        async with asyncio.timeout(120):
            while await _merging(session, address):  # noqa: ASYNC110 - another program's
                await asyncio.sleep(0.5)
    return size(directory / "data") + size(directory / "indexdb")


async def _merging(session: aiohttp.ClientSession, address: str) -> bool:
    async with session.get(f"http://{address}/metrics") as response:
        lines = (await response.text()).splitlines()
    return any(line.startswith("vm_active_force_merges") and not line.endswith(" 0") for line in lines)


def report(counts: dict[str, Count], hours: float) -> str:
    """The tables of docs/scale.md."""
    lines = [
        f"{len(SPECS)} simulated miners (an L9 and an L7) over {hours:g} hours, asked every {INTERVAL} s.",
        "",
        "| stored | series a miner | samples a miner and day | bytes a sample in Prometheus "
        "| in VictoriaMetrics |",
        "|---|---|---|---|---|",
    ]
    sums = [
        f"| {FLEET} miners | " + " | ".join(f"{span}: Prometheus | VictoriaMetrics" for span in SPANS) + " |",
        "|---|---|---|---|---|",
    ]
    for kind, count in counts.items():
        a_day = count.samples / len(SPECS) / hours * 24
        each = [count.prometheus_bytes / count.samples, count.victoria_bytes / count.samples]
        lines.append(
            f"| {KINDS[kind][0]} | {count.series / len(SPECS):,.0f} | {a_day:,.0f} "
            f"| {each[0]:.2f} | {each[1]:.2f} |"
        )
        spans = [f"{a_day * FLEET * days * one / 1e9:,.1f} GB" for days in SPANS.values() for one in each]
        sums.append(f"| {KINDS[kind][0]} | {' | '.join(spans)} |")
    return "\n".join([*lines, "", *sums])


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.programs:
        os.environ["PATH"] = f"{arguments.programs}{os.pathsep}{os.environ['PATH']}"
    promtool, program = shutil.which("promtool"), shutil.which("victoria-metrics")
    if not promtool or not program:
        print("promtool and victoria-metrics are needed on PATH", file=sys.stderr)
        return 2
    counts = {kind: Count() for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="minefleet-history-") as name:
        directory = Path(name)
        await collect(directory, arguments.hours, counts)
        for kind, count in counts.items():
            samples = directory / f"{kind}.om"
            for store in ("prometheus", "victoria"):
                (directory / kind / store).mkdir(parents=True)
            count.prometheus_bytes = await prometheus_bytes(
                promtool, samples, directory / kind / "prometheus"
            )
            count.victoria_bytes = await victoria_bytes(program, samples, directory / kind / "victoria")
    text = report(counts, arguments.hours)
    print(text)
    if arguments.write:
        write("history", text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--programs", metavar="DIRECTORY", help="where the programs are, if not on PATH")
    parser.add_argument("--write", action="store_true", help="put the report into docs/scale.md")
    sys.exit(asyncio.run(main(parser.parse_args())))
