"""What is known of the merge-mined scrypt coins without asking anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

HASHES_PER_DIFFICULTY = 2.0**32
# A node's difficulty of these networks lies between; in another unit it is 2^16 or 2^32 times as much.
LEAST_DIFFICULTY = 2.0**16
MOST_DIFFICULTY = 2.0**36
_HALVING_BLOCKS = 840_000
_FIRST_REWARD = 50.0
_DOGECOIN_FIXED_SINCE = 600_000


def _litecoin_subsidy(height: float) -> float:
    """50 LTC, halved every 840,000 blocks (the coin's consensus rules)."""
    return float(_FIRST_REWARD / 2 ** int(height // _HALVING_BLOCKS))


def _dogecoin_subsidy(height: float) -> float | None:
    """10,000 DOGE since block 600,000, for ever; before it was drawn at random."""
    return 10_000.0 if height >= _DOGECOIN_FIXED_SINCE else None


@dataclass(frozen=True, slots=True)
class Chain:
    """One coin's network.

    *block_seconds* lie between two blocks on average. *restless* is a difficulty that changes with every
    block. ``subsidy`` gives the new coins of the block at a height, *fixed_subsidy* those of any block now.
    """

    block_seconds: float
    restless: bool
    subsidy: Callable[[float], float | None]
    fixed_subsidy: float | None = None


CHAINS = {
    "LTC": Chain(150.0, False, _litecoin_subsidy),
    "DOGE": Chain(60.0, True, _dogecoin_subsidy, 10_000.0),
}
