"""A YiiMP site that exchanges everything into Dogecoin, as the software's own API controller answers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from exporter.simulator.pools.account import DAY, SimAccount, SimWorker
from exporter.simulator.pools.host import json_response

PAYOUT = "DOGE"
BTC_USD = 61_000.0
# Estimates are for so many MH/s: this site's figure, others have others.
FACTOR = 1000.0
_WINDOW_SECONDS = 300.0
# The software takes a unit of difficulty for 2^42/1000 hashes; it is 2^32.
_TOO_HIGH = 2.0**42 / 1000 / 2.0**32
_ADDRESS = "DSimulatedWalletAddress"


class Fake:
    """The site's interface. ``accepted`` and ``rejected`` are hashes per second."""

    gaps: Mapping[str, float] = MappingProxyType(
        dict.fromkeys(("status", "currencies", "wallet", "walletex"), 10.0)
    )

    def __init__(self, account: SimAccount) -> None:
        self._account = account
        self.settings = {"address": _ADDRESS, "payout_coin": PAYOUT}

    def name(self, request: web.BaseRequest) -> str:
        """The method, which is what the site counts by."""
        return request.path.removeprefix("/api/").strip("/").lower()

    def refuse(self, refusal: str) -> web.Response:
        """Nothing at all, mostly; a wallet of another coin's address is ``INVALID``."""
        if refusal == "wrong_key":
            return json_response({"currency": "INVALID", "unsold": 0, "balance": 0, "unpaid": 0})
        if refusal == "ip_not_allowed":
            return web.Response(status=403, text="<html>Forbidden</html>", content_type="text/html")
        return web.Response()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """One of the four methods."""
        name = self.name(request)
        if name == "status":
            return json_response(status(self._account))
        if name == "currencies":
            return json_response(self._currencies())
        if name not in ("wallet", "walletex"):
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        if request.query.get("address") != _ADDRESS:
            return web.Response()
        return json_response(self._wallet(extended=name == "walletex"))

    def _in_payout_coin(self, amounts: Mapping[str, float]) -> float:
        networks = self._account.networks
        return sum(amount * networks[ticker].usd for ticker, amount in amounts.items()) / networks[PAYOUT].usd

    def _wallet(self, *, extended: bool) -> dict[str, Any]:
        account = self._account
        coins = account.coins
        unpaid = self._in_payout_coin({ticker: coin.balance for ticker, coin in coins.items()})
        paid = self._in_payout_coin({ticker: coin.paid for ticker, coin in coins.items()})
        payouts: list[dict[str, Any]] = [
            {
                "time": f"{payout.time:.0f}",
                "amount": self._in_payout_coin(
                    {ticker: coin.payouts[number].amount for ticker, coin in coins.items()}
                ),
                "tx": payout.txid,
            }
            for number, payout in enumerate(coins[PAYOUT].payouts)
        ]
        paid_24h = sum(payout["amount"] for payout in payouts if float(payout["time"]) > account.now - DAY)
        wallet: dict[str, Any] = {
            "currency": PAYOUT,
            "unsold": unpaid * 0.1,
            "balance": unpaid * 0.9,
            "unpaid": unpaid,
            "paid24h": paid_24h,
            "total": unpaid + paid_24h,
        }
        if extended:
            wallet["paidtotal"] = paid
            wallet["miners"] = [
                self._miner(worker)
                for worker in account.shown_workers()
                if worker.online(account.now) or worker.number >= 9000
            ]
            wallet["payouts"] = payouts
        return wallet

    def _miner(self, worker: SimWorker) -> dict[str, Any]:
        now = self._account.now
        name = worker.name.partition(".")[2]
        return {
            "version": "vnish/1.2.7",
            "password": f"c={PAYOUT},ID={name}",
            "ID": name,
            "algo": "scrypt",
            "difficulty": 65536,
            "subscribe": 1,
            "accepted": worker.rate(now, _WINDOW_SECONDS) * _TOO_HIGH,
            "rejected": worker.refused_rate(now, _WINDOW_SECONDS) * _TOO_HIGH,
        }

    def _currencies(self) -> dict[str, Any]:
        account = self._account
        found: dict[str, Any] = {
            "DGB-sha": {
                "symbol": "DGB",
                "algo": "sha256",
                "name": "DigiByte",
                "difficulty": "1",
                "hashrate": False,
            }
        }
        for ticker, network in account.networks.items():
            found[ticker] = {
                "algo": "scrypt",
                "port": 3433,
                "name": ticker.title(),
                "reward": network.subsidy,
                "height": network.height,
                "difficulty": f"{network.difficulty:.8f}",
                "workers": len(account.workers),
                "hashrate": account.rate(_WINDOW_SECONDS),
                "network_hashrate": network.hashrate,
                "estimate": "0.00000",
                "24h_blocks": 2,
                "24h_btc": 0.001,
            }
        return found


def status(account: SimAccount) -> dict[str, Any]:
    """What the site quotes: for a day of :data:`FACTOR` MH/s, its fee taken off."""
    a_day = DAY * FACTOR * 1e6
    btc = sum(account.coins_per_hash(ticker) * one.usd for ticker, one in account.networks.items()) / BTC_USD
    return {
        "sha256": {
            "name": "sha256",
            "port": 3333,
            "fees": 1,
            "hashrate": 0,
            "workers": 0,
            "estimate_current": "0.00000000",
            "estimate_last24h": "0.00000000",
            "actual_last24h": "0.00000",
            "mbtc_mh_factor": 1000000,
        },
        "Scrypt": {
            "name": "scrypt",
            "port": 3433,
            "coins": 44,
            "fees": account.fee * 100,
            "hashrate": account.rate(_WINDOW_SECONDS),
            "hashrate_shared": account.rate(_WINDOW_SECONDS),
            "workers": len(account.workers),
            "estimate_current": f"{btc * a_day:.12f}",
            "estimate_last24h": f"{btc * a_day:.12f}",
            "actual_last24h": f"{btc * a_day * 1000 * 0.95:.9f}",
            "mbtc_mh_factor": FACTOR,
        },
    }
