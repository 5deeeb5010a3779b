"""The pool's REST relay as it behaves, its quirks included.

``connected`` never becomes false again, ``updating`` is true during the first ten minutes even if the pool
was never reached, the last figures are served for ever, and unknown paths are HTML with status 404.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exporter.simulator.faults import POOL_FAULTS, parameters

_UPDATE_SECONDS = 30.0
_FRESH_SECONDS = 600.0
# USD and BTC per MH/s and day; scrypt as an L9 of 17 GH/s saw it: about 12 USD a day.
_BASE = {
    "1": ("Scrypt", 7.1e-4, 7.4e-9),
    "2": ("SHA-256", 4.9e-8, 5.1e-13),
    "4": ("X11", 6.2e-6, 6.5e-11),
}


@dataclass
class SimRelay:
    """One relay and the pool behind it; times are Unix seconds."""

    seed: int
    started: float
    key: str | None = None
    faults: dict[str, dict[str, float]] = field(default_factory=dict)
    requests: int = 0
    _updated: float | None = None
    _figures: dict[str, Any] = field(default_factory=dict)

    def inject(self, fault: str, given: Mapping[str, object] | None = None) -> None:
        """Start misbehaving.

        Raises:
            UnknownFaultError: there is no such fault.
        """
        self.faults[fault] = parameters(POOL_FAULTS, fault, given)

    def repair(self, fault: str | None = None) -> None:
        """Stop misbehaving in one way, or in all."""
        for name in [fault] if fault else list(self.faults):
            self.faults.pop(name, None)

    def advance(self, now: float) -> None:
        """Receive what the pool has sent until *now*."""
        if "stale" in self.faults or "empty" in self.faults:
            return
        latest = math.floor(now / _UPDATE_SECONDS) * _UPDATE_SECONDS
        if self._updated is not None and latest <= self._updated:
            return
        self._updated = latest
        for number, (name, usd, btc) in _BASE.items():
            rng = random.Random(f"{self.seed}/{number}/{int(latest)}")
            # A slow swing over the day and the noise of which coin happens to pay best.
            price = 1 + 0.12 * math.sin(2 * math.pi * latest / 86_400) + rng.gauss(0, 0.03)
            self._figures[number] = {
                "algorithm_name": name,
                "usd": usd * price,
                "btc": btc * price,
                "max_usd": usd * 1.9,
                "max_btc": btc * 1.9,
                "percentile_usd": usd * 0.95,
                "percentile_btc": btc * 0.95,
                "data_timestamp": latest + 0.4959,
                "server_timestamp": latest + 3.3438,
                "server_id": 4,
            }

    def status(self, now: float) -> Any:
        """``GET /status``."""
        updated = self._updated if self._updated is not None and "empty" not in self.faults else None
        since = updated if updated is not None else self.started
        return {
            "connected": self._updated is not None,
            "updating": now - since <= _FRESH_SECONDS,
            "lastUpdates": {
                "profitability": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
            },
        }

    def profitability(self) -> Any:
        """``GET /profitability``."""
        return {} if "empty" in self.faults else self._figures
