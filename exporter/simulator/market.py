"""Simulated market sources on loopback: one market in the words of each source, with faults on request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from exporter.simulator.faults import MARKET_FAULTS, parameters
from exporter.simulator.hosts import Host
from exporter.simulator.pools.account import SimNetwork
from exporter.simulator.pools.host import as_nulls, as_text, json_response

_HASHES_PER_DIFFICULTY = 2.0**32
_NAMES = {"LTC": "litecoin", "DOGE": "dogecoin", "BTC": "bitcoin"}
_PAIRS = {
    "LTCUSD": ("LTC", "XLTCZUSD"),
    "XDGUSD": ("DOGE", "XDGUSD"),
    "DOGEUSD": ("DOGE", "XDGUSD"),
    "XBTUSD": ("BTC", "XXBTZUSD"),
}


class SimMarket:
    """Two networks and three prices that move with *clock*: blocks come, Dogecoin's difficulty with each."""

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self.clock = clock
        self.wall_clock = wall_clock
        self.networks = {
            "LTC": SimNetwork(1.05e8, 6.25, 150.0, 42.5, 3_050_000),
            "DOGE": SimNetwork(4.2e7, 10_000.0, 60.0, 0.0726, 6_100_000),
        }
        self.bitcoin = 61_000.0
        # How far Dogecoin's difficulty goes up and down, as a share.
        self.restless = 0.1
        self._started = clock()

    def height(self, ticker: str) -> int:
        """The newest block."""
        one = self.networks[ticker]
        return one.height + int((self.clock() - self._started) / one.block_seconds)

    def difficulty(self, ticker: str) -> float:
        """The newest block's difficulty."""
        one = self.networks[ticker]
        swing = self.restless * math.sin(self.height(ticker)) if ticker == "DOGE" else 0.0
        return one.difficulty * (1 + swing)

    def usd(self, ticker: str) -> float:
        """The price now; it moves a thousandth in ten minutes."""
        base = self.bitcoin if ticker == "BTC" else self.networks[ticker].usd
        return base * (1 + 1e-3 * math.sin((self.clock() - self._started) / 600))


