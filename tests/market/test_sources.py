"""Each source's words: what they mean, and that nothing in them raises or becomes a figure that is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from hypothesis import given
from hypothesis import strategies as st

from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Outgoing
from exporter.market.chains import CHAINS
from exporter.market.reading import MarketReading
from exporter.market.source import Source
from exporter.market.sources import drivers
from tests.conftest import FakeClock
from tests.pools.mangled import mangled

CHAIN = {
    "LTC": {
        "height": 2396260,
        "hash_rate": 648533943117000,
        "difficulty": 20785580.478287995,
        "subsidy": 12.5,
        "fee": 0.01,
    },
    "DOGE": {
        "height": 4535804,
        "hash_rate": 623534500417000,
        "difficulty": 6445323.531315216,
        "subsidy": 10000,
        "fee": 0.01,
    },
}
STATE = {
    "code": 0,
    "message": "OK",
    "data": [
        {"coin": "LTC", "curr_diff": "105000000.5", "coin_price": "42.5", "pricing_currency": "USD"},
        {"coin": "DOGE", "curr_diff": 4.2e7, "coin_price": "0.0726", "pricing_currency": "USD"},
    ],
}
TICKER = {
    "error": [],
    "result": {
        "XLTCZUSD": {"a": ["42.6", "1", "1.0"], "b": ["42.4", "1", "1.0"], "c": ["42.51", "0.1"]},
        "XDGUSD": {"c": ["0.0709606", "14148.7"]},
        "XXBTZUSD": {"c": ["61000.1", "0.001"]},
    },
}
SPOT = {"data": {"amount": "42.51", "base": "LTC", "currency": "USD"}}
SIMPLE = {
    "dogecoin": {"usd": 0.176592, "last_updated_at": 1578961538},
    "litecoin": {"usd": 102.02, "last_updated_at": 1578961500},
}
RATES = {
    "hashrates": [{"timestamp": 1578960000, "avgHashrate": 3.1e15}],
    "difficulty": [{"time": 1578000000, "height": 3050000, "difficulty": 1.05e8, "adjustment": 1.01}],
    "currentHashrate": 3.0e15,
    "currentDifficulty": 1.05e8,
}
# An answer of each source to any request.
BODIES: dict[str, Any] = {
    "litesolo": CHAIN,
    "litecoinspace": RATES,
    "viabtc": STATE,
    "kraken": TICKER,
    "coinbase": SPOT,
    "coingecko": SIMPLE,
}


def test_there_is_a_body_for_each_source() -> None:
    assert BODIES.keys() == drivers().keys()


async def read(outgoing: Outgoing, name: str, body: Any, *, status: int = 200) -> MarketReading:
    """The driver's reading of *body*; a function makes it of the path."""

    def answer(url: Any, **_: Any) -> CallbackResult:
        found = body(url.path) if callable(body) else body
        text = found if isinstance(found, str) else json.dumps(found)
        return CallbackResult(status=status, body=text)

    with aioresponses() as mocked:
        mocked.get(re.compile(r"http://192\.0\.2\.7.*"), callback=answer, repeat=True)
        client = Client(outgoing, Endpoint.parse("http://192.0.2.7"), Policy(None), outgoing.clock() + 10)
        return await drivers()[name].read(client)


async def test_litesolo_tells_both_networks(outgoing: Outgoing) -> None:
    found = await read(outgoing, "litesolo", CHAIN)
    ltc, doge = found.coins["LTC"], found.coins["DOGE"]
    assert (ltc.height, ltc.network.subsidy, doge.network.subsidy) == (2396260, 12.5, 10000)
    assert ltc.network.difficulty == 20785580.478287995
    assert doge.network.hashrate == 623534500417000, "hashes per second"
    assert not found.unexpected


async def test_litecoinspace_tells_litecoin_and_its_height(outgoing: Outgoing) -> None:
    def body(path: str) -> Any:
        return 3050123 if path == "/api/blocks/tip/height" else RATES

    found = await read(outgoing, "litecoinspace", body)
    assert found.coins.keys() == {"LTC"}
    assert found.coins["LTC"].height == 3050123
    assert found.coins["LTC"].network.difficulty == 1.05e8
    assert found.coins["LTC"].network.subsidy is None, "it follows from the height"


async def test_viabtc_tells_prices_in_usd_alone(outgoing: Outgoing) -> None:
    found = await read(outgoing, "viabtc", STATE)
    assert found.coins["LTC"].network.price_usd == 42.5
    assert found.coins["DOGE"].network.difficulty == 4.2e7
    other = [{**row, "pricing_currency": "CNY"} for row in STATE["data"]]  # type: ignore[attr-defined]
    found = await read(outgoing, "viabtc", {**STATE, "data": other})
    assert found.coins["LTC"].network.price_usd is None
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, "viabtc", {"code": 1, "message": "error", "data": {}})
    assert caught.value.reason is Reason.POOL_ERROR


