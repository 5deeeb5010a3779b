"""The pool's REST relay, which runs beside the exporter and forwards the pool's profitability.

``GET /status`` answers ``{"connected", "updating", "lastUpdates": {"profitability"}}``, and
``GET /profitability`` a map from algorithm id to
``{"algorithm_name", "usd", "btc", "max_usd", "max_btc", "percentile_usd", "percentile_btc",
"data_timestamp", "server_timestamp", "server_id"}``. Money is per MH/s and day for every algorithm, and
timestamps are Unix seconds. Source: the relay's documentation, and the miners' known earnings at recorded
figures (an L3+ of 504 MH/s at 0.0025 USD earned 1.26 USD a day).

The relay serves its last figures for ever once it has lost the pool, and calls itself connected and
updating when it never reached it, so only ``data_timestamp`` tells the truth. Other paths answer HTML.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from pydantic import SecretStr

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import PoolSource
from exporter.pools.answers import ask, noted
from exporter.pools.reading import PoolReading, Profitability
from exporter.units import DAY

# One MH/s for one day.
HASHES_PER_UNIT = 1e6 * DAY
MAX_ALGORITHMS = 64

# The pool's ids to the names the field uses, so that a miner's algorithm finds its price.
ALGORITHMS = {
    "1": "scrypt",
    "2": "sha256d",
    "4": "x11",
    "8": "neoscrypt",
    "10": "ethash",
    "18": "equihash",
    "29": "lyra2rev2",
    "34": "cryptonightv8",
}


class Relay(PoolSource):
    """Reads the pool through its relay."""

    def __init__(self, endpoint: Endpoint, key: SecretStr | None) -> None:
        self.endpoint = endpoint
        self._key = key

    async def read(self, client: Client) -> PoolReading:
        """One reading; two requests.

        Raises:
            ProbeError: ``no_data`` if the relay has not yet heard of the pool, else as ``ask``.
        """
        odd: Counter[str] = Counter()
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        data = await ask(client, "/profitability", headers=headers)
        if not isinstance(data, dict):
            raise noted(client, ProbeError(Reason.BAD_SHAPE, "/profitability is not a map of algorithms"))
        reading = PoolReading(unexpected=odd)
        for number, entry in list(data.items())[:MAX_ALGORITHMS]:
            one = profitability(str(number), Fields(entry, "profitability.*", odd))
            if one is not None:
                reading.profitability.append(one)
        try:
            status = Fields(await ask(client, "/status", headers=headers), "status", odd)
            reading.connected = status.flag("connected")
            reading.updating = status.flag("updating")
            updated = status.object("lastUpdates")
            at = _unix_seconds(updated.text("profitability"), updated)
            if at is not None:
                reading.last_updates["profitability"] = at
        except ProbeError as error:
            # Advisory only: the figures are here, and their age is theirs. A spent budget is no fault of it.
            if error.reason is Reason.UNAUTHORISED:
                raise
        if not reading.profitability:
            raise ProbeError(Reason.NO_DATA, "the relay has received nothing from the pool")
        return reading


def _unix_seconds(printed: str | None, updated: Fields) -> float | None:
    """``"2019-01-15T00:04:40+00:00"`` as Unix seconds; without a zone it is UTC."""
    if printed is None:
        return None
    try:
        at = datetime.fromisoformat(printed)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        updated.odd("profitability")
        return None


def profitability(number: str, entry: Fields) -> Profitability | None:
    """The figures of the algorithm of an id; ``None`` if they have no name or no date."""
    name = ALGORITHMS.get(number) or (entry.text("algorithm_name") or "").lower()[:32]
    dated = entry.number("data_timestamp")
    if not name or dated is None:
        # The relay serves figures for ever: without a date nobody knows how old these are.
        return None

    def per_hash(key: str) -> float | None:
        value = entry.number(key)
        return None if value is None else value / HASHES_PER_UNIT

    return Profitability(
        algorithm=name,
        timestamp=dated,
        server_timestamp=entry.number("server_timestamp"),
        usd=per_hash("usd"),
        btc=per_hash("btc"),
        max_usd=per_hash("max_usd"),
        max_btc=per_hash("max_btc"),
        percentile_usd=per_hash("percentile_usd"),
        percentile_btc=per_hash("percentile_btc"),
    )
