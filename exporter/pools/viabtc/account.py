"""The account's interface, below ``/res/openapi/v1``, with the key in the header ``X-API-KEY``.

Every answer has status 200 and the envelope ``{"code", "data", "message"}``; ``code`` 0 is success.
Hashrates are hashes per second, as text, and the same for the merge-mined coins: workers are asked for
Litecoin alone, money for both coins. ``reject_rate`` is a ratio as text; above 1 it can only be percent.
``last_active`` is in Unix seconds, ``worker_status`` ``active`` or ``unactive``. The days of
``/profit/history`` are UTC with ``utc=true``; those of ``/reward/history``, where merge-mined coins are, are
Beijing's. The pool tells neither counts of shares nor a fee, and quotes no price for a hash. Source: the
pool's own wiki and several clients.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, items
from exporter.http import Client
from exporter.pools import Context, PoolSource
from exporter.pools.answers import ask, noted
from exporter.pools.figures import hashrates
from exporter.pools.parts import Parts
from exporter.pools.reading import PoolReading, Worker
from exporter.pools.workers import MOST_WORKERS, bounded

BASE = "/res/openapi/v1"
# Pages of workers that are asked for; each holds up to fifty.
MOST_PAGES = 40
PAGE_ROWS = 50
_MOST_BALANCES = 100
_COINS = ("LTC", "DOGE")
_WINDOWS = (("10m", "hashrate_10min", 1.0), ("1h", "hashrate_1hour", 1.0), ("24h", "hashrate_24hour", 1.0))
_BEIJING = timezone(timedelta(hours=8))
# Money changes slowly, and each coin is calls of its own.
_MONEY_SECONDS = 600.0
_WORKERS_SECONDS = 60.0
_REASONS = {
    5003: Reason.UNKNOWN_ACCOUNT,
    5008: Reason.UNKNOWN_ACCOUNT,
    12001: Reason.UNAUTHORISED,
    12002: Reason.UNAUTHORISED,
    12003: Reason.UNAUTHORISED,
    12004: Reason.IP_NOT_ALLOWED,
}


class AccountSource(PoolSource):
    """Reads one account: hashrates and workers each time, money every ten minutes."""

    def __init__(self, endpoint: Endpoint, key: SecretStr, context: Context, *, kept_seconds: float) -> None:
        self.endpoint = endpoint
        self._headers = {"X-API-KEY": key.get_secret_value()}
        self._wall_clock = context.wall_clock
        self._parts = Parts(
            context.clock, kept_seconds=max(kept_seconds, 2 * _MONEY_SECONDS), sleep=context.sleep
        )

    async def read(self, client: Client) -> PoolReading:
        """One reading; the account's hashrate must answer, the rest is welcome.

        Raises:
            ProbeError: ``unauthorised``, ``ip_not_allowed``, ``unknown_account`` or ``pool_error`` by the
                envelope's code, else as ``ask``.
        """
        found, parts = PoolReading(), self._parts
        data = await parts.required(
            client, "hashrate", 0.0, partial(self._data, path="/hashrate", query={"coin": "LTC"})
        )
        _hashrate(found, Fields(data, "hashrate", parts.odd("hashrate", found.unexpected)))
        pages = await parts.optional(client, "workers", _WORKERS_SECONDS, self._worker_pages)
        if pages is not None:
            _workers(found, *pages, parts.odd("workers", found.unexpected))
        balance = await parts.optional(
            client, "account", _MONEY_SECONDS, partial(self._data, path="/account", query={})
        )
        if balance is not None:
            _balances(found, Fields(balance, "account", parts.odd("account", found.unexpected)))
        for ticker in _COINS:
            await self._money(client, found, ticker)
        found.parts = dict(parts.up)
        return found

    async def _money(self, client: Client, found: PoolReading, ticker: str) -> None:
        kind = "profit" if ticker == "LTC" else "reward"
        history_part, payments_part = f"{kind} history {ticker}", f"payments {ticker}"
        query = {"coin": ticker, "page": "1", "limit": "10"} | ({"utc": "true"} if kind == "profit" else {})
        history = await self._parts.optional(
            client,
            history_part,
            _MONEY_SECONDS,
            partial(self._data, path=f"/{kind}/history", query=query),
        )
        if history is not None:
            odd = self._parts.odd(history_part, found.unexpected)
            rows = Fields(history, "history", odd).objects("data", _MOST_BALANCES)
            day = self._yesterday(UTC if kind == "profit" else _BEIJING)
            earned = [one.numeral("total_profit") for one in rows if one.text("date") == day]
            found.coin(ticker).earned_yesterday = earned[0] if earned else None
        payouts = await self._parts.optional(
            client,
            payments_part,
            _MONEY_SECONDS,
            partial(self._payments, ticker=ticker),
        )
        odd = self._parts.odd(payments_part, found.unexpected)
        for one in items(payouts, "payments", odd, _MOST_BALANCES):
            if time := one.numeral("create_time"):
                found.coin(ticker).paid_at(time, one.numeral("amount"))

    def _yesterday(self, zone: timezone) -> str:
        now = datetime.fromtimestamp(self._wall_clock(), zone)
        return (now - timedelta(days=1)).strftime("%Y-%m-%d")

    async def _worker_pages(self, client: Client) -> tuple[list[Any], int]:
        """The workers of all pages, and how many there are on pages that are not asked for."""
        rows: list[Any] = []
        total: float | None = None
        for page in range(1, MOST_PAGES + 1):
            query = {"coin": "LTC", "page": f"{page}", "limit": f"{PAGE_ROWS}"}
            data = await self._data(client, path="/hashrate/worker", query=query)
            listed = data.get("data") if isinstance(data, dict) else None
            if not isinstance(listed, list):
                raise noted(client, ProbeError(Reason.BAD_SHAPE, "/hashrate/worker has no list of workers"))
            rows += listed
            total = Fields(data, "workers", Counter()).numeral("total")
            if data.get("has_next") is not True or not listed or len(rows) > MOST_WORKERS:
                break
        return rows, max(0, int(total or 0.0) - len(rows))

    async def _payments(self, client: Client, ticker: str) -> Any:
        """The payments of a coin; here the list stands beside ``code``, in the envelope itself."""
        query = {"coin": ticker, "page": "1", "limit": "10"}
        envelope = await self._envelope(client, "/wallet/payment/history", query)
        data = envelope.get("data")
        return data.get("data") if isinstance(data, dict) else data

    async def _data(self, client: Client, path: str, query: dict[str, str]) -> Any:
        return (await self._envelope(client, path, query)).get("data")

    async def _envelope(self, client: Client, path: str, query: dict[str, str]) -> dict[str, Any]:
        envelope = await ask(client, f"{BASE}{path}", headers=self._headers, query=query)
        code = envelope.get("code") if isinstance(envelope, dict) else None
        if isinstance(code, bool) or not isinstance(code, int):
            raise noted(client, ProbeError(Reason.BAD_SHAPE, f"{path} has no code"))
        if code:
            reason = _REASONS.get(code, Reason.POOL_ERROR)
            raise noted(client, ProbeError(reason, f"{path} answered code {code}"))
        return envelope  # type: ignore[no-any-return]


def _hashrate(found: PoolReading, data: Fields) -> None:
    found.hashrate = hashrates(data, _WINDOWS)
    found.workers_online = data.numeral("active_workers")
    found.workers_offline = data.numeral("unactive_workers")


def _workers(found: PoolReading, rows: list[Any], unasked: int, odd: Counter[str]) -> None:
    listed = list(items(rows, "workers", odd, MOST_WORKERS + PAGE_ROWS))
    found.workers, cut = bounded(
        (name, partial(_worker, one)) for one in listed if isinstance(name := one.raw("worker_name"), str)
    )
    found.workers_cut = cut + unasked


def _worker(data: Fields, name: str) -> Worker:
    worker = Worker(name, last_share=data.numeral("last_active") or None)
    status = data.choice("worker_status", ("active", "unactive"))
    worker.online = {"active": True, "unactive": False}.get(status or "")
    worker.hashrate = hashrates(data, _WINDOWS)
    rejected = data.numeral("reject_rate")
    if rejected is not None:
        worker.reject_ratio = rejected / 100 if rejected > 1 else rejected
    return worker


def _balances(found: PoolReading, account: Fields) -> None:
    for one in account.objects("balance", _MOST_BALANCES):
        ticker = one.text("coin")
        if ticker in _COINS:
            found.coin(ticker).balance_confirmed = one.numeral("amount")
