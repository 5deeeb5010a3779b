"""The figures of the landing page: totals that count what they do not know, and money that is not guessed."""

from __future__ import annotations

import pytest

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.pools.metrics import figures_dated
from exporter.server.overview import MinerRow, Prices, Totals, totals
from exporter.vnish.verdict import Condition, Glance, Verdict, unreachable

OK = Verdict(Condition.OK)
DOWN = MinerRow("down", unreachable("timeout: no answer"))


def row(
    rate: float | None = 10e9,
    power: float | None = 2000.0,
    usd: float | None = 5.0,
    algorithm: str = "scrypt",
    state: str | None = "mining",
) -> MinerRow:
    return MinerRow("m", OK, Glance(algorithm=algorithm, state=state, hashrate=rate), power, usd)


def test_sums() -> None:
    found = totals([row(), row(20e9, 3000.0, 7.0), row(100e12, 1000.0, 1.0, "sha256d"), DOWN], 0.1)
    assert (found.miners, found.online) == (4, 3)
    assert dict(found.hashrates) == {"scrypt": 30e9, "sha256d": 100e12}
    assert (found.power, found.power_unknown) == (6000.0, 0)
    assert (found.revenue, found.unpriced) == (13.0, 0)
    assert found.electricity == pytest.approx(6 * 24 * 0.1)
    assert found.margin == pytest.approx(13.0 - 14.4)


def test_of_nobody_nothing_is_known() -> None:
    assert totals([], 0.1) == Totals()
    assert totals([DOWN], 0.1) == Totals(miners=1)


def test_power_nobody_knows_makes_no_electricity() -> None:
    found = totals([row(), row(power=None)], 0.1)
    assert (found.power, found.power_unknown) == (2000.0, 1)
    assert found.electricity is None
    assert found.margin is None
    alone = totals([row(power=None)], 0.1)
    assert (alone.power, alone.power_unknown) == (None, 1)


def test_who_does_not_hash_and_tells_no_power_draws_next_to_nothing() -> None:
    found = totals([row(), row(0.0, None, 0.0, state="stopped"), row(None, None, None, state=None)], 0.1)
    assert (found.power, found.power_unknown, found.unpriced) == (2000.0, 0, 0)
    assert found.margin == pytest.approx(5.0 - 4.8)


def test_hashes_without_a_price_make_no_margin() -> None:
    found = totals([row(), row(100e12, 3000.0, None, "sha256d")], 0.1)
    assert (found.revenue, found.unpriced) == (5.0, 1)
    assert found.electricity == pytest.approx(12.0)
    assert found.margin is None
    assert totals([row(usd=None)], 0.1).revenue is None


def test_without_a_tariff_there_is_no_electricity() -> None:
    found = totals([row()], None)
    assert found.electricity is None
    assert found.margin is None


def test_ratios_of_a_row() -> None:
    one = MinerRow("m", OK, Glance(hashrate=9e9, hashrate_nominal=10e9), 1800.0)
    assert one.of_nominal == 0.9
    assert one.joules_per_hash == 2e-7
    for other in (
        DOWN,
        MinerRow("m", OK, Glance()),
        MinerRow("m", OK, Glance(hashrate=0.0, hashrate_nominal=0.0), 9.0),
    ):
        assert other.of_nominal is None
        assert other.joules_per_hash is None


def test_an_account_without_prices_is_dated_by_what_else_it_tells() -> None:
    page = Page()
    assert figures_dated(page) is None
    page.add(c.MINING_POOL_DATA_TIMESTAMP, 1000.0, "account")
    assert figures_dated(page) == 1000.0
    page.add(c.MINING_POOL_DATA_TIMESTAMP, 900.0, "profitability")
    assert figures_dated(page) == 900.0


def test_a_miner_is_priced_at_its_own_account_and_never_at_the_dearest() -> None:
    prices = Prices(
        {"main": {"scrypt": 5.0}, "dear": {"scrypt": 9.0, "sha256d": 1.0}, "down": {}}, {"scrypt": 7.0}
    )
    assert prices.of("scrypt", "main") == 5.0
    assert prices.of("scrypt", "down") == prices.of("scrypt", None) == 7.0, "the market's"
    assert prices.of("sha256d", "main") is None, "no price at its account, and none in the market"
    assert prices.of("sha256d", None) == 1.0, "nobody knows its account: the best there is"
    without = Prices(prices.accounts, {})
    assert without.of("scrypt", "down") is None
    assert without.of("scrypt", None) == 9.0
