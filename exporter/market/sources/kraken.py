"""Kraken's ticker: the last trade of each coin in USD, three coins in one answer.

``GET /0/public/Ticker?pair=...`` gives ``{"error": [], "result": {PAIR: {"c": [price, volume], ...}}}`` with
text for numbers. The pairs' names in the answer are others than those asked for (``XLTCZUSD``, ``XXBTZUSD``).
A pair it does not know fails the whole answer, with status 200. One request a second is allowed. Source: the
exchange's documentation and clients.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.reading import MarketReading
from exporter.market.sources import PRICES
from exporter.pools.answers import ask

TELLS = frozenset({PRICES})
BASE_URL = "https://api.kraken.com"
REQUESTS_PER_HOUR = 60
_PATH = "/0/public/Ticker"
_PAIRS = {
    "LTC": ("XLTCZUSD", "LTCUSD"),
    "DOGE": ("XDGUSD", "DOGEUSD", "XXDGZUSD"),
    "BTC": ("XXBTZUSD", "XBTUSD"),
}


async def read(client: Client) -> MarketReading:
    """One request.

    Raises:
        ProbeError: ``throttled`` or ``pool_error`` by the errors in the answer, ``bad_shape`` for another
            document, else as ``ask``.
    """
    data = await ask(client, _PATH, query={"pair": "LTCUSD,XDGUSD,XBTUSD"})
    if not isinstance(data, dict):
        raise ProbeError(Reason.BAD_SHAPE, f"{_PATH} is not a document of a ticker")
    errors = data.get("error")
    if errors:
        limit = any(words in f"{errors}"[:1000] for words in ("Rate limit", "Too many requests"))
        problem = ProbeError(Reason.THROTTLED if limit else Reason.POOL_ERROR, f"{_PATH} answered an error")
        client.steps[-1].problem = str(problem)
        raise problem
    found = MarketReading()
    result = Fields(data.get("result"), "result", found.unexpected)
    for ticker, names in _PAIRS.items():
        name = next((name for name in names if name in result), None)
        if name is not None:
            last = result.object(name).raw("c")
            price = last[0] if isinstance(last, list) and last else last
            told = Fields({"c": price}, f"result.{name}", found.unexpected)
            found.coin(ticker).network.price_usd = told.numeral("c")
    return found
