"""litesolo.org, the solo pool of litecoinpool.org's operator: both networks in one answer.

``GET /api/v1/chains`` gives ``{"LTC": {"height", "hash_rate", "difficulty", "subsidy", "fee"}, "DOGE": ...}``
with hashes per second, the node's difficulty and coins a block. No limit is published. Source: the pool's
API page.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.chains import CHAINS
from exporter.market.reading import MarketReading
from exporter.market.sources import NETWORK
from exporter.pools.answers import ask

TELLS = frozenset({NETWORK})
BASE_URL = "https://litesolo.org"
REQUESTS_PER_HOUR = 60


async def read(client: Client) -> MarketReading:
    """One request.

    Raises:
        ProbeError: ``bad_shape`` for another document, else as ``ask``.
    """
    data = await ask(client, "/api/v1/chains")
    if not isinstance(data, dict):
        raise ProbeError(Reason.BAD_SHAPE, "/api/v1/chains is not a document of chains")
    found = MarketReading()
    chains = Fields(data, "chains", found.unexpected)
    for ticker in CHAINS:
        if ticker in chains:
            told, coin = chains.object(ticker), found.coin(ticker)
            coin.height = told.numeral("height")
            coin.network.difficulty = told.numeral("difficulty")
            coin.network.hashrate = told.numeral("hash_rate")
            coin.network.subsidy = told.numeral("subsidy")
    return found
