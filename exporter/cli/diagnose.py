"""``diagnose``: what works between here and a miner or pool, step by step, and what to do where it ends."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from exporter import catalogue as c
from exporter.cli.common import (
    command,
    config_option,
    console,
    find,
    json_option,
    open_fleet,
    print_json,
    read_config,
    verdict,
)
from exporter.config.schema import Config
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.fleet import Fleet, Target
from exporter.http import Client
from exporter.market.chains import CHAINS
from exporter.market.market import Known, Market
from exporter.market.settings import MarketSettings
from exporter.pools import Account
from exporter.pools.metrics import figures_dated, usd_per_hash
from exporter.pools.reading import PoolReading
from exporter.probe import Look
from exporter.units import DAY, hashrate_text
from exporter.vnish.reading import MinerReading
from exporter.vnish.verdict import Condition, Kind, Verdict

_CLOCK_SECONDS = 120.0
_ADVICE = {
    Reason.TIMEOUT: "It accepts connections and does not answer: restart it.",
    Reason.CONNECTION: "Is it powered, is its cable in, is this its address? DHCP leases change.",
    Reason.HTTP_STATUS: "It answers, with an error: restart it, and look at its own log.",
    Reason.NOT_JSON: "Something else answers here, or another firmware: open its page in a browser.",
    Reason.BAD_SHAPE: "The answer is of another interface: set api for this miner, or look at its firmware.",
    Reason.UNAUTHORISED: "It wants a password: set password_file (or api_key_file) for this miner.",
    Reason.STOCK_FIRMWARE: "It runs its maker's firmware, which is not read: install VNish, or take it out.",
    Reason.REFUSED: "Add its network to fleet.allowed_networks.",
    Reason.CIRCUIT_OPEN: "Wait for the breaker.",
}

# What to do about a pool; a driver's own advice comes first.
_POOL_ADVICE = {
    Reason.TIMEOUT: "The pool takes too long: raise fleet.timeout_seconds, or try again later.",
    Reason.CONNECTION: "Does this machine reach it, and is base_url right? If others cannot either, wait.",
    Reason.HTTP_STATUS: "The pool answers with an error: try again later.",
    Reason.NOT_JSON: "This is not the pool's interface: check base_url.",
    Reason.HTML: "The pool is under maintenance, or base_url leads to its web page: check it, else wait.",
    Reason.EMPTY: "A pool says nothing when asked too often or for an unknown account: check it.",
    Reason.BAD_SHAPE: "The answer is not what this pool gives: check type and base_url.",
    Reason.UNAUTHORISED: "Compare the key with the pool's page; make a new read-only one if in doubt.",
    Reason.UNKNOWN_ACCOUNT: "Compare the account's name or address with the pool's page.",
    Reason.IP_NOT_ALLOWED: "Add this machine's public address to the key's allow-list at the pool.",
    Reason.THROTTLED: "It is asked too often: raise sync_interval_seconds, and ask from one place only.",
    Reason.POOL_ERROR: "The pool reports an error of its own: try again later.",
    Reason.NO_DATA: "The pool has no figures yet: give it some minutes after the first share.",
    Reason.BUDGET_SPENT: "The hour's requests are spent: raise sync_interval_seconds.",
    Reason.CIRCUIT_OPEN: "Wait for the breaker.",
}

# What to do about a source of the market; nobody has a key for one.
_MARKET_ADVICE = {
    Reason.TIMEOUT: "It takes too long: try again later, or name another source.",
    Reason.CONNECTION: "Does this machine reach the internet? If it may not, write prices_usd instead.",
    Reason.HTTP_STATUS: "It answers with an error: try again later, or name another source.",
    Reason.NOT_JSON: "This is not the source's interface: check base_urls.",
    Reason.HTML: "It is under maintenance, or asks whether a person is asking: name another source.",
    Reason.EMPTY: "It answers with nothing: try again later, or name another source.",
    Reason.BAD_SHAPE: "It answers something else than it used to: name another source, and please report it.",
    Reason.UNAUTHORISED: "It does not answer this address: name another source.",
    Reason.THROTTLED: "It is asked too often from this public address: raise sync_interval_seconds.",
    Reason.POOL_ERROR: "It reports an error of its own: try again later, or name another source.",
    Reason.NO_DATA: "It tells no figure that can be true: name another source, and please report it.",
    Reason.BUDGET_SPENT: "The hour's requests are spent: wait.",
    Reason.CIRCUIT_OPEN: "Wait for the breaker.",
}

# What a miner that answers may have, as the name of a check, and what to do.
_REMEDIES = {
    Kind.NOT_HASHING: ("state", "It answers, but does not mine: look at its log."),
    Kind.NO_HASHES: ("hashrate", "It says it mines, and finds nothing: look at its log, and at its boards."),
    Kind.OVERHEATING: ("temperature", "Stop it, and look at its fans, filters and the air it gets."),
    Kind.WRONG_POOL: ("pools", "Set its pools again, change its password, and find out who changed them."),
    Kind.BOARD_DEAD: (
        "boards",
        "Restart it; if the board stays dead, check its cables, then have it repaired.",
    ),
    Kind.BOARD_MISSING: ("boards", "Check the cables of the board that is missing."),
    Kind.HASHRATE_LOW: ("hashrate", "Look at its boards and chips, and at its preset."),
    Kind.FAN_LOST: ("fans", "Replace the fan, or check its cable."),
    Kind.HOT: ("temperature", "Look at its fans, filters and the air it gets."),
}
_FAILURES = frozenset({Kind.NOT_HASHING, Kind.NO_HASHES, Kind.OVERHEATING, Kind.WRONG_POOL})


@dataclass(frozen=True, slots=True)
class Check:
    """One step: *verdict* is ``ok``, ``warning``, ``failed`` or ``skipped``."""

    name: str
    verdict: str
    detail: str
    advice: str = ""
    seconds: float | None = None


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "diagnose",
        "what works and what does not; exit status 1 if something fails",
        """
        minefleet-exporter diagnose barn1-l9-01     a miner, from its cable to its boards
        minefleet-exporter diagnose litecoinpool    an account at a pool
        """,
    )
    parser.add_argument(
        "target", help="a configured name or address, or an address inside fleet.allowed_networks"
    )
    config_option(parser)
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Diagnose and print; 0 if nothing failed."""
    return asyncio.run(_run(arguments, read_config(arguments)))


