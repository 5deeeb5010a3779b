"""Prohashing's two interfaces as they behave: the REST relay, and the pool's own WAMP router beside it.

Of the relay ``connected`` never becomes false again, ``updating`` is true during the first ten minutes even
if the pool was never reached, the last figures are served for ever, and unknown paths are HTML with status
404. The router is written from the protocol's text, https://wamp-proto.org/wamp_latest_ietf.html, as far as
a client that calls and subscribes can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import math
import random
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web

from exporter.simulator.faults import POOL_FAULTS, parameters
from exporter.simulator.hosts import Host
from exporter.simulator.pools.account import SimAccount, SimWorker
from exporter.simulator.pools.host import json_response, spoilt

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


_PUSH_SECONDS = 5.0
_COINS = {"LTC": "Litecoin", "DOGE": "Dogecoin"}
# Codes of the protocol's messages.
_HELLO, _WELCOME, _ABORT, _CHALLENGE, _AUTHENTICATE, _GOODBYE, _ERROR = 1, 2, 3, 4, 5, 6, 8
_SUBSCRIBE, _SUBSCRIBED, _EVENT, _CALL, _RESULT = 32, 33, 36, 48, 50


class _RefusedError(Exception):
    """A request that is answered with an error, whose name is the text."""


class ProhashingHost(Host):
    """The relay's web server, and at ``/ws`` the pool's router, which publishes after each *sleep*.

    ``calls`` are the procedures called and ``connections`` the sessions begun, for tests to count.
    """

    def __init__(
        self,
        relay: SimRelay,
        account: SimAccount,
        address: str,
        port: int,
        wall_clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        super().__init__(address, port)
        self.relay = relay
        self.account = account
        self.sessions: set[Session] = set()
        self.connections = 0
        self.calls: list[str] = []
        self._wall_clock = wall_clock
        self._sleep = sleep

    @property
    def wamp_url(self) -> str:
        """Where the router listens."""
        return f"ws://{self.address}:{self.port}/ws"

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """The relay's and the router's faults."""
        return self.relay.faults

    def advance(self) -> float:
        """Let the pool get to now, which is returned."""
        now = self._wall_clock()
        self.relay.advance(now)
        if "stale" not in self.faults:
            self.account.advance()
        return now

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """``/``, ``/status``, ``/profitability``, or a WebSocket at ``/ws``."""
        now = self.advance()
        if request.path == "/ws":
            return await self._session(request)
        if self.relay.key and (
            "wrong_key" in self.faults or request.headers.get("Authorization") != f"Bearer {self.relay.key}"
        ):
            return web.Response(status=401)
        if "throttled" in self.faults:
            return web.Response(status=429)
        if request.path == "/":
            return web.Response()
        if request.path == "/status":
            return spoilt(json_response(self.relay.status(now)), self.faults, self.account.key)
        if request.path == "/profitability":
            return spoilt(json_response(self.relay.profitability()), self.faults, self.account.key)
        return web.Response(status=404, text="<h1>Not Found</h1>", content_type="text/html")

    async def _session(self, request: web.BaseRequest) -> web.StreamResponse:
        if "ip_not_allowed" in self.faults:
            return web.Response(status=403)
        if "throttled" in self.faults:
            return web.Response(status=429)
        self.connections += 1
        socket = web.WebSocketResponse(protocols=("wamp.2.json",), compress=False)
        await socket.prepare(request)
        session = Session(self, socket, request.transport)
        self.sessions.add(session)
        pushing = asyncio.create_task(self._push(session))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or not await session.take(json.loads(message.data)):
                    break
        finally:
            self.sessions.discard(session)
            pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await pushing
        return socket

    async def _push(self, session: Session) -> None:
        while True:
            await self._sleep(_PUSH_SECONDS)
            if not {"silent", "stale", "empty"} & set(self.faults):
                self.advance()
                await session.push()

    async def follow_faults(self) -> None:
        """As of any host; a dead pool drops its sessions too."""
        await super().follow_faults()
        if "dead" in self.faults:
            for session in list(self.sessions):
                await session.drop()

    def called(self, procedure: str, arguments: list[Any]) -> Any:
        """The result of a call.

        Raises:
            _RefusedError: with the protocol's error.
        """
        self.calls.append(procedure)
        if procedure == "f_all_profitability_updates":
            return self.relay.profitability()
        if procedure not in ("f_all_miner_updates", "f_all_balance_updates"):
            raise _RefusedError("wamp.error.no_such_procedure")
        if "pool_error" in self.faults:
            raise _RefusedError("wamp.error.runtime_error")
        if "wrong_key" in self.faults or arguments != [self.account.key]:
            raise _RefusedError("wamp.error.not_authorized")
        if procedure == "f_all_miner_updates":
            return [self.worker(one) for one in self.account.shown_workers()]
        return {_COINS[ticker]: coin.balance for ticker, coin in self.account.coins.items()}

    def worker(self, worker: SimWorker) -> dict[str, Any]:
        """A worker as the pool tells of it; rates are text, as the pool prints some of them."""
        now = self.account.now
        return {
            "uuid": f"{worker.number:08x}-0000-4000-8000-000000000000",
            "miner_name": worker.name.partition(".")[2] or worker.name,
            "algorithm_name": "Scrypt",
            "coin_name": "Litecoin",
            "hashrate": worker.rate(now, 7200.0),
            "adjusted_hashrate": f"{worker.rate(now, 600.0):.2f}",
            "difficulty": 1_000_000,
            "actual_difficulty": 1_000_000,
            "difficulty_is_static": False,
            "share_count": worker.accepted.shares,
        }


class Session:
    """One client at the router."""

    def __init__(
        self,
        host: ProhashingHost,
        socket: web.WebSocketResponse,
        transport: asyncio.WriteTransport | None,
    ) -> None:
        self.topics: dict[str, int] = {}
        self._host = host
        self._socket = socket
        self._transport = transport
        self._numbers = count(1)
        self._challenge = json.dumps({"authid": "web", "nonce": f"{random.getrandbits(64):x}"})
        self._joined = False
        self._told: dict[str, Any] = {}

    async def take(self, message: list[Any]) -> bool:
        """Answer one message of the client; whether to go on is returned."""
        code = message[0]
        if code == _HELLO and message[1] == "mining" and "wampcra" in message[2].get("authmethods", ()):
            await self.send(_CHALLENGE, "wampcra", {"challenge": self._challenge})
        elif code == _AUTHENTICATE:
            expected = b64encode(hmac.digest(b"web", self._challenge.encode(), hashlib.sha256)).decode()
            if message[1] != expected or "unknown_account" in self._host.faults:
                await self.send(_ABORT, {"message": "no"}, "wamp.error.authentication_failed")
                return False
            self._joined = True
            await self.send(_WELCOME, random.getrandbits(48), {"roles": {"broker": {}, "dealer": {}}})
        elif code == _GOODBYE:
            await self.send(_GOODBYE, {}, "wamp.close.goodbye_and_out")
            return False
        elif code in (_SUBSCRIBE, _CALL) and self._joined:
            await self._answer(message)
        else:
            await self.send(_ABORT, {}, "wamp.error.protocol_violation")
            return False
        return True

    async def _answer(self, message: list[Any]) -> None:
        code, number, _, name = message[:4]
        faults = self._host.faults
        try:
            if code == _SUBSCRIBE:
                key = name.partition("updates_")[2] or name.partition("diffs_")[2]
                if key not in ("", self._host.account.key):
                    raise _RefusedError("wamp.error.not_authorized")
                self.topics[name] = next(self._numbers)
                await self.send(_SUBSCRIBED, number, self.topics[name])
            elif "deaf" not in faults:
                self._host.advance()
                result = self._host.called(name, message[4] if len(message) > 4 else [])
                self._remember(name, result)
                await self.send(_RESULT, number, {}, [result])
        except _RefusedError as error:
            words = [f"invalid key {self._host.account.key}"] if "key_echoed" in faults else []
            await self.send(_ERROR, code, number, {}, str(error), words)

    def _remember(self, procedure: str, result: Any) -> None:
        """What the client knows now, so that it is told the changes only."""
        self._told[procedure] = json.loads(json.dumps(result))

    async def push(self) -> None:
        """Publish what changed since the client was told."""
        host, key = self._host, self._host.account.key
        figures = host.relay.profitability()
        before = self._told.get("f_all_profitability_updates", {})
        changed = {number: one for number, one in figures.items() if one != before.get(number)}
        if changed:
            await self.publish("profitability_updates", changed)
            self._remember("f_all_profitability_updates", figures)
        if "f_all_miner_updates" in self._told:
            known = {one["uuid"]: one for one in self._told["f_all_miner_updates"]}
            workers = [host.worker(one) for one in host.account.shown_workers()]
            for worker in workers:
                old = known.get(worker["uuid"], {})
                news = {name: value for name, value in worker.items() if value != old.get(name)}
                if news:
                    await self.publish(f"miner_update_diffs_{key}", {"uuid": worker["uuid"], **news})
            self._remember("f_all_miner_updates", workers)
        if "f_all_balance_updates" in self._told:
            balances = {_COINS[ticker]: coin.balance for ticker, coin in host.account.coins.items()}
            for coin, balance in balances.items():
                more = balance - self._told["f_all_balance_updates"].get(coin, 0.0)
                if more:
                    await self.publish(f"balance_updates_{key}", {"coin": coin, "balance": more})
            self._remember("f_all_balance_updates", balances)

    async def publish(self, topic: str, *arguments: Any) -> None:
        """Send an event, if the client has subscribed to its topic."""
        if topic in self.topics:
            await self.send(_EVENT, self.topics[topic], next(self._numbers), {}, list(arguments))

    async def send(self, *message: Any) -> None:
        """Send one message."""
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send any text, which need be no message."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.send_str(text)

    async def drop(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()