async def test_kraken_names_pairs_otherwise_than_it_is_asked(outgoing: Outgoing) -> None:
    found = await read(outgoing, "kraken", TICKER)
    assert {ticker: coin.network.price_usd for ticker, coin in found.coins.items()} == {
        "LTC": 42.51,
        "DOGE": 0.0709606,
        "BTC": 61000.1,
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("EQuery:Unknown asset pair", Reason.POOL_ERROR),
        ("EAPI:Rate limit exceeded", Reason.THROTTLED),
        ("EGeneral:Too many requests", Reason.THROTTLED),
    ],
)
async def test_krakens_errors_have_status_200(outgoing: Outgoing, error: str, reason: Reason) -> None:
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, "kraken", {"error": [error]})
    assert caught.value.reason is reason
    assert error not in caught.value.detail


async def test_coinbase_tells_a_coin_an_answer_and_which(outgoing: Outgoing) -> None:
    def body(path: str) -> Any:
        return {"data": {"amount": "42.51", "base": path.split("/")[3].split("-")[0], "currency": "USD"}}

    found = await read(outgoing, "coinbase", body)
    assert {ticker: coin.network.price_usd for ticker, coin in found.coins.items()} == dict.fromkeys(
        ("LTC", "DOGE", "BTC"), 42.51
    )
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, "coinbase", SPOT)
    assert caught.value.reason is Reason.BAD_SHAPE, "Litecoin's price is nobody else's"


async def test_coingecko_dates_its_prices_and_leaves_out_what_it_does_not_know(outgoing: Outgoing) -> None:
    found = await read(outgoing, "coingecko", SIMPLE)
    assert found.coins.keys() == {"LTC", "DOGE"}
    assert found.coins["DOGE"].network.price_usd == 0.176592
    assert found.coins["LTC"].dated == 1578961500
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, "coingecko", {"status": {"error_code": 429, "error_message": "slow down"}})
    assert caught.value.reason is Reason.THROTTLED


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("", 200, Reason.EMPTY),
        ("<html>just a moment</html>", 200, Reason.HTML),
        ("{", 200, Reason.NOT_JSON),
        ([], 200, Reason.BAD_SHAPE),
        ("slow down", 429, Reason.THROTTLED),
        ("no", 403, Reason.UNAUTHORISED),
        ("oh", 500, Reason.HTTP_STATUS),
    ],
)
async def test_each_failure_has_its_reason(
    outgoing: Outgoing, name: str, body: Any, status: int, reason: Reason
) -> None:
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, name, body, status=status)
    assert caught.value.reason is reason


class OneAnswer:
    """A driver's stand-in for the wire: whatever is asked, this is the answer."""

    def __init__(self, body: Any) -> None:
        self.body = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.steps = [type("Step", (), {"problem": ""})()]

    async def request(self, *_: Any, **__: Any) -> Any:
        return type("Answer", (), {"status": 200, "body": self.body})()


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
async def test_whatever_comes_is_figures_in_their_bounds_or_a_reason(name: str, data: st.DataObject) -> None:
    body = data.draw(mangled(BODIES[name]))
    clock = FakeClock(1_600_000_000.0)
    source = Source(
        drivers()[name], Endpoint.parse("http://192.0.2.7"), wall_clock=clock, max_age_seconds=1800
    )
    try:
        found = await source.read(OneAnswer(body))  # type: ignore[arg-type]
    except ProbeError:
        return
    for ticker, coin in found.coins.items():
        network = coin.network
        assert network.price_usd is None or 0 < network.price_usd <= 1e7
        assert coin.dated is not None
        assert coin.dated <= clock() + 3600
        if ticker in CHAINS:
            assert network.difficulty is None or 2**16 <= network.difficulty < 2**36
            assert network.subsidy is None or network.subsidy > 0


class Script:
    """A driver that gives the readings it was told."""

    TELLS = frozenset({"network", "prices"})
    BASE_URL = "http://192.0.2.7"
    REQUESTS_PER_HOUR = 60

    def __init__(self) -> None:
        self.make: Callable[[MarketReading], None] = lambda _: None

    async def read(self, _client: Any) -> MarketReading:
        found = MarketReading()
        self.make(found)
        return found


