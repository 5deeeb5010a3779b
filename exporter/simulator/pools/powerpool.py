"""PowerPool: an account whose hashrates come in a unit of the pool's choice, and everybody's rates."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from exporter.simulator.pools.account import DAY, SimAccount, SimWorker
from exporter.simulator.pools.host import json_response

_BTC_USD = 61_000.0
_UNITS = (("GH/s", 1e9), ("MH/s", 1e6), ("TH/s", 1e12), ("KH/s", 1e3))


class Fake:
    """The pool's interface. It lists all it knows, most of it with zeros, and who hashes."""

    # Clients ask once a minute at most; the pool names no limit.
    gaps: Mapping[str, float] = MappingProxyType({"/api/user": 60.0, "/api/pool": 60.0})

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self._answers = 0
        self.settings = {"api_key": account.key, "account": account.name}

    def name(self, request: web.BaseRequest) -> str:
        """The path."""
        return request.path

    def refuse(self, refusal: str) -> web.Response:
        """An empty object for a key it does not know."""
        if refusal == "throttled":
            return web.Response(status=429, text="Too many requests")
        if refusal == "ip_not_allowed":
            return web.Response(status=403, text="Forbidden")
        return json_response({})

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The account to its key, the rates to everybody."""
        if request.path == "/api/pool":
            return json_response(self._pool())
        if request.path != "/api/user":
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        if request.query.get("apiKey") != self._account.key:
            return self.refuse("wrong_key")
        self._answers += 1
        return json_response({self._account.name: self._user()})

    def _rate(self, key: str, rate: float) -> dict[str, Any]:
        unit, scale = _UNITS[self._answers % len(_UNITS) if "unit_flip" in self._account.faults else 0]
        return {key: rate / scale, f"{key}_units": unit}

    def _usd_per_hash(self) -> float:
        account = self._account
        return sum(account.coins_per_hash(ticker) * one.usd for ticker, one in account.networks.items())

    def _user(self) -> dict[str, Any]:
        account = self._account
        average = account.rate(3600.0)
        nothing = {
            "hashrate": 0,
            "hashrate_units": "KH/s",
            "hashrate_avg": 0,
            "hashrate_avg_units": "KH/s",
            "estimated_24h_usd_revenue": 0,
        }
        workers = [self._worker(worker) for worker in account.shown_workers() if self._shown(worker)]
        idle = {"hashrate": 0, "hashrate_avg": 0, "valid_shares": 0, "invalid_shares": 0, "stale_shares": 0}
        return {
            "hashrate": {
                "equihash": {**nothing, "hashrate_units": "Sol/s", "hashrate_avg_units": "Sol/s"},
                "sha256": nothing,
                "scrypt": {
                    **self._rate("hashrate", account.rate(600.0)),
                    **self._rate("hashrate_avg", average),
                    "estimated_24h_usd_revenue": self._usd_per_hash() * average * DAY,
                },
            },
            "balances": [
                {"coin": 1, "coinTicker": "BTC", "balance": 0},
                *(
                    {"coin": 2 + number, "coinTicker": ticker, "balance": coin.balance}
                    for number, (ticker, coin) in enumerate(account.coins.items())
                ),
                {"coin": 9, "coinTicker": "KAS", "balance": 0},
            ],
            "workers": {
                "sha256": [{**worker, **idle, "algorithm": "sha256", "blocks": 0} for worker in workers],
                "scrypt": workers,
            },
            "earnings": {"scrypt": []},
            "payments": [
                {
                    "address": "DSimulatedWalletAddress",
                    "value": payout.amount,
                    "timestamp": payout.time + 0.13,
                    "ticker": ticker,
                    "txid": payout.txid,
                }
                for ticker, coin in account.coins.items()
                for payout in coin.payouts
            ],
        }

    def _shown(self, worker: SimWorker) -> bool:
        return worker.online(self._account.now) or worker.number >= 9000

    def _worker(self, worker: SimWorker) -> dict[str, Any]:
        now = self._account.now
        return {
            "id": 4_590_000 + worker.number,
            "algorithm": "scrypt",
            "name": worker.name,
            "valid_shares": worker.accepted.shares,
            "invalid_shares": worker.rejected.shares,
            "stale_shares": worker.stale.shares,
            "blocks": 0,
            **self._rate("hashrate", worker.rate(now, 600.0)),
            **self._rate("hashrate_avg", worker.rate(now, 3600.0)),
        }

    def _pool(self) -> dict[str, Any]:
        account = self._account
        return {
            "pools": {
                "scrypt": {
                    "hashrate": 1.2,
                    "BTCpayRate": self._usd_per_hash() / _BTC_USD * 1e9 * DAY,
                    "BTCaveragePayRate": self._usd_per_hash() / _BTC_USD * 1e9 * DAY,
                    "payRateUnits": "GH",
                    "payRateConversion": 1e9,
                    "miners": 100,
                    "fee": account.fee * 100,
                    "blocks": 3,
                }
            },
            "prices": {"BTC": _BTC_USD, **{ticker: one.usd for ticker, one in account.networks.items()}},
        }
