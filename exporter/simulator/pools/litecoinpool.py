"""litecoinpool.org's one document, with money that follows from the work it shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from exporter.simulator.pools.account import HASHES_PER_SHARE, SimAccount, SimWorker
from exporter.simulator.pools.host import json_response

_TICKERS = (("LTC", ""), ("DOGE", "_doge"))
_BTC_USD = 61_000.0


class Fake:
    """The pool's interface. Hashrates are kH/s, shares are sums of difficulties, as text."""

    # "At most once a minute", as the pool's help says.
    gaps: Mapping[str, float] = MappingProxyType({"/api": 60.0})

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self.settings = {"api_key": account.key, "account": account.name}

    def name(self, request: web.BaseRequest) -> str:
        """The path."""
        return request.path

    def refuse(self, refusal: str) -> web.Response:
        """A document without the account, or a message."""
        if refusal == "throttled":
            return web.Response(status=429, text="Too many requests")
        if refusal == "ip_not_allowed":
            return web.Response(status=403, text="Forbidden")
        return json_response(
            {"pool": self._pool()} if refusal == "unknown_account" else {"error": "Invalid API key"}
        )

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """``GET /api?api_key=KEY``."""
        if request.path != "/api":
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        if request.query.get("api_key") != self._account.key:
            return self.refuse("wrong_key")
        account = self._account
        coins = account.coins
        user: dict[str, Any] = {
            "hash_rate": account.rate(600.0) / 1e3,
            "total_work": f"{sum(worker.accepted.difficulty for worker in account.workers.values()):.0f}",
            "blocks_found": 1,
        }
        for ticker, ending in _TICKERS:
            user |= {
                f"expected_24h_rewards{ending}": account.expected_24h(ticker),
                f"past_24h_rewards{ending}": account.earned_24h(ticker),
                f"total_rewards{ending}": coins[ticker].earned,
                f"paid_rewards{ending}": coins[ticker].paid,
                f"unpaid_rewards{ending}": coins[ticker].balance,
            }
        network = account.networks
        return json_response(
            {
                "user": user,
                "workers": {worker.name: self._worker(worker) for worker in account.shown_workers()},
                "pool": self._pool(),
                "network": {
                    "hash_rate": network["LTC"].hashrate / 1e3,
                    "block_number": network["LTC"].height,
                    "time_per_block": network["LTC"].block_seconds,
                    "difficulty": network["LTC"].difficulty,
                    "difficulty_avg_doge": network["DOGE"].difficulty,
                },
                **{
                    f"recent_payouts{ending}": [
                        {"time": int(payout.time), "amount": payout.amount}
                        for payout in coins[ticker].payouts
                    ]
                    for ticker, ending in _TICKERS
                },
                "market": {
                    "btc_usd": _BTC_USD,
                    **{f"{ticker.lower()}_usd": one.usd for ticker, one in network.items()},
                    **{f"{ticker.lower()}_btc": one.usd / _BTC_USD for ticker, one in network.items()},
                },
            }
        )

    def _pool(self) -> dict[str, Any]:
        account = self._account
        return {
            "hash_rate": 2.9e11,
            "active_users": 4100,
            "pps_ratio": 1 - account.fee,
            "pps_rate": account.coins_per_hash("LTC") * HASHES_PER_SHARE,
            "pps_rate_avg_doge": account.coins_per_hash("DOGE") * HASHES_PER_SHARE,
        }

    def _worker(self, worker: SimWorker) -> dict[str, Any]:
        now = self._account.now
        return {
            "connected": worker.online(now),
            "hash_rate": worker.rate(now, 600.0) / 1e3,
            "hash_rate_24h": worker.rate(now, 86_400.0) / 1e3,
            "valid_shares": f"{worker.accepted.difficulty:.0f}",
            "stale_shares": f"{worker.stale.difficulty:.0f}",
            "invalid_shares": f"{worker.rejected.difficulty:.0f}",
            "last_share_time": int(worker.last_share or 0),
            "reset_time": int(worker.reset),
        }
