"""Mining-Dutch: a YiiMP site's quotes, and an MPOS account for each coin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from exporter.simulator.pools.account import SimAccount
from exporter.simulator.pools.host import json_response
from exporter.simulator.pools.yiimp import status

_COINS = {"litecoin": "LTC", "dogecoin": "DOGE"}
_ACTIONS = ("getuserbalance", "getdashboarddata", "getusertransactions")
_ACCOUNT_ID = 4711
_ZONE = ZoneInfo("Europe/Amsterdam")


class Fake:
    """The pool's interface. It answers one request in ten seconds, and wants ten minutes between rounds."""

    gaps: Mapping[str, float] = MappingProxyType(
        {
            "": 10.0,
            "status": 600.0,
            "scrypt getuserworkers": 600.0,
            **{f"{page} {action}": 600.0 for page in _COINS for action in _ACTIONS},
        }
    )

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self.settings: dict[str, Any] = {
            "type": "yiimp",
            "name": "mining_dutch",
            "dialect": "mining_dutch",
            "api_key": account.key,
            "account_id": _ACCOUNT_ID,
            "account": account.name,
        }

    def name(self, request: web.BaseRequest) -> str:
        """The page and the action."""
        if request.path == "/api/status/":
            return "status"
        page = request.path.removeprefix("/pools/").removesuffix(".php")
        return f"{page} {request.query.get('action', '')}"

    def refuse(self, refusal: str) -> web.Response:
        """A status, or a message about too many requests."""
        if refusal == "throttled":
            return json_response({"message": "Only 1 request every 10 seconds allowed"})
        return web.Response(status=401, text="Access denied")

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The quotes to everybody who looks like a browser, the pages to the account."""
        if "text/plain" not in request.headers.get("Accept", "") or "Mozilla" not in request.headers.get(
            "User-Agent", ""
        ):
            return web.Response(text="<html>Mining-Dutch</html>", content_type="text/html")
        name = self.name(request)
        if name == "status":
            return json_response({**status(self._account), "tsl": 1, "blk": 2})
        page, _, action = name.partition(" ")
        query = request.query
        if query.get("api_key") != self._account.key or query.get("id") != str(_ACCOUNT_ID):
            return self.refuse("wrong_key")
        if query.get("page") != "api" or (page != "scrypt" and page not in _COINS):
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        if action == "getuserworkers":
            data = self._workers()
        elif page in _COINS and action in _ACTIONS:
            data = {
                "getuserbalance": self._balance,
                "getdashboarddata": self._dashboard,
                "getusertransactions": self._transactions,
            }[action](_COINS[page])
        else:
            return web.Response(status=501, text="Not implemented")
        return json_response({action: {"version": "1.0.0", "runtime": 3, "data": data}})

    def _workers(self) -> dict[str, Any]:
        account = self._account
        return {
            "miners": [
                {
                    "username": worker.name,
                    "nowMining": "litecoin",
                    "mergedMining": 1,
                    "mode": "PPS",
                    "alive": int(worker.online(account.now)),
                    "hashrate": f"{worker.rate(account.now, 600.0):.0f}",
                    "lastshare": int(worker.last_share or 0),
                    "difficulty": "4096",
                }
                for worker in account.shown_workers()
            ]
        }

    def _balance(self, ticker: str) -> dict[str, Any]:
        return {
            "confirmed": f"{self._account.coins[ticker].balance:.8f}",
            "unconfirmed": "0.25",
            "orphaned": "0",
        }

    def _dashboard(self, ticker: str) -> dict[str, Any]:
        account = self._account
        return {
            "personal": {"hashrate": account.rate(600.0), "shares": {"valid": 100, "invalid": 1}},
            "recent_credits_24hours": {"amount": account.earned_24h(ticker)},
            "network": {
                "hashrate": account.networks[ticker].hashrate,
                "difficulty": account.networks[ticker].difficulty,
                "block": account.networks[ticker].height,
            },
        }

    def _transactions(self, ticker: str) -> dict[str, Any]:
        coin = self._account.coins[ticker]
        return {
            "transactions": [
                {
                    "id": 1000 - number,
                    "username": self._account.name,
                    "type": "Debit_AP",
                    "amount": f"{payout.amount:.8f}",
                    "timestamp": _local(payout.time),
                    "txid": payout.txid,
                    "height": None,
                }
                for number, payout in enumerate(coin.payouts)
            ]
            + [
                {
                    "id": 1,
                    "username": self._account.name,
                    "type": "Credit",
                    "amount": "0.1",
                    "timestamp": _local(self._account.now),
                    "txid": "",
                    "height": 1,
                }
            ],
            "transactionsummary": {"Credit": coin.earned, "Debit_AP": coin.paid, "TXFee": 0},
        }


def _local(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S")
