"""The pool's real-time interface: WAMP over a WebSocket, kept open beside the readings.

Realm ``mining``, authentication ``wampcra`` as ``web`` with the secret ``web``, for everybody. The account
is the API key: an argument of the calls, and part of topics' names, so **topics are secrets**. Source:
several public clients of the pool; the protocol is https://wamp-proto.org/wamp_latest_ietf.html.

A connection subscribes first and calls for all figures then, so that nothing is lost in between; what is
published meanwhile is applied after them. They are called for again every few minutes. Who tells nothing for
minutes is taken for dead, and every end is followed by another try, each later than the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import structlog
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory, WampWebSocketClientProtocol
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.exception import Error as WampError
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import Challenge, CloseDetails, ComponentConfig, SessionDetails
from pydantic import SecretStr
from txaio.aio import set_global_log_level

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.http import Client, Step
from exporter.pools import Context, PoolSource
from exporter.pools.prohashing.heard import Heard
from exporter.pools.reading import PoolReading

T = TypeVar("T")

_REALM, _USER, _SECRET = "mining", "web", b"web"
# An account of five thousand workers is some 2 MB.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# What may come within ten seconds: several times what such an account sends.
FLOOD_SECONDS = 10.0
FLOOD_MESSAGES = 5000
FLOOD_BYTES = 8 * 1024 * 1024
ANSWER_SECONDS = 10.0
_WATCH_SECONDS = 15.0
# All figures are called for so often, so that silence is the pool's.
REFRESH_SECONDS = 120.0
SILENT_SECONDS = 180.0
# The pause before another try: twice as long each time. A refused key becomes no better by asking.
_FIRST_PAUSE_SECONDS = 2.0
MOST_PAUSE_SECONDS = 300.0
REFUSED_PAUSE_SECONDS = 900.0
# A connection that lived so long was a good one.
_GOOD_SECONDS = 60.0
_MOST_STEPS = 32
_REFUSALS = frozenset(
    {
        "wamp.error.not_authorized",
        "wamp.error.authorization_failed",
        "wamp.error.authorization_denied",
        "wamp.error.authentication_failed",
        "wamp.error.authentication_denied",
        "wamp.error.no_auth_method",
        "wamp.error.no_matching_auth_method",
        "wamp.error.no_such_principal",
        "wamp.error.no_such_role",
    }
)
_STATUS = {401: Reason.UNAUTHORISED, 403: Reason.UNAUTHORISED, 429: Reason.THROTTLED}
# Its words carry topics, and topics are secrets.
set_global_log_level("none")
log = structlog.get_logger("pool")


class _PoolError(ProbeError):
    """The pool answers one request with an error; the connection is good."""


class Wamp(PoolSource):
    """Reads one account of what a connection of its own has heard; the first reading opens it."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: SecretStr | None,
        context: Context,
        *,
        algorithm: str,
        offline_after_seconds: float,
    ) -> None:
        self.endpoint = endpoint
        self._key = key
        self._context = context
        self._heard = Heard(context, algorithm=algorithm, offline_after_seconds=offline_after_seconds)
        self._parts: dict[str, bool] = {}
        self._problem: ProbeError | None = None
        # Set when there is something to say of the first try.
        self._tried = asyncio.Event()
        self._steps: list[Step] = []
        self._joined = False
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    async def read(self, client: Client) -> PoolReading:
        """One reading of what was heard; the first waits for it.

        Raises:
            ProbeError: why there is no connection; ``timeout`` if it is silent, ``unauthorised`` for a key
                the pool does not take, ``no_data`` if it told no figures.
        """
        self.start()
        if not self._tried.is_set():
            try:
                async with asyncio.timeout(max(0.0, client.seconds_left)):
                    await self._tried.wait()
            except TimeoutError:
                raise ProbeError(Reason.TIMEOUT, "the pool has not answered yet") from None
            finally:
                client.steps.extend(self._steps)
        return self.latest()

    def start(self) -> None:
        """Open the connection, if that was not done."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """End the connection; a reading says so from now on."""
        self._closed = True
        self._problem = ProbeError(Reason.CONNECTION, "the account is not read any more")
        self._heard.forget()
        self._tried.set()
        if self._task is not None:
            self._task.cancel()

    def latest(self) -> PoolReading:
        """What was heard until now.

        Raises:
            ProbeError: as :meth:`read`.
        """
        told = self._heard.told_at
        silent = None if told is None else self._context.clock() - told
        if self._problem and (self._problem.reason is Reason.UNAUTHORISED or silent is None):
            raise ProbeError(self._problem.reason, self._problem.detail)
        if silent is None:
            raise ProbeError(Reason.NO_DATA, "the pool has told nothing yet")
        if silent > SILENT_SECONDS:
            why = f"; {self._problem.detail}" if self._problem else ""
            reason = self._problem.reason if self._problem else Reason.TIMEOUT
            raise ProbeError(reason, f"the pool has been silent for {silent:.0f} s{why}")
        reading = self._heard.reading(connected=self._joined)
        reading.parts = dict(self._parts)
        return reading

    async def _run(self) -> None:
        """One connection after the other, for ever."""
        failures = 0
        while True:
            link = _Link(self._context, self._spend)
            started = self._context.clock()
            self._steps.clear()
            try:
                try:
                    await self._follow(link)
                finally:
                    self._joined = False
                    link.drop()
            except ProbeError as error:
                problem = error.bare()
            except Exception as error:
                # A defect of ours: the next connection may not meet it.
                log.exception("defect while following the pool")
                problem = ProbeError(Reason.BAD_SHAPE, f"could not be followed: {type(error).__name__}")
            self._problem = problem
            if self._context.clock() - started >= _GOOD_SECONDS:
                failures = 0
            log.debug("connection to the pool ended", reason=str(problem.reason), detail=problem.detail)
            self._tried.set()
            if problem.reason is Reason.UNAUTHORISED:
                pause = REFUSED_PAUSE_SECONDS
            else:
                pause = min(MOST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(failures, 16))
            failures += 1
            await self._context.sleep(pause * self._context.rng.uniform(0.5, 1.0))

    def _spend(self) -> None:
        if self._context.allowance is not None:
            self._context.allowance.spend()

    async def _follow(self, link: _Link) -> NoReturn:
        """One connection until it ends.

        Raises:
            ProbeError: why it ended.
        """
        await self._step("connect", link.connect(self.endpoint))
        heard, events = self._heard, _Events()
        topics = [("profitability_updates", "", heard.profitability_updates)]
        if self._key is not None:
            key = self._key.get_secret_value()
            topics += [
                ("miner_update_diffs_<key>", key, heard.worker_updates),
                ("miner_updates_<key>", key, heard.worker_updates),
                ("balance_updates_<key>", key, heard.balance_updates),
            ]
        for topic, key, take in topics:
            # What cannot be subscribed to is called for all the same.
            with contextlib.suppress(_PoolError):
                await self._step(topic, link.subscribe(topic.replace("<key>", key), events.of(take)))
        refreshed = await self._refresh(link, events)
        self._joined, self._problem = True, None
        self._tried.set()
        while True:
            await link.pause(_WATCH_SECONDS)
            now = self._context.clock()
            silent = now - (heard.told_at or now)
            if silent > SILENT_SECONDS:
                raise ProbeError(Reason.TIMEOUT, f"nothing was told for {silent:.0f} s")
            if now - refreshed >= REFRESH_SECONDS:
                self._steps.clear()
                refreshed = await self._refresh(link, events)

    async def _refresh(self, link: _Link, events: _Events) -> float:
        """Call for all figures; when that was done is returned."""
        heard = self._heard
        with events:
            procedure = "f_all_profitability_updates"
            heard.all_profitability(await self._step(procedure, link.call(procedure)))
            if self._key is not None:
                key = self._key.get_secret_value()
                for part, procedure, take in (
                    ("workers", "f_all_miner_updates", heard.all_workers),
                    ("balances", "f_all_balance_updates", heard.all_balances),
                ):
                    try:
                        take(await self._step(procedure, link.call(procedure, key)))
                        self._parts[part] = True
                    except _PoolError:
                        take(None)
                        self._parts[part] = False
        return self._context.clock()

    async def _step(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Do one step of a connection, and write it down; *name* holds no secret."""
        step = Step("WAMP", name)
        if len(self._steps) < _MOST_STEPS:
            self._steps.append(step)
        started = self._context.clock()
        try:
            result = await work
        except ProbeError as error:
            step.problem = str(error)
            raise type(error)(error.reason, f"{name}: {error.detail}") from None
        finally:
            step.seconds = self._context.clock() - started
        step.status = "ok"
        return result


