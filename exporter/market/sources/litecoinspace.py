"""litecoinspace.org, an explorer of Litecoin that runs the software of mempool.space: Litecoin alone.

``GET /api/v1/mining/hashrate/3d`` gives ``{"currentDifficulty", "currentHashrate", ...}``, the node's
difficulty and hashes per second, and ``GET /api/blocks/tip/height`` the newest block's number, from which the
subsidy follows. No limit is published. Source: that software's documentation and its clients' types.
"""

from __future__ import annotations

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.market.reading import MarketReading
from exporter.market.sources import NETWORK
from exporter.pools.answers import ask

TELLS = frozenset({NETWORK})
BASE_URL = "https://litecoinspace.org"
REQUESTS_PER_HOUR = 120
_RATES, _HEIGHT = "/api/v1/mining/hashrate/3d", "/api/blocks/tip/height"


async def read(client: Client) -> MarketReading:
    """Two requests.

    Raises:
        ProbeError: ``bad_shape`` for other documents, else as ``ask``.
    """
    data = await ask(client, _RATES)
    if not isinstance(data, dict):
        raise ProbeError(Reason.BAD_SHAPE, f"{_RATES} is not a document of hashrates")
    found = MarketReading()
    rates = Fields(data, "hashrate", found.unexpected)
    coin = found.coin("LTC")
    coin.network.difficulty = rates.numeral("currentDifficulty")
    coin.network.hashrate = rates.numeral("currentHashrate")
    coin.height = Fields({"height": await ask(client, _HEIGHT)}, "tip", found.unexpected).numeral("height")
    return found
