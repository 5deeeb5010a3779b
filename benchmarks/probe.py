"""What a probe costs the exporter, against the bare floor: the same GETs with aiohttp and a JSON parse.

    python benchmarks/probe.py [--miners 60] [--rounds 20] [--chips] [--write]

Without ``--chips`` the fleet is mixed and chips are not collected. With it every miner is an L9 whose 330
chips are, and pyasic-rs, which renders nothing, reads the same miners in the same run (as root, since it
knows port 80 only). ``--write`` measures both and puts the ratios into docs/scale.md.

Simulator, exporter and floor are processes of their own; their CPU time is the operating system's. The
floor and the exporter take turns, so that a noisy machine is noisy for both, and ratios are of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import yaml
from aiohttp import web

from benchmarks.report import write
from exporter.simulator.simulation import MinerSpec, Simulation, mixed_fleet
from exporter.simulator.stack import free_port

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def floor(urls: list[str], rounds: int, page_bytes: int) -> None:
    """The bare floor, as a child process: GET and parse what a probe GETs, and nothing else.

    On ``go`` it does so by itself; asked over HTTP it does so for one miner and answers with a page of the
    size of a probe's, which is the least any exporter on these libraries can do.
    """
    targets = [(url.partition("|")[0], url.partition("|")[2].split(",")) for url in urls]
    page = b"x" * page_bytes
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(base: str, paths: list[str]) -> None:
            for path in paths:
                async with session.get(base + path) as response:
                    json.loads(await response.read())

        async def answer(request: web.Request) -> web.Response:
            await one(*targets[int(request.query["miner"])])
            return web.Response(body=page)

        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        while (await asyncio.to_thread(sys.stdin.readline)).strip() == "go":
            for _ in range(rounds):
                await asyncio.gather(*(one(base, paths) for base, paths in targets))
            print("done", flush=True)
        await runner.cleanup()


async def peer(addresses: list[str], rounds: int) -> None:
    """pyasic-rs, as a child process: reads every miner on each ``go``."""
    import pyasic_rs

    factory = pyasic_rs.MinerFactory()
    found = [await factory.get_miner(address) for address in addresses]
    print("ready", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "go":
        for _ in range(rounds):
            await asyncio.gather(*(miner.get_data() for miner in found))
        print("done", flush=True)


async def simulate(miners: int, directory: Path, *, chips: bool) -> None:
    """The simulator, as a child process; writes the exporter's configuration and waits."""
    specs = [MinerSpec(f"l9-{n}", "l9", "1.2.7") for n in range(miners)] if chips else mixed_fleet(miners)
    port = 80 if chips and os.geteuid() == 0 else 0
    async with Simulation(specs, port=port, network="127.79.0") as simulation:
        config = simulation.configuration(
            min_interval_seconds=0, timeout_seconds=30, collect={"chips": chips}
        )
        (directory / "config.yaml").write_text(yaml.safe_dump(config))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


