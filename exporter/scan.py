"""Find VNish miners in a network: who listens, and what he says he is; and Antminers with another firmware.

Only addresses inside ``fleet.allowed_networks`` are touched, or without a configuration those of private
networks the owner names, a bounded number at once and a second, by the same client and address policy as
every probe. Who asks for HTTP Digest, as firmware 3.9 does, gets the maker's default password. A configured
miner gets its own, since without one the firmware hides whom it mines for; no other is offered to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.address import Address, Endpoint, Network, Policy
from exporter.config.schema import Miner
from exporter.errors import ProbeError
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.vnish.access import Access
from exporter.vnish.audit import mined_pool
from exporter.vnish.cgi import StockFirmwareError
from exporter.vnish.metrics import samples
from exporter.vnish.reading import Identity, MinerReading
from exporter.vnish.source import VnishSource
from exporter.vnish.verdict import Glance, Limits, Verdict, judge

MOST_ADDRESSES = 65_536
_LONGEST_NAME = 128
# Most addresses of a network are nobody's, and each makes its switches ask everybody for it.
MOST_PER_SECOND = 1000
_WIDEST_PREFIX = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A miner that was found; *stock* is one with its maker's firmware, which nothing here can read."""

    endpoint: Endpoint
    identity: Identity
    # Its condition when it was found, by no thresholds: those belong to configured miners.
    verdict: Verdict | None = None
    stock: bool = False
    # What it mines as, the account's name before a dot left out; empty where it does not show that.
    worker: str = ""

    def row(self) -> dict[str, str]:
        """What identifies it, as text; ``api`` is empty for one that cannot be read."""
        who = self.identity
        firmware = " ".join(part for part in (who.firmware, who.firmware_version) if part)
        if self.stock:
            firmware = "stock"
        return {
            "address": str(self.endpoint),
            "model": who.model or "",
            "firmware": firmware,
            "mac": who.mac or "",
            "hostname": who.hostname or "",
            "algorithm": who.algorithm or "",
            "api": "" if self.stock else who.api,
            "state": str(self.verdict.condition) if self.verdict else "",
            "worker": self.worker,
        }