class MarketHost(Host):
    """The web server of one source.

    ``too_fast`` has a line for each request that came sooner after the last of its path than the source
    allows; ``asked`` counts them by path.
    """

    def __init__(self, market: SimMarket, name: str, address: str, port: int) -> None:
        super().__init__(address, port)
        self.market = market
        self.name = name
        self.too_fast: list[str] = []
        self.asked: dict[str, int] = {}
        self._faults: dict[str, dict[str, float]] = {}
        self._last: dict[str, float] = {}
        self._said: dict[str, bytes] = {}
        self._gap, self._answer = _SOURCES[name]

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """The source's faults."""
        return self._faults

    def inject(self, fault: str, given: Mapping[str, object] | None = None) -> None:
        """Start misbehaving.

        Raises:
            UnknownFaultError: there is no such fault.
        """
        self._faults[fault] = parameters(MARKET_FAULTS, fault, given)

    def repair(self, fault: str | None = None) -> None:
        """Stop misbehaving in one way, or in all."""
        for name in [fault] if fault else list(self._faults):
            self._faults.pop(name, None)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The source's answer, as its faults leave it."""
        now = self.market.clock()
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        gap = now - self._last.get(request.path, -math.inf)
        if gap < self._gap * 0.99:
            self.too_fast.append(f"{request.path}: {gap:.3f} s after the last")
        self._last[request.path] = now
        if "throttled" in self.faults:
            return _throttled(self.name)
        if "empty" in self.faults:
            return web.Response()
        if "stale" in self.faults and request.path in self._said:
            return web.Response(body=self._said[request.path], content_type="application/json")
        data = self._answer(self, request)
        if data is None:
            return web.Response(
                status=404, text='{"errors":[{"id":"not_found"}]}', content_type="application/json"
            )
        if "numbers_as_text" in self.faults:
            data = as_text(data)
        if "nulls" in self.faults:
            data = as_nulls(data)
        body = json.dumps(data).encode()
        self._said[request.path] = body
        return web.Response(
            body=body[: len(body) // 2] if "truncated" in self.faults else body,
            content_type="application/json",
        )

    def tickers(self) -> list[str]:
        """The coins that are told: all, or without Dogecoin."""
        return [ticker for ticker in _NAMES if ticker != "DOGE" or "missing_coin" not in self.faults]

    def networks(self) -> list[str]:
        """The networks that are told."""
        return [ticker for ticker in self.tickers() if ticker in self.market.networks]

    def usd(self, ticker: str) -> float:
        """The price as it is told: in cents while the unit flips."""
        return self.market.usd(ticker) * (100 if "unit_flip" in self.faults else 1)

    def difficulty(self, ticker: str) -> float:
        """The difficulty as it is told: in hashes while the unit flips."""
        factor = _HASHES_PER_DIFFICULTY if "unit_flip" in self.faults else 1
        return self.market.difficulty(ticker) * factor

    def hashrate(self, ticker: str) -> float:
        """The network's hashes per second."""
        one = self.market.networks[ticker]
        return self.market.difficulty(ticker) * _HASHES_PER_DIFFICULTY / one.block_seconds


def _throttled(name: str) -> web.Response:
    if name == "kraken":
        return json_response({"error": ["EGeneral:Too many requests"]})
    if name == "coingecko":
        words = "You've exceeded the Rate Limit."
        return json_response({"status": {"error_code": 429, "error_message": words}}, status=429)
    return web.Response(status=429, text="Too many requests")


def _litesolo(host: MarketHost, request: web.BaseRequest) -> Any:
    if request.path != "/api/v1/chains":
        return None
    return {
        ticker: {
            "height": host.market.height(ticker),
            "hash_rate": host.hashrate(ticker),
            "difficulty": host.difficulty(ticker),
            "subsidy": host.market.networks[ticker].subsidy,
            "fee": 0.01,
        }
        for ticker in host.networks()
    }


def _litecoinspace(host: MarketHost, request: web.BaseRequest) -> Any:
    if request.path == "/api/blocks/tip/height":
        return host.market.height("LTC")
    if request.path != "/api/v1/mining/hashrate/3d":
        return None
    rate = host.hashrate("LTC")
    return {
        "hashrates": [{"timestamp": int(host.market.wall_clock()) - 3600, "avgHashrate": rate}],
        "difficulty": [],
        "currentHashrate": rate,
        "currentDifficulty": host.difficulty("LTC"),
    }


def _viabtc(host: MarketHost, request: web.BaseRequest) -> Any:
    for ticker in host.networks():
        if request.path == f"/res/pool/{ticker}/state":
            row = {
                "coin": ticker,
                "curr_diff": f"{host.difficulty(ticker):.6f}",
                "pool_hashrate": "9.1e14",
                "coin_price": f"{host.usd(ticker):.8f}",
                "pricing_currency": "USD",
                "curr_connections": 9000,
            }
            return {"code": 0, "message": "OK", "data": [row]}
    return {"code": 0, "message": "OK", "data": []} if request.path.startswith("/res/pool/") else None


def _kraken(host: MarketHost, request: web.BaseRequest) -> Any:
    if request.path != "/0/public/Ticker":
        return None
    pairs = request.query.get("pair", "").split(",")
    if any(pair not in _PAIRS for pair in pairs):
        return {"error": ["EQuery:Unknown asset pair"]}
    told = {name: ticker for ticker, name in (_PAIRS[pair] for pair in pairs) if ticker in host.tickers()}
    return {
        "error": [],
        "result": {name: {"c": [f"{host.usd(ticker):.7f}", "0.1"]} for name, ticker in told.items()},
    }


def _coinbase(host: MarketHost, request: web.BaseRequest) -> Any:
    for ticker in host.tickers():
        if request.path == f"/v2/prices/{ticker}-USD/spot":
            return {"data": {"amount": f"{host.usd(ticker):.7f}", "base": ticker, "currency": "USD"}}
    return None


def _coingecko(host: MarketHost, request: web.BaseRequest) -> Any:
    if request.path != "/api/v3/simple/price":
        return None
    asked = request.query.get("ids", "").split(",")
    return {
        _NAMES[ticker]: {"usd": host.usd(ticker), "last_updated_at": int(host.market.wall_clock()) - 20}
        for ticker in host.tickers()
        if _NAMES[ticker] in asked
    }


# The least seconds between two requests of a path, and the answer. No limit of the networks' is published; a
# minute is what clients of such services keep. CoinGecko takes some ten requests a minute without a key.
_SOURCES: dict[str, tuple[float, Callable[[MarketHost, web.BaseRequest], Any]]] = {
    "litesolo": (60.0, _litesolo),
    "litecoinspace": (60.0, _litecoinspace),
    "viabtc": (60.0, _viabtc),
    "kraken": (1.0, _kraken),
    "coinbase": (0.1, _coinbase),
    "coingecko": (6.0, _coingecko),
}
SOURCES = tuple(_SOURCES)
