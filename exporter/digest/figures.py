"""What a day came to, asked of Prometheus or VictoriaMetrics; a figure nobody knows is ``None``, never 0.

The interface is https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

import aiohttp

# How often a day is looked at for sums over it.
_STEP_SECONDS = 300
_REQUEST_SECONDS = 60.0
# What was last said before a moment counts for it this long.
_RECENT = "[1h]"
WORST = 3
# Alerts that end only when somebody goes there with tools.
HANDS = "MinefleetMiner(Offline|Board.*|Chips.*|FanLost|FanSlow|TemperatureHigh|PsuHot|Zombie)"
# Fires always; it says that alerts are recorded at all.
WATCHDOG = "Watchdog"


class PrometheusError(Exception):
    """Prometheus does not answer, or refuses; the text says how."""


class Day(NamedTuple):
    """A day from one midnight to the next, in Unix seconds."""

    on: date
    start: float
    end: float

    @property
    def until(self) -> float:
        """The last moment of it: a window that ends then holds the day's looks and no other's."""
        return self.end - 0.001

    @classmethod
    def of(cls, day: date, zone: tzinfo | None) -> Day:
        """*day* in *zone*, or in the system's."""
        begin, end = (
            datetime.combine(one, time(), zone) if zone else datetime.combine(one, time()).astimezone()
            for one in (day, day + timedelta(days=1))
        )
        return cls(day, begin.timestamp(), end.timestamp())


@dataclass(slots=True)
class Loser:
    """A miner and the dollars it lost in the day, by cause where that is known, the dearest first."""

    name: str
    usd: float
    causes: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Credit:
    """What one account credited of the work done for it; *error* is what luck alone does to that ratio."""

    account: str
    ratio: float
    error: float | None = None


@dataclass(slots=True)
class Digest:
    """A day. Money is USD, ratios are from 0 to 1.

    *earned* is in coins, by the pools' own count; *earned_usd* its worth by the prices of the day's end,
    *unpriced* the coins it lacks. *hashed_usd* is what the hashes should have earned. *hands* are the reasons
    to go to a miner, by its name. *alerts* are counts by name; ``None`` where none is recorded at all.
    """

    day: Day
    earned: dict[str, float] = field(default_factory=dict)
    earned_usd: float | None = None
    unpriced: list[str] = field(default_factory=list)
    hashed_usd: float | None = None
    cost_usd: float | None = None
    lost_usd: float | None = None
    miners: int | None = None
    availability: float | None = None
    watched: float | None = None
    worst: list[Loser] = field(default_factory=list)
    hands: dict[str, list[str]] = field(default_factory=dict)
    alerts: dict[str, int] | None = None
    credit: list[Credit] = field(default_factory=list)

    @property
    def profit_usd(self) -> float | None:
        """What is left after electricity of what was earned, or else of what the hashes were worth."""
        made = self.hashed_usd if self.earned_usd is None else self.earned_usd
        return None if made is None or self.cost_usd is None else made - self.cost_usd


Labels = tuple[str, ...]


