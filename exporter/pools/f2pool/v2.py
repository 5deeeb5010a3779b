"""Version 2 of the interface: ``POST /v2/NAME`` with JSON and the token in the header ``F2P-API-SECRET``.

Hashrates are hashes per second, times Unix seconds. A refusal is ``{"code": N, "msg": "TYPE: WORDS"}``:
5001 for parameters, 5010 for a permission; a token that is missing is status 401. ``status`` of a worker is
0 online, 1 offline, 2 expired; who is silent for a day vanishes. The pool tells stale work as a rate and
rejects not at all. Calls are at least a second apart, as the pool's own clients keep them. Whether
Dogecoin's money is told under ``dogecoin`` is not documented: it is asked for, and a refusal of its
parameters means that it is not. Source: the pool's documentation and public clients.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import Context, PoolSource
from exporter.pools.answers import ask, noted
from exporter.pools.figures import hashrates
from exporter.pools.parts import Parts
from exporter.pools.reading import PoolReading, Worker
from exporter.pools.workers import bounded
from exporter.units import DAY

_CURRENCIES = {"LTC": "litecoin", "DOGE": "dogecoin"}
_GAP_SECONDS = 1.0
_WORKERS_SECONDS = 60.0
_MONEY_SECONDS = 600.0
_MOST_ROWS = 1000
_MOST_WORKER_ROWS = 20_000
_WINDOWS = (("now", "hash_rate", 1.0), ("1h", "h1_hash_rate", 1.0), ("24h", "h24_hash_rate", 1.0))
_PARAMETERS, _PERMISSION = 5001, 5010
# How far back transactions are asked for.
_LOOK_BACK_SECONDS = 7 * DAY


class TokenSource(PoolSource):
    """Reads one account: hashrates each time, workers once a minute, money every ten."""

    def __init__(
        self, endpoint: Endpoint, account: str, key: SecretStr, context: Context, *, kept_seconds: float
    ) -> None:
        self.endpoint = endpoint
        self._account = account
        self._headers = {"F2P-API-SECRET": key.get_secret_value()}
        self._wall_clock = context.wall_clock
        self._parts = Parts(
            context.clock,
            kept_seconds=max(kept_seconds, 2 * _MONEY_SECONDS),
            gap_seconds=_GAP_SECONDS,
            sleep=context.sleep,
        )

    async def read(self, client: Client) -> PoolReading:
        """One reading; the account's hashrate must answer, the rest is welcome.

        Raises:
            ProbeError: ``unauthorised``, ``unknown_account`` or ``pool_error`` by the code of a refusal, else
                as ``ask``.
        """
        found = PoolReading()
        odd = found.unexpected
        parts = self._parts
        user = {"mining_user_name": self._account}
        rates = await parts.required(client, "hash_rate", 0.0, partial(self._rates, user))
        info = Fields(rates, "hash_rate", parts.odd("hash_rate", odd)).object("info")
        if not info:
            raise ProbeError(Reason.NO_DATA, "hash_rate/info has no figures of this account")
        found.hashrate = hashrates(info, _WINDOWS)
        listed = await parts.optional(
            client,
            "workers",
            _WORKERS_SECONDS,
            partial(self._post, "hash_rate/worker/list", {"currency": "litecoin", **user}),
        )
        if listed is not None:
            _workers(found, Fields(listed, "workers", parts.odd("workers", odd)))
        for ticker, currency in _CURRENCIES.items():
            await self._money(client, found, ticker, {"currency": currency, **user})
        found.parts = dict(parts.up)
        return found

    async def _money(self, client: Client, found: PoolReading, ticker: str, asked: dict[str, Any]) -> None:
        more = {"calculate_estimated_income": True, "historical_total_income_outcome": True}
        parts = self._parts
        part = f"balance {ticker}"
        balance = await parts.optional(
            client,
            part,
            _MONEY_SECONDS,
            partial(self._told_or_not, "assets/balance", asked | more),
        )
        if balance:
            info = Fields(balance, "balance", parts.odd(part, found.unexpected)).object("balance_info")
            coin = found.coin(ticker)
            coin.balance_confirmed = info.numeral("balance")
            coin.balance_unconfirmed = info.numeral("immature_balance")
            coin.paid_total = info.numeral("paid")
            coin.earned_yesterday = info.numeral("yesterday_income")
        for kind in ("revenue", "payout"):
            part = f"{kind} {ticker}"
            rows = await parts.optional(
                client,
                part,
                _MONEY_SECONDS,
                partial(self._transactions, kind, asked),
            )
            if rows:
                _transactions(found, ticker, kind, Fields(rows, kind, parts.odd(part, found.unexpected)))

    async def _rates(self, user: dict[str, Any], client: Client) -> Any:
        """The account's hashrates; of their parameters only its name can be unknown."""
        try:
            return await self._post("hash_rate/info", {"currency": "litecoin", **user}, client)
        except _ParametersError as error:
            raise noted(client, ProbeError(Reason.UNKNOWN_ACCOUNT, error.detail)) from None

    async def _transactions(self, kind: str, asked: dict[str, Any], client: Client) -> Any:
        now = int(self._wall_clock())
        span = {"type": kind, "start_time": now - int(_LOOK_BACK_SECONDS), "end_time": now}
        return await self._told_or_not("assets/transactions/list", asked | span, client)

    async def _told_or_not(self, name: str, asked: dict[str, Any], client: Client) -> Any:
        """The answer, or an empty one where the pool does not know the currency."""
        try:
            return await self._post(name, asked, client)
        except _ParametersError:
            if asked["currency"] == "litecoin":
                raise
            client.steps[-1].problem = f"the pool tells nothing of {asked['currency']}"
            return {}

    async def _post(self, name: str, asked: dict[str, Any], client: Client) -> Any:
        data = await ask(client, f"/v2/{name}", method="POST", headers=self._headers, json=asked)
        if not isinstance(data, dict):
            raise noted(client, ProbeError(Reason.BAD_SHAPE, f"{name} is no object"))
        code = data.get("code")
        if isinstance(code, int) and code:
            kind = _ParametersError if code == _PARAMETERS else ProbeError
            reason = Reason.UNAUTHORISED if code == _PERMISSION else Reason.POOL_ERROR
            raise noted(client, kind(reason, f"{name} answered code {code}"))
        return data