async def _run(arguments: argparse.Namespace, config: Config) -> int:
    out = console()
    checks: list[Check] = []
    async with open_fleet(config) as fleet:
        target = find(fleet, arguments.target)
        if isinstance(target, Market):
            steps = _market(target, config)
        elif target.account:
            steps = _pool(target, target.account, config)
        else:
            steps = _miner(fleet, target, config)
        async for check in steps:
            checks.append(check)
            if not arguments.json:
                colour = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}[
                    check.verdict
                ]
                took = f"  {check.seconds * 1000:.0f} ms" if check.seconds is not None else ""
                out.print(f"[{colour}]{check.verdict:8}[/]", end="")
                out.print(f"{check.name:28} {check.detail}{took}", markup=False)
                if check.advice:
                    out.print(f"        {'':28} → {check.advice}", markup=False, style="bold")
    if arguments.json:
        print_json([asdict(check) for check in checks])
    return 1 if any(check.verdict == "failed" for check in checks) else 0


async def _miner(fleet: Fleet, target: Target, config: Config) -> AsyncIterator[Check]:
    configured = target.instance in fleet.miners
    yield Check(
        "configuration", "ok", "a configured miner" if configured else "inside fleet.allowed_networks"
    )
    client = target.reader.open_client(time.monotonic() + config.fleet.timeout_seconds)
    reached = True
    async for check in _network(client):
        reached = reached and check.verdict != "failed"
        yield check
    if not reached:
        return
    look = await target.reader.look(time.monotonic() + config.fleet.timeout_seconds)
    for step in look.steps:
        yield Check(
            step.path,
            "ok" if not step.problem else "warning",
            step.problem or f"status {step.status}, {step.bytes} bytes",
            seconds=step.seconds,
        )
    if look.error or not isinstance(look.reading, MinerReading):
        yield _failed("interface", look.error)
        return
    reading = look.reading
    who = reading.identity
    yield Check(
        "interface",
        "ok",
        f"{who.api}: {who.model or 'unnamed model'}, {who.firmware or ''} {who.firmware_version or ''}",
    )
    if reading.authenticated is not None:
        yield _login(reading)
    page = Page()
    dropped = target.reader.kind.write(reading, page, 0.0)
    yield _units(reading, page)
    if dropped:
        yield Check(
            "plausible",
            "warning",
            f"dropped: {', '.join(sorted(dropped))}",
            "Compare with the miner's own page.",
        )
    if reading.unexpected:
        fields = ", ".join(sorted(reading.unexpected)[:5])
        yield Check(
            "known fields",
            "warning",
            f"unexpected: {fields}",
            "A firmware nobody has seen yet; please report it.",
        )
    judged = verdict(target, look)
    if judged is not None:
        for check in _verdict(reading, judged):
            yield check


