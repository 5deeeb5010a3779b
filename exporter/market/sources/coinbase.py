"""Coinbase's spot prices: one answer a coin.

``GET /v2/prices/LTC-USD/spot`` gives ``{"data": {"amount": "42.51", "base": "LTC", "currency": "USD"}}``. Ten
requests a second are allowed. Source: the exchange's documentation.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.reading import MarketReading
from exporter.market.sources import PRICES
from exporter.pools.answers import ask

TELLS = frozenset({PRICES})
BASE_URL = "https://api.coinbase.com"
REQUESTS_PER_HOUR = 180
_COINS = ("LTC", "DOGE", "BTC")


async def read(client: Client) -> MarketReading:
    """Three requests; a coin that is not told is left out.

    Raises:
        ProbeError: ``bad_shape`` for another document, else as ``ask``; no coin at all is told.
    """
    found = MarketReading()
    problem: ProbeError | None = None
    for ticker in _COINS:
        path = f"/v2/prices/{ticker}-USD/spot"
        try:
            data = await ask(client, path)
        except ProbeError as error:
            if error.reason is not Reason.HTTP_STATUS:
                raise
            problem = error.bare()
            continue
        told = Fields(data if isinstance(data, dict) else {"data": data}, "spot", found.unexpected)
        spot = told.object("data")
        if spot.raw("base") != ticker or spot.raw("currency") != "USD":
            raise ProbeError(Reason.BAD_SHAPE, f"{path} is not a price of {ticker} in USD")
        found.coin(ticker).network.price_usd = spot.numeral("amount")
    if problem is not None and not found.coins:
        raise problem
    return found
