"""Mining-Dutch: the quotes of a YiiMP site, and account pages of another software (MPOS).

Quotes are ``GET /api/status/``, as of a YiiMP site. Of the account,
``GET /pools/PAGE.php?page=api&action=ACTION&api_key=KEY&id=ID`` answers ``{ACTION: {"data": ...}}``, for an
algorithm's page and for each coin's:

- ``getuserworkers``: ``miners``, an array or an object of ``username``, ``alive`` (0 or 1), ``lastshare``
  (Unix seconds) and ``hashrate``, in a unit the clients do not agree on, so it is a setting
- ``getuserbalance``: ``confirmed`` and ``unconfirmed``, in coins
- ``getusertransactions``: ``transactions`` of ``type`` (``Credit``, ``Debit_AP``, ``Debit_MP``, ...),
  ``amount`` and ``timestamp``, in Amsterdam's time; ``transactionsummary`` is all there ever was, by type
- ``getdashboarddata``: ``recent_credits_24hours.amount``, ``network.difficulty``

A wrong key is status 401, too many requests a ``message``. The pool wants ten seconds between requests and
ten minutes between rounds of them, and locks out who does not keep to it. Source: public clients, one with
recorded answers, and the software's own source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import Context, PoolSource
from exporter.pools.answers import noted
from exporter.pools.parts import Parts
from exporter.pools.reading import Coin, PoolReading, Worker
from exporter.pools.workers import bounded
from exporter.pools.yiimp.site import ask_site, status
from exporter.units import hashrate_scale

_GAP_SECONDS = 10.0
_ROUND_SECONDS = 600.0
_REPEAT_SECONDS = 60.0
_ZONE = ZoneInfo("Europe/Amsterdam")
_MOST_TRANSACTIONS = 1000

Ask = Callable[[Client], Awaitable[Any]]


class DutchSource(PoolSource):
    """Reads one account, a call or two a reading: a round of all takes some minutes."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: SecretStr,
        context: Context,
        *,
        account_id: int,
        page: str,
        coin_pages: Mapping[str, str],
        algorithm: str,
        hashrate_unit: str,
        every_seconds: float,
        kept_seconds: float,
    ) -> None:
        self.endpoint = endpoint
        self._key = key
        self._account_id = account_id
        self._page = page
        self._coin_pages = coin_pages
        self._algorithm = algorithm
        self._scale = hashrate_scale(hashrate_unit) or 1.0
        self._every_seconds = max(every_seconds, _ROUND_SECONDS)
        self._wall_clock = context.wall_clock
        self._parts = Parts(
            context.clock,
            kept_seconds=kept_seconds,
            gap_seconds=_GAP_SECONDS,
            repeat_seconds=_REPEAT_SECONDS,
            sleep=context.sleep,
        )

    async def read(self, client: Client) -> PoolReading:
        """One reading: as many of the calls that are due as the deadline leaves time for.

        Who waited longest has the first turn, so that none starves in readings with time for one call each.

        Raises:
            ProbeError: the list of workers has failed for longer than it may be kept, with its reason.
        """
        found = PoolReading()
        calls = self._calls(found.unexpected)
        told: dict[str, Any] = {}
        for name in self._parts.longest_untried(calls):
            told[name] = await self._parts.optional(client, name, self._every_seconds, calls[name])
        if told["workers"] is None:
            raise self._parts.error("workers") or ProbeError(
                Reason.NO_DATA, "the list of workers has not had its turn yet"
            )
        workers, cut = told["workers"]
        found.workers, found.workers_cut = list(workers), cut
        rates = [worker.hashrate["now"] for worker in workers if "now" in worker.hashrate]
        if rates or not workers:
            found.hashrate["now"] = sum(rates)
        found.count_workers()
        quotes = told["status"]
        if quotes is not None:
            found.profitability = list(quotes.profitability)
            found.fee_ratio = quotes.fee_ratio.get(self._algorithm)
        for ticker in self._coin_pages:
            self._coin(found, ticker, told)
        for kind, part in (("account", "workers"), ("profitability", "status")):
            age = self._parts.age(part)
            if age is not None:
                found.dated[kind] = self._wall_clock() - age
        found.parts = self._parts.up
        return found

    def _calls(self, odd: Counter[str]) -> dict[str, Ask]:
        """Every call by the name of its part, those first that tell most."""

        async def ask_status(client: Client) -> Any:
            return status(await ask_site(client, "/api/status/"), odd)

        async def ask_page(page: str, action: str, read: Callable[[Any], Any], client: Client) -> Any:
            return read(await self._ask(client, page, action))

        calls: dict[str, Ask] = {
            "workers": partial(
                ask_page, self._page, "getuserworkers", partial(workers_of, scale=self._scale, odd=odd)
            ),
            "status": ask_status,
        }
        for action, part, read in (
            ("getuserbalance", "balance", balance_of),
            ("getdashboarddata", "dashboard", dashboard_of),
            ("getusertransactions", "transactions", transactions_of),
        ):
            for ticker, page in self._coin_pages.items():
                calls[f"{part}_{ticker.lower()}"] = partial(ask_page, page, action, partial(read, odd=odd))
        return calls

    async def _ask(self, client: Client, page: str, action: str) -> Any:
        """The data of one action.

        Raises:
            ProbeError: ``bad_shape`` for an answer to another action, else as ``ask_site``.
        """
        answer = await ask_site(
            client,
            f"/pools/{page}.php",
            {
                "page": "api",
                "action": action,
                "api_key": self._key.get_secret_value(),
                "id": str(self._account_id),
            },
        )
        envelope = answer.get(action)
        if not isinstance(envelope, dict) or envelope.get("data") is None:
            words = f"{page}: the answer is none to {action}"
            raise noted(client, ProbeError(Reason.BAD_SHAPE, words))
        return envelope["data"]

    @staticmethod
    def _coin(found: PoolReading, ticker: str, told: Mapping[str, Any]) -> None:
        balance, dashboard, paid = (
            told[f"{part}_{ticker.lower()}"] for part in ("balance", "dashboard", "transactions")
        )
        if balance is None and dashboard is None and paid is None:
            return
        coin = found.coin(ticker)
        if balance is not None:
            coin.balance_confirmed, coin.balance_unconfirmed = balance
        if dashboard is not None:
            coin.earned_24h, found.network(ticker).difficulty = dashboard
        if paid is not None:
            coin.paid_total = paid.paid_total
            coin.last_payout, coin.last_payout_time = paid.last_payout, paid.last_payout_time


