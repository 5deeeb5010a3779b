"""One source over time: what it told before dates its figures, averages them, and betrays a wrong unit."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from exporter import catalogue as c
from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.http import Client
from exporter.market.chains import CHAINS, HASHES_PER_DIFFICULTY, LEAST_DIFFICULTY, MOST_DIFFICULTY
from exporter.market.reading import CoinFigures, MarketReading
from exporter.market.sources import Driver
from exporter.pools.metrics import MOST_AHEAD_SECONDS

# Recent blocks over which a restless difficulty is averaged: those seen in so long.
_RECENT_SECONDS = 2 * 3600.0
# No difficulty and no price changes by this factor between two readings; a unit does.
_LEAP = 5.0
# A network's hashrate is a mean over other blocks than its difficulty.
_APART = 10.0
# Both chains are long past this block; a smaller number would give a subsidy of long ago.
_LEAST_HEIGHT = 2_000_000


class Source:
    """Reads one source; ``max_age_seconds`` is how long a figure counts against the next one.

    ``dropped`` counts, by metric, the figures that could not be true, those of failed readings too.
    """

    def __init__(
        self,
        driver: Driver,
        endpoint: Endpoint,
        *,
        wall_clock: Callable[[], float],
        max_age_seconds: float,
    ) -> None:
        self.endpoint = endpoint
        self.dropped: Counter[str] = Counter()
        self._driver = driver
        self._wall_clock = wall_clock
        self._max_age_seconds = max_age_seconds
        self._told: dict[str, tuple[object, float]] = {}
        self._blocks: dict[str, deque[tuple[float, float, float]]] = {}
        self._believed: dict[tuple[str, str], tuple[float, float]] = {}

    async def read(self, client: Client) -> MarketReading:
        """One reading, without what cannot be true, dated, and with means where a difficulty is restless.

        Raises:
            ProbeError: as the driver's; ``no_data`` if it tells no figure of any coin that can be true.
        """
        found = await self._driver.read(client)
        now = self._wall_clock()
        for ticker, coin in found.coins.items():
            self._check(ticker, coin, found, now)
        self.dropped.update(found.dropped)
        everything = tuple(
            (ticker, coin.network.difficulty, coin.network.price_usd) for ticker, coin in found.coins.items()
        )
        for ticker, coin in found.coins.items():
            changed = self._last_changed(ticker, coin.height or everything, now)
            coin.dated = changed if coin.dated is None else min(coin.dated, changed)
            if ticker in CHAINS and CHAINS[ticker].restless:
                self._average(ticker, coin, now)
        if all(
            coin.network.difficulty is None and coin.network.price_usd is None
            for coin in found.coins.values()
        ):
            raise ProbeError(Reason.NO_DATA, "the answer tells no figure of any coin")
        return found

    def _last_changed(self, ticker: str, told: object, now: float) -> float:
        """When the source first told this: a service that lost its node goes on telling it."""
        before = self._told.get(ticker)
        if before is None or before[0] != told:
            self._told[ticker] = before = (told, now)
        return before[1]

    def _check(self, ticker: str, coin: CoinFigures, found: MarketReading, now: float) -> None:
        network, chain = coin.network, CHAINS.get(ticker)
        if coin.dated is not None and coin.dated > now + MOST_AHEAD_SECONDS:
            found.dropped[c.MARKET_DATA_TIMESTAMP.name] += 1
            coin.dated, network.price_usd = None, None
        if coin.height is not None and coin.height < _LEAST_HEIGHT:
            coin.height = None
        lowest, highest = c.COIN_PRICE_USD.low, c.COIN_PRICE_USD.high
        price = network.price_usd
        if price is not None and not (lowest <= price <= highest and self._near(ticker, "price", price, now)):
            found.dropped[c.COIN_PRICE_USD.name] += 1
            network.price_usd = None
        if chain is None:
            return
        difficulty = network.difficulty
        if difficulty is not None and not (
            LEAST_DIFFICULTY <= difficulty < MOST_DIFFICULTY
            and self._near(ticker, "difficulty", difficulty, now)
        ):
            found.dropped[c.NETWORK_DIFFICULTY.name] += 1
            difficulty = network.difficulty = None
        if network.hashrate is not None and difficulty is not None:
            times = network.hashrate * chain.block_seconds / (difficulty * HASHES_PER_DIFFICULTY)
            if not 1 / _APART < times < _APART:
                found.dropped[c.NETWORK_HASHRATE.name] += 1
                network.hashrate = None
        known = chain.subsidy(coin.height) if coin.height is not None else chain.fixed_subsidy
        if network.subsidy is not None and known is not None and network.subsidy != known:
            # One of the two is of another time: neither counts.
            found.dropped[c.NETWORK_SUBSIDY.name] += 1
            network.subsidy = None
        elif network.subsidy is None:
            network.subsidy = known

    def _near(self, ticker: str, what: str, value: float, now: float) -> bool:
        """Whether *value* may follow the last one; it is the last one then. An old one binds nobody."""
        before, at = self._believed.get((ticker, what), (value, now))
        if now - at <= self._max_age_seconds and not 1 / _LEAP < value / before < _LEAP:
            return False
        self._believed[ticker, what] = (value, now)
        return True

    def _average(self, ticker: str, coin: CoinFigures, now: float) -> None:
        """The mean difficulty of the recent blocks that were seen.

        The mean, since as many hashes as a block's difficulty says went into each, and all pay the same.
        """
        difficulty = coin.network.difficulty
        if difficulty is None:
            return
        blocks = self._blocks.setdefault(ticker, deque())
        place = now if coin.height is None else coin.height
        if not blocks or blocks[-1][0] != place:
            blocks.append((place, now, difficulty))
        while blocks[0][1] < now - _RECENT_SECONDS:
            blocks.popleft()
        coin.network.difficulty = sum(one for _, _, one in blocks) / len(blocks)
