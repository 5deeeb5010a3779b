"""ViaBTC's public state pages: a coin's price, and its difficulty.

``GET /res/pool/COIN/state`` gives ``{"message": "OK", "data": [{"coin", "curr_diff", "coin_price",
"pricing_currency", ...}]}``. A price is taken only where its currency is said to be USD. The unit of
``curr_diff`` is published nowhere, and of other coins it is hashes: it counts only where it can be the node's
difficulty by its size. The page tells neither height nor subsidy. Source: public clients.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.chains import CHAINS
from exporter.market.reading import MarketReading
from exporter.market.sources import NETWORK, PRICES
from exporter.pools.answers import ask

TELLS = frozenset({NETWORK, PRICES})
BASE_URL = "https://www.viabtc.com"
REQUESTS_PER_HOUR = 120
_MOST_ROWS = 100


async def read(client: Client) -> MarketReading:
    """One request a coin.

    Raises:
        ProbeError: ``pool_error`` for a message that is not OK, ``bad_shape`` for other documents, else as
            ``ask``.
    """
    found = MarketReading()
    for ticker in CHAINS:
        path = f"/res/pool/{ticker}/state"
        data = await ask(client, path)
        if not isinstance(data, dict):
            raise ProbeError(Reason.BAD_SHAPE, f"{path} is not a document of a state")
        if data.get("message") != "OK":
            raise ProbeError(Reason.POOL_ERROR, f"{path} has a message that is not OK")
        for row in Fields(data, "state", found.unexpected).objects("data", _MOST_ROWS):
            if row.raw("coin") == ticker:
                network = found.coin(ticker).network
                network.difficulty = row.numeral("curr_diff")
                if row.raw("pricing_currency") == "USD":
                    network.price_usd = row.numeral("coin_price")
    return found