class Told:
    """A source over a script, on a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_795_000_000.0)
        self.script = Script()
        self.source = Source(
            self.script, Endpoint.parse("http://192.0.2.7"), wall_clock=self.clock, max_age_seconds=1800
        )

    async def read(self, ticker: str, **figures: float | None) -> MarketReading:
        def make(found: MarketReading) -> None:
            coin = found.coin(ticker)
            for name, value in figures.items():
                setattr(coin if name in ("height", "dated") else coin.network, name, value)

        self.script.make = make
        return await self.source.read(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("height", "subsidy"),
    [(2_396_260, 12.5), (2_519_999, 12.5), (2_520_000, 6.25), (3_359_999, 6.25), (3_360_000, 3.125)],
)
async def test_litecoins_subsidy_follows_from_the_height(height: float, subsidy: float) -> None:
    found = await Told().read("LTC", difficulty=1e8, height=height)
    assert found.coins["LTC"].network.subsidy == subsidy


async def test_without_a_height_litecoins_subsidy_is_not_known_and_dogecoins_is() -> None:
    assert (await Told().read("LTC", difficulty=1e8)).coins["LTC"].network.subsidy is None
    assert (await Told().read("DOGE", difficulty=4e7)).coins["DOGE"].network.subsidy == 10_000
    early = (await Told().read("LTC", difficulty=1e8, height=5)).coins["LTC"].network
    assert early.subsidy is None, "a height of long ago is no height"


async def test_a_subsidy_that_is_not_the_heights_is_none() -> None:
    found = await Told().read("LTC", difficulty=1e8, height=3_000_000, subsidy=12.5)
    assert found.coins["LTC"].network.subsidy is None
    assert found.dropped == {"mining_network_subsidy_coins": 1}


async def test_dogecoins_difficulty_is_the_mean_of_the_recent_blocks() -> None:
    told = Told()
    for height, difficulty in ((6_000_000, 4e7), (6_000_005, 5e7), (6_000_005, 5e7), (6_000_010, 6e7)):
        told.clock.advance(300)
        found = await told.read("DOGE", difficulty=difficulty, height=height)
    assert found.coins["DOGE"].network.difficulty == 5e7, "each block counts once"
    told.clock.advance(2 * 3600 - 100)
    found = await told.read("DOGE", difficulty=3e7, height=6_000_120)
    assert found.coins["DOGE"].network.difficulty == 4.5e7, "the last of before, and this one"
    litecoin = [await told.read("LTC", difficulty=one, height=3_000_000 + one) for one in (1e8, 2e8)]
    assert litecoin[1].coins["LTC"].network.difficulty == 2e8


@pytest.mark.parametrize("factor", [2.0**-32, 2.0**-16, 2.0**16, 2.0**32])
@pytest.mark.parametrize("difficulty", [3_731_199.18, 20_785_580.48, 1.05e8])
async def test_a_difficulty_in_another_unit_is_none(factor: float, difficulty: float) -> None:
    with pytest.raises(ProbeError) as caught:
        await Told().read("LTC", difficulty=difficulty * factor, height=3_000_000)
    assert caught.value.reason is Reason.NO_DATA


async def test_a_price_that_leaps_is_none_until_the_last_one_is_old() -> None:
    told = Told()
    await told.read("DOGE", price_usd=0.07)
    told.clock.advance(300)
    with pytest.raises(ProbeError):
        await told.read("DOGE", price_usd=7.0)
    told.clock.advance(300)
    assert (await told.read("DOGE", price_usd=0.08)).coins["DOGE"].network.price_usd == 0.08
    told.clock.advance(1801)
    assert (await told.read("DOGE", price_usd=7.0)).coins["DOGE"].network.price_usd == 7.0


async def test_a_hashrate_that_does_not_go_with_the_difficulty_is_dropped() -> None:
    found = await Told().read("LTC", difficulty=1e8, hashrate=1e8 * 2**32 / 150 / 1000, height=3_000_000)
    assert found.coins["LTC"].network.hashrate is None
    assert found.coins["LTC"].network.difficulty == 1e8


async def test_figures_are_from_when_they_last_changed() -> None:
    told = Told()
    first = told.clock()
    await told.read("LTC", difficulty=1e8, height=3_000_000)
    told.clock.advance(600)
    found = await told.read("LTC", difficulty=1e8, height=3_000_000)
    assert found.coins["LTC"].dated == first, "no block for ten minutes"
    told.clock.advance(300)
    found = await told.read("LTC", difficulty=1e8, height=3_000_001)
    assert found.coins["LTC"].dated == told.clock()
    found = await told.read("LTC", price_usd=40.0, dated=first)
    assert found.coins["LTC"].dated == first, "the source's own date, if it is older"


async def test_a_date_in_the_future_dates_nothing() -> None:
    with pytest.raises(ProbeError):
        await Told().read("LTC", price_usd=40.0, dated=1_795_010_000.0)


async def test_whose_price_does_not_move_with_the_others_is_dated_by_all() -> None:
    told = Told()

    def make(bitcoin: float) -> Callable[[MarketReading], None]:
        def fill(found: MarketReading) -> None:
            found.coin("LTC").network.price_usd = 42.0
            found.coin("BTC").network.price_usd = bitcoin

        return fill

    for bitcoin in (61_000.0, 61_001.0):
        told.clock.advance(300)
        told.script.make = make(bitcoin)
        found = await told.source.read(None)  # type: ignore[arg-type]
    assert found.coins["LTC"].dated == told.clock()
