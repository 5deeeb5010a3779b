"""What is known of networks and prices, who told it, and what a hash earns by it.

A figure is the first configured source's whose last answer was good, else the youngest that is left; one
older than allowed is none. Prices of a part of the coins make no price: Dogecoin is most of what a hash of
scrypt earns.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter import catalogue as c
from exporter.breaker import Breaker
from exporter.config.schema import MARKET
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.market.chains import CHAINS, HASHES_PER_DIFFICULTY
from exporter.market.reading import CoinFigures, MarketReading
from exporter.market.settings import MarketSettings
from exporter.market.source import Source
from exporter.plausible import Guard
from exporter.pools.budget import Budget
from exporter.pools.metrics import write_network
from exporter.pools.reading import Network, PoolReading, Profitability
from exporter.probe import Look, Reader, TargetKind
from exporter.units import DAY

CONFIGURED = "configured"
_ALGORITHM = "scrypt"
_PRICED = (*CHAINS, "BTC")


def kind(
    name: str, source: Source, budget: Budget, max_age: float, wall_clock: Callable[[], float]
) -> TargetKind[MarketReading]:
    """How a source's own state is written; its figures are the market's to choose from."""

    def beside(page: Page, age: float | None) -> None:
        for metric, count in source.dropped.items():
            page.add(c.MARKET_SOURCE_IMPLAUSIBLE, count, name, metric)
        page.add(c.MARKET_SOURCE_REQUESTS, budget.spent, name)
        page.add(c.MARKET_SOURCE_BUDGET_LIMIT, budget.limit, name)
        page.add(c.MARKET_SOURCE_BUDGET_REMAINING, budget.remaining, name)
        page.add(c.MARKET_SOURCE_LAST_SUCCESS, None if age is None else wall_clock() - age, name)

    return TargetKind(
        c.MARKET_PROBE,
        lambda _reading, _page, _age: Counter(),
        shown_seconds=max_age,
        beside=beside,
        labels=(name,),
    )


@dataclass(frozen=True, slots=True)
class Known:
    """A figure of a coin, its source, and the Unix time it is from."""

    value: Network
    source: str
    dated: float


@dataclass(frozen=True, slots=True)
class View:
    """What is known at one moment, by coin: nothing that is older than allowed."""

    networks: Mapping[str, Known]
    prices: Mapping[str, Known]

    @property
    def missing(self) -> list[str]:
        """What lacks for pricing a hash, in words."""
        networks = [f"the network of {ticker}" for ticker in CHAINS if ticker not in self.coins_per_hash]
        return networks + [f"the price of {ticker}" for ticker in CHAINS if ticker not in self.prices]

    @property
    def coins_per_hash(self) -> dict[str, float]:
        """What a hash earns of each coin, before fees: subsidy / (difficulty x 2^32)."""
        return {
            ticker: one.value.subsidy / (one.value.difficulty * HASHES_PER_DIFFICULTY)
            for ticker, one in self.networks.items()
            if one.value.difficulty and one.value.subsidy
        }

    def usd(self, ticker: str) -> float | None:
        """The price of a coin."""
        return self.prices[ticker].value.price_usd if ticker in self.prices else None

    def earned(self, coins: Mapping[str, float]) -> list[Profitability]:
        """*coins* per hash at their prices, dated by the oldest figure; without any price if one lacks."""
        usd = {ticker: self.usd(ticker) for ticker in coins}
        whole = all(price is not None for price in usd.values())
        bitcoin = self.usd("BTC")
        found = []
        for ticker, amount in coins.items():
            price = usd[ticker]
            worth = amount * price if whole and price is not None else None
            found.append(
                Profitability(
                    _ALGORITHM,
                    coin=ticker,
                    coins=amount,
                    usd=worth,
                    btc=worth / bitcoin if worth is not None and bitcoin else None,
                    source="computed",
                )
            )
        return found

    def dated(self, tickers: Sequence[str], *, networks: bool) -> float | None:
        """The oldest of the figures a price of *tickers* is made of; ``None`` if there are none."""
        used = [self.prices[ticker].dated for ticker in tickers if ticker in self.prices]
        used += [self.networks[one].dated for one in tickers if networks and one in self.networks]
        return min(used, default=None)


class Market:
    """The target ``market``: its sources' readers, and what they told last."""

    instance = MARKET
    module = MARKET

    def __init__(
        self,
        settings: MarketSettings,
        readers: Mapping[str, Reader[MarketReading]],
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.readers = readers
        self.static = Page()
        self.labels = settings.labels
        self._clock = clock
        self._wall_clock = wall_clock

    @property
    def breakers(self) -> list[Breaker]:
        """The breaker of each source."""
        return [reader.breaker for reader in self.readers.values()]

    async def probe(self, deadline: float) -> tuple[Look[Any], Page]:
        """Ask who must be asked, and write the page; never raises for anything a source does."""
        started = self._clock()
        asked = await self.refresh(deadline)
        view = self.view()
        look: Look[Any] = Look(self._clock())
        look.seconds = look.at - started
        for name, one in asked.items():
            look.steps += [replace(step, path=f"{name} {step.path}") for step in one.steps]
        if view.missing:
            failed = [f"{name}: {one.error}" for name, one in asked.items() if one.error]
            reason = next((one.error.reason for one in asked.values() if one.error), Reason.NO_DATA)
            detail = f"{'; '.join(failed) or 'no source tells it'}; missing: {', '.join(view.missing)}"
            look.error = ProbeError(reason, detail)
        return look, self.page()

    async def refresh(self, deadline: float) -> dict[str, Look[MarketReading]]:
        """Look at each source that is needed until *deadline* on the monotonic clock; the looks by name."""
        asked: dict[str, Look[MarketReading]] = {}
        await asyncio.gather(
            self._ask(self.settings.network, deadline, asked, lambda view: view.coins_per_hash, CHAINS),
            self._ask(self.settings.prices, deadline, asked, lambda view: view.prices, _PRICED),
        )
        return asked

    async def _ask(
        self,
        names: Sequence[str],
        deadline: float,
        asked: dict[str, Look[MarketReading]],
        told: Callable[[View], Mapping[str, Any]],
        wanted: Sequence[str] | Mapping[str, Any],
    ) -> None:
        """Ask *names* in turn, each for its part of the time, until one tells all that is *wanted*."""
        for index, name in enumerate(names):
            left = deadline - self._clock()
            look = await self.readers[name].look(self._clock() + max(0.0, left) / (len(names) - index))
            asked[name] = look
            if look.up and all(ticker in told(self._view(names[: index + 1])) for ticker in wanted):
                return

    def view(self) -> View:
        """What is known now; nobody is asked."""
        return self._view(self.settings.names)

    def _view(self, names: Sequence[str]) -> View:
        settings = self.settings
        networks: dict[str, Known] = {}
        prices: dict[str, Known] = {}
        for ticker in _PRICED:
            found = self._pick([one for one in settings.network if one in names], ticker, self._network)
            if found is not None:
                networks[ticker] = found
            found = self._pick([one for one in settings.prices if one in names], ticker, _price)
            if found is not None:
                prices[ticker] = found
        self._configured(networks, prices)
        return View(networks, prices)

    def _pick(
        self,
        names: Sequence[str],
        ticker: str,
        figures: Callable[[str, CoinFigures], tuple[Network, bool] | None],
    ) -> Known | None:
        now, wall_now = self._clock(), self._wall_clock()
        best: tuple[tuple[bool, bool, float], Known] | None = None
        for order, name in enumerate(names):
            reader = self.readers[name]
            look = reader.last_good
            if look is None or look.reading is None or ticker not in look.reading.coins:
                continue
            coin = look.reading.coins[ticker]
            told = figures(ticker, coin)
            read_at = wall_now - (now - look.at)
            dated = read_at if coin.dated is None else min(coin.dated, read_at)
            if told is None or wall_now - dated > self.settings.max_age_minutes * 60:
                continue
            up = reader.last is look
            rank = (not told[1], not up, float(order) if up else -dated)
            if best is None or rank < best[0]:
                best = rank, Known(told[0], name, dated)
        return best[1] if best else None

    def _network(self, ticker: str, coin: CoinFigures) -> tuple[Network, bool] | None:
        if coin.network.difficulty is None or ticker not in CHAINS:
            return None
        subsidy = self.settings.subsidies.get(ticker, coin.network.subsidy)
        return Network(coin.network.difficulty, coin.network.hashrate, subsidy), subsidy is not None

    def _configured(self, networks: dict[str, Known], prices: dict[str, Known]) -> None:
        """Add the values of the configuration file, while they are young enough."""
        settings = self.settings
        if settings.prices_date is None:
            return
        dated = settings.values_dated
        if self._wall_clock() - dated > settings.prices_max_age_days * DAY:
            return
        for ticker, price in settings.prices_usd.items():
            prices[ticker] = Known(Network(price_usd=price), CONFIGURED, dated)
        for ticker, difficulty in settings.difficulties.items():
            subsidy = settings.subsidies.get(ticker, CHAINS[ticker].fixed_subsidy)
            networks[ticker] = Known(Network(difficulty, None, subsidy), CONFIGURED, dated)

    def page(self) -> Page:
        """The samples of all that is known, and of each source; nobody is asked."""
        page = Page()
        view = self.view()
        page.add(c.MARKET_UP, float(not view.missing))
        guard = Guard(page)
        for name, figures in (("network", view.networks), ("price", view.prices)):
            for ticker, known in figures.items():
                write_network(ticker, known.value, guard, known.source)
                page.add(c.MARKET_DATA_TIMESTAMP, known.dated, name, ticker, known.source)
        coins = self._less_fee(view.coins_per_hash, None)
        _write(view.earned(coins), view.dated([*coins], networks=True), page)
        for reader in self.readers.values():
            if reader.last is not None:
                _join(page, reader.page(reader.last))
        return page

    def _less_fee(self, coins: Mapping[str, float], fee_ratio: float | None) -> dict[str, float]:
        """All coins of a hash less the fee; nothing if one of them is not known."""
        if any(ticker not in coins for ticker in CHAINS):
            return {}
        fee = self.settings.fee_percent / 100 if fee_ratio is None else fee_ratio
        return {ticker: amount * (1 - fee) for ticker, amount in coins.items()}

    def price_account(
        self, reading: PoolReading, page: Page, *, merged: bool, fee_percent: float | None
    ) -> None:
        """Add to an account's *page* what its hashes earn in USD, where the pool does not quote that.

        What it quotes in coins is taken at their prices, what it quotes in BTC alone at Bitcoin's. Where it
        quotes nothing and is *merged*, which is to pay what its hashes find of all coins, it is what they
        find on average, less the fee. A quote that is too old to be shown is not replaced.
        """
        view = self.view()
        if not reading.profitability:
            fee = reading.fee_ratio
            if fee is None and fee_percent is not None:
                fee = fee_percent / 100
            coins = self._less_fee(view.coins_per_hash, fee) if merged else {}
            _write(view.earned(coins), view.dated([*coins], networks=True), page)
            return
        quotes = [
            one for one in reading.profitability if one.algorithm == _ALGORITHM and one.source == "pool"
        ]
        if all(one.usd is not None for one in quotes):
            return
        read = page.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability")
        quoted = _shown(page, c.MINING_POOL_COINS)
        if any(one.coin and one.coin not in quoted for one in quotes):
            return
        if quoted:
            earned = [replace(one, coins=None) for one in view.earned(quoted)]
            _write(earned, _older(view.dated([*quoted], networks=False), read), page)
            return
        bitcoin = view.usd("BTC")
        worth = _shown(page, c.MINING_POOL_BTC)
        if bitcoin is not None and worth:
            earned = [
                Profitability(_ALGORITHM, coin=coin, usd=btc * bitcoin, source="computed")
                for coin, btc in worth.items()
            ]
            _write(earned, _older(view.dated(["BTC"], networks=False), read), page)


def _older(one: float | None, other: float | None) -> float | None:
    return min((time for time in (one, other) if time is not None), default=None)


def _price(_ticker: str, coin: CoinFigures) -> tuple[Network, bool] | None:
    usd = coin.network.price_usd
    return None if usd is None else (Network(price_usd=usd), True)


def _shown(page: Page, metric: c.Metric) -> dict[str, float]:
    """The pool's quotes of scrypt in *metric* on its page, by coin."""
    return {
        coin: value
        for (algorithm, coin, source), value in dict(page.families()).get(metric, {}).items()
        if algorithm == _ALGORITHM and source == "pool"
    }


def _write(earned: Sequence[Profitability], dated: float | None, page: Page) -> None:
    guard = Guard(page)
    for one in earned:
        for metric, value in (
            (c.MINING_POOL_USD, one.usd),
            (c.MINING_POOL_BTC, one.btc),
            (c.MINING_POOL_COINS, one.coins),
        ):
            guard.add(metric, value, one.algorithm, one.coin, one.source)
    if any(one.usd is not None for one in earned):
        page.add(c.MINING_POOL_DATA_TIMESTAMP, dated, "computed")


def _join(page: Page, other: Page) -> None:
    """Add every sample of *other*, to families that are here too."""
    for metric, samples in other.families():
        for labels, value in samples.items():
            page.put(metric, labels, value)
