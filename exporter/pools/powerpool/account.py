"""The account, ``GET /api/user?apiKey=KEY``, and everybody's rates, ``GET /api/pool``.

The account's answer is an object with one key, the user's name. Hashrates are a number and, beside it, a
unit that changes from answer to answer (``hashrate_units``: ``KH/s`` to ``TH/s``). All algorithms and coins
of the pool are listed, most with zeros; a worker can stand under several algorithms, idle in all but one, and
one that is not connected is not listed. ``valid_shares`` and its siblings are numbers of shares, ``payments``
have Unix seconds. ``estimated_24h_usd_revenue`` is for a day at ``hashrate_avg``; over which time that is
averaged is told nowhere. A key the pool does not know gets ``{}``, and so does, now and then, a good one.

``pools`` of everybody's answer has for each algorithm ``BTCpayRate``: BTC for a day of one ``payRateUnits``
(``GH``), divided by ``payRateConversion`` for one hash per second; ``fee`` is a percentage. ``prices`` are
USD. Only older pages of the pool document these names, so they are read in any spelling, and a rate whose
unit is in doubt is none. Source: the pool's page, a recorded answer of July 2025, and public clients.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import Context, PoolSource
from exporter.pools.answers import MAX_BYTES, ask, noted
from exporter.pools.parts import Parts
from exporter.pools.reading import PoolReading, Profitability, Worker
from exporter.pools.workers import Seen, bounded
from exporter.units import DAY, hashrate_scale

# After so many answers of nothing the key is wrong; fewer are the pool's own weakness.
_MOST_EMPTY = 3
_POOL_SECONDS = 300.0
# The quickest of the clients people use ask once a minute.
_REPEAT_SECONDS = 60.0
_MOST_ROWS = 20_000
# Twice an account of five thousand workers, since idle copies of them are listed too.
_MAX_BYTES = 2 * MAX_BYTES
_MOST_PAYMENTS = 1000
_PERCENT = 1e-2
# The pool's names of algorithms to the ones used here.
_ALGORITHMS = {"scrypt": "scrypt", "sha256": "sha256d", "sha256d": "sha256d"}
# Coins whose price is worth knowing whatever the account holds.
_COINS = ("BTC", "LTC", "DOGE")
_COUNTS = ("valid_shares", "invalid_shares", "stale_shares", "blocks")
# The pool's rate and its estimate are of one thing; who is this far from the other has another unit.
_MOST_APART = 10.0


@dataclass(slots=True)
class Rates:
    """What the pool pays everybody: BTC for a hash and the fee by algorithm, and prices in USD by coin."""

    btc: dict[str, float] = field(default_factory=dict)
    fee_ratio: dict[str, float] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)


class PowerSource(PoolSource):
    """Reads one account."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: SecretStr,
        context: Context,
        *,
        algorithm: str,
        every_seconds: float,
        kept_seconds: float,
        offline_after_seconds: float,
    ) -> None:
        self.endpoint = endpoint
        self._key = key
        self._algorithm = algorithm
        self._every_seconds = every_seconds
        self._parts = Parts(
            context.clock, kept_seconds=kept_seconds, repeat_seconds=_REPEAT_SECONDS, sleep=context.sleep
        )
        self._seen = Seen(context.clock, offline_after_seconds)
        self._empty = 0
        # A coin that was there once is told when there is nothing left of it.
        self._held: set[str] = set()

    async def read(self, client: Client) -> PoolReading:
        """One reading; one request, and every five minutes a second one.

        Raises:
            ProbeError: ``empty`` for an answer of nothing, ``unauthorised`` for the third in a row,
                ``bad_shape`` for an answer that is no account's, else as ``ask``.
        """
        odd: Counter[str] = Counter()
        user = await self._parts.required(client, "user", self._every_seconds, self._user)

        async def ask_pool(client: Client) -> Rates:
            data = await ask(client, "/api/pool")
            if not isinstance(data, dict):
                raise noted(client, ProbeError(Reason.BAD_SHAPE, "/api/pool is not an object"))
            return rates_of(data, odd)

        rates = await self._parts.optional(client, "pool", _POOL_SECONDS, ask_pool)
        found = reading(user, rates or Rates(), self._algorithm, self._held, odd)
        away = self._seen.gone([worker.name for worker in found.workers])
        found.workers += [Worker(name, online=False) for name in away]
        found.workers_offline = (found.workers_offline or 0.0) + len(away)
        found.parts = self._parts.up
        return found

    async def _user(self, client: Client) -> dict[str, Any]:
        data = await ask(
            client, "/api/user", query={"apiKey": self._key.get_secret_value()}, max_bytes=_MAX_BYTES
        )
        if data is None or data == {} or data == []:
            self._empty += 1
            if self._empty >= _MOST_EMPTY:
                words = f"/api/user answered with nothing {self._empty} times: the key is wrong"
                raise noted(client, ProbeError(Reason.UNAUTHORISED, words))
            raise noted(client, ProbeError(Reason.EMPTY, "/api/user answered with nothing"))
        self._empty = 0
        accounts = data.values() if isinstance(data, dict) else ()
        for account in accounts:
            if isinstance(account, dict) and ("hashrate" in account or "workers" in account):
                return account
        raise noted(client, ProbeError(Reason.BAD_SHAPE, "/api/user is not an account"))