async def child(*arguments: str) -> asyncio.subprocess.Process:
    """This program again, in another role."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )


async def measure(miners: int, rounds: int, directory: Path, *, chips: bool) -> dict[str, list[float]]:
    """Compare, print, and give back the rows; *directory* is for the exporter's configuration."""
    flags = ["--chips"] if chips else []
    simulator = await child("--simulate", str(directory), "--miners", str(miners), *flags)
    assert simulator.stdout
    assert await simulator.stdout.readline()
    port = free_port()
    exporter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "serve", f"--config.file={directory / 'config.yaml'}"),
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    config = yaml.safe_load((directory / "config.yaml").read_text())
    names = [miner["name"] for miner in config["fleet"]["miners"]]
    base = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await _until_healthy(session, base)
            sizes = [len(await _get(session, f"{base}/probe?target={name}")) for name in names]
            # A second probe shows what is asked each time, without what is kept for minutes.
            await asyncio.gather(*(_get(session, f"{base}/probe?target={name}") for name in names))
            urls = []
            for miner in config["fleet"]["miners"]:
                text = await _get(session, f"{base}/probe?target={miner['name']}&debug=true")
                paths = [
                    line.split()[1].rstrip(":")
                    for line in text.decode().splitlines()
                    if line.startswith("GET ")
                ]
                urls.append(f"http://{miner['address']}|{','.join(paths)}")
            size = round(statistics.mean(sizes))
            bare = await child("--floor", *urls, "--rounds", str(rounds), "--page-bytes", str(size))
            assert bare.stdin
            assert bare.stdout
            served = f"http://127.0.0.1:{int(await bare.stdout.readline())}/?miner="
            other = None
            if chips and os.geteuid() == 0:
                addresses = [miner["address"].partition(":")[0] for miner in config["fleet"]["miners"]]
                other = await child("--peer", *addresses, "--rounds", str(rounds))
                assert other.stdin
                assert other.stdout
                await other.stdout.readline()
            ours, floors, pages, peers = [], [], [], []
            for _ in range(5):
                before = cpu_seconds(bare.pid)
                bare.stdin.write(b"go\n")
                await bare.stdout.readline()
                floors.append((cpu_seconds(bare.pid) - before) / rounds / miners * 1000)
                pages.append(await _cost(session, bare.pid, [f"{served}{i}" for i in range(miners)], rounds))
                ours.append(
                    await _cost(session, exporter.pid, [f"{base}/probe?target={n}" for n in names], rounds)
                )
                if other:
                    before = cpu_seconds(other.pid)
                    other.stdin.write(b"go\n")  # type: ignore[union-attr]
                    await other.stdout.readline()  # type: ignore[union-attr]
                    peers.append((cpu_seconds(other.pid) - before) / rounds / miners * 1000)
            if other:
                other.terminate()
                await other.wait()
            bare.stdin.close()
            await bare.wait()
            requests = statistics.mean(len(url.partition("|")[2].split(",")) for url in urls)
            print(f"{miners} miners, {rounds} probes each, 5 runs; {requests:.1f} requests a probe")
            rows = {
                "exporter CPU a probe, ms": ours,
                "floor: its GETs and JSON alone, ms": floors,
                "floor with a page served, ms": pages,
                "ratio to the floor": [o / f for o, f in zip(ours, floors, strict=True)],
                "ratio to the floor with a page": [o / f for o, f in zip(ours, pages, strict=True)],
            }
            if peers:
                rows["pyasic-rs, rendering nothing, ms"] = peers
                rows["ratio to pyasic-rs"] = [o / p for o, p in zip(ours, peers, strict=True)]
            for name, values in rows.items():
                print(f"{name:36}{_span(values)}")
            print(f"{'page':36}{size / 1024:6.1f} KiB")
            print(f"{'exporter resident':36}{resident_mib(exporter.pid):6.1f} MiB")
            return rows
    finally:
        exporter.terminate()
        await exporter.wait()
        simulator.terminate()
        await simulator.wait()


async def _cost(session: aiohttp.ClientSession, pid: int, urls: list[str], rounds: int) -> float:
    """CPU milliseconds of process *pid* for each GET of *urls*, *rounds* times."""
    before = cpu_seconds(pid)
    for _ in range(rounds):
        await asyncio.gather(*(_get(session, url) for url in urls))
    return (cpu_seconds(pid) - before) / rounds / len(urls) * 1000


def _span(values: list[float] | None) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""


async def report(miners: int, rounds: int) -> str:
    """Both measurements as a table."""
    columns = []
    for chips in (False, True):
        with tempfile.TemporaryDirectory(prefix="minefleet-bench-") as directory:
            columns.append(await measure(miners, rounds, Path(directory), chips=chips))
    without, whole = columns
    lines = [f"| median of five runs, {miners} miners | without chips | with 330 chips |", "|---|---|---|"]
    lines += [f"| {name} | {_span(without.get(name))} | {_span(values)} |" for name, values in whole.items()]
    return "\n".join(lines)


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()


async def _until_healthy(session: aiohttp.ClientSession, base: str) -> None:
    while True:
        try:
            await _get(session, f"{base}/-/healthy")
            return
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)


def main() -> None:
    """Parse and run in one of the three roles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--miners", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--chips", action="store_true", help="L9s with all their chips")
    parser.add_argument("--write", action="store_true", help="put both into docs/scale.md; as root")
    parser.add_argument("--peer", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--simulate", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--floor", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--page-bytes", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.simulate:
        asyncio.run(simulate(arguments.miners, Path(arguments.simulate), chips=arguments.chips))
    elif arguments.peer:
        asyncio.run(peer(arguments.peer, arguments.rounds))
    elif arguments.floor:
        asyncio.run(floor(arguments.floor, arguments.rounds, arguments.page_bytes))
    elif arguments.write:
        write("probe", asyncio.run(report(arguments.miners, arguments.rounds)))
    else:
        with tempfile.TemporaryDirectory(prefix="minefleet-bench-") as directory:
            asyncio.run(measure(arguments.miners, arguments.rounds, Path(directory), chips=arguments.chips))


if __name__ == "__main__":
    main()