def workers_of(data: Any, scale: float, odd: Counter[str]) -> tuple[list[Worker], int]:
    """The account's workers, and how many were left out; *scale* is hashes per second in the pool's unit."""
    miners = data.get("miners") if isinstance(data, dict) else data

    def named() -> Iterator[tuple[str, Callable[[str], Worker]]]:
        if isinstance(miners, dict):
            rows = list(miners.items())
        elif isinstance(miners, list):
            rows = [("", row) for row in miners]
        else:
            rows = []
            if miners is not None:
                odd["getuserworkers.miners"] += 1
        for key, row in rows:
            fields = Fields(row, "getuserworkers.miners[]", odd)
            yield fields.text("username") or str(key), partial(_worker, fields, scale)

    return bounded(named())


def _worker(fields: Fields, scale: float, name: str) -> Worker:
    alive = fields.raw("alive")
    if not isinstance(alive, bool):
        number = fields.numeral("alive")
        alive = None if number is None else number > 0
    worker = Worker(name, online=alive, last_share=fields.numeral("lastshare") or None)
    rate = fields.numeral("hashrate")
    if rate is not None:
        worker.hashrate["now"] = rate * scale
    return worker


def balance_of(data: Any, odd: Counter[str]) -> tuple[float | None, float | None]:
    """What is confirmed, and what is not."""
    fields = Fields(data, "getuserbalance", odd)
    return fields.numeral("confirmed"), fields.numeral("unconfirmed")


def dashboard_of(data: Any, odd: Counter[str]) -> tuple[float | None, float | None]:
    """What was credited in the last 24 hours, and the network's difficulty."""
    fields = Fields(data, "getdashboarddata", odd)
    return fields.object("recent_credits_24hours").numeral("amount"), (
        fields.object("network").numeral("difficulty") or None
    )


def transactions_of(data: Any, odd: Counter[str]) -> Coin:
    """What was paid out in all, and the last payout."""
    fields = Fields(data, "getusertransactions", odd)
    coin = Coin()
    summary = fields.object("transactionsummary")
    kinds = summary.keys()
    debits = [summary.numeral(kind) for kind in kinds if _debit(kind)]
    if summary and None not in debits:
        # Who was never paid has credits and no debits.
        coin.paid_total = sum(abs(amount) for amount in debits if amount is not None)
    for row in fields.objects("transactions", _MOST_TRANSACTIONS):
        time, amount = local_time(row.text("timestamp")), row.numeral("amount")
        if not _debit(row.text("type") or "") or time is None or amount is None:
            continue
        coin.paid_at(time, abs(amount))
    return coin


def _debit(kind: str) -> bool:
    return kind.startswith("Debit")


def local_time(text: str | None) -> float | None:
    """``"2026-11-23 12:00:00"``, the pool's own time, in Unix seconds; ``None`` for anything else."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%d %H:%M:%S").replace(tzinfo=_ZONE).timestamp()
    except (ValueError, OverflowError):
        return None