def reading(
    user: dict[str, Any], rates: Rates, algorithm: str, held: set[str], odd: Counter[str]
) -> PoolReading:
    """The account as a reading; *held* are coins it once had, and those it has now are added."""
    found = PoolReading(unexpected=odd)
    account = Fields(user, "user", odd)
    speeds = account.object("hashrate")
    names = speeds.keys()
    for name in names:
        known = _ALGORITHMS.get(name.lower())
        if known is None:
            continue
        speed = speeds.object(name)
        if known == algorithm:
            now = _rate(speed, "hashrate")
            if now is not None:
                found.hashrate["now"] = now
        quote = _quote(speed, known, rates, odd)
        if quote is not None:
            found.profitability.append(quote)
    for known, btc in rates.btc.items():
        if all(one.algorithm != known for one in found.profitability):
            found.profitability.append(_priced(known, btc, rates))
    found.fee_ratio = rates.fee_ratio.get(algorithm)
    for ticker, price in rates.prices.items():
        found.network(ticker).price_usd = price
    _money(found, account, held)
    if "workers" in account:
        _workers(found, account.object("workers"), algorithm)
    return found


def _rate(fields: Fields, key: str) -> float | None:
    """A hashrate in hashes per second; one without a unit is none, save that nothing is nothing."""
    value = fields.numeral(key)
    if value is None or value == 0:
        return value
    scale = hashrate_scale(fields.text(f"{key}_units") or "")
    if scale is None:
        fields.odd(f"{key}_units")
        return None
    return value * scale


def _quote(speed: Fields, algorithm: str, rates: Rates, odd: Counter[str]) -> Profitability | None:
    """What a hash earns by the account's own estimate; ``None`` while it does not hash."""
    average = _rate(speed, "hashrate_avg")
    revenue = speed.numeral("estimated_24h_usd_revenue")
    if not average or average < 0 or revenue is None:
        return None
    usd = revenue / (average * DAY)
    btc, price = rates.btc.get(algorithm), rates.prices.get("BTC")
    if btc is not None and price and usd > 0 and not 1 / _MOST_APART < btc * price / usd < _MOST_APART:
        odd["pools.*.BTCpayRate"] += 1
        btc = None
    return Profitability(algorithm, usd=usd, btc=btc)


def _priced(algorithm: str, btc: float, rates: Rates) -> Profitability:
    price = rates.prices.get("BTC")
    return Profitability(algorithm, btc=btc, usd=btc * price if price else None)