class Prometheus:
    """Instant queries of one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def ask(self, query: str, at: float, *labels: str) -> dict[Labels, float]:
        """The values of *query* at a time, by the values of *labels*.

        Raises:
            PrometheusError: there is no answer, or it is no Prometheus's.
        """
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        try:
            async with self._session.post(
                f"{self._url}/api/v1/query",
                data={"query": query, "time": f"{at:.3f}"},
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                text = await answer.text()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PrometheusError(f"{self._url} does not answer ({type(error).__name__})") from None
        try:
            data = json.loads(text)
            if status != 200:
                raise PrometheusError(f"{self._url} refuses a query: {data.get('error', status)}")
            found = {
                tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1])
                for one in data["data"]["result"]
            }
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise PrometheusError(
                f"{self._url} answers with no Prometheus's answer (status {status})"
            ) from None
        return {key: value for key, value in found.items() if math.isfinite(value)}

    async def one(self, query: str, at: float) -> float | None:
        """The only value of *query*, if there is one."""
        return (await self.ask(query, at)).get(())


async def read(server: Prometheus, day: Day, now: float) -> Digest:
    """Ask for everything a digest says.

    Raises:
        PrometheusError: the server does not answer.
    """
    digest = Digest(day)
    await asyncio.gather(
        _earnings(server, digest, now),
        _money(server, digest),
        _availability(server, digest),
        _losers(server, digest),
        _alerts(server, digest),
        _credit(server, digest),
    )
    return digest


def _summed(series: str, day: Day) -> str:
    """*series*, in something a day, over the day; a time without it adds nothing."""
    window = f"[{day.end - day.start:.0f}s:{_STEP_SECONDS}s]"
    return f"sum_over_time({series}{window}) * {_STEP_SECONDS / 86_400}"


async def _earnings(server: Prometheus, digest: Digest, now: float) -> None:
    day = digest.day
    labels = ("instance", "coin")
    # Some pools tell it of the last 24 hours, some of their last whole day, which is over a little later.
    rolling = await server.ask(f"last_over_time(mining_pool_earned_24h_coins{_RECENT})", day.until, *labels)
    later = min(now, day.end + 3600)
    whole = await server.ask(f"last_over_time(mining_pool_earned_yesterday_coins{_RECENT})", later, *labels)
    prices = await server.ask(
        f"max by (coin) (last_over_time(mining_coin_price_usd{_RECENT}))", day.until, "coin"
    )
    for (_, coin), amount in {**whole, **rolling}.items():
        digest.earned[coin] = digest.earned.get(coin, 0.0) + amount
    priced = {coin: amount for coin, amount in digest.earned.items() if (coin,) in prices}
    digest.unpriced = sorted(set(digest.earned) - set(priced))
    if priced:
        digest.earned_usd = sum(amount * prices[coin,] for coin, amount in priced.items())


async def _money(server: Prometheus, digest: Digest) -> None:
    day = digest.day
    digest.hashed_usd, digest.cost_usd, digest.lost_usd = await asyncio.gather(
        *(
            server.one(f"sum({_summed(f'instance:minefleet_{name}_usd_per_day:estimate', day)})", day.until)
            for name in ("revenue", "electricity", "lost_revenue")
        )
    )


async def _availability(server: Prometheus, digest: Digest) -> None:
    day = digest.day
    window = f"[{day.end - day.start:.0f}s:{_STEP_SECONDS}s]"
    configured = "(minefleet_miner_configured == 1)"
    seen = await server.ask(f"count_over_time({configured}{window})", day.until, "instance")
    if not seen:
        return
    hashing = await server.one(
        f"sum(sum_over_time((instance:vnish_hashing:bool and on (job, instance) {configured}){window}))",
        day.until,
    )
    digest.miners = len(seen)
    digest.availability = (hashing or 0.0) / sum(seen.values())
    digest.watched = min(1.0, max(seen.values()) * _STEP_SECONDS / (day.end - day.start))


async def _losers(server: Prometheus, digest: Digest) -> None:
    day = digest.day
    lost = await server.ask(
        f"topk({WORST}, sum by (instance)"
        f" ({_summed('instance:minefleet_lost_revenue_usd_per_day:estimate', day)}) >= 0.01)",
        day.until,
        "instance",
    )
    causes = await server.ask(
        "sum by (instance, cause)"
        f" ({_summed('instance_cause:minefleet_lost_revenue_usd_per_day:estimate', day)}) >= 0.01",
        day.until,
        "instance",
        "cause",
    )
    for (name,), usd in sorted(lost.items(), key=lambda item: -item[1]):
        own = {cause: part for (miner, cause), part in causes.items() if miner == name}
        dearest = sorted(own.items(), key=lambda item: -item[1])
        digest.worst.append(Loser(name, usd, dict(dearest)))


async def _alerts(server: Prometheus, digest: Digest) -> None:
    day = digest.day
    window = f"[{day.end - day.start:.0f}s]"
    counts = await server.ask(
        f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}{window}))', day.until, "alertname"
    )
    if counts:
        named = {_short(name): int(count) for (name,), count in counts.items() if WATCHDOG not in name}
        digest.alerts = dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))
    labels = ("instance", "alertname", "board", "fan")
    hands = await server.ask(
        f"max by ({', '.join(labels)})"
        f' (last_over_time(ALERTS{{alertstate="firing",alertname=~"{HANDS}"}}[10m]))',
        day.until,
        *labels,
    )
    for miner, alert, board, fan in sorted(hands):
        where = f" {board}" if board else f" {fan}" if fan else ""
        digest.hands.setdefault(miner, []).append(_words(alert) + where)


async def _credit(server: Prometheus, digest: Digest) -> None:
    work = "instance_worker:{}:24h".format
    at = digest.day.until
    credited, done, shares = await asyncio.gather(
        *(
            server.ask(f"sum by (instance) (last_over_time({work(name)}{_RECENT}))", at, "instance")
            for name in (
                "mining_pool_credited_hashes_per_second",
                "vnish_owner_hashrate_hashes_per_second",
                "vnish_shares_accepted",
            )
        )
    )
    for key in sorted(credited.keys() & done.keys()):
        if done[key] > 0:
            count = shares.get(key)
            error = 1 / math.sqrt(count) if count else None
            digest.credit.append(Credit(key[0], credited[key] / done[key], error))


def _short(alert: str) -> str:
    return alert.removeprefix("Minefleet")


def _words(alert: str) -> str:
    """An alert's name as words: ``MinefleetMinerBoardDown`` is ``board down``."""
    name = alert.removeprefix("Minefleet").removeprefix("Miner")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def as_json(digest: Digest) -> Mapping[str, object]:
    """The digest for scripts."""
    return {
        "day": digest.day.on.isoformat(),
        "earned_coins": digest.earned,
        "earned_usd": digest.earned_usd,
        "unpriced_coins": digest.unpriced,
        "hashed_usd": digest.hashed_usd,
        "electricity_usd": digest.cost_usd,
        "profit_usd": digest.profit_usd,
        "lost_usd": digest.lost_usd,
        "miners": digest.miners,
        "availability_ratio": digest.availability,
        "watched_ratio": digest.watched,
        "worst": [{"miner": one.name, "usd": one.usd, "causes": one.causes} for one in digest.worst],
        "hands": digest.hands,
        "alerts": digest.alerts,
        "credit": [{"account": one.account, "ratio": one.ratio, "error": one.error} for one in digest.credit],
    }
