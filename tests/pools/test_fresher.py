"""An account that is read both ways, of figures given by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.http import Client
from exporter.pools.prohashing.fresher import Fresher
from exporter.pools.prohashing.relay import Relay
from exporter.pools.prohashing.wamp import Wamp
from exporter.pools.reading import PoolReading, Profitability
from tests.conftest import FakeClock

CLIENT = cast(Client, object())


class Told:
    """Both the real-time interface and the relay: what each tells, or why it does not."""

    def __init__(self, heard: PoolReading | None, told: PoolReading | None) -> None:
        self.endpoint = Endpoint.parse("relay:3000")
        self.heard = heard
        self.told = told
        self.did: list[str] = []

    def start(self) -> None:
        self.did.append("start")

    def close(self) -> None:
        self.did.append("close")

    def latest(self) -> PoolReading:
        if self.heard is None:
            raise ProbeError(Reason.TIMEOUT, "nothing heard")
        return self.heard

    async def read(self, client: Client) -> PoolReading:
        assert client is CLIENT
        self.did.append("read")
        if self.told is None:
            raise ProbeError(Reason.NO_DATA, "nothing told")
        return self.told


def fresher(told: Told, wall: FakeClock) -> Fresher:
    return Fresher(cast(Wamp, told), cast(Relay, told), wall)


def figures(dated: float | None = None, algorithm: str = "scrypt", **more: Any) -> PoolReading:
    priced = [Profitability(algorithm, timestamp=dated, usd=dated)]
    return PoolReading(
        profitability=[] if dated is None and not more.pop("undated", False) else priced, **more
    )


@pytest.mark.parametrize(("age", "asked"), [(119, False), (120, True)])
async def test_the_relay_is_asked_once_what_was_heard_is_two_minutes_old(age: float, asked: bool) -> None:
    wall = FakeClock(5000)
    both = Told(figures(5000 - age), figures(1))
    found = await fresher(both, wall).read(CLIENT)
    assert both.did == (["start", "read"] if asked else ["start"])
    assert found.parts == ({"wamp": True, "relay": True} if asked else {"wamp": True})


@pytest.mark.parametrize("heard", [figures(), figures(undated=True)])
async def test_what_has_no_date_is_not_fresh(heard: PoolReading) -> None:
    both = Told(heard, figures(4999))
    found = await fresher(both, FakeClock(5000)).read(CLIENT)
    assert [one.timestamp for one in found.profitability] == [4999]


async def test_the_relay_stands_in_for_what_is_not_heard_and_the_other_way_round() -> None:
    both = Told(None, figures(3))
    found = await fresher(both, FakeClock(5000)).read(CLIENT)
    assert found is both.told
    assert found.parts == {"wamp": False, "relay": True}
    both = Told(figures(3, parts={"workers": True}), None)
    found = await fresher(both, FakeClock(5000)).read(CLIENT)
    assert found is both.heard
    assert found.parts == {"workers": True, "wamp": True, "relay": False}
    with pytest.raises(ProbeError) as caught:
        await fresher(Told(None, None), FakeClock(5000)).read(CLIENT)
    assert caught.value.reason is Reason.NO_DATA


async def test_of_each_figure_the_newer_counts() -> None:
    heard = PoolReading(
        profitability=[
            Profitability("scrypt", timestamp=10, usd=1),
            Profitability("x11", timestamp=10, usd=1),
            Profitability("sha256d", timestamp=10, usd=1),
            Profitability("ethash", timestamp=None, usd=1),
        ],
        last_updates={"profitability": 10, "heard": 1},
        updating=False,
        unexpected=Counter({"a": 1}),
        hashrate={"now": 7},
    )
    told = PoolReading(
        profitability=[
            Profitability("scrypt", timestamp=11, usd=2),
            Profitability("x11", timestamp=9, usd=2),
            Profitability("sha256d", timestamp=10, usd=2),
            Profitability("ethash", timestamp=None, usd=2),
            Profitability("equihash", timestamp=1, usd=2),
        ],
        last_updates={"profitability": 12, "told": 2},
        updating=True,
        unexpected=Counter({"a": 1, "b": 1}),
    )
    found = await fresher(Told(heard, told), FakeClock(5000)).read(CLIENT)
    usd = {one.algorithm: one.usd for one in found.profitability}
    assert usd == {"scrypt": 2, "x11": 1, "sha256d": 1, "ethash": 1, "equihash": 2}
    assert found.last_updates == {"profitability": 12, "heard": 1, "told": 2}
    assert found.updating is True
    assert found.unexpected == {"a": 2, "b": 1}
    assert found.hashrate == {"now": 7}


async def test_what_is_not_newer_changes_nothing() -> None:
    heard = figures(10, last_updates={"profitability": 12}, updating=True)
    told = figures(9, last_updates={"profitability": 11}, updating=False)
    found = await fresher(Told(heard, told), FakeClock(5000)).read(CLIENT)
    assert (found.last_updates, found.updating) == ({"profitability": 12}, True)


def test_its_address_is_the_relays_and_its_end_that_of_the_connection() -> None:
    both = Told(None, None)
    source = fresher(both, FakeClock())
    source.close()
    assert both.did == ["close"]
    assert source.endpoint is both.endpoint
