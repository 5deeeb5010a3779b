"""ViaBTC's interface: envelopes with status 200, text for numbers, workers in pages of fifty at most."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from aiohttp import web

from exporter.simulator.pools.account import DAY, SimAccount, SimWorker
from exporter.simulator.pools.host import json_response

BASE = "/res/openapi/v1"
_BEIJING = timezone(timedelta(hours=8))
_WINDOWS = (("hashrate_10min", 600.0), ("hashrate_1hour", 3600.0), ("hashrate_24hour", DAY))
_CODES = {
    "wrong_key": (12001, "invalid api key"),
    "ip_not_allowed": (12004, "ip not allowed"),
    "unknown_account": (5003, "miner does not exist"),
    "throttled": (20000, "too frequent"),
}


class Fake:
    """The pool's interface."""

    # No limit is published; clients ask once a minute.
    gaps: Mapping[str, float] = MappingProxyType({"/hashrate": 60.0, "/account": 60.0})

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self.settings = {"api_key": account.key, "account": account.name}

    def name(self, request: web.BaseRequest) -> str:
        """The path below the interface's root; each page and coin is a call of its own."""
        path = request.path.removeprefix(BASE)
        return path if path in self.gaps else f"{path}?{request.query_string}"

    def refuse(self, refusal: str) -> web.Response:
        """An envelope with another code; too many requests are refused before it."""
        if refusal == "throttled":
            return web.Response(status=429)
        code, message = _CODES[refusal]
        return json_response({"code": code, "data": {}, "message": message})

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """``GET`` with the key in a header."""
        if request.headers.get("X-API-KEY") != self._account.key:
            return self.refuse("wrong_key")
        coin = request.query.get("coin", "")
        page = int(request.query.get("page", "1"))
        limit = min(50, int(request.query.get("limit", "10")))
        path = request.path.removeprefix(BASE)
        if path == "/account":
            return _told({"account": {"account": self._account.name}, "balance": self._balances()})
        if coin not in self._account.coins:
            return json_response({"code": 5001, "data": {}, "message": "invalid coin type"})
        if path == "/hashrate":
            return _told(self._hashrate(coin))
        if path == "/hashrate/worker":
            return _told(self._workers(coin, page, limit))
        if path == "/profit/history" and coin == "LTC":
            zone = UTC if request.query.get("utc") == "true" else _BEIJING
            return _told(_paged(self._days(coin, zone), page, limit))
        if path == "/reward/history" and coin == "DOGE":
            return _told(_paged(self._days(coin, _BEIJING), page, limit))
        if path == "/wallet/payment/history":
            rows = [
                {
                    "id": index,
                    "coin": coin,
                    "amount": f"{one.amount:.8f}",
                    "tx": one.txid,
                    "create_time": int(one.time),
                }
                for index, one in enumerate(self._account.coins[coin].payouts)
            ]
            return json_response({"code": 0, "message": "OK", **_paged(rows, page, limit)})
        return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")

    def _hashrate(self, coin: str) -> dict[str, Any]:
        account = self._account
        online = sum(worker.online(account.now) for worker in account.shown_workers())
        return {
            "coin": coin,
            "active_workers": online,
            "unactive_workers": len(account.shown_workers()) - online,
            **{key: f"{account.rate(seconds):.0f}" for key, seconds in _WINDOWS},
        }

    def _workers(self, coin: str, page: int, limit: int) -> dict[str, Any]:
        rows = [self._worker(coin, worker) for worker in self._account.shown_workers()]
        if "endless_pages" in self._account.faults:
            return {**_paged(rows, 1, limit), "curr_page": page, "has_next": True}
        return _paged(rows, page, limit)

    def _worker(self, coin: str, worker: SimWorker) -> dict[str, Any]:
        now = self._account.now
        lost = worker.refused_rate(now, DAY)
        total = lost + worker.rate(now, DAY)
        return {
            "coin": coin,
            "group_id": None,
            "worker_id": worker.number,
            # The pool leaves the account out of the name.
            "worker_name": worker.name.removeprefix(f"{self._account.name}."),
            "worker_status": "active" if worker.online(now) else "unactive",
            "last_active": int(worker.last_share or 0),
            "reject_rate": f"{lost / total if total else 0:.4f}",
            **{key: f"{worker.rate(now, seconds):.0f}" for key, seconds in _WINDOWS},
        }

    def _balances(self) -> list[dict[str, str]]:
        coins = self._account.coins
        return [{"coin": "BTC", "amount": "0"}] + [
            {"coin": ticker, "amount": f"{coin.balance:.8f}"} for ticker, coin in coins.items()
        ]

    def _days(self, coin: str, zone: timezone) -> list[dict[str, str]]:
        """Today so far, and yesterday."""
        today = datetime.fromtimestamp(self._account.now, zone)
        one = self._account.coins[coin]
        return [
            {"coin": coin, "date": f"{today:%Y-%m-%d}", "total_profit": f"{one.balance:.8f}"},
            {
                "coin": coin,
                "date": f"{today - timedelta(days=1):%Y-%m-%d}",
                "total_profit": f"{one.yesterday:.8f}",
            },
        ]


def _paged(rows: list[Any], page: int, limit: int) -> dict[str, Any]:
    part = rows[(page - 1) * limit : page * limit]
    return {
        "count": len(part),
        "curr_page": page,
        "data": part,
        "has_next": page * limit < len(rows),
        "total": len(rows),
        "total_page": -(-len(rows) // limit),
    }


def _told(data: Any) -> web.Response:
    return json_response({"code": 0, "data": data, "message": "OK"})
