"""What the pool's real-time interface has told, kept until something newer is told.

``f_all_profitability_updates`` gives the relay's map of algorithms, ``f_all_miner_updates`` a list of
workers, ``f_all_balance_updates`` a map from a coin's name to what is held of it. What is published later
are changes: of an algorithm or a worker (found by its ``uuid``) the keys that are present, of a balance
what is to be added. A worker has ``miner_name``, ``algorithm_name``, ``hashrate`` (hashes per second, the
average of some two hours) and ``adjusted_hashrate`` (now), as numbers or as text. Source: several public
clients of the pool.

Who disconnects may merely not be updated any more, so a worker is online by the age of what was heard of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import structlog

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.pools import Context
from exporter.pools.prohashing.relay import MAX_ALGORITHMS, profitability
from exporter.pools.reading import PoolReading, Worker
from exporter.pools.workers import MOST_WORKERS, Seen, bounded
from exporter.units import clean

# The relay calls itself updating for so long after the last update.
UPDATING_SECONDS = 600.0
_ONLINE_SECONDS = 600.0
# More than a page shows, so that what is cut can be counted.
_MOST_HELD = 4 * MOST_WORKERS
_MOST_COINS = 64
_FIGURES = (
    *("usd", "btc", "max_usd", "max_btc", "percentile_usd", "percentile_btc"),
    *("data_timestamp", "server_timestamp"),
)
# Each window, and the field that tells it.
_WINDOWS = (("now", "adjusted_hashrate"), ("2h", "hashrate"))
_NAMES = ("miner_name", "algorithm_name")
_FIELDS = frozenset(
    {"uuid", *_NAMES, *(field for _, field in _WINDOWS)}
    | {"coin_name", "difficulty", "actual_difficulty", "difficulty_is_static", "share_count"}
)
_MOST_UNKNOWN = 64
log = structlog.get_logger("pool")
# The pool names coins, everybody else their tickers.
_TICKERS = {
    "litecoin": "LTC",
    "dogecoin": "DOGE",
    "bitcoin": "BTC",
    "bitcoin cash": "BCH",
    "bellscoin": "BELLS",
    "dash": "DASH",
    "digibyte": "DGB",
    "ethereum": "ETH",
    "ethereum classic": "ETC",
    "monero": "XMR",
    "ravencoin": "RVN",
    "vertcoin": "VTC",
    "zcash": "ZEC",
}


class _Known:
    """One worker, and when something new was last heard of it."""

    __slots__ = ("at", "data")

    def __init__(self) -> None:
        self.data: dict[str, float | str] = {}
        self.at: float | None = None


class Heard:
    """The figures of one account; *algorithm* is what its workers count for, as the pool's ids name it."""

    def __init__(self, context: Context, *, algorithm: str, offline_after_seconds: float) -> None:
        self._clock = context.clock
        self._wall_clock = context.wall_clock
        self._algorithm = algorithm
        self._seen = Seen(context.clock, offline_after_seconds)
        self._algorithms: dict[str, dict[str, float | str]] = {}
        self._workers: dict[str, _Known] | None = None
        self._cut = 0
        self._gone: list[str] = []
        self._balances: dict[str, float] | None = None
        self._dated: dict[str, float] = {}
        # When figures last came, on the monotonic clock.
        self.told_at: float | None = None
        self._odd: Counter[str] = Counter()
        self._unknown: set[str] = set()

    def forget(self) -> None:
        """Know nothing any more."""
        self._algorithms = {}
        self._workers = self._balances = self.told_at = None

    def _told(self, kind: str, *, news: bool = True) -> None:
        if news:
            self._dated[kind] = self._wall_clock()
        self.told_at = self._clock()

    def all_profitability(self, result: Any) -> None:
        """Take the map of all algorithms.

        Raises:
            ProbeError: ``bad_shape`` if it is none.
        """
        if not isinstance(result, dict):
            raise ProbeError(Reason.BAD_SHAPE, "f_all_profitability_updates is not a map of algorithms")
        for gone in set(self._algorithms) - set(result):
            del self._algorithms[gone]
        self.profitability_updates(result)

    def profitability_updates(self, *updates: Any) -> None:
        """Take changes of algorithms."""
        told = news = False
        for update in _objects(updates):
            for number, entry in list(update.items())[:MAX_ALGORITHMS]:
                data = Fields(entry, "profitability.*", self._odd)
                known = self._algorithms.get(number)
                if known is None:
                    if len(self._algorithms) >= MAX_ALGORITHMS or not isinstance(number, str):
                        continue
                    known = self._algorithms[number] = {}
                told = True
                figures = {key: value for key in _FIGURES if (value := data.number(key)) is not None}
                # Told again is no news: the relay would not call it an update.
                news = news or any(known.get(key) != value for key, value in figures.items())
                known.update(figures)
                if name := data.text("algorithm_name"):
                    known["algorithm_name"] = name
        if told:
            self._told("profitability", news=news)

    def all_workers(self, result: Any) -> None:
        """Take the list of all workers; ``None`` where the pool does not tell.

        Raises:
            ProbeError: ``bad_shape`` if it is none.
        """
        if result is None:
            self._workers = None
            return
        if not isinstance(result, list):
            raise ProbeError(Reason.BAD_SHAPE, "f_all_miner_updates is not a list of workers")
        before, self._workers, self._cut = self._workers or {}, {}, 0
        for worker in _objects(result):
            self._worker(worker, before, change=False)
        self._gone = self._seen.gone(worker.name for worker in self._listed()[0])
        self._told("account")

    def worker_updates(self, *updates: Any) -> None:
        """Take changes of workers; without all of them there is nothing to change."""
        if self._workers is None:
            return
        for worker in _objects(updates):
            self._worker(worker, self._workers, change=True)
        self._told("account")

    def _worker(self, entry: dict[Any, Any], before: dict[str, _Known], *, change: bool) -> None:
        assert self._workers is not None, "there is a list"  # noqa: S101
        uuid = entry.get("uuid")
        if not isinstance(uuid, str | int):
            self._odd["workers[].uuid"] += 1
            return
        key = clean(str(uuid))
        known = self._workers.get(key) or before.get(key)
        if known is None:
            if len(self._workers) >= _MOST_HELD:
                self._cut += 1
                return
            known = _Known()
        self._workers[key] = known
        data = Fields(entry, "workers[]", self._odd)
        told: dict[str, float | str] = {
            name: value for _, name in _WINDOWS if (value := data.numeral(name)) is not None
        }
        told |= {name: text for name in _NAMES if (text := data.text(name)) is not None}
        # A list may hold who has been silent for hours: what it says anew counts, and a rate at first sight.
        if known.data:
            change = change or any(known.data.get(name) != value for name, value in told.items())
        else:
            change = change or bool(told.get("adjusted_hashrate"))
        known.data |= told
        if change:
            known.at = self._clock()
        self._say_unknown(entry)

    def _say_unknown(self, entry: dict[Any, Any]) -> None:
        """Say once of each field nobody knows that there is one; the names of those that may be shown."""
        new = [name for name in entry if isinstance(name, str) and name not in _FIELDS | self._unknown]
        for name in new[: _MOST_UNKNOWN - len(self._unknown)]:
            self._unknown.add(name)
            # A key is no word, and no name is shown that could be one.
            if re.fullmatch("[a-z_]{1,32}", name):
                log.debug("a worker has a field nobody knows", field=name)

    def all_balances(self, result: Any) -> None:
        """Take the map of all balances; ``None`` where the pool does not tell.

        Raises:
            ProbeError: ``bad_shape`` if it is none.
        """
        if result is None:
            self._balances = None
            return
        if not isinstance(result, dict):
            # PHP has one empty array for both.
            if result != []:
                raise ProbeError(Reason.BAD_SHAPE, "f_all_balance_updates is not a map of balances")
            result = {}
        data = Fields(result, "balances", self._odd)
        self._balances = {}
        for name in list(data.keys())[:_MOST_COINS]:
            if (balance := data.numeral(name)) is not None and (ticker := _ticker(name)):
                self._balances[ticker] = balance
        self._told("account")

    def balance_updates(self, *updates: Any) -> None:
        """Take changes of balances: what is to be added."""
        if self._balances is None:
            return
        for update in _objects(updates):
            data = Fields(update, "balance_updates[]", self._odd)
            ticker, more = _ticker(data.text("coin") or ""), data.numeral("balance")
            if (
                ticker
                and more is not None
                and (ticker in self._balances or len(self._balances) < _MOST_COINS)
            ):
                self._balances[ticker] = self._balances.get(ticker, 0.0) + more
        self._told("account")

    def reading(self, *, connected: bool) -> PoolReading:
        """All that is known, as a reading.

        Raises:
            ProbeError: ``no_data`` if no figure was told.
        """
        found = PoolReading(connected=connected, unexpected=self._odd)
        self._odd = Counter()
        for number, data in self._algorithms.items():
            one = profitability(number, Fields(data, "profitability.*", Counter()))
            if one is not None:
                found.profitability.append(one)
        if (told := self._dated.get("profitability")) is not None:
            found.last_updates["profitability"] = told
            found.updating = self._wall_clock() - told <= UPDATING_SECONDS
        if self._workers is not None or self._balances is not None:
            found.dated["account"] = self._dated["account"]
        for ticker, balance in (self._balances or {}).items():
            found.coin(ticker).balance_confirmed = balance
        if self._workers is not None:
            found.workers, cut = self._listed()
            found.workers_cut = cut + self._cut
            present = {worker.name for worker in found.workers}
            for window, _ in _WINDOWS:
                rates = [worker.hashrate[window] for worker in found.workers if window in worker.hashrate]
                if rates:
                    found.hashrate[window] = sum(rates)
            found.workers += [Worker(name, online=False) for name in self._gone if name not in present]
            found.count_workers()
        if not (found.profitability or found.workers or found.coins):
            raise ProbeError(Reason.NO_DATA, "the pool has told no figures")
        return found

    def _listed(self) -> tuple[list[Worker], int]:
        """The workers of the account's algorithm; logins of one name are one worker."""
        by_name: dict[str, list[_Known]] = {}
        for known in (self._workers or {}).values():
            name, algorithm = known.data.get("miner_name"), known.data.get("algorithm_name")
            if name and (algorithm is None or _algorithm(str(algorithm)) == self._algorithm):
                by_name.setdefault(str(name), []).append(known)
        return bounded((name, partial(self._made, logins)) for name, logins in by_name.items())

    def _made(self, logins: list[_Known], name: str) -> Worker:
        now = self._clock()
        worker = Worker(name)
        online = [one for one in logins if one.at is not None and now - one.at < _ONLINE_SECONDS]
        worker.online = bool(online)
        # What is silent hashes nothing any more, whatever was said last.
        for window, field in _WINDOWS:
            rates = [rate for one in online if isinstance(rate := one.data.get(field), float)]
            if rates:
                worker.hashrate[window] = sum(rates)
        return worker


def _algorithm(printed: str) -> str:
    """``"Scrypt"`` and ``"SHA-256"`` as the field names them."""
    name = printed.lower()
    return "sha256d" if name.replace("-", "") in ("sha256", "sha256d") else name


def _ticker(name: str) -> str:
    """A coin's ticker; the pool's own name for one that is not known here."""
    name = clean(name, 32)
    return _TICKERS.get(name.lower(), name)


def _objects(updates: Iterable[Any]) -> Iterator[dict[Any, Any]]:
    """The objects among *updates*, and in lists among them."""
    for update in updates:
        for one in update if isinstance(update, list) else (update,):
            if isinstance(one, dict):
                yield one
