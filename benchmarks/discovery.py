"""What discovery costs, both ways: benchmarks/discovery.py [--targets N] [--write]

Twenty thousand targets served to who scrapes them, and a scan of a /16 of loopback for a few miners.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import yaml

from benchmarks.fleet import cpu_seconds, resident_mib
from benchmarks.report import write
from exporter.simulator.simulation import Simulation, mixed_fleet
from exporter.simulator.stack import free_port

REQUESTS = 20


async def serving(targets: int, directory: Path) -> list[str]:
    """Ask a real exporter with so many miners for them."""
    miners = [
        {
            "address": f"127.{20 + index // 60000}.{index // 250 % 240}.{1 + index % 250}",
            "name": f"barn{index // 60}-l9-{index}",
            "labels": {"site": f"barn{index // 60}", "rack": str(index % 60 // 6)},
        }
        for index in range(targets)
    ]
    config = directory / "config.yaml"
    config.write_text(yaml.safe_dump({"fleet": {"miners": miners}, "logging": {"level": "ERROR"}}), "utf-8")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "serve", f"--config.file={config}"),
        f"--web.listen-address=127.0.0.1:{port}",
    )
    try:
        # What is compressed is taken as it comes.
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get("/-/ready") as response:
                        if response.status == 200:
                            break
                await asyncio.sleep(0.2)
            started = cpu_seconds(process.pid)
            lines = [f"{targets:,} miners: read in {started:.1f} s of processor time."]
            tag = ""
            for name, encoding in (("whole", "identity"), ("compressed", "gzip"), ("unchanged", "gzip")):
                headers = {"Accept-Encoding": encoding}
                if name == "unchanged":
                    headers["If-None-Match"] = tag
                before, seconds, size = cpu_seconds(process.pid), [], 0
                for _ in range(REQUESTS):
                    clock = time.perf_counter()
                    async with session.get("/sd/miners", headers=headers) as response:
                        size = len(await response.read())
                        tag = response.headers["ETag"]
                    seconds.append(time.perf_counter() - clock)
                used = (cpu_seconds(process.pid) - before) / REQUESTS * 1000
                median = statistics.median(seconds) * 1000
                lines.append(
                    f"`/sd/miners` {name}: {size / 1e6:.2f} MB in {median:.0f} ms, "
                    f"{used:.0f} ms of processor time."
                )
            lines.append(f"Resident memory then: {resident_mib(process.pid):.0f} MiB.")
    finally:
        process.terminate()
        await process.wait()
    return lines


async def scanning(directory: Path) -> list[str]:
    """Look for twelve miners in 65,534 addresses, with the real command."""
    # The default port of miners cannot be had by who is not root; all have one of their own here.
    port = free_port("127.77.0.1")
    async with Simulation(mixed_fleet(12), port=port) as simulation:
        config = directory / "scan.yaml"
        config.write_text(yaml.safe_dump({"fleet": {"allowed_networks": ["127.77.0.0/16"]}}), "utf-8")
        clock = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "discover", "127.77.0.0/16", f"--port={port}"),
            *("--json", f"--config.file={config}"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        seconds = time.perf_counter() - clock
    found = len(yaml.safe_load(output))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        f"`discover 127.77.0.0/16`: {found} of {len(simulation.miners)} miners found among 65,534 addresses "
        f"in {seconds:.0f} s, with {memory:.0f} MiB at most. Addresses that refuse take none; of those that "
        "keep silent 256 at once take a second, 256 s for a /16.",
    ]


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="minefleet-discovery-") as name:
        scan = await scanning(Path(name))
        lines = [*scan, *await serving(arguments.targets, Path(name))]
    text = "\n".join(f"- {line}" for line in lines)
    print(text)
    if arguments.write:
        write("discovery", text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--targets", type=int, default=20_000)
    parser.add_argument("--write", action="store_true", help="put the report into docs/scale.md")
    sys.exit(asyncio.run(main(parser.parse_args())))