class _Events:
    """What is published while all figures are called for waits for them."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] | None = None

    def of(self, take: Callable[..., None]) -> Callable[..., None]:
        """A handler of events that are for *take*."""

        def handle(*updates: Any, **_: Any) -> None:
            if self._waiting is None:
                take(*updates)
            elif len(self._waiting) < FLOOD_MESSAGES:
                self._waiting.append(lambda: take(*updates))

        return handle

    def __enter__(self) -> None:
        self._waiting = []

    def __exit__(self, *_: object) -> None:
        waiting, self._waiting = self._waiting or [], None
        for take in waiting:
            take()


class _Link:
    """One connection and its session; *spend* is asked before everything that is sent."""

    def __init__(self, context: Context, spend: Callable[[], None]) -> None:
        self._context = context
        self._spend = spend
        loop = asyncio.get_running_loop()
        self._joined: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[ProbeError] = loop.create_future()
        self._session: _Session | None = None
        self._protocol: _Protocol | None = None
        self._since = context.clock()
        self._came: Counter[str] = Counter()

    async def connect(self, endpoint: Endpoint) -> None:
        """Connect, and join the realm.

        Raises:
            ProbeError: as ``Context.connect``; ``http_status``, ``bad_shape``, ``pool_error``,
                ``unauthorised``.
        """
        if self._context.connect is None:
            raise ProbeError(Reason.REFUSED, "there is no network")
        self._spend()
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        scheme = "wss" if endpoint.scheme == "https" else "ws"
        factory = WampWebSocketClientFactory(
            self._new_session,
            url=f"{scheme}://{host}:{endpoint.port}{endpoint.path or '/'}",
            useragent="minefleet-exporter",
            serializers=[JsonSerializer()],
            loop=asyncio.get_running_loop(),
        )
        factory.setProtocolOptions(
            maxFramePayloadSize=MAX_MESSAGE_BYTES,
            maxMessagePayloadSize=MAX_MESSAGE_BYTES,
            # The decoder sees to it, and is quicker.
            utf8validateIncoming=False,
            openHandshakeTimeout=ANSWER_SECONDS,
            closeHandshakeTimeout=1.0,
            tcpNoDelay=True,
        )

        def protocol() -> _Protocol:
            self._protocol = made = _Protocol()
            made.factory, made.link = factory, self
            return made

        await self._context.connect(endpoint, protocol, ANSWER_SECONDS)
        await self._within(self._joined)

    def _new_session(self) -> _Session:
        self._session = _Session(self)
        return self._session

    async def subscribe(self, topic: str, handler: Callable[..., None]) -> None:
        """Subscribe to *topic*.

        Raises:
            ProbeError: ``unauthorised``, ``pool_error``, ``timeout``, or as the connection ended.
        """
        self._spend()
        assert self._session is not None, "it has joined"  # noqa: S101
        await self._within(self._session.subscribe(handler, topic))

    async def call(self, procedure: str, *arguments: str) -> Any:
        """Call *procedure*.

        Raises:
            ProbeError: as :meth:`subscribe`.
        """
        self._spend()
        assert self._session is not None, "it has joined"  # noqa: S101
        return await self._within(self._session.call(procedure, *arguments))

    async def pause(self, seconds: float) -> None:
        """Wait so long.

        Raises:
            ProbeError: the connection ended meanwhile.
        """
        await self._race(asyncio.ensure_future(self._context.sleep(seconds)), None)

    async def _within(self, work: Awaitable[T]) -> T:
        timer = asyncio.ensure_future(self._context.sleep(ANSWER_SECONDS))
        try:
            return await self._race(asyncio.ensure_future(work), timer)
        except (WampError, TypeError, ValueError) as error:
            # Its own words may be the pool's, and carry the key.
            if isinstance(error, ApplicationError) and error.error in _REFUSALS:
                raise ProbeError(Reason.UNAUTHORISED, "the pool refuses the key") from None
            raise _PoolError(Reason.POOL_ERROR, "the pool answers with an error") from None

    async def _race(self, work: asyncio.Future[T], timer: asyncio.Future[Any] | None) -> T:
        """The outcome of *work*, unless *timer* or the connection ends before."""
        mine: set[asyncio.Future[Any]] = {work, timer} if timer else {work}
        try:
            await asyncio.wait({*mine, self._over}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                raise ProbeError(self._over.result().reason, self._over.result().detail)
            if work.done():
                return work.result()
            raise ProbeError(Reason.TIMEOUT, f"no answer within {ANSWER_SECONDS:.0f} s")
        finally:
            for one in mine:
                if one.done() and not one.cancelled():
                    # Nobody else will ask how it ended.
                    one.exception()
                one.cancel()

    def drop(self) -> None:
        """Drop the connection, if there is one."""
        self.end(Reason.CONNECTION, "the connection was dropped")
        if not self._joined.done():
            self._joined.cancel()
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.abort()

    def joined(self) -> None:
        """The session is in the realm."""
        if not self._joined.done():
            self._joined.set_result(None)

    def end(self, reason: Reason, detail: str) -> None:
        """The connection ended, or is to end; the first reason counts."""
        if not self._over.done():
            self._over.set_result(ProbeError(reason, detail))

    def came(self, kind: str, amount: int, most: int) -> bool:
        """Count what came; ``False`` if it is too much, and the connection is over."""
        now = self._context.clock()
        if now - self._since >= FLOOD_SECONDS:
            self._since = now
            self._came.clear()
        self._came[kind] += amount
        if self._came[kind] > most:
            self.end(Reason.BAD_SHAPE, f"more than {most} {kind} within {FLOOD_SECONDS:.0f} s")
            return False
        return not self._over.done()


class _Protocol(WampWebSocketClientProtocol):
    """The WebSocket: bounded, and silent about what it meets."""

    factory: WampWebSocketClientFactory
    link: _Link
    # Until it is connected.
    transport: Any = None

    def data_received(self, data: bytes) -> None:
        """Take bytes while they are not too many."""
        if self.link.came("bytes", len(data), FLOOD_BYTES):
            super().data_received(data)  # type: ignore[no-untyped-call]
        elif self.transport is not None:
            self.transport.abort()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        """Take a message while they are not too many."""
        if self.link.came("messages", 1, FLOOD_MESSAGES):
            super().onMessage(payload, isBinary)
        elif self.transport is not None:
            self.transport.abort()

    def failHandshake(self, reason: str) -> None:  # noqa: N802
        """The server is no WebSocket, or does not let us in."""
        status = self.http_status_line.split(maxsplit=2)[1:2] if hasattr(self, "http_status_line") else []
        if status and status[0].isdecimal() and status[0] != "101":
            known = _STATUS.get(int(status[0][:3]), Reason.HTTP_STATUS)
            self.link.end(known, f"answered status {int(status[0][:3])}")
        else:
            self.link.end(Reason.BAD_SHAPE, "the answer is not of a WebSocket")
        super().failHandshake(reason)  # type: ignore[no-untyped-call]

    def _fail_connection(self, code: int = 1001, reason: str = "") -> None:
        words = {1009: f"a message is over {MAX_MESSAGE_BYTES} bytes"}
        self.link.end(Reason.BAD_SHAPE, words.get(code, "a message is not WAMP"))
        super()._fail_connection(code, reason)

    def onClose(self, wasClean: bool, code: int, reason: str | None) -> None:  # noqa: N802, N803
        """The connection is gone."""
        self.link.end(Reason.CONNECTION, "the connection was closed")
        super().onClose(wasClean, code, reason)


class _Session(ApplicationSession):
    """The WAMP session."""

    def __init__(self, link: _Link) -> None:
        super().__init__(ComponentConfig(_REALM, {}))
        self._link = link

    def onConnect(self) -> None:  # noqa: N802
        """Say who we are."""
        self.join(_REALM, ["wampcra"], _USER)

    def onChallenge(self, challenge: Challenge) -> str:  # noqa: N802
        """Sign the challenge."""
        text = challenge.extra.get("challenge") if challenge.method == "wampcra" else None
        if not isinstance(text, str):
            self._link.end(Reason.BAD_SHAPE, "the challenge is not of WAMP-CRA")
            return ""
        return b64encode(hmac.new(_SECRET, text.encode(), hashlib.sha256).digest()).decode()

    def onJoin(self, details: SessionDetails) -> None:  # noqa: N802, ARG002
        """The realm is open."""
        self._link.joined()

    def onLeave(self, details: CloseDetails) -> None:  # noqa: N802
        """The pool ended the session, or let us not begin one."""
        if details.reason in _REFUSALS:
            self._link.end(Reason.UNAUTHORISED, "the pool does not let us in")
        elif details.reason != CloseDetails.REASON_TRANSPORT_LOST:
            self._link.end(Reason.POOL_ERROR, "the pool ended the session")
        super().onLeave(details)