def _verdict(reading: MinerReading, judged: Verdict) -> Iterator[Check]:
    """Whether it hashes, and one check for each thing that is wrong."""
    if judged.hashes:
        yield Check("state", "ok", reading.state or "hashing")
    for fault in judged.faults:
        name, advice = _REMEDIES[fault.kind]
        outcome = "failed" if fault.kind in _FAILURES else "warning"
        if fault.kind in (Kind.NOT_HASHING, Kind.NO_HASHES):
            if judged.condition is Condition.STARTING or reading.state == "auto-tuning":
                outcome, advice = "warning", "It does not mine yet; look again in some minutes."
            elif reading.hashrate is None:
                advice = "Its mining process may be dead: restart mining, and look at its log."
        yield Check(name, outcome, fault.text, advice)


def _login(reading: MinerReading) -> Check:
    if reading.authenticated:
        return Check("login", "ok", "with a token or key")
    if reading.unlock_wait:
        return Check(
            "login",
            "failed",
            f"refused; another try in {reading.unlock_wait:.0f} s",
            "Correct the password of this miner in the configuration.",
        )
    return Check("login", "skipped", "not needed: its reads are open")


def _units(reading: MinerReading, page: Page) -> Check:
    rate = page.value(c.HASHRATE)
    if rate is None:
        return Check("units", "warning", "no hashrate that can be true", "Is the mining process running?")
    nominal = page.value(c.HASHRATE_NOMINAL)
    of = f" of {hashrate_text(nominal)} nominal" if nominal else ""
    return Check(
        "units", "ok", f"{reading.identity.algorithm or 'unknown algorithm'}, {hashrate_text(rate)}{of}"
    )


async def _network(client: Client) -> AsyncIterator[Check]:
    endpoint = client.endpoint
    started = time.monotonic()
    try:
        addresses = await client.permitted()
    except ProbeError as error:
        yield _failed("name and address", error)
        return
    found = f"{endpoint.host} is {' and '.join(map(str, addresses))}"
    yield Check("name and address", "ok", found, seconds=time.monotonic() - started)
    yield await _ping(str(addresses[0]))
    started = time.monotonic()
    words = ""
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            async with asyncio.timeout(max(0.1, client.seconds_left / left)):
                _, writer = await asyncio.open_connection(str(address), endpoint.port)
            writer.close()
            break
        except (OSError, TimeoutError) as error:
            words = "no answer" if isinstance(error, TimeoutError) else "refused or unreachable"
    else:
        yield Check("TCP", "failed", f"port {endpoint.port}: {words}", _ADVICE[Reason.CONNECTION])
        return
    yield Check("TCP", "ok", f"port {endpoint.port} accepts", seconds=time.monotonic() - started)
    try:
        answer = await client.request("GET", "/")
    except ProbeError as error:
        yield _failed("HTTP", error)
        return
    yield Check("HTTP", "ok", f"status {answer.status}, {answer.content_type}", seconds=answer.seconds)
    yield _clock(answer.headers.get("Date"))