def parse_network(text: str) -> Network:
    """*text* as a network.

    Raises:
        ValueError: it is none.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"{text}: expected a network such as 192.168.1.0/24") from None


def private_networks(networks: Sequence[str]) -> tuple[Network, ...]:
    """*networks* as those that may be asked where no configuration allows any.

    Raises:
        ValueError: one is no network, or reaches into the internet.
    """
    parsed = tuple(map(parse_network, networks))
    for network in parsed:
        if not network.is_private:
            raise ValueError(
                f"{network}: expected a private network; another must be in fleet.allowed_networks"
            )
    return parsed


def own_networks(routes: str) -> list[str]:
    """The private networks this machine is in, of *routes* as Linux has them in ``/proc/net/route``.

    Those of containers, and those wider than a /20, are not taken for a place where miners are.
    """
    found = []
    for line in routes.splitlines()[1:]:
        device, destination, gateway, _, _, _, _, mask = line.split()[:8]
        address, bits = (
            ipaddress.IPv4Address(int(word, 16).to_bytes(4, "little")) for word in (destination, mask)
        )
        network = ipaddress.ip_network(f"{address}/{bits}")
        reached = int(gateway, 16) == 0 and network.prefixlen >= _WIDEST_PREFIX
        if reached and network.is_private and not device.startswith(("docker", "br-", "veth", "virbr")):
            found.append(str(network))
    return found


def addresses(networks: Sequence[str], allowed: Sequence[Network]) -> list[Address]:
    """The host addresses of *networks*, each once.

    Raises:
        ValueError: one is no network, is not inside the allowed ones, or they are too many together.
    """
    found: dict[Address, None] = {}
    for network in map(parse_network, dict.fromkeys(networks)):
        inside = [known for known in allowed if known.version == network.version]
        if not any(network.subnet_of(known) for known in inside):  # type: ignore[arg-type]
            raise ValueError(f"{network}: expected a network inside fleet.allowed_networks")
        if len(found) + network.num_addresses > MOST_ADDRESSES:
            raise ValueError(f"{network}: expected at most {MOST_ADDRESSES} addresses in all")
        found |= dict.fromkeys(network.hosts() if network.num_addresses > 2 else network)
    return list(found)


async def scan(
    outgoing: Outgoing,
    hosts: Sequence[Address],
    allowed: Sequence[Network],
    *,
    port: int = 80,
    at_once: int = 256,
    per_second: float = MOST_PER_SECOND,
    connect_seconds: float = 1.0,
    read_seconds: float = 5.0,
    progress: Callable[[], None] = lambda: None,
    miners: Iterable[Miner] = (),
) -> AsyncIterator[Found]:
    """Miners among *hosts*, in the order they answer; *progress* is called once for each address.

    *miners* are those configured already, which are asked with their own passwords and keys. Never more than
    *at_once* addresses are being asked, and *per_second* are begun.
    """
    configured = {(one.host, one.port): miner for miner in miners for one in [Endpoint.parse(miner.address)]}
    policy = Policy(tuple(allowed))
    waiting = iter(hosts)
    next_start = outgoing.clock()
    # What was found; None for a worker that is done.
    results: asyncio.Queue[Found | None] = asyncio.Queue()

    async def look(address: Address) -> Found | None:
        try:
            if not await _listens(str(address), port, connect_seconds):
                return None
            endpoint = Endpoint("http", str(address), port)
            client = Client(outgoing, endpoint, policy, outgoing.clock() + read_seconds)
            reading = await _source(outgoing, configured.get((endpoint.host, port))).read(client)
            page = Page()
            samples(reading, page)
            judged = judge(Glance.of(reading, page), Limits())
            return Found(endpoint, reading.identity, judged, worker=mined_as(reading))
        except StockFirmwareError as error:
            return Found(endpoint, error.identity, stock=True)
        except ProbeError:
            return None

    async def work() -> None:
        nonlocal next_start
        try:
            for address in waiting:
                now = outgoing.clock()
                start = max(now, next_start)
                next_start = start + 1 / per_second
                await outgoing.sleep(start - now)
                if one := await look(address):
                    results.put_nowait(one)
                progress()
        finally:
            results.put_nowait(None)

    workers = [asyncio.create_task(work()) for _ in range(min(at_once, len(hosts)))]
    running = len(workers)
    try:
        while running:
            one = await results.get()
            if one is None:
                running -= 1
            else:
                yield one
        # Raises what a worker raised.
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()


def _source(outgoing: Outgoing, miner: Miner | None) -> VnishSource:
    """What reads a miner's identity, its state and its pools."""
    password = miner.secret_password if miner else None
    key = miner.secret_key if miner else None
    access = Access(outgoing.clock, password=password, api_key=key, full_detail=bool(password or key))
    return VnishSource(outgoing.clock, password=password, access=access, boards=False, chips=False)


def mined_as(reading: MinerReading) -> str:
    """The worker a miner mines as now: its user at the pool, without the account before the first dot.

    Empty where the firmware hides the user, or the user is an account or a wallet alone.
    """
    pool = mined_pool(reading)
    worker = (pool.user or "").partition(".")[2].strip() if pool else ""
    return "" if set(worker) <= {"*"} else worker[:_LONGEST_NAME]


async def _listens(host: str, port: int, seconds: float) -> bool:
    """Whether a connection can be made; most addresses of a network are nobody's, and say so slowly."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def configuration(found: Sequence[Found], networks: Sequence[str]) -> dict[str, Any]:
    """A ``fleet`` section for the configuration file: the miners that can be read, and where they are."""
    miners: list[dict[str, str]] = []
    taken: set[str] = set()
    for one in (one for one in found if not one.stock):
        row = one.row()
        name = row["hostname"] if row["hostname"] not in ("", "antminer", "antMiner") else ""
        name = wanted = name or row["mac"].replace(":", "") or row["address"]
        count = 1
        while name in taken:
            count += 1
            name = f"{wanted[:120]}-{count}"
        taken.add(name)
        worker = {"worker": row["worker"]} if row["worker"] else {}
        miners.append({"address": row["address"], "name": name, **worker})
    allowed = [str(network) for network in map(parse_network, dict.fromkeys(networks))]
    return {"fleet": {"miners": miners, "allowed_networks": allowed}}


def file_sd(found: Sequence[Found], exporter: str) -> list[dict[str, Any]]:
    """Prometheus file service discovery, for a job without relabelling."""
    return [
        {
            "targets": [exporter],
            "labels": {
                "__metrics_path__": "/probe",
                "__param_target": entry["address"],
                "instance": entry["name"],
            },
        }
        for entry in configuration(found, ())["fleet"]["miners"]
    ]