def _money(found: PoolReading, account: Fields, held: set[str]) -> None:
    balances = {}
    for row in account.objects("balances", _MOST_PAYMENTS):
        ticker = _ticker(row, "coinTicker")
        balance = row.numeral("balance")
        if ticker and balance is not None:
            balances[ticker] = balance
            if balance > 0:
                held.add(ticker)
    for row in account.objects("payments", _MOST_PAYMENTS):
        ticker, time, value = _ticker(row, "ticker"), row.numeral("timestamp"), row.numeral("value")
        if not ticker or not time or value is None:
            continue
        held.add(ticker)
        found.coin(ticker).paid_at(time, value)
    for ticker in held & balances.keys():
        found.coin(ticker).balance_confirmed = balances[ticker]


def _ticker(row: Fields, key: str) -> str:
    text = (row.text(key) or "").upper()
    return text if re.fullmatch(r"[A-Z0-9]{1,12}", text) else ""


def _workers(found: PoolReading, workers: Fields, algorithm: str) -> None:
    """Those of the account's algorithm, and those that did something under another."""
    rows: dict[str, tuple[int, Fields]] = {}
    nameless = 0
    names = workers.keys()
    for name in names:
        known = _ALGORITHMS.get(name.lower())
        if known is None:
            continue
        for row in workers.objects(name, _MOST_ROWS):
            busy = any(row.numeral(key) for key in (*_COUNTS, "hashrate", "hashrate_avg"))
            # 3: the account's algorithm, and at work; 2: another, and at work; 1: the account's, idle.
            rank = 2 * busy + (known == algorithm)
            worker = row.text("name")
            if worker is None:
                nameless += 1
            elif rank > rows.get(worker, (0, row))[0]:
                rows[worker] = (rank, row)
    found.workers, cut = bounded((name, partial(_worker, row)) for name, (_, row) in rows.items())
    found.workers_cut = cut + nameless
    found.count_workers()


def _worker(row: Fields, name: str) -> Worker:
    rate = _rate(row, "hashrate")
    worker = Worker(
        name,
        online=None if rate is None else rate > 0,
        shares_accepted=row.numeral("valid_shares"),
        shares_rejected=row.numeral("invalid_shares"),
        shares_stale=row.numeral("stale_shares"),
    )
    if rate is not None:
        worker.hashrate["now"] = rate
    return worker


def rates_of(data: dict[str, Any], odd: Counter[str]) -> Rates:
    """Everybody's rates, in any spelling of their names."""
    found = Rates()
    answer = dict(_loosely(data))
    for name, value in _loosely(answer.get("pools")):
        algorithm = _ALGORITHMS.get(name)
        if algorithm is None:
            continue
        pool = Fields(dict(_loosely(value)), "pools.*", odd)
        pays, scale = pool.numeral("btcpayrate"), _pay_scale(pool)
        if pays is not None and scale is not None:
            found.btc[algorithm] = pays / (scale * DAY)
        fee = pool.raw("fee")
        percent = pool.numeral("fee") if not isinstance(fee, str) else _number(fee.rstrip("% "))
        if percent is not None:
            found.fee_ratio[algorithm] = percent * _PERCENT
    prices = Fields(dict(_loosely(answer.get("prices"))), "prices", odd)
    for ticker in _COINS:
        price = prices.numeral(ticker.lower())
        if price is not None and price > 0:
            found.prices[ticker] = price
    return found


def _loosely(data: Any) -> Iterator[tuple[str, Any]]:
    """The entries of an object, their keys without case and underscores."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield key.replace("_", "").lower(), value


def _pay_scale(pool: Fields) -> float | None:
    """Hashes per second that one pay rate is for; ``None`` if nothing tells, or two things differently."""
    conversion = pool.numeral("payrateconversion")
    if conversion is not None and conversion <= 0:
        conversion = None
    words = re.findall(r"\b([kKMGTPE]?[hH](?:/s)?)\b", pool.text("payrateunits") or "")
    unit = hashrate_scale(words[0]) if words else None
    if conversion is None or unit is None:
        return unit if conversion is None else conversion
    if abs(conversion / unit - 1) > 1e-6:
        pool.odd("payrateconversion")
        return None
    return unit


def _number(text: str) -> float | None:
    return Fields({"value": text}, "pools.*", Counter()).numeral("value")