async def _ping(address: str) -> Check:
    program = shutil.which("ping")
    if program is None:
        return Check("ping", "skipped", "there is no ping here")
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(program, "-n", "-c", "1", "-W", "2", address),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() == 0:
        return Check("ping", "ok", "answered", seconds=time.monotonic() - started)
    return Check(
        "ping",
        "warning",
        "no answer",
        "Some networks drop it; if TCP fails too, the miner is off or elsewhere.",
    )


def _clock(date: str | None) -> Check:
    if not date:
        return Check("clock", "skipped", "it does not tell the time")
    try:
        ahead = parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return Check("clock", "skipped", "its time cannot be read")
    if abs(ahead) > _CLOCK_SECONDS:
        return Check(
            "clock", "warning", f"off by {ahead:+.0f} s", "Set its time server; its own history is misdated."
        )
    return Check("clock", "ok", f"within {abs(ahead):.0f} s of ours")


async def _pool(target: Target, account: Account, config: Config) -> AsyncIterator[Check]:
    yield Check("configuration", "ok", f"an account at {account.type}")
    look, page = await target.probe(time.monotonic() + config.fleet.timeout_seconds)
    for check in _requests(look):
        yield check
    if look.error or not isinstance(look.reading, PoolReading):
        name = {
            Reason.CONNECTION: "service",
            Reason.TIMEOUT: "service",
            Reason.UNAUTHORISED: "authentication",
            Reason.IP_NOT_ALLOWED: "authentication",
            Reason.UNKNOWN_ACCOUNT: "account",
        }.get(look.error.reason if look.error else Reason.NO_DATA, "figures")
        yield _failed(name, look.error, {**_POOL_ADVICE, **account.driver.ADVICE})
        return
    yield Check("authentication", "ok", "not refused")
    reading = look.reading
    for part, up in reading.parts.items():
        if not up:
            yield Check(part, "warning", "this part of the figures failed", "The rest is read all the same.")
    yield _freshness(target, page)
    if reading.workers:
        online = sum(worker.online is not False for worker in reading.workers)
        yield Check("workers", "ok", f"{online} of {len(reading.workers)} seen by the pool")
    elif reading.hashrate or reading.coins:
        yield Check(
            "workers",
            "warning",
            "the pool knows no worker of this account",
            "Does a miner mine to it under this account's name?",
        )
    yield _earnings(target, page)


def _requests(look: Look[Any], of: str = "") -> Iterator[Check]:
    for step in look.steps:
        yield Check(
            f"{of}{step.path}",
            "warning" if step.problem else "ok",
            step.problem or f"status {step.status}",
            seconds=step.seconds,
        )


def _earnings(target: Target, page: Page) -> Check:
    """What a hash of scrypt earns at an account: in USD if that is known, else as it is quoted."""
    found = dict(page.families())
    computed = not any("pool" in labels for labels in found.get(c.MINING_POOL_USD, {}))
    earned = usd_per_hash(page).get("scrypt")
    if earned is not None:
        words = f"a GH/s of scrypt earns ${earned * 1e9 * DAY:.3f} a day"
        return Check("earnings", "ok", f"{words}, computed with the market's figures" if computed else words)
    quoted = [
        f"{value * 1e9 * DAY:.6g} {labels[1] if metric is c.MINING_POOL_COINS else 'BTC'}"
        for metric in (c.MINING_POOL_COINS, c.MINING_POOL_BTC)
        for labels, value in found.get(metric, {}).items()
        if labels[0] == "scrypt" and labels[2] == "pool"
    ]
    advice = "Add the section market to the configuration, which knows prices."
    if target.market is not None:
        advice = "minefleet-exporter diagnose market says what it lacks."
    if quoted:
        words = f"a GH/s of scrypt earns {' and '.join(quoted)} a day; in USD it is not known"
        return Check("earnings", "warning", words, advice)
    return Check("earnings", "skipped", "the pool told no price for a hash", advice)


