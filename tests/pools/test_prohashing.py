"""The pool's relay: answers to readings, and its quirks."""

from __future__ import annotations

from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from pydantic import SecretStr

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Client, Outgoing
from exporter.pools.metrics import samples
from exporter.pools.prohashing.relay import Relay
from exporter.pools.reading import PoolReading
from tests.conftest import near

# Figures of January 2019, recorded from the relay.
PROFITABILITY: dict[str, Any] = {
    "1": {
        "algorithm_name": "Scrypt",
        "usd": 0.0025041009705167,
        "btc": 6.8628068694276e-7,
        "max_usd": 0.0052676028280028,
        "max_btc": 1.4445957481592e-6,
        "percentile_usd": 0.0023765266674273,
        "percentile_btc": 6.5173886514719e-7,
        "data_timestamp": 1547510680.4959,
        "server_timestamp": 1547510683.3438,
        "server_id": 4,
    },
    "2": {"algorithm_name": "SHA-256", "usd": 1.3292067065643e-7, "data_timestamp": 1547510600.0},
    "4": {"algorithm_name": "X11", "usd": 5.8147956354503e-5, "data_timestamp": 1547510600.0},
    "77": {"algorithm_name": "Verus Hash", "usd": 1e-5, "data_timestamp": 1547510600.0},
}
STATUS = {"connected": True, "updating": True, "lastUpdates": {"profitability": "2019-01-15T00:04:40+00:00"}}


async def read(
    outgoing: Outgoing, profitability: Any = PROFITABILITY, status: Any = STATUS, key: str | None = None
) -> PoolReading:
    relay = Relay(Endpoint.parse("http://192.0.2.9:3000"), SecretStr(key) if key else None)
    client = Client(outgoing, relay.endpoint, Policy(None), outgoing.clock() + 5)
    with aioresponses() as mocked:

        def answer(data: Any) -> Any:
            def make(_: Any, **kwargs: Any) -> CallbackResult:
                if key and kwargs["headers"].get("Authorization") != f"Bearer {key}":
                    return CallbackResult(status=401)
                return CallbackResult(status=data) if isinstance(data, int) else CallbackResult(payload=data)

            return make

        mocked.get("http://192.0.2.9:3000/profitability", callback=answer(profitability))
        mocked.get("http://192.0.2.9:3000/status", callback=answer(status))
        return await relay.read(client)


async def test_a_hash_earns_what_miners_earned_then(outgoing: Outgoing) -> None:
    reading = await read(outgoing)
    usd = {one.algorithm: one.usd for one in reading.profitability}
    # An L3+ of 504 MH/s, an S9 of 14 TH/s and a D3 of 19.3 GH/s earned this a day in January 2019.
    assert 504e6 * (usd["scrypt"] or 0) * 86_400 == pytest.approx(1.26, abs=0.01)
    assert 14e12 * (usd["sha256d"] or 0) * 86_400 == pytest.approx(1.86, abs=0.01)
    assert 19.3e9 * (usd["x11"] or 0) * 86_400 == pytest.approx(1.12, abs=0.01)


async def test_every_figure_per_hash(outgoing: Outgoing) -> None:
    scrypt = (await read(outgoing)).profitability[0]
    unit = 1e6 * 86_400
    assert scrypt.algorithm == "scrypt"
    assert scrypt.usd == near(0.0025041009705167 / unit)
    assert scrypt.btc == near(6.8628068694276e-7 / unit)
    assert scrypt.max_usd == near(0.0052676028280028 / unit)
    assert scrypt.max_btc == near(1.4445957481592e-6 / unit)
    assert scrypt.percentile_usd == near(0.0023765266674273 / unit)
    assert scrypt.percentile_btc == near(6.5173886514719e-7 / unit)
    assert (scrypt.timestamp, scrypt.server_timestamp) == (1547510680.4959, 1547510683.3438)


async def test_an_unknown_algorithm_has_its_own_name(outgoing: Outgoing) -> None:
    reading = await read(outgoing)
    assert [one.algorithm for one in reading.profitability] == ["scrypt", "sha256d", "x11", "verus hash"]
    assert (reading.connected, reading.updating) == (True, True)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("printed", "at"),
    [
        ("2019-01-15T00:04:40+00:00", 1547510680.0),
        ("2019-01-15T02:04:40+02:00", 1547510680.0),
        ("2019-01-15T00:04:40Z", 1547510680.0),
        ("2019-01-15T00:04:40", 1547510680.0),
        ("yesterday", None),
        ("2019-13-45T00:04:40", None),
        (1547510680, None),
        (None, None),
    ],
)
async def test_when_the_relay_last_heard_of_the_pool(
    outgoing: Outgoing, printed: Any, at: float | None
) -> None:
    reading = await read(outgoing, status={**STATUS, "lastUpdates": {"profitability": printed}})
    page = Page()
    assert samples(reading, page, now=1547510700.0, read_at=1547510700.0, max_age=600) == {}
    assert page.value(c.MINING_POOL_LAST_UPDATE, "profitability") == at
    assert page.value(c.MINING_POOL_SERVER_TIMESTAMP, "scrypt") == 1547510683.3438
    assert page.value(c.MINING_POOL_SERVER_TIMESTAMP, "x11") is None
    odd = at is None and printed is not None
    assert reading.unexpected == ({"status.lastUpdates.profitability": 1} if odd else {})
    assert reading.connected is True


