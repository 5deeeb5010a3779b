"""Accepting connections: as many as there is room for, the rest refused; faults are told once a minute.

The sockets are accepted here, not by asyncio: its server writes a traceback for each of 128 attempts a second
while descriptors are short, and it has no limit of connections.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import structlog
from aiohttp import web

from exporter.server.headers import HARDENING

KEEP_ALIVE_SECONDS = 60.0
_BACKLOG = 128
_HANDSHAKE_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_QUIET_SECONDS = 60.0
# Refused clients are given a moment to read why; more of them at once are closed without it.
_REFUSALS = 16
_REFUSAL_SECONDS = 2.0
_REFUSAL = "503: too many connections\n"
_REFUSED = "\r\n".join(
    [
        "HTTP/1.1 503 Service Unavailable",
        "Connection: close",
        "Retry-After: 5",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(_REFUSAL)}",
        *(f"{name}: {value}" for name, value in HARDENING.items()),
        "",
        _REFUSAL,
    ]
).encode()

log = structlog.get_logger("server")


class Sparse:
    """Events others can cause as often as they like: each kind is told once a minute, with its number."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int:
        """How often *kind* happened since it was last told, this time included; 0: do not tell it now."""
        at, untold = self._told.get(kind, (float("-inf"), 0))
        now = self._clock()
        if now - at < _QUIET_SECONDS:
            self._told[kind] = (at, untold + 1)
            return 0
        self._told[kind] = (now, 0)
        return untold + 1


class Listener:
    """The listening sockets of *server*. ``room()`` is how many connections may be open now."""

    def __init__(
        self,
        server: web.Server,
        *,
        room: Callable[[], int],
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self.sparse = Sparse(clock)
        self.connections: set[asyncio.BaseProtocol] = set()
        self.refusals: set[asyncio.BaseProtocol] = set()
        self._room = room
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._refusing: set[asyncio.Task[None]] = set()

    async def start(self, host: str | None, port: int) -> list[Any]:
        """Listen; returns the addresses.

        Raises:
            OSError, UnicodeError: the address cannot be used.
        """
        # Which sockets a host means is decided by asyncio; it binds them and leaves them to us.
        bound = await self._loop.create_server(asyncio.Protocol, host, port, start_serving=False)
        self._sockets = [one.dup() for one in bound.sockets]
        bound.close()
        for listening in self._sockets:
            listening.listen(_BACKLOG)
            self._watch(listening)
        return [listening.getsockname() for listening in self._sockets]

    def close(self) -> None:
        """Accept no more; connections that are open stay so."""
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()
        for task in (*self._opening, *self._refusing):
            task.cancel()

    def _watch(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_BACKLOG):
            try:
                connection, _address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if times := self.sparse.due("accept"):
                    log.error("connections cannot be accepted", reason=error.strerror, times=times)
                # The socket stays ready all the while: look away for a moment.
                self._loop.remove_reader(listening)
                self._loop.call_later(_RETRY_SECONDS, self._watch, listening)
                return
            connection.setblocking(False)
            room = self._room()
            if len(self.connections) + len(self._opening) < room:
                self._begin(self._opening, self._open(connection))
            else:
                self._refuse(connection, room)

    def _refuse(self, connection: socket.socket, room: int) -> None:
        if times := self.sparse.due("refuse"):
            log.warning("more connections are refused", limit=room, times=times)
        if self._tls is None:
            if len(self.refusals) + len(self._refusing) < _REFUSALS:
                self._begin(self._refusing, self._tell(connection))
                return
            with suppress(OSError):
                connection.send(_REFUSED)
        connection.close()

    def _begin(self, tasks: set[asyncio.Task[None]], work: Any) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _open(self, connection: socket.socket) -> None:
        # A client that goes away or cannot agree on TLS is its own concern.
        with suppress(OSError):
            await self._loop.connect_accepted_socket(
                lambda: _Connection(self),
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._tls else None,
            )

    async def _tell(self, connection: socket.socket) -> None:
        with suppress(OSError):
            await self._loop.connect_accepted_socket(lambda: _Refusal(self), connection)


class _Connection(web.RequestHandler):
    """aiohttp's connection: it is counted, and what a client can cause does not fill the log."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener) -> None:
        super().__init__(
            listener.server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            access_log=None,  # type: ignore[arg-type]
        )
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.connections.discard(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no request, without its words, and to what a defect left unanswered."""
        if status == 400:
            response: web.StreamResponse = web.Response(status=400, text="400: not an HTTP request\n")
            response.force_close()
        else:
            response = super().handle_error(request, status, exc, message)
        response.headers.update(HARDENING)
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Tell a defect, with its traceback, once a minute; a client's broken bytes are none."""
        error = kw.get("exc_info")
        if isinstance(error, web.RequestPayloadError):
            return
        if self._listener.sparse.due(f"{args[0]} {type(error).__name__}"):
            super().log_exception(*args, **kw)


class _Refusal(asyncio.Protocol):
    """Says that there is no room, and waits a moment for the client to have read it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.refusals.add(self)
        stream = cast(asyncio.Transport, transport)
        stream.write(_REFUSED)
        stream.write_eof()
        asyncio.get_running_loop().call_later(_REFUSAL_SECONDS, stream.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._listener.refusals.discard(self)
