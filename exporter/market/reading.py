"""What a market source tells: the networks of coins and their prices, in base units, absent where unknown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporter.pools.reading import Network


@dataclass(slots=True)
class CoinFigures:
    """One coin at one source.

    *height* is the number of the newest block. ``dated`` is the Unix time the figures are from as far as the
    source lets it be known: its own date, else when they last changed; the reading counts for no date.
    """

    network: Network = field(default_factory=Network)
    height: float | None = None
    dated: float | None = None


@dataclass(slots=True)
class MarketReading:
    """One reading of one source: coins by ticker, and what was *dropped*, by metric."""

    coins: dict[str, CoinFigures] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def coin(self, ticker: str) -> CoinFigures:
        """The coin of *ticker*, made on first use."""
        return self.coins.setdefault(ticker, CoinFigures())
