"""What a site tells everybody: ``GET /api/status`` by algorithm and ``GET /api/currencies`` by coin.

``estimate_current`` is BTC, ``actual_last24h`` mBTC, both for a day of 10^6 x ``mbtc_mh_factor`` hashes per
second, with the fee already taken. The factor differs from site to site: without it nobody knows what a
figure is for. ``fees`` is a percentage, hashrates are hashes per second, and any number may be text. The
names of algorithms differ in case. A coin's entry is named like its ticker or, where two algorithms share
one, like an alias beside a ``symbol``. Source: the software's own API controller, which computes the figures,
recorded answers of two sites, and public clients.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools.answers import ask, noted
from exporter.pools.reading import Network, Profitability
from exporter.units import DAY

# Some sites show programs without these their web page.
HEADERS = MappingProxyType(
    {
        "Accept": "application/json, text/plain, */*",
        "User-Agent": "Mozilla/5.0 (compatible; minefleet-exporter)",
    }
)
# The sites' names of algorithms to the ones used here.
ALGORITHMS = {"scrypt": "scrypt", "sha256": "sha256d", "sha256d": "sha256d"}
# The networks worth knowing, by what is mined.
_COINS = {"scrypt": ("LTC", "DOGE"), "sha256d": ("BTC", "BCH")}
_MEGA = 1e6
_MILLI = 1e-3
_PERCENT = 1e-2
# A day's estimate, and what was paid over the last day, by the source their series name.
_QUOTES = (("pool", "estimate_current", 1.0), ("pool_actual", "actual_last24h", _MILLI))


@dataclass(slots=True)
class Status:
    """The quotes of a site, and what it keeps, by algorithm."""

    profitability: list[Profitability] = field(default_factory=list)
    fee_ratio: dict[str, float] = field(default_factory=dict)


async def ask_site(client: Client, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    """One of a site's answers.

    Raises:
        ProbeError: ``throttled`` or ``pool_error`` for a message instead of data, ``empty`` for an object of
            nothing, ``bad_shape`` for anything but an object, else as ``ask``.
    """
    data = await ask(client, path, query=query, headers=HEADERS)
    if data is None or data == {} or data == []:
        raise noted(client, ProbeError(Reason.EMPTY, f"{path} answered with nothing"))
    if not isinstance(data, dict):
        raise noted(client, ProbeError(Reason.BAD_SHAPE, f"{path} is not an object"))
    message = data.get("message")
    if isinstance(message, str) and not any(isinstance(value, dict) for value in data.values()):
        # "Only 1 request every 10 seconds allowed".
        if "request" in message.lower():
            words = f"{path} answered with a message about too many requests"
            raise noted(client, ProbeError(Reason.THROTTLED, words))
        raise noted(client, ProbeError(Reason.POOL_ERROR, f"{path} answered with a message"))
    return data


def status(data: dict[str, Any], odd: Counter[str]) -> Status:
    """The algorithms of this product; others are left out."""
    found = Status()
    for key, value in data.items():
        algorithm = ALGORITHMS.get(key.lower())
        if algorithm is None or algorithm in found.fee_ratio:
            continue
        entry = Fields(value, "status.*", odd)
        fee = entry.numeral("fees")
        if fee is not None:
            found.fee_ratio[algorithm] = fee * _PERCENT
        factor = entry.numeral("mbtc_mh_factor")
        if factor is None or factor <= 0:
            continue
        for source, field_name, unit in _QUOTES:
            quote = entry.numeral(field_name)
            if quote is not None:
                a_hash = quote * unit / (_MEGA * factor * DAY)
                found.profitability.append(Profitability(algorithm, btc=a_hash, source=source))
    return found


def networks(data: dict[str, Any], algorithm: str, odd: Counter[str]) -> dict[str, Network]:
    """The networks of the coins mined with *algorithm* that owners of such miners live on."""
    found: dict[str, Network] = {}
    for key, value in data.items():
        symbol = value.get("symbol") if isinstance(value, dict) else None
        ticker = (symbol if isinstance(symbol, str) else key).upper()
        if ticker not in _COINS[algorithm] or ticker in found:
            continue
        entry = Fields(value, "currencies.*", odd)
        if ALGORITHMS.get((entry.text("algo") or "").lower()) != algorithm:
            continue
        # Zero is what a site says of a coin whose daemon it has not asked.
        found[ticker] = Network(
            difficulty=entry.numeral("difficulty") or None,
            hashrate=entry.numeral("network_hashrate") or None,
        )
    return found