async def _market(market: Market, config: Config) -> AsyncIterator[Check]:
    settings = market.settings
    yield Check(
        "configuration",
        "ok",
        f"network: {', '.join(settings.network) or 'configured'};"
        f" prices: {', '.join(settings.prices) or 'configured'}",
    )
    # Every source, those too that are asked only when others fail.
    looks = {
        name: await reader.look(time.monotonic() + config.fleet.timeout_seconds)
        for name, reader in market.readers.items()
    }
    view = market.view()
    for name, look in looks.items():
        for check in _requests(look, f"{name} "):
            yield check
        if look.error:
            failed = _failed(name, look.error, _MARKET_ADVICE)
            # Without it all is known: it is a spare that is flat.
            yield failed if view.missing else replace(failed, verdict="warning")
        elif look.reading is not None:
            dropped = ", ".join(sorted(look.reading.dropped))
            told = f"tells of {', '.join(look.reading.coins)}"
            yield Check(
                name,
                "warning" if dropped else "ok",
                f"{told}; dropped: {dropped}" if dropped else told,
                "It tells figures that cannot be true: name another source first." if dropped else "",
            )
    for ticker in CHAINS:
        for what, known in (("network", view.networks.get(ticker)), ("price", view.prices.get(ticker))):
            yield _figure(what, ticker, known, settings)
    usd = usd_per_hash(market.page()).get("scrypt")
    if usd is None:
        yield Check("earnings", "failed", f"not known: {', '.join(view.missing)}")
    else:
        fee = f" less {settings.fee_percent:g} %" if settings.fee_percent else " before fees"
        yield Check("earnings", "ok", f"a GH/s of scrypt earns ${usd * 1e9 * DAY:.3f} a day{fee}")


def _figure(what: str, ticker: str, known: Known | None, settings: MarketSettings) -> Check:
    name = f"{what} of {ticker}"
    if known is None:
        fixed = settings.prices_date and not getattr(settings, "network" if what == "network" else "prices")
        return Check(
            name,
            "failed",
            "nobody tells it, or it is too old",
            "Write the values anew, with today's prices_date." if fixed else "Name another source beside.",
        )
    network, seconds = known.value, max(0.0, time.time() - known.dated)
    old = f"{seconds / DAY:.0f} days" if seconds > 2 * DAY else f"{seconds:.0f} s"
    if what == "price":
        return Check(name, "ok", f"${network.price_usd:g} from {known.source}, {old} old")
    block = f"{network.subsidy:g} {ticker}" if network.subsidy else "an unknown number of coins"
    words = f"difficulty {network.difficulty:.6g}, {block} a block"
    advice = (
        "" if network.subsidy else f"Write market.subsidies: {{{ticker}: ...}}, or name another source first."
    )
    return Check(
        name, "ok" if network.subsidy else "failed", f"{words} from {known.source}, {old} old", advice
    )


def _freshness(target: Target, page: Page) -> Check:
    dated = figures_dated(page)
    limit = target.static.value(c.THRESHOLD_POOL_DATA_AGE) or 0.0
    age = time.time() - dated if dated else None
    if age is None or age > limit:
        words = "undated" if age is None else f"{age / 60:.0f} min old"
        return Check("freshness", "failed", f"figures are {words}", "The pool serves old figures.")
    words = f"figures are {max(0.0, age):.0f} s old, shown up to {limit / 60:.0f} min"
    return Check("freshness", "ok", words)


def _failed(name: str, error: ProbeError | None, advice: Mapping[Reason, str] | None = None) -> Check:
    if error is None:
        return Check(name, "failed", "no reading")
    return Check(name, "failed", str(error), (advice or _ADVICE).get(error.reason, ""))
