"""Version 1 of the interface, for who has no token: ``GET /litecoin/ACCOUNT``.

``hashrate`` is hashes per second now, ``hashes_last_hour`` and ``hashes_last_day`` are totals. A worker is
a row ``[name, H/s, hashes of an hour, stale hashes of an hour, hashes of a day, stale hashes of a day, "ISO
time of the last share", flag]``, a payout ``["ISO time", txid, amount]``. It tells of Litecoin alone:
Dogecoin, most of what is earned, is left out, so its money is no total. Source: the pool's documentation
and public clients.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import PoolSource
from exporter.pools.answers import ask, noted
from exporter.pools.figures import hashrates
from exporter.pools.reading import PoolReading, Worker
from exporter.pools.workers import MOST_WORKERS, bounded
from exporter.units import DAY

_MOST_PAYOUTS = 1000
_NAME, _NOW, _HOUR, _HOUR_STALE, _DAY, _DAY_STALE, _LAST = range(7)
# Totals of an hour and of a day, as hashes per second.
_ACCOUNT_WINDOWS = (
    ("now", "hashrate", 1.0),
    ("1h", "hashes_last_hour", 1 / 3600.0),
    ("24h", "hashes_last_day", 1 / DAY),
)
_WORKER_WINDOWS = (("now", f"{_NOW}", 1.0), ("1h", f"{_HOUR}", 1 / 3600.0), ("24h", f"{_DAY}", 1 / DAY))


class PublicSource(PoolSource):
    """Reads one account by its name; one request a reading."""

    def __init__(self, endpoint: Endpoint, account: str) -> None:
        self.endpoint = endpoint
        self._account = account

    async def read(self, client: Client) -> PoolReading:
        """One reading.

        Raises:
            ProbeError: ``unknown_account`` for an account without figures, else as ``ask``.
        """
        data = await ask(client, f"/litecoin/{self._account}")
        if not isinstance(data, dict):
            raise noted(client, ProbeError(Reason.BAD_SHAPE, "the page of the account is no object"))
        if "hashrate" not in data and "workers" not in data:
            raise noted(client, ProbeError(Reason.UNKNOWN_ACCOUNT, "the page has no account"))
        found = PoolReading()
        user = Fields(data, "account", found.unexpected)
        found.hashrate = hashrates(user, _ACCOUNT_WINDOWS)
        coin = found.coin("LTC")
        coin.balance_confirmed = user.numeral("balance")
        coin.paid_total = user.numeral("paid")
        coin.earned_24h = user.numeral("value_last_day")
        _payouts(found, data.get("payout_history"))
        online, total_workers = user.numeral("worker_length_online"), user.numeral("worker_length")
        found.workers_online = online
        if online is not None and total_workers is not None:
            found.workers_offline = max(0.0, total_workers - online)
        _workers(found, data.get("workers"))
        return found


def _workers(found: PoolReading, rows: Any) -> None:
    if not isinstance(rows, list):
        if rows is not None:
            found.unexpected["account.workers"] += 1
        return
    good = [
        row for row in rows[: MOST_WORKERS + 1] if isinstance(row, list) and row and isinstance(row[0], str)
    ]
    if len(good) < min(len(rows), MOST_WORKERS + 1):
        found.unexpected["account.workers[]"] += 1
    found.workers, cut = bounded((row[_NAME], partial(_worker, row, found.unexpected)) for row in good)
    found.workers_cut = cut + max(0, len(rows) - MOST_WORKERS - 1)


def _worker(row: list[Any], odd: Counter[str], name: str) -> Worker:
    worker = Worker(name)
    # The row as an object, so that its figures are read as all others are.
    data = Fields(
        {f"{index}": value for index, value in enumerate(row[: _LAST + 1])}, "account.workers[]", odd
    )
    worker.hashrate = hashrates(data, _WORKER_WINDOWS)
    stale, good = data.numeral(f"{_DAY_STALE}"), data.numeral(f"{_DAY}")
    if stale is not None and good is not None and stale + good > 0:
        worker.reject_ratio = stale / (stale + good)
    worker.last_share = _time(data.text(f"{_LAST}"))
    return worker


def _payouts(found: PoolReading, rows: Any) -> None:
    if not isinstance(rows, list):
        return
    dated: list[tuple[float, float]] = []
    for row in rows[:_MOST_PAYOUTS]:
        if isinstance(row, list) and len(row) > 2:
            payout = Fields({"time": row[0], "amount": row[2]}, "account.payout_history[]", found.unexpected)
            time, amount = _time(payout.text("time")), payout.numeral("amount")
            if time and amount is not None:
                dated.append((time, amount))
    if dated:
        coin = found.coin("LTC")
        coin.last_payout_time, coin.last_payout = max(dated)


def _time(text: str | None) -> float | None:
    """An ISO time as Unix seconds; without a zone it is UTC."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
