"""CoinGecko's simple price: three coins in one answer, each with its date.

``GET /api/v3/simple/price?ids=...&vs_currencies=usd&include_last_updated_at=true`` gives
``{"litecoin": {"usd": 102.02, "last_updated_at": 1578961538}, ...}``; a coin it does not know is missing.
Without a key the limit is low and counted by address: 429. Source: the service's documentation and recorded
answers.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.reading import MarketReading
from exporter.market.sources import PRICES
from exporter.pools.answers import ask

TELLS = frozenset({PRICES})
BASE_URL = "https://api.coingecko.com"
REQUESTS_PER_HOUR = 30
_PATH = "/api/v3/simple/price"
_IDS = {"LTC": "litecoin", "DOGE": "dogecoin", "BTC": "bitcoin"}


async def read(client: Client) -> MarketReading:
    """One request.

    Raises:
        ProbeError: ``throttled`` or ``pool_error`` for a status in the document, ``bad_shape`` for another
            document, else as ``ask``.
    """
    query = {"ids": ",".join(_IDS.values()), "vs_currencies": "usd", "include_last_updated_at": "true"}
    data = await ask(client, _PATH, query=query)
    if not isinstance(data, dict):
        raise ProbeError(Reason.BAD_SHAPE, f"{_PATH} is not a document of prices")
    status = data.get("status")
    if isinstance(status, dict) and status.get("error_code"):
        limit = status.get("error_code") == 429
        problem = ProbeError(Reason.THROTTLED if limit else Reason.POOL_ERROR, f"{_PATH} answered an error")
        client.steps[-1].problem = str(problem)
        raise problem
    found = MarketReading()
    told = Fields(data, "price", found.unexpected)
    for ticker, name in _IDS.items():
        if name in told:
            coin = found.coin(ticker)
            coin.network.price_usd = told.object(name).numeral("usd")
            coin.dated = told.object(name).numeral("last_updated_at")
    return found
