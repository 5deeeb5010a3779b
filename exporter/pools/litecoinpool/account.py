"""The account's document, ``GET /api?api_key=KEY``.

Hashrates are kH/s. What a share pays (``pps_rate`` in LTC, ``pps_rate_avg_doge`` in DOGE) is for a share of
difficulty 1, which is 2^16 hashes of scrypt; ``valid_shares`` and its siblings are sums of difficulties, not
numbers of shares, and come as text or as numbers. Times are Unix seconds. Everything about DOGE is missing
in older documents. Source: the pool's help pages, public clients, and a recorded document, of which
``pps_rate`` is 25 LTC / (difficulty x 65,536) x ``pps_ratio`` to the last digit.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, items
from exporter.http import Client
from exporter.pools import PoolSource
from exporter.pools.answers import ask, noted
from exporter.pools.figures import hashrates
from exporter.pools.reading import PoolReading, Profitability, Worker
from exporter.pools.workers import bounded

HASHES_PER_SHARE = 2.0**16
_KILO = 1e3
_MOST_PAYOUTS = 500
# Each coin, and what its fields end with.
_COINS = (("LTC", ""), ("DOGE", "_doge"))


class AccountSource(PoolSource):
    """Reads one account; one request a reading."""

    def __init__(self, endpoint: Endpoint, key: SecretStr) -> None:
        self.endpoint = endpoint
        self._key = key

    async def read(self, client: Client) -> PoolReading:
        """One reading.

        Raises:
            ProbeError: ``unauthorised`` for a document without the account, which is how the pool answers a
                key it does not know, ``bad_shape`` for none at all, else as ``ask``.
        """
        data = await ask(client, "/api", query={"api_key": self._key.get_secret_value()})
        if not isinstance(data, dict):
            raise noted(client, ProbeError(Reason.BAD_SHAPE, "/api is not a document of an account"))
        if not isinstance(data.get("user"), dict):
            words = "the document is of no account: the key is wrong"
            raise noted(client, ProbeError(Reason.UNAUTHORISED, words))
        return reading(data)


def reading(data: dict[str, Any]) -> PoolReading:
    """The document of an account as a reading."""
    found = PoolReading()
    odd: Counter[str] = found.unexpected
    user = Fields(data["user"], "user", odd)
    found.hashrate = hashrates(user, [("now", "hash_rate", _KILO)])
    for ticker, ending in _COINS:
        coin = found.coin(ticker)
        coin.balance_confirmed = user.numeral(f"unpaid_rewards{ending}")
        coin.earned_24h = user.numeral(f"past_24h_rewards{ending}")
        coin.expected_24h = user.numeral(f"expected_24h_rewards{ending}")
        coin.paid_total = user.numeral(f"paid_rewards{ending}")
        payouts = f"recent_payouts{ending}"
        for one in items(data.get(payouts), payouts, odd, _MOST_PAYOUTS):
            if time := one.numeral("time"):
                coin.paid_at(time, one.numeral("amount"))
    found.coin("LTC").blocks_found = user.numeral("blocks_found")
    if data.get("workers") is not None:
        _workers(found, Fields(data["workers"], "workers", odd))
    _network(found, Fields(data.get("network"), "network", odd), Fields(data.get("market"), "market", odd))
    _profitability(found, Fields(data.get("pool"), "pool", odd))
    return found


def _workers(found: PoolReading, workers: Fields) -> None:
    names = workers.keys()
    found.workers, found.workers_cut = bounded(
        (name, partial(_worker, workers.object(name))) for name in names
    )
    found.count_workers()


def _worker(data: Fields, name: str) -> Worker:
    worker = Worker(name, online=data.flag("connected"), last_share=data.numeral("last_share_time") or None)
    worker.hashrate = hashrates(data, [("now", "hash_rate", _KILO), ("24h", "hash_rate_24h", _KILO)])

    def hashes(key: str) -> float | None:
        shares = data.numeral(key)
        return None if shares is None else shares * HASHES_PER_SHARE

    worker.hashes_accepted = hashes("valid_shares")
    worker.hashes_stale = hashes("stale_shares")
    worker.hashes_rejected = hashes("invalid_shares")
    return worker


def _network(found: PoolReading, network: Fields, market: Fields) -> None:
    litecoin = found.network("LTC")
    litecoin.difficulty = network.numeral("difficulty")
    rate = network.numeral("hash_rate")
    litecoin.hashrate = None if rate is None else rate * _KILO
    found.network("DOGE").difficulty = network.numeral("difficulty_avg_doge")
    for ticker, _ in _COINS:
        one = found.network(ticker)
        one.price_usd = market.numeral(f"{ticker.lower()}_usd")
        one.price_btc = market.numeral(f"{ticker.lower()}_btc")


def _profitability(found: PoolReading, pool: Fields) -> None:
    """What a hash earns of each coin; one whose rate is missing has an entry too: none is priced alone."""
    found.pays_ratio = pool.numeral("pps_ratio")
    shares = {"LTC": pool.numeral("pps_rate"), "DOGE": pool.numeral("pps_rate_avg_doge")}
    if shares["DOGE"] is None and found.coins["DOGE"].expected_24h is None:
        # An older document, of when Litecoin was all there was.
        del shares["DOGE"]
    if all(a_share is None for a_share in shares.values()):
        return
    for ticker, a_share in shares.items():
        a_hash = None if a_share is None else a_share / HASHES_PER_SHARE
        price = found.network(ticker)
        found.profitability.append(
            Profitability(
                "scrypt",
                coin=ticker,
                coins=a_hash,
                usd=_worth(a_hash, price.price_usd),
                btc=_worth(a_hash, price.price_btc),
            )
        )


def _worth(coins: float | None, price: float | None) -> float | None:
    return None if coins is None or price is None else coins * price
