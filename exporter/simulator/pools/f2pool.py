"""F2Pool's two interfaces: version 2 by token, version 1 by the account's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from aiohttp import web

from exporter.simulator.pools.account import DAY, SimAccount, SimWorker
from exporter.simulator.pools.host import json_response

_TICKERS = {"litecoin": "LTC"}


class Fake:
    """The pool's interface. It knows no ``dogecoin``, as its documentation does not."""

    # Any two calls lie a second apart.
    gaps: Mapping[str, float] = MappingProxyType({"": 1.0})

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self.settings = {"api_key": account.key, "account": account.name}

    def name(self, request: web.BaseRequest) -> str:
        """The path."""
        return request.path

    def refuse(self, refusal: str) -> web.Response:
        """A code and words; without a token there is a status."""
        if refusal == "wrong_key":
            return web.Response(status=401)
        if refusal == "throttled":
            return web.Response(status=429)
        if refusal == "ip_not_allowed":
            return json_response({"code": 5010, "msg": "permission_denied: ip"})
        return json_response({"code": 5001, "msg": "params_error: mining_user_name"})

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """``POST /v2/NAME`` or ``GET /litecoin/ACCOUNT``."""
        account = self._account
        if request.method == "GET":
            known = request.path == f"/litecoin/{account.name}"
            return json_response(self._public() if known else {"error": "user not found"})
        if request.headers.get("F2P-API-SECRET") != account.key:
            return self.refuse("wrong_key")
        asked = json.loads(await request.text())
        if asked.get("mining_user_name") != account.name or asked.get("currency") not in _TICKERS:
            return self.refuse("unknown_account")
        coin = account.coins[_TICKERS[asked["currency"]]]
        name = request.path.removeprefix("/v2/")
        if name == "hash_rate/info":
            return json_response(
                {"info": {"name": account.name, **self._rates(None)}, "currency": "litecoin"}
            )
        if name == "hash_rate/worker/list":
            return json_response({"workers": [self._worker(one) for one in account.shown_workers()]})
        if name == "assets/balance":
            held = {
                "balance": coin.balance,
                "immature_balance": 0,
                "paid": coin.paid,
                "total_income": coin.earned,
                "yesterday_income": coin.yesterday,
                "estimated_today_income": coin.balance,
            }
            return json_response({"balance_info": held})
        if name == "assets/transactions/list":
            return json_response({"transactions": self._transactions(asked["type"])})
        return web.Response(status=404)

    def _rates(self, worker: SimWorker | None) -> dict[str, float]:
        account = self._account
        now = account.now
        one = worker or account
        rate = (lambda s: one.rate(now, s)) if isinstance(one, SimWorker) else one.rate
        lost = sum(w.refused_rate(now, 3600.0) for w in ([worker] if worker else account.workers.values()))
        return {
            "hash_rate": rate(600.0),
            "h1_hash_rate": rate(3600.0),
            "h24_hash_rate": rate(DAY),
            "h1_stale_hash_rate": lost,
        }

    def _worker(self, worker: SimWorker) -> dict[str, Any]:
        name = worker.name.removeprefix(f"{self._account.name}.")
        return {
            "hash_rate_info": {"name": name, **self._rates(worker)},
            "last_share_at": int(worker.last_share or 0),
            "status": 0 if worker.online(self._account.now) else 1,
            "host": "ltc.f2pool.com",
        }

    def _transactions(self, kind: str) -> list[dict[str, Any]]:
        payouts = self._account.coins["LTC"].payouts
        if kind == "payout":
            return [
                {
                    "id": index,
                    "type": "payout",
                    "changed_balance": -one.amount,
                    "created_at": int(one.time),
                    "mining_extra": None,
                    "payout_extra": {"value": one.amount, "tx_id": one.txid, "paid_time": int(one.time)},
                }
                for index, one in enumerate(payouts)
            ]
        fee = {"pps_fee_rate": self._account.fee}
        return [
            {"id": index, "type": "revenue_fpps", "changed_balance": one.amount, "created_at": int(one.time)}
            | {"mining_extra": fee, "payout_extra": None}
            for index, one in enumerate(payouts)
        ]

    def _public(self) -> dict[str, Any]:
        account = self._account
        coin, workers = account.coins["LTC"], account.shown_workers()
        return {
            "balance": coin.balance,
            "paid": coin.paid,
            "value": coin.earned,
            "value_last_day": account.earned_24h("LTC"),
            "hashrate": account.rate(600.0),
            "hashes_last_hour": account.rate(3600.0) * 3600.0,
            "hashes_last_day": account.rate(DAY) * DAY,
            "worker_length": len(workers),
            "worker_length_online": sum(worker.online(account.now) for worker in workers),
            "workers": [self._row(worker) for worker in workers],
            "payout_history": [[_iso(one.time), one.txid, one.amount] for one in coin.payouts],
        }

    def _row(self, worker: SimWorker) -> list[Any]:
        now = self._account.now
        return [
            worker.name.removeprefix(f"{self._account.name}."),
            worker.rate(now, 600.0),
            worker.rate(now, 3600.0) * 3600.0,
            worker.refused_rate(now, 3600.0) * 3600.0,
            worker.rate(now, DAY) * DAY,
            worker.refused_rate(now, DAY) * DAY,
            _iso(worker.last_share or 0),
            False,
        ]


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
