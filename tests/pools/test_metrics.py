"""A pool's reading to samples: which figure is which series, and which are withheld."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exporter import catalogue as c
from exporter.exposition import Format, Page, render
from exporter.plausible import Guard
from exporter.pools.budget import Budget
from exporter.pools.metrics import figures_dated, kind, samples, usd_per_hash, write_network
from exporter.pools.reading import Coin, Network, PoolReading, Profitability, Worker
from exporter.pools.workers import WorkerNames
from tests.conftest import FakeClock, near

NOW = 1_800_000_000.0
MAX_AGE = 600.0


def page(reading: PoolReading, read_at: float = NOW) -> tuple[Page, dict[str, int]]:
    made = Page()
    return made, dict(samples(reading, made, NOW, read_at, MAX_AGE))


def whole() -> PoolReading:
    """A reading in which every figure is another."""
    return PoolReading(
        profitability=[
            Profitability(
                "scrypt",
                NOW - 10,
                NOW - 9,
                1.1e-16,
                1.2e-21,
                1.3e-16,
                1.4e-21,
                1.5e-16,
                1.6e-21,
                "LTC",
                1.7e-18,
            ),
            Profitability("sha256d", NOW - 20, usd=1e-20, source="computed"),
        ],
        hashrate={"now": 50e9, "24h": 49e9},
        workers_online=3.0,
        workers_offline=1.0,
        fee_ratio=0.01,
        pays_ratio=1.02,
        coins={"LTC": Coin(1.5, 0.25, 0.07, 0.06, 0.08, 12.5, 0.5, NOW - 86_400, 2.0)},
        networks={"LTC": Network(38e6, 2.5e15, 6.25, 85.0, 0.001)},
        workers=[
            Worker(
                "a.rig1",
                {"now": 16e9, "1h": 16.5e9},
                True,
                NOW - 5,
                100.0,
                2.0,
                1.0,
                1e15,
                2e13,
                1e13,
                15e9,
                0.2e9,
                0.1e9,
                0.015,
            ),
            Worker("a.rig2", online=False),
        ],
        workers_cut=4,
        connected=True,
        updating=False,
        last_updates={"worker": NOW - 30},
        dated={"account": NOW - 40, "payouts": NOW - 50},
        parts={"status": True, "payouts": False},
    )


def test_every_figure_has_its_series(request: pytest.FixtureRequest) -> None:
    made, dropped = page(whole())
    assert dropped == {}
    lines = [line for line in render([({}, made)], Format.TEXT).decode().splitlines() if line[0] != "#"]
    golden = Path(__file__).with_name("whole_pool.prom")
    if request.config.getoption("--update-golden"):
        golden.write_text("\n".join(lines) + "\n")
    assert lines == golden.read_text().splitlines()


def test_every_figure_that_cannot_be_true_is_dropped_by_its_name() -> None:
    nan = math.nan
    reading = PoolReading(
        profitability=[Profitability("scrypt", NOW, nan, nan, nan, nan, nan, nan, nan, "", nan)],
        hashrate={"now": nan},
        workers_online=nan,
        workers_offline=nan,
        fee_ratio=nan,
        pays_ratio=nan,
        coins={"LTC": Coin(*[nan] * 9)},
        networks={"LTC": Network(*[nan] * 5)},
        workers=[Worker("w", {"now": nan}, None, *[nan] * 11)],
        dated={"account": nan},
    )
    made, dropped = page(reading)
    assert sum(dropped.values()) == 8 + 5 + 9 + 5 + 12 + 1
    assert {metric.name for metric, samples in made.families() if samples} == {
        "mining_pool_algorithm_timestamp_seconds",
        "mining_pool_data_timestamp_seconds",
        "mining_pool_workers_cut",
    }


@pytest.mark.parametrize(
    ("reading", "dated"),
    [
        (PoolReading(), None),
        (PoolReading(hashrate={"now": 1.0}), NOW - 7),
        (PoolReading(coins={"LTC": Coin()}), NOW - 7),
        (PoolReading(workers=[Worker("w")]), NOW - 7),
        (PoolReading(networks={"LTC": Network(1.0)}), None),
        (PoolReading(hashrate={"now": 1.0}, dated={"account": NOW - 8}), NOW - 8),
    ],
)
def test_an_account_is_dated_by_the_pool_else_by_when_it_was_read(
    reading: PoolReading, dated: float | None
) -> None:
    made, _ = page(reading, NOW - 7)
    assert made.value(c.MINING_POOL_DATA_TIMESTAMP, "account") == dated
    assert figures_dated(made) == dated


def test_prices_tell_the_date_of_a_page_before_the_account_does() -> None:
    made, _ = page(
        PoolReading(hashrate={"now": 1.0}, profitability=[Profitability("scrypt", NOW - 5, usd=1e-16)])
    )
    assert made.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == NOW - 5
    assert figures_dated(made) == NOW - 5


@pytest.mark.parametrize(
    ("timestamp", "dated", "read_at", "shown", "newest"),
    [
        # By the pool's own date, else by that of its list, else by when it was read.
        (NOW - 600, {}, NOW, True, NOW - 600),
        (NOW - 600.5, {}, NOW, False, NOW - 600.5),
        (None, {"profitability": NOW - 600}, NOW, True, NOW - 600),
        (None, {"profitability": NOW - 600.5}, NOW, False, NOW - 600.5),
        (None, {}, NOW - 600, True, NOW - 600),
        (None, {}, NOW - 600.5, False, NOW - 600.5),
        # Clocks differ, but not by more than an hour.
        (NOW + 3600, {}, NOW, True, NOW + 3600),
    ],
)
def test_old_prices_are_withheld_and_their_date_is_told(
    timestamp: float | None, dated: dict[str, float], read_at: float, shown: bool, newest: float
) -> None:
    price = Profitability("scrypt", timestamp, usd=1e-16, max_usd=2e-16)
    made, dropped = page(PoolReading(profitability=[price], dated=dated), read_at)
    assert made.value(c.MINING_POOL_USD, "scrypt", "", "pool") == (1e-16 if shown else None)
    assert made.value(c.MINING_POOL_MAX_USD, "scrypt") == (2e-16 if shown else None)
    assert made.value(c.MINING_POOL_ALGORITHM_TIMESTAMP, "scrypt") == timestamp
    assert made.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == newest
    assert dropped == {}


def test_a_date_in_the_future_is_no_date_and_takes_no_other_price_along() -> None:
    prices = [
        Profitability("scrypt", NOW + 3600.5, usd=1e-16),
        Profitability("x11", NOW - 601, usd=1e-16),
        Profitability("sha256d", NOW - 2, usd=2e-20),
        Profitability("sha256d", NOW - 3, usd=2e-20, source="computed"),
    ]
    made, dropped = page(PoolReading(profitability=prices))
    assert dropped == {c.MINING_POOL_ALGORITHM_TIMESTAMP.name: 1}
    assert made.family(c.MINING_POOL_USD) == {
        ("sha256d", "", "pool"): 2e-20,
        ("sha256d", "", "computed"): 2e-20,
    }
    assert made.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == NOW - 2


@pytest.mark.parametrize("currency", ["usd", "btc"])
def test_where_one_of_several_coins_has_no_price_none_is_written(currency: str) -> None:
    metric = {"usd": c.MINING_POOL_USD, "btc": c.MINING_POOL_BTC}[currency]
    other = {"usd": "btc", "btc": "usd"}[currency]
    known = {"usd": 1e-16, "btc": 1e-21}
    prices = [
        Profitability("scrypt", coin="LTC", coins=1e-18, **known),
        Profitability("scrypt", coin="DOGE", coins=1e-16, **{other: known[other]}),
        Profitability("scrypt", coin="LTC", source="computed", **known),
        Profitability("sha256d", coin="BTC", **known),
    ]
    made, _ = page(PoolReading(profitability=prices))
    assert set(made.family(metric)) == {("scrypt", "LTC", "computed"), ("sha256d", "BTC", "pool")}
    assert ("scrypt", "LTC", "pool") in made.family(c.MINING_POOL_COINS)
    assert ("scrypt", "DOGE", "pool") in made.family(c.MINING_POOL_COINS)


def test_a_price_of_all_coins_may_be_told_in_one_currency() -> None:
    made, _ = page(PoolReading(profitability=[Profitability("scrypt", btc=1e-21)]))
    assert made.family(c.MINING_POOL_BTC) == {("scrypt", "", "pool"): 1e-21}
    assert made.family(c.MINING_POOL_USD) == {}


def test_what_a_hash_earns_is_all_coins_together_and_the_pools_word_first() -> None:
    prices = [
        Profitability("scrypt", usd=1e-16, coin="LTC"),
        Profitability("scrypt", usd=2e-16, coin="DOGE"),
        Profitability("scrypt", usd=9e-16, source="computed"),
        Profitability("sha256d", usd=1e-20, source="computed"),
        Profitability("x11", usd=1e-18, source="pool_actual"),
    ]
    made, _ = page(PoolReading(profitability=prices))
    assert usd_per_hash(made) == near({"scrypt": 3e-16, "sha256d": 1e-20})


def test_a_networks_figures_say_whose_they_are() -> None:
    guard = Guard(Page())
    write_network("LTC", Network(difficulty=38e6), guard)
    write_network("LTC", Network(difficulty=39e6), guard, "market")
    assert guard.page.family(c.NETWORK_DIFFICULTY) == {("LTC", "pool"): 38e6, ("LTC", "market"): 39e6}


def test_workers_are_joined_to_miners_and_the_budget_stands_on_every_page() -> None:
    clock, names = FakeClock(), WorkerNames()
    names.update([("rig1", "barn1-l9-03"), ("rig1", "barn1-l9-04")])
    budget = Budget(100, clock)
    budget.spend()
    made, kept = Page(), kind(budget, MAX_AGE, lambda: NOW, names)
    kept.write(whole(), made, 7.0)
    assert set(made.family(c.MINING_POOL_WORKER_MINER)) == {
        ("a.rig1", "barn1-l9-03"),
        ("a.rig1", "barn1-l9-04"),
    }
    assert set(made.family(c.MINING_POOL_WORKER_MINER).values()) == {1.0}
    for age, last in ((None, None), (7.0, NOW - 7)):
        made = Page()
        kept.beside(made, age)
        assert made.value(c.MINING_POOL_REQUESTS) == 1
        assert made.value(c.MINING_POOL_BUDGET_LIMIT) == 100
        assert made.value(c.MINING_POOL_BUDGET_REMAINING) == 9
        assert made.value(c.MINING_POOL_LAST_SUCCESS) == last
    assert kept.shown_seconds == MAX_AGE
    assert kept.series is c.POOL_PROBE


def test_a_page_is_dated_by_how_long_ago_it_was_read() -> None:
    made = Page()
    kind(Budget(1, FakeClock()), MAX_AGE, lambda: NOW).write(PoolReading(hashrate={"now": 1.0}), made, 7.0)
    assert made.value(c.MINING_POOL_DATA_TIMESTAMP, "account") == NOW - 7
    assert made.family(c.MINING_POOL_WORKER_MINER) == {}


def test_workers_left_out_are_told_of_a_pool_that_lists_them() -> None:
    assert page(PoolReading(workers=[Worker("w")]))[0].value(c.MINING_POOL_WORKERS_CUT) == 0
    assert page(PoolReading(workers_cut=3))[0].value(c.MINING_POOL_WORKERS_CUT) is None
