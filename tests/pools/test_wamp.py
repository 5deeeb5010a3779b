"""The pool's real-time interface, over real sockets: what it tells, how it ends, and what it never tells."""

from __future__ import annotations

import asyncio
import json
import random
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import Challenge, CloseDetails

from exporter import catalogue as c
from exporter.address import Endpoint, Policy
from exporter.config.load import load
from exporter.errors import ProbeError, Reason
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.pools import Context
from exporter.pools.prohashing import wamp
from exporter.pools.prohashing.wamp import Wamp, _Events, _Link, _PoolError, _Session
from exporter.server.app import create_app
from exporter.server.runtime import Runtime
from tests.pools.sites import FIGURES, figures
from tests.pools.wamp import MINERS, VirtualTime, WampSite, until, wamp_site

LISTENER = {"name": "live", "wamp_url": "WAMP"}
RELAY = {"name": "relay", "base_url": "RELAY"}


async def test_the_values_of_two_coins_and_three_workers(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        page = await site.page()
        account = site.simulation.account
        assert page.value(c.POOL_PROBE.up) == 1
        assert page.value(c.MINING_POOL_CONNECTED) == page.value(c.MINING_POOL_UPDATING) == 1
        for spec in MINERS:
            worker = account.workers[f"account.{spec.name}"]
            for window, seconds in (("now", 600.0), ("2h", 7200.0)):
                rate = page.value(c.MINING_POOL_WORKER_HASHRATE, spec.name, window)
                assert rate == pytest.approx(worker.rate(account.now, seconds))
            assert page.value(c.MINING_POOL_WORKER_ONLINE, spec.name) == 1
            assert page.value(c.MINING_POOL_WORKER_MINER, spec.name, spec.name) == 1
        assert page.value(c.MINING_POOL_HASHRATE, "now") == pytest.approx(account.rate(600.0))
        assert page.value(c.MINING_POOL_WORKERS, "online") == 3
        assert page.value(c.MINING_POOL_WORKERS, "offline") == 0
        for ticker, coin in account.coins.items():
            assert page.value(c.MINING_POOL_BALANCE, ticker, "confirmed") == pytest.approx(coin.balance)
        scrypt = site.host.relay.profitability()["1"]
        assert page.value(c.MINING_POOL_USD, "scrypt", "", "pool") == scrypt["usd"] / 1e6 / 86_400
        assert page.value(c.MINING_POOL_ALGORITHM_TIMESTAMP, "scrypt") == scrypt["data_timestamp"]
        assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "account") == pytest.approx(site.time.wall())
        assert dict(page.family(c.MINING_POOL_PART_UP)) == {("workers",): 1, ("balances",): 1}