async def test_the_key_is_sent_and_never_shown(outgoing: Outgoing) -> None:
    assert (await read(outgoing, key="s3cret")).profitability
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, profitability=401, key="s3cret")
    assert caught.value.reason is Reason.UNAUTHORISED
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("profitability", "reason"),
    [({}, Reason.NO_DATA), ([], Reason.BAD_SHAPE), (503, Reason.HTTP_STATUS), ({"1": None}, Reason.NO_DATA)],
)
async def test_no_data_is_no_reading(outgoing: Outgoing, profitability: Any, reason: Reason) -> None:
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, profitability=profitability)
    assert caught.value.reason is reason


async def test_figures_do_not_need_the_status(outgoing: Outgoing) -> None:
    reading = await read(outgoing, status=404)
    assert reading.connected is None
    assert reading.profitability


async def test_wrong_types_are_absent_and_counted(outgoing: Outgoing) -> None:
    reading = await read(
        outgoing,
        profitability={
            "1": {"usd": "0.0025", "btc": 1e-7, "data_timestamp": 1547510680.0},
            "2": {"usd": 1e-7, "data_timestamp": True},
        },
    )
    [scrypt] = reading.profitability
    assert scrypt.usd is None
    assert scrypt.btc is not None
    assert reading.unexpected == {"profitability.*.usd": 1, "profitability.*.data_timestamp": 1}


async def test_figures_without_a_date_are_none(outgoing: Outgoing) -> None:
    reading = await read(
        outgoing, profitability={"1": PROFITABILITY["1"], "2": {"usd": 1.3e-7, "btc": 1e-12}}
    )
    assert [one.algorithm for one in reading.profitability] == ["scrypt"]


async def test_each_algorithm_is_as_old_as_itself(outgoing: Outgoing) -> None:
    page = Page()
    dropped = samples(await read(outgoing), page, now=1547511230.0, read_at=1547511230.0, max_age=600)
    assert dropped == {}
    assert page.value(c.MINING_POOL_USD, "scrypt", "", "pool") is not None
    assert page.value(c.MINING_POOL_USD, "sha256d", "", "pool") is None, (
        "dropped by the pool, served by the relay for ever"
    )
    assert page.value(c.MINING_POOL_ALGORITHM_TIMESTAMP, "sha256d") == 1547510600.0
    assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == 1547510680.4959


async def test_what_the_relay_tells_of_nothing_is_told_in_words(outgoing: Outgoing) -> None:
    for data, words in (
        ([], "/profitability is not a map of algorithms"),
        ({}, "the relay has received nothing from the pool"),
    ):
        with pytest.raises(ProbeError) as caught:
            await read(outgoing, profitability=data)
        assert caught.value.detail == words


async def test_what_is_not_as_documented_is_counted_by_its_place(outgoing: Outgoing) -> None:
    status = {"connected": 1, "updating": "yes", "lastUpdates": 7}
    odd = {
        "1": PROFITABILITY["1"] | {"server_timestamp": "?", "max_usd": "?"},
        "2": 7,
        "9": {"algorithm_name": 7},
    }
    reading = await read(outgoing, profitability=odd, status=status)
    assert reading.unexpected == dict.fromkeys(
        [
            *(f"profitability.*{key}" for key in (".server_timestamp", ".max_usd", ".algorithm_name", "")),
            *(f"status.{key}" for key in ("connected", "updating", "lastUpdates")),
        ],
        1,
    )
    assert (reading.connected, reading.updating, reading.last_updates) == (None, None, {})
    reading = await read(outgoing, status=[])
    assert reading.unexpected == {"status": 1}


async def test_an_algorithm_nobody_knows_has_a_name_of_a_length_and_no_more_than_64_are_read(
    outgoing: Outgoing,
) -> None:
    entries = {
        f"{100 + number}": {"algorithm_name": f"{'A' * 31}{number}", "data_timestamp": 1}
        for number in range(65)
    }
    reading = await read(outgoing, profitability=entries)
    assert [one.algorithm for one in reading.profitability] == [
        f"{'a' * 31}{str(number)[0]}" for number in range(64)
    ]


async def test_a_key_that_only_the_status_refuses_is_refused(outgoing: Outgoing) -> None:
    with pytest.raises(ProbeError) as caught:
        await read(outgoing, status=401)
    assert caught.value.reason is Reason.UNAUTHORISED
