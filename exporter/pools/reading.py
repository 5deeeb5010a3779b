"""What one look at a mining pool found: the same for every pool, in base units."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Profitability:
    """What a hash of one algorithm earns, in USD and BTC per hash, as of *timestamp* (Unix seconds)."""

    algorithm: str
    timestamp: float | None = None
    usd: float | None = None
    btc: float | None = None
    max_usd: float | None = None
    max_btc: float | None = None
    percentile_usd: float | None = None
    percentile_btc: float | None = None


@dataclass(slots=True)
class PoolReading:
    """One reading of one pool account."""

    profitability: list[Profitability] = field(default_factory=list)
    connected: bool | None = None
    updating: bool | None = None
    unexpected: Counter[str] = field(default_factory=Counter)