async def test_changes_are_followed_without_asking_again(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        called = len(site.host.calls)
        spent = site.fleet.budgets["prohashing", "prohashing"].spent
        await site.pass_time(60)
        account = site.simulation.account

        async def caught_up() -> bool:
            page = await site.page()
            worker = account.workers["account.l9-1"].rate(account.now, 600.0)
            rate = page.value(c.MINING_POOL_WORKER_HASHRATE, "l9-1", "now")
            balance = page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed")
            return rate == pytest.approx(worker) and balance == pytest.approx(account.coins["LTC"].balance)

        async with asyncio.timeout(30):
            while not await caught_up():
                await asyncio.sleep(0.01)
        assert len(site.host.calls) == called
        assert site.fleet.budgets["prohashing", "prohashing"].spent == spent, "a reading costs no request"


async def test_the_same_hour_through_relay_and_wamp_gives_the_same_series(tmp_path: Path) -> None:
    async with wamp_site(tmp_path, LISTENER, RELAY) as site:
        await site.page("live")
        for minute in range(60):
            # The connection is lost, and then spoilt; it is made anew and all is asked for again.
            if minute in (5, 8):
                await until(lambda: site.host.sessions)
                [session] = site.host.sessions
                await (session.drop() if minute == 5 else session.send_text("not json"))
                await until(lambda: session not in site.host.sessions)  # noqa: B023
            # The pool is lost for long enough that its figures are withheld, and found again.
            if minute == 15:
                await site.simulation.inject("prohashing", "stale")
            if minute == 40:
                await site.simulation.repair("prohashing")
            await site.pass_time(60)
            relay = figures(await site.page("relay"))
            heard = relay.pop(c.MINING_POOL_LAST_UPDATE.name)

            async def live() -> Any:
                found = figures(await site.page("live"))
                # When each heard of it differs by how often the pool publishes.
                for place, at in found.pop(c.MINING_POOL_LAST_UPDATE.name).items():
                    assert at == pytest.approx(heard[place], abs=35)  # noqa: B023
                return found

            async with asyncio.timeout(30):
                while (found := await live()) != relay:
                    await asyncio.sleep(0.01)
            assert (c.MINING_POOL_USD.name in found) == (not 24 <= minute < 40), minute
            assert site.reason("live") == site.reason("relay") == ""
        assert site.host.connections == 3


async def test_a_dropped_connection_is_made_again_and_subscribes_again(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        [first] = site.host.sessions
        await first.drop()
        await until(lambda: not site.host.sessions)
        async with asyncio.timeout(30):
            while (page := await site.page()).value(c.MINING_POOL_CONNECTED):
                await asyncio.sleep(0.01)
        assert page.value(c.POOL_PROBE.up) == 1, "what was heard a moment ago is still true"
        await site.pass_time(5)
        await until(lambda: site.host.sessions)
        [second] = site.host.sessions
        await until(lambda: len(second.topics) == 4 and site.quiet())
        assert second.topics.keys() == first.topics.keys()
        assert (await site.page()).value(c.MINING_POOL_CONNECTED) == 1
        assert site.host.connections == 2


async def test_a_pool_that_is_gone_is_tried_ever_later_and_for_ever(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        await site.simulation.inject("prohashing", "dead")
        await until(lambda: not site.host.sessions)
        await site.pass_time(170)
        assert (await site.page()).value(c.POOL_PROBE.up) == 1
        await site.pass_time(30)
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 0
        assert site.reason() == "connection"
        assert page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed") is not None, "shown, with its age"
        await site.pass_time(3600)
        assert (await site.page()).value(c.MINING_POOL_BALANCE, "LTC", "confirmed") is None
        budget = site.fleet.budgets["prohashing", "prohashing"]
        before = budget.spent
        await site.pass_time(3600)
        # Once in 150 to 300 seconds.
        assert 12 <= budget.spent - before <= 24
        await site.simulation.repair("prohashing")
        await site.pass_time(300)
        await until(lambda: site.host.sessions and site.quiet())
        assert (await site.page()).value(c.POOL_PROBE.up) == 1


async def test_who_is_let_in_and_dropped_does_not_hammer(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        for _ in range(120):
            for session in list(site.host.sessions):
                await session.drop()
            await until(lambda: not site.host.sessions)
            await site.pass_time(30)
        # An hour of it: some ten while the pauses grow, then one in two and a half minutes at most.
        assert 12 <= site.host.connections <= 35


async def test_a_silent_connection_is_noticed_by_its_age(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        for fault in ("silent", "deaf"):
            await site.simulation.inject("prohashing", fault)
        await site.pass_time(120)
        assert (await site.page()).value(c.POOL_PROBE.up) == 1
        await site.pass_time(90)
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 0
        assert site.reason() == "timeout"
        dated = page.value(c.MINING_POOL_DATA_TIMESTAMP, "account")
        assert dated is not None
        assert site.time.wall() - dated > 180
        assert site.host.connections > 1, "a connection that is deaf is given up"
        await site.simulation.repair("prohashing")
        await site.pass_time(300)
        assert (await site.page()).value(c.POOL_PROBE.up) == 1


async def test_a_pool_that_publishes_nothing_is_called(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        await site.simulation.inject("prohashing", "silent")
        await site.pass_time(3600)
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 1
        assert site.host.connections == 1
        assert 25 * 3 <= len(site.host.calls) <= 31 * 3
        assert site.time.wall() - (page.value(c.MINING_POOL_DATA_TIMESTAMP, "account") or 0) <= 140


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        "[]",
        "[36]",
        '["EVENT"]',
        "[1e999]",
        "[36, 99999999, 1, {}]",
        "[50, 7, {}, []]",
        '[2, 1, {"roles": {"broker": {}}}]',
        "[" * 100_000,
    ],
)
async def test_a_malformed_message_ends_the_connection_and_nothing_else(tmp_path: Path, text: str) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        [session] = site.host.sessions
        await session.send_text(text)
        await until(lambda: session not in site.host.sessions)
        assert (await site.page()).value(c.POOL_PROBE.up) == 1
        source = source_of(site)
        await until(lambda: source._problem)
        assert source._problem is not None
        assert source._problem.reason is Reason.BAD_SHAPE
        await site.pass_time(5)
        await until(lambda: site.host.sessions and site.quiet())
        assert (await site.page()).value(c.MINING_POOL_CONNECTED) == 1


async def test_events_of_any_shape_change_nothing(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        before = figures(await site.page())
        [session] = site.host.sessions
        for topic in list(session.topics):
            for odd in (None, 7, "x", [], [[]], {}, {"1": 3}, {"uuid": []}, {"coin": 5}, {"balance": "x"}):
                await session.publish(topic, odd)
            await session.publish(topic)
        await session.publish("profitability_updates", {"1": {"usd": -1e300, "data_timestamp": "x"}})
        await session.publish("profitability_updates", site.host.relay.profitability())

        async def page() -> Any:
            found = figures(await site.page())
            found.pop(c.POOL_PROBE.unexpected.name, None)
            return found

        async with asyncio.timeout(30):
            while await page() != before:
                await asyncio.sleep(0.01)
        assert site.host.connections == 1


@pytest.mark.parametrize("result", [None, 7, "x", [1], [[]]])
async def test_a_result_of_another_shape_is_no_figure(
    tmp_path: Path, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wamp_site(tmp_path) as site:
        monkeypatch.setattr(site.host, "called", lambda *_: result)
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 0
        assert site.reason() == "bad_shape"
        assert c.MINING_POOL_USD.name not in figures(page)


def source_of(site: WampSite, name: str = "prohashing") -> Wamp:
    found = site.fleet.pools[name].reader._read.__self__  # type: ignore[attr-defined]
    assert isinstance(found, Wamp)
    return found


async def test_a_flood_is_cut_off_and_not_asked_for_at_once(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        [session] = site.host.sessions
        source = source_of(site)
        for number in range(wamp.FLOOD_MESSAGES + 1000):
            await session.publish("profitability_updates", {"1": {"usd": 1e-4, "data_timestamp": number}})
            if number % 500 == 0:
                await asyncio.sleep(0)
        await until(lambda: source._problem and not site.host.sessions)
        assert "5000 messages" in str(source._problem)
        assert (await site.page()).value(c.POOL_PROBE.up) == 1
        assert site.host.connections == 1


async def test_a_flood_of_bytes_that_are_no_message_is_cut_off(tmp_path: Path) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
                sent += 65_536
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with wamp_site(tmp_path, {"wamp_url": f"ws://127.0.0.1:{port}"}) as site:
        assert (await site.page()).value(c.POOL_PROBE.up) == 0
        assert site.reason() == "bad_shape"
    server.close()
    await server.wait_closed()
    # What the two sockets hold is sent besides.
    assert sent < 3 * wamp.FLOOD_BYTES


async def test_an_oversized_message_is_not_read(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        [session] = site.host.sessions
        await session.send_text(json.dumps([36, 1, 1, {}, ["x" * wamp.MAX_MESSAGE_BYTES]]))
        source = source_of(site)
        await until(lambda: source._problem)
        assert "a message is over 4194304 bytes" in str(source._problem)


async def test_a_refused_key_is_unauthorised_and_tried_again_slowly(tmp_path: Path) -> None:
    async with wamp_site(tmp_path, {"wamp_url": "WAMP", "api_key": "f00d" * 16}) as site:
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 0
        assert site.reason() == "unauthorised"
        for _ in range(24):
            await site.pass_time(300)
            assert (await site.page()).value(c.POOL_PROBE.up) == 0
            assert site.reason() == "unauthorised"
        # Once in 450 to 900 seconds, whatever is asked for.
        assert 8 <= site.host.connections <= 17


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unauthorised"),
        ("unknown_account", "unauthorised"),
        ("ip_not_allowed", "unauthorised"),
        ("throttled", "throttled"),
        ("html", "http_status"),
        ("http_500", "http_status"),
        ("dead", "connection"),
        ("key_echoed", ""),
        ("empty", "no_data"),
    ],
)
async def test_each_failure_has_its_reason_and_is_no_zero(tmp_path: Path, fault: str, reason: str) -> None:
    async with wamp_site(tmp_path) as site:
        if fault == "empty":
            await site.simulation.inject("prohashing", "pool_error")
        await site.simulation.inject("prohashing", fault)
        page = await site.page()
        assert site.reason() == reason
        if reason:
            assert page.value(c.POOL_PROBE.up) == 0
            assert not FIGURES & figures(page).keys()


async def test_without_the_accounts_figures_the_prices_are_read(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        await site.simulation.inject("prohashing", "pool_error")
        await site.pass_time(140)
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 1
        assert dict(page.family(c.MINING_POOL_PART_UP)) == {("workers",): 0, ("balances",): 0}
        assert c.MINING_POOL_BALANCE.name not in figures(page)
        assert c.MINING_POOL_WORKER_HASHRATE.name not in figures(page)
        assert page.value(c.MINING_POOL_USD, "scrypt", "", "pool") is not None


async def test_a_worker_that_is_not_updated_any_more_is_offline(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        await site.page()
        await site.simulation.inject("prohashing", "vanishing_worker")
        site.simulation.account.inject("vanishing_worker")
        await site.pass_time(140)
        page = await site.page()
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-1") == 0
        assert page.value(c.MINING_POOL_WORKER_HASHRATE, "l9-1", "now") is None
        assert page.value(c.MINING_POOL_WORKERS, "offline") == 1
        await site.simulation.repair("prohashing")
        site.simulation.account.repair()
        await site.pass_time(140)
        page = await site.page()
        assert page.value(c.MINING_POOL_WORKER_ONLINE, "l9-1") == 1


async def test_of_relay_and_wamp_the_fresher_counts(tmp_path: Path) -> None:
    async with wamp_site(
        tmp_path, {"name": "both", "base_url": "RELAY", "wamp_url": "WAMP", "api_key": "KEY"}
    ) as site:
        usd = c.MINING_POOL_USD
        await site.page("both")
        assert ("GET", "/profitability") in site.host.requests, "nothing is heard at once"
        source = site.fleet.pools["both"].reader._read.__self__  # type: ignore[attr-defined]
        await until(lambda: source._wamp._joined)
        asked = len(site.host.requests)
        await site.pass_time(60)
        page = await site.page("both")
        assert len(site.host.requests) == asked, "while the one is fresh the other is not asked"
        assert page.value(c.MINING_POOL_BALANCE, "LTC", "confirmed") is not None
        assert page.value(c.MINING_POOL_PART_UP, "wamp") == 1
        # The connection is there and tells old figures: the relay's are newer.
        await site.simulation.inject("prohashing", "silent")
        site.host.called = lambda *_: {"1": {"usd": 1.0, "data_timestamp": 1.0}}  # type: ignore[method-assign]
        await site.pass_time(140)
        page = await site.page("both")
        figure = site.host.relay.profitability()["1"]
        assert page.value(usd, "scrypt", "", "pool") == figure["usd"] / 1e6 / 86_400
        # Neither is there.
        await site.simulation.inject("prohashing", "dead")
        await site.pass_time(240)
        assert (await site.page("both")).value(c.POOL_PROBE.up) == 0
        assert site.reason("both") == "connection"


async def test_a_key_the_pool_refuses_leaves_the_relay(tmp_path: Path) -> None:
    async with wamp_site(
        tmp_path, {"name": "both", "base_url": "RELAY", "wamp_url": "WAMP", "api_key": "KEY"}
    ) as site:
        await site.simulation.inject("prohashing", "wrong_key")
        await site.page("both")
        source = site.fleet.pools["both"].reader._read.__self__  # type: ignore[attr-defined]
        await until(lambda: source._wamp._problem)
        page = await site.page("both")
        assert page.value(c.POOL_PROBE.up) == 1
        assert page.value(c.MINING_POOL_PART_UP, "wamp") == 0
        assert page.value(c.MINING_POOL_PART_UP, "relay") == 1


async def test_a_spent_budget_ends_what_is_sent(tmp_path: Path) -> None:
    async with wamp_site(
        tmp_path, {"wamp_url": "WAMP", "api_key": "KEY", "rate_limit_requests_per_hour": 20}
    ) as site:
        await site.page()
        for _ in range(12):
            await site.pass_time(300)
        budget = site.fleet.budgets["prohashing", "prohashing"]
        assert budget.spent <= 30
        counted = len(site.host.calls) + sum(path == "/ws" for _, path in site.host.requests)
        assert counted <= budget.spent
        await site.simulation.repair("prohashing")


async def test_a_reload_without_it_ends_the_connection(tmp_path: Path) -> None:
    async with wamp_site(tmp_path, LISTENER) as site:
        await site.page("live")
        before = asyncio.all_tasks()
        text = site.path.read_text()
        # The same account again keeps its connection.
        site.fleet = Fleet(
            load(site.path, {}),
            site.fleet._outgoing,
            {},
            site.fleet,
            clock=site.time,
            wall_clock=site.time.wall,
        )
        await site.page("live")
        assert site.host.connections == 1
        source = source_of(site, "live")
        site.path.write_text(
            text.replace("wamp_url", "base_url").replace("ws://", "http://").replace("/ws", "")
        )
        site.fleet = Fleet(
            load(site.path, {}),
            site.fleet._outgoing,
            {},
            site.fleet,
            clock=site.time,
            wall_clock=site.time.wall,
        )
        await until(lambda: not site.host.sessions)
        assert source._task is not None
        await until(source._task.done)
        assert asyncio.all_tasks() <= before
        client = site.fleet.pools["live"].reader.open_client(site.time() + 5)
        with pytest.raises(ProbeError):
            await source.read(client)
        assert site.host.connections == 1, "what is closed stays closed"


async def test_the_end_of_the_server_ends_the_connection(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as site:
        runtime = Runtime(site.path, load(site.path, {}), site.fleet._outgoing, {})
        server = TestServer(create_app(runtime))
        await server.start_server()
        async with TestClient(server) as client, client.get("/probe?target=prohashing") as response:
            assert "mining_pool_up 1" in await response.text()
            assert len(site.host.sessions) == 1
        await until(lambda: not site.host.sessions)


async def test_no_redirect_is_followed(tmp_path: Path) -> None:
    async with wamp_site(tmp_path) as real:

        async def redirect(_: web.Request) -> web.Response:
            raise web.HTTPFound(real.host.wamp_url)

        app = web.Application()
        app.router.add_get("/ws", redirect)
        async with TestServer(app) as server:
            (tmp_path / "two").mkdir()
            url = f"ws://127.0.0.1:{server.port}/ws"
            async with wamp_site(tmp_path / "two", {"wamp_url": url}) as site:
                assert (await site.page()).value(c.POOL_PROBE.up) == 0
                assert site.reason() == "http_status"
        assert real.host.connections == 0


async def test_the_address_is_resolved_checked_and_pinned(tmp_path: Path) -> None:
    asked: list[str] = []

    async def lookup(host: str) -> list[str]:
        asked.append(host)
        # Nothing listens at the first one.
        return ["127.66.66.66", "127.0.0.1"] if host == "pool.example" else []

    async with wamp_site(tmp_path) as other:
        port = other.host.port
        (tmp_path / "two").mkdir()
        async with wamp_site(
            tmp_path / "two",
            {"name": "named", "wamp_url": f"ws://pool.example:{port}/ws"},
            {"name": "nowhere", "wamp_url": f"ws://nowhere.example:{port}/ws"},
            lookup=lookup,
        ) as site:
            assert (await site.page("named")).value(c.POOL_PROBE.up) == 1
            assert (await site.page("nowhere")).value(c.POOL_PROBE.up) == 0
            assert site.reason("nowhere") == "connection"
            assert set(asked) == {"pool.example", "nowhere.example"}
            await until(lambda: other.host.sessions)
            site.fleet.close()
            await until(lambda: not other.host.sessions)


async def test_an_address_outside_the_policy_is_not_connected_to(outgoing: Outgoing) -> None:
    with pytest.raises(ProbeError) as caught:
        await outgoing.connect(Policy(()), Endpoint.parse("127.0.0.1:9"), asyncio.Protocol, 5)
    assert caught.value.reason is Reason.REFUSED


async def test_a_certificate_nobody_signed_is_refused(tmp_path: Path, certificate: Path) -> None:
    import ssl

    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with wamp_site(tmp_path, {"wamp_url": f"wss://127.0.0.1:{port}/ws", "api_key": "KEY"}) as site:
        page = await site.page()
        assert page.value(c.POOL_PROBE.up) == 0
        assert site.reason() == "connection"
        look = site.fleet.pools["prohashing"].reader.last
        assert look is not None
        assert "certificate" in str(look.error)
    server.close()
    await server.wait_closed()
    assert heard in ([], [b""])


@pytest.mark.parametrize(
    "fault", ["", "wrong_key", "unknown_account", "key_echoed", "pool_error", "throttled", "html", "hostile"]
)
async def test_the_key_is_nowhere(tmp_path: Path, everything_logged: list[str], fault: str) -> None:
    async with wamp_site(tmp_path) as site:
        key = site.simulation.account.key = "c0ffee" * 10 + "beef"
        site.path.write_text(site.path.read_text().replace("simulated-key", key))
        runtime = Runtime(
            site.path,
            load(site.path, {}),
            site.fleet._outgoing,
            {},
            clock=site.time,
            wall_clock=site.time.wall,
        )
        server = TestServer(create_app(runtime))
        await server.start_server()
        shown: list[str] = []
        if fault == "key_echoed":
            await site.simulation.inject("prohashing", "pool_error")
        if fault and fault != "hostile":
            await site.simulation.inject("prohashing", fault)
        async with TestClient(server) as client:
            for path in (
                *(
                    "/probe?target=prohashing",
                    "/probe?target=prohashing&debug=true",
                    "/fleet",
                    "/",
                    "/config",
                ),
                *("/metrics", "/sd/pools"),
            ):
                async with client.get(path) as response:
                    shown.append(await response.text() + str(response.headers))
            if fault == "hostile":
                for session in list(site.host.sessions):
                    await session.publish("profitability_updates", {key: {key: 1}}, {"1": {key: key}})
                    await session.send(8, 48, 1, {}, f"pool.error.{key}", [f"wrong {key}"])
                await until(lambda: not site.host.sessions)
                async with client.get("/probe?target=prohashing&debug=true") as response:
                    shown.append(await response.text())
            target = runtime.fleet.pools["prohashing"]
            try:
                await target.reader._read(target.reader.open_client(site.time() + 5))
            except ProbeError as error:
                shown += ["".join(traceback.format_exception(error)), repr(error)]
        assert runtime.fleet.pools
        await until(lambda: not site.host.sessions)
        await site.pass_time(5)
    assert key not in "".join(shown)
    assert key not in "".join(everything_logged)


async def test_it_is_not_waited_for_longer_than_the_scrape(tmp_path: Path) -> None:
    time = VirtualTime()

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    source = Wamp(
        Endpoint.parse("127.0.0.1:9"),
        None,
        Context(clock=time, sleep=time.sleep, connect=never),
        algorithm="scrypt",
        offline_after_seconds=60,
    )
    async with Outgoing.open_session() as session:
        outgoing = Outgoing(session, clock=time)
        from exporter.http import Client

        client = Client(outgoing, source.endpoint, Policy(None), time() + 0.05)
        with pytest.raises(ProbeError) as caught:
            await source.read(client)
    assert (caught.value.reason, caught.value.detail) == (Reason.TIMEOUT, "the pool has not answered yet")
    assert [step.path for step in client.steps] == ["connect"]
    source.close()
    assert source._task is not None
    await until(source._task.done)


class Kept:
    """A source and a link that are told by hand, and the time of both."""

    def __init__(self, **more: Any) -> None:
        self.time = VirtualTime()
        self.context = Context(clock=self.time, wall_clock=self.time.wall, sleep=self.time.sleep, **more)
        self.source = Wamp(
            Endpoint.parse("127.0.0.1:9"), None, self.context, algorithm="scrypt", offline_after_seconds=60
        )
        self.spent = 0

    def spend(self) -> None:
        self.spent += 1

    def link(self) -> _Link:
        return _Link(self.context, self.spend)

    def refusal(self) -> tuple[str, str]:
        with pytest.raises(ProbeError) as caught:
            self.source.latest()
        return str(caught.value.reason), caught.value.detail


def test_why_there_is_nothing_to_read() -> None:
    kept = Kept()
    source = kept.source
    assert kept.refusal() == ("no_data", "the pool has told nothing yet")
    source._problem = ProbeError(Reason.HTTP_STATUS, "answered status 500")
    assert kept.refusal() == ("http_status", "answered status 500")
    # What was told stands for three minutes, whatever became of the connection, unless the key is refused.
    source._heard.all_profitability({"1": {"usd": 1.0, "data_timestamp": 1.0}})
    source._parts["workers"] = True
    kept.time.now += 180
    reading = source.latest()
    assert (len(reading.profitability), reading.connected, reading.parts) == (1, False, {"workers": True})
    assert reading.parts is not source._parts
    source._joined = True
    assert source.latest().connected is True
    kept.time.now += 1
    assert kept.refusal() == ("http_status", "the pool has been silent for 181 s; answered status 500")
    source._problem = None
    assert kept.refusal() == ("timeout", "the pool has been silent for 181 s")
    kept.time.now -= 1
    source._problem = ProbeError(Reason.UNAUTHORISED, "the pool refuses the key")
    assert kept.refusal() == ("unauthorised", "the pool refuses the key")
    source.close()
    assert kept.refusal() == ("connection", "the account is not read any more")


async def test_a_defect_ends_a_connection_and_not_the_tries(quiet_logs: list[dict[str, Any]]) -> None:
    tries: list[float] = []

    async def connect(*_: Any) -> None:
        tries.append(kept.time())
        raise KeyError("of ours")

    kept = Kept(connect=connect, rng=Longest())
    kept.source.start()
    await until(lambda: kept.time.asleep)
    assert kept.refusal() == ("bad_shape", "could not be followed: KeyError")
    await kept.time.advance(30, step=1)
    assert tries == [1000.0, 1002.0, 1006.0, 1014.0, 1030.0]
    assert {event["event"] for event in quiet_logs} == {
        "defect while following the pool",
        "connection to the pool ended",
    }
    kept.source.close()


class Longest(random.Random):
    """Chance that always makes a pause as long as it may be."""

    def uniform(self, a: float, b: float) -> float:
        assert (a, b) == (0.5, 1.0)
        return b


async def test_without_a_network_there_is_no_connection() -> None:
    kept = Kept()
    with pytest.raises(ProbeError) as caught:
        await kept.link().connect(Endpoint.parse("127.0.0.1:9"))
    assert (caught.value.reason, caught.value.detail) == (Reason.REFUSED, "there is no network")
    assert kept.spent == 0


async def test_what_comes_is_counted_for_ten_seconds() -> None:
    kept = Kept()
    link = kept.link()
    assert link.came("bytes", 60, 100)
    assert link.came("messages", 100, 100), "each kind is counted for itself"
    kept.time.now += 9.9
    assert link.came("bytes", 40, 100)
    kept.time.now += 0.1
    assert link.came("bytes", 100, 100)
    kept.time.now += 9.9
    assert not link.came("bytes", 1, 100)
    assert not link.came("messages", 1, 100), "the connection is over"
    end = link._over.result()
    assert (end.reason, end.detail) == (Reason.BAD_SHAPE, "more than 100 bytes within 10 s")
    link.end(Reason.CONNECTION, "later")
    assert link._over.result() is end


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (ApplicationError("wamp.error.not_authorized", "a key"), "unauthorised", "the pool refuses the key"),
        (
            ApplicationError("wamp.error.no_such_procedure", "a key"),
            "pool_error",
            "the pool answers with an error",
        ),
        (TypeError("a key"), "pool_error", "the pool answers with an error"),
        (ValueError("a key"), "pool_error", "the pool answers with an error"),
    ],
)
async def test_an_answer_that_is_an_error_is_told_in_our_words(
    error: Exception, reason: str, words: str
) -> None:
    kept = Kept()

    async def answer() -> None:
        raise error

    with pytest.raises(ProbeError) as caught:
        await kept.link()._within(answer())
    assert (caught.value.reason, caught.value.detail) == (reason, words)
    # It is the answer that is bad, not the connection.
    assert isinstance(caught.value, _PoolError) is (reason == "pool_error")
    await until(lambda: not kept.time.asleep)


async def test_an_answer_is_waited_for_until_ten_seconds_are_over_or_the_connection_is() -> None:
    kept = Kept()
    link, silent = kept.link(), asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(link._within(silent))
    await until(lambda: kept.time.asleep)
    await kept.time.advance(9)
    assert not waiting.done()
    await kept.time.advance(1)
    with pytest.raises(ProbeError) as late:
        await waiting
    assert (late.value.reason, late.value.detail) == (Reason.TIMEOUT, "no answer within 10 s")
    assert silent.cancelled()
    pausing = asyncio.create_task(link.pause(15))
    await until(lambda: kept.time.asleep)
    link.drop()
    with pytest.raises(ProbeError) as dropped:
        await pausing
    assert (dropped.value.reason, dropped.value.detail) == (Reason.CONNECTION, "the connection was dropped")
    assert link._joined.cancelled()
    await until(lambda: not kept.time.asleep)


async def test_each_step_of_a_connection_is_written_down_to_a_bound() -> None:
    kept = Kept()
    source = kept.source

    async def work(outcome: Any) -> Any:
        kept.time.now += 2
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert await source._step("call", work(7)) == 7
    with pytest.raises(_PoolError) as caught:
        await source._step("topic_<key>", work(_PoolError(Reason.POOL_ERROR, "an error")))
    assert (caught.value.reason, caught.value.detail) == (Reason.POOL_ERROR, "topic_<key>: an error")
    told = [(step.method, step.path, step.seconds, step.status, step.problem) for step in source._steps]
    assert told == [
        ("WAMP", "call", 2, "ok", ""),
        ("WAMP", "topic_<key>", 2, None, "pool_error: an error"),
    ]
    for _ in range(40):
        await source._step("call", work(7))
    assert len(source._steps) == 32


def test_what_is_published_during_the_calls_waits_in_order_and_to_a_bound() -> None:
    took: list[int] = []
    events = _Events()
    handle = events.of(took.append)
    with events:
        for number in range(5001):
            handle(number, details="of the library")
        assert took == []
    assert took == list(range(5000))
    handle(7)
    assert took[-1] == 7


@pytest.mark.parametrize(
    ("method", "extra", "answer"),
    [
        # hmac.new(b"web", b"challenge", sha256), in base64.
        ("wampcra", {"challenge": "challenge"}, "CjsYSFUdPdoit0HhaaA1LQBbpx+e72kcp7R0jmljg5o="),
        ("wampcra", {"challenge": 7}, None),
        ("wampcra", {}, None),
        ("ticket", {"challenge": "challenge"}, None),
    ],
)
async def test_a_challenge_is_signed_if_it_is_one(
    method: str, extra: dict[str, Any], answer: str | None
) -> None:
    link = Kept().link()
    assert _Session(link).onChallenge(Challenge(method, extra)) == (answer or "")
    if answer:
        assert not link._over.done()
    else:
        end = link._over.result()
        assert (end.reason, end.detail) == (Reason.BAD_SHAPE, "the challenge is not of WAMP-CRA")


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (b"HTTP/1.1 503 Busy now\r\n\r\n", "http_status", "answered status 503"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "unauthorised", "answered status 403"),
        (b"HTTP/1.1 5031 Odd\r\n\r\n", "http_status", "answered status 503"),
        # Without what a WebSocket says then.
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "bad_shape", "the answer is not of a WebSocket"),
        (b"HTTP/1.1 \xc2\xb2 Squared\r\n\r\n", "bad_shape", "the answer is not of a WebSocket"),
        (b"HTTP/1.1\r\n\r\n", "bad_shape", "the answer is not of a WebSocket"),
        (b"hello\r\n\r\n", "bad_shape", "the answer is not of a WebSocket"),
    ],
)
async def test_what_is_no_websocket_is_told_in_words(answer: bytes, reason: str, words: str) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        # It hangs up itself.
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Outgoing.open_session() as session:
        outgoing = Outgoing(session)
        kept = Kept(connect=partial(outgoing.connect, Policy(None)))
        with pytest.raises(ProbeError) as caught:
            await kept.link().connect(Endpoint.parse(f"127.0.0.1:{port}"))
        await gone.wait()
    assert (str(caught.value.reason), caught.value.detail) == (reason, words)
    assert kept.spent == 1


class Ends:
    """What a connection is told of its end, and what came of its messages."""

    def __init__(self, *, taken: bool = True) -> None:
        self.taken = taken
        self.told: list[tuple[str, str]] = []
        self.counted: list[tuple[str, int, int]] = []

    def end(self, reason: Reason, words: str) -> None:
        self.told.append((str(reason), words))

    def came(self, kind: str, number: int, most: int) -> bool:
        self.counted.append((kind, number, most))
        return self.taken


@pytest.mark.parametrize(
    ("code", "words"), [(1009, "a message is over 4194304 bytes"), (1002, "a message is not WAMP")]
)
async def test_a_message_that_is_none_is_told_in_words_and_ends_the_connection(code: int, words: str) -> None:
    ends = Ends()
    dropped: list[bool] = []
    protocol = wamp._Protocol()
    protocol.link = ends  # type: ignore[assignment]
    protocol.state, protocol.failByDrop = protocol.STATE_OPEN, True
    protocol.dropConnection = lambda abort: dropped.append(abort)
    protocol._fail_connection(code, "it is odd")
    assert (ends.told, dropped) == ([("bad_shape", words)], [True])
    assert "it is odd" in protocol.wasNotCleanReason


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("wamp.error.not_authorized", ("unauthorised", "the pool does not let us in")),
        ("wamp.close.system_shutdown", ("pool_error", "the pool ended the session")),
        # The connection tells of its end itself.
        ("wamp.close.transport_lost", None),
    ],
)
async def test_the_end_of_a_session_is_told_in_words(reason: str, told: tuple[str, str] | None) -> None:
    ends = Ends()
    session = _Session(ends)  # type: ignore[arg-type]
    session.onLeave(CloseDetails(reason, "words with a key"))
    assert ends.told == ([told] if told else [])


async def test_a_session_begins_with_the_pools_realm_and_user() -> None:
    session = _Session(Ends())  # type: ignore[arg-type]
    joined: list[Any] = []
    session.join = lambda *what: joined.append(what)  # type: ignore[method-assign]
    session.onConnect()
    assert joined == [("mining", ["wampcra"], "web")]
    assert session.config.realm == "mining"


class Wire:
    """A connection's transport."""

    def __init__(self) -> None:
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1


@pytest.mark.parametrize("taken", [True, False])
async def test_what_floods_is_not_read_and_ends_the_connection(
    taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        wamp.WampWebSocketClientProtocol, "data_received", lambda _, data: read.append((data,))
    )
    monkeypatch.setattr(wamp.WampWebSocketClientProtocol, "onMessage", lambda _, *what: read.append(what))
    ends, wire = Ends(taken=taken), Wire()
    protocol = wamp._Protocol()
    protocol.link = ends  # type: ignore[assignment]
    # Before it is connected there is nothing to end.
    protocol.data_received(b"abc")
    protocol.onMessage(b"abc", True)
    protocol.transport = wire
    protocol.data_received(b"defg")
    protocol.onMessage(b"d", False)
    assert read == ([(b"abc",), (b"abc", True), (b"defg",), (b"d", False)] if taken else [])
    assert wire.aborted == (0 if taken else 2)
    assert ends.counted == [
        ("bytes", 3, wamp.FLOOD_BYTES),
        ("messages", 1, wamp.FLOOD_MESSAGES),
        ("bytes", 4, wamp.FLOOD_BYTES),
        ("messages", 1, wamp.FLOOD_MESSAGES),
    ]


async def test_a_closed_connection_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(wamp.WampWebSocketClientProtocol, "onClose", lambda _, *what: handed.append(what))
    ends = Ends()
    protocol = wamp._Protocol()
    protocol.link = ends  # type: ignore[assignment]
    protocol.onClose(True, 1006, "a key")
    assert ends.told == [("connection", "the connection was closed")]
    assert handed == [(True, 1006, "a key")]


async def test_why_a_connection_ended_is_logged_without_a_secret(quiet_logs: list[dict[str, Any]]) -> None:
    async def connect(*_: Any) -> None:
        raise ProbeError(Reason.THROTTLED, "answered status 429")

    kept = Kept(connect=connect, rng=Longest())
    kept.source.start()
    await until(lambda: kept.time.asleep)
    assert [event for event in quiet_logs if event["event"] == "connection to the pool ended"] == [
        {
            "event": "connection to the pool ended",
            "reason": "throttled",
            "detail": "connect: answered status 429",
            "log_level": "debug",
        }
    ]
    kept.source.close()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:9", "ws://127.0.0.1:9/"),
        ("http://[::1]:9/ws", "ws://[::1]:9/ws"),
        ("https://pool.test/ws", "wss://pool.test:443/ws"),
    ],
)
async def test_where_a_connection_is_made_to_and_within_which_bounds(address: str, url: str) -> None:
    made: list[Any] = []

    async def connect(_: Endpoint, protocol: Any, seconds: float) -> None:
        made.append(protocol().factory)
        raise ProbeError(Reason.CONNECTION, f"not within {seconds:.0f} s")

    with pytest.raises(ProbeError, match=f"not within {wamp.ANSWER_SECONDS:.0f} s"):
        await Kept(connect=connect).link().connect(Endpoint.parse(address))
    [factory] = made
    assert (factory.url, factory.useragent) == (url, "minefleet-exporter")
    assert factory.maxFramePayloadSize == factory.maxMessagePayloadSize == wamp.MAX_MESSAGE_BYTES
    assert (factory.openHandshakeTimeout, factory.closeHandshakeTimeout) == (wamp.ANSWER_SECONDS, 1)


async def test_a_connection_on_which_nothing_is_told_is_given_up() -> None:
    kept = Kept()
    kept.source._heard.all_profitability({"1": {"usd": 1.0, "data_timestamp": 1.0}})
    told = kept.time()

    class Silent:
        async def connect(self, _: Endpoint) -> None: ...

        async def subscribe(self, *_: Any) -> None: ...

        async def call(self, *_: Any) -> dict[str, Any]:
            return {}

        async def pause(self, seconds: float) -> None:
            kept.time.now += seconds

    with pytest.raises(ProbeError) as caught:
        await kept.source._follow(Silent())  # type: ignore[arg-type]
    assert caught.value.reason is Reason.TIMEOUT
    silent = kept.time() - told
    assert silent > wamp.SILENT_SECONDS
    assert caught.value.detail == f"nothing was told for {silent:.0f} s"
    # Of the last time all figures were called for.
    assert [step.path for step in kept.source._steps] == ["f_all_profitability_updates"]