class _ParametersError(ProbeError):
    """The pool does not take these parameters: an unknown currency, or an unknown account."""


def _workers(found: PoolReading, data: Fields) -> None:
    rows = [(one, one.object("hash_rate_info")) for one in data.objects("workers", _MOST_WORKER_ROWS)]
    found.workers, found.workers_cut = bounded(
        (name, partial(_worker, one, info)) for one, info in rows if isinstance(name := info.raw("name"), str)
    )
    found.count_workers()


def _worker(data: Fields, info: Fields, name: str) -> Worker:
    worker = Worker(name, last_share=data.numeral("last_share_at") or None)
    status = data.numeral("status")
    worker.online = None if status is None else status == 0
    worker.hashrate = hashrates(info, _WINDOWS)
    worker.rate_stale = info.numeral("h1_stale_hash_rate")
    return worker


def _transactions(found: PoolReading, ticker: str, kind: str, data: Fields) -> None:
    rows = list(data.objects("transactions", _MOST_ROWS))
    dated = [(time, one) for one in rows if (time := one.numeral("created_at"))]
    if not dated:
        return
    time, newest = max(dated, key=lambda row: row[0])
    if kind == "revenue":
        if ticker == "LTC":
            found.fee_ratio = newest.object("mining_extra").numeral("pps_fee_rate")
        return
    paid = newest.object("payout_extra")
    coin = found.coin(ticker)
    coin.last_payout_time = paid.numeral("paid_time") or time
    amount = paid.numeral("value")
    coin.last_payout = abs(amount) if amount is not None else None
