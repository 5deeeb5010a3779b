"""How long hostile answers hold the loop, and what they leave in memory: benchmarks/hostile.py

Every fault of tests/hostile is asked for once through a reader of its own, one after the other; a clock that
ticks every millisecond in the same loop tells the longest time it had to wait. The same devices when healthy
give the figure to compare with.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import structlog

from exporter.address import Endpoint, Policy
from exporter.breaker import Breaker
from exporter.http import Client, Outgoing
from exporter.probe import Reader
from exporter.vnish import metrics
from exporter.vnish.access import Access
from exporter.vnish.reading import MinerReading
from exporter.vnish.source import VnishSource
from tests.hostile.faults import Fault, RawServer, healthy_answers, miner_faults

_TICK_SECONDS = 0.001
# What hung the loop when it was first measured: numbers near zero, as many as fit into an answer.
_WORST = b"[" + b"1e-320," * 500_000 + b"0]"


def resident_mib() -> float:
    """Resident memory of this process."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def watch(worst: list[float]) -> None:
    """Keep in *worst* the longest time the loop let this wait."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_TICK_SECONDS)
        worst[0] = max(worst[0], time.perf_counter() - before - _TICK_SECONDS)


def reader(outgoing: Outgoing, port: int) -> Reader[MinerReading]:
    """A reader of a miner on loopback, as the fleet makes them."""
    endpoint = Endpoint.parse(f"127.0.0.1:{port}")
    source = VnishSource(outgoing.clock, api="v1", access=Access(outgoing.clock))
    return Reader(
        str(port),
        metrics.KIND,
        breaker=Breaker(3, 30.0, outgoing.clock),
        open_client=lambda deadline: Client(outgoing, endpoint, Policy(None), deadline),
        read=source.read,
        clock=outgoing.clock,
        reuse_seconds=0.0,
        reuse_failure_seconds=0.0,
        most_seconds=5.0,
    )


async def stall(fault: Fault | None) -> float:
    """The longest stall of the loop, in seconds, while one device is asked twice."""
    answers = healthy_answers()
    if fault:
        answers[fault.path] = fault.raw
    server = RawServer(answers)
    await server.start()
    worst = [0.0]
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session)
        one = reader(outgoing, server.port)
        await asyncio.sleep(0)
        ticking = asyncio.create_task(watch(worst))
        for _ in range(2):
            one.page(await one.look(outgoing.clock() + 5.0))
        ticking.cancel()
    await server.stop()
    return worst[0]


async def main() -> None:
    """Print the longest stalls and the memory."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    faults = [
        *miner_faults(),
        *(
            Fault(f"{path}: four million bytes of numbers near zero", path, head % len(_WORST) + _WORST, None)
            for path in ("info", "summary", "chains")
        ),
    ]
    healthy = max([await stall(None) for _ in range(20)])
    before = resident_mib()
    found = sorted([(await stall(fault), fault.name) for fault in faults], reverse=True)
    gc.collect()
    print(f"a healthy miner with chips     {healthy * 1000:7.1f} ms, the longest of 20")
    for seconds, name in found[:8]:
        print(f"{name:60} {seconds * 1000:7.1f} ms")
    print(f"{len(faults)} faults; resident memory {before:.0f} MiB before, {resident_mib():.0f} MiB after")


if __name__ == "__main__":
    asyncio.run(main())
