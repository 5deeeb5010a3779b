"""Outgoing HTTP: one pooled session, the address policy, size caps, and retries inside a deadline.

A request goes to an address that was checked, not to a name: the name is resolved here, every address it
gives is held against the policy, and the connection is made to one that passed. Redirects are not
followed, proxies of the environment not used, cookies not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp
from yarl import URL

from exporter.address import Address, Endpoint, Policy, address_of
from exporter.errors import ProbeError, Reason
from exporter.fields import decode

DEFAULT_MAX_BYTES = 4 * 1024 * 1024
# Several times the largest answer of a miner without its chips, and little enough to be read in a moment.
ANSWER_BYTES = 64 * 1024
_RETRY_BASE_SECONDS = 0.2
_RESOLVED_FOR_SECONDS = 60.0
# An address that swallows packets is given this long, or its share of the time, if there is another to try.
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response; the body is at most the cap, decompressed."""

    status: int
    body: bytes
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


@dataclass(slots=True)
class Step:
    """One request as the debug page shows it; *path* is from our own code and holds no secret."""

    method: str
    path: str
    seconds: float = 0.0
    # An HTTP status, or what another protocol says instead.
    status: int | str | None = None
    bytes: int = 0
    problem: str = ""


class Allowance(Protocol):
    """How many requests a target may be sent."""

    def check(self) -> None:
        """Whether a request may be sent now.

        Raises:
            ProbeError: it may not.
        """
        ...

    def spend(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            ProbeError: it must not be sent.
        """
        ...


class Outgoing:
    """The exporter's one client session and its cache of resolved names."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
        rng: random.Random | None = None,
        lookup: Callable[[str], Awaitable[list[str]]] | None = None,
    ) -> None:
        self.session = session
        self.clock = clock
        self.sleep = sleep
        self.rng = rng or random.Random()
        self._lookup = lookup or _lookup
        self._resolved: dict[str, tuple[float, list[Address]]] = {}

    @staticmethod
    def open_session() -> aiohttp.ClientSession:
        """A session with the limits all outgoing requests share.

        The number of connections is not limited here: each target has at most one request under way, and a
        shared limit would let hanging miners starve the others.
        """
        # Where a request is really written: the library sends a GET again, without telling, when a connection
        # it kept turns out to be dead.
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_spend)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=2, keepalive_timeout=75),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": "minefleet-exporter", "Accept": "application/json"},
            trace_configs=[trace],
        )

    async def addresses(self, host: str) -> list[Address]:
        """Every address of *host*.

        Raises:
            ProbeError: ``connection`` if the name does not resolve.
        """
        literal = address_of(host)
        if literal:
            return [literal]
        cached = self._resolved.get(host)
        if cached and cached[0] > self.clock():
            return cached[1]
        try:
            found = [address for text in await self._lookup(host) if (address := address_of(text))]
        except OSError:
            found = []
        if not found:
            raise ProbeError(Reason.CONNECTION, "the host name does not resolve")
        if len(self._resolved) >= 10_000:
            self._resolved.clear()
        if cached and cached[1][0] in found:
            # The one that answered last, or the resolver's first.
            found.sort(key=lambda address: address != cached[1][0])
        self._resolved[host] = (self.clock() + _RESOLVED_FOR_SECONDS, found)
        return found

    async def permitted(self, host: str, policy: Policy) -> list[Address]:
        """The addresses of *host* that may be connected to, in the order to try them.

        Raises:
            ProbeError: ``refused`` if it has none inside the policy, ``connection`` if it has none at all.
        """
        found = await self.addresses(host)
        allowed = [address for address in found if policy.allows(address)]
        if not allowed:
            raise ProbeError(Reason.REFUSED, f"address {found[0]} is outside the allowed networks")
        return allowed

    async def connect(
        self, policy: Policy, endpoint: Endpoint, protocol: Callable[[], asyncio.Protocol], seconds: float
    ) -> None:
        """Connect *protocol* to an address of *endpoint*, for what is not a request and its answer.

        As for a request the address is checked, and a certificate is held against the name.

        Raises:
            ProbeError: as :meth:`permitted`; ``connection``, ``timeout`` after *seconds*.
        """
        tls = await asyncio.to_thread(ssl.create_default_context) if endpoint.scheme == "https" else None
        ends = asyncio.get_running_loop().time() + seconds
        others = await self.permitted(endpoint.host, policy)
        while True:
            address, *others = others
            now = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout((ends - now) / (len(others) + 1)):
                    await asyncio.get_running_loop().create_connection(
                        protocol,
                        str(address),
                        endpoint.port,
                        ssl=tls,
                        server_hostname=endpoint.host if tls else None,
                    )
            except TimeoutError:
                problem = ProbeError(Reason.TIMEOUT, f"no connection within {seconds:.0f} s")
            except ssl.SSLError:
                # Who cannot prove his name at one address is not asked at the next.
                raise ProbeError(Reason.CONNECTION, "the certificate could not be verified") from None
            except OSError as error:
                problem = ProbeError(Reason.CONNECTION, _os_words(error))
            else:
                self.prefer(endpoint.host, address)
                return
            if not others:
                raise problem

    def prefer(self, host: str, address: Address) -> None:
        """Try *address* of *host* first from now on: it could be connected to, another perhaps not."""
        cached = self._resolved.get(host)
        if cached and address in cached[1]:
            cached[1].sort(key=lambda other: other != address)


async def _spend(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestHeadersSentParams
) -> None:
    allowance = context.trace_request_ctx
    if allowance is not None:
        allowance.spend()


async def _lookup(host: str) -> list[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


Tls = ssl.SSLContext | aiohttp.Fingerprint | bool
# Connects a protocol to an endpoint within so many seconds; see :meth:`Outgoing.connect`.
Connect = Callable[[Endpoint, Callable[[], asyncio.Protocol], float], Awaitable[None]]


def tls_settings(*, ca_file: str | None, fingerprint: str | None) -> Tls:
    """How to verify an HTTPS target: the system's authorities, a CA file, or a pinned SHA-256 fingerprint.

    Raises:
        ValueError: a CA file that cannot be read, or a fingerprint that is not 32 bytes in hexadecimal.
    """
    if fingerprint:
        try:
            digest = bytes.fromhex(fingerprint.replace(":", ""))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ValueError("expected a SHA-256 fingerprint of 64 hexadecimal digits")
        return aiohttp.Fingerprint(digest)
    if ca_file:
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ValueError(f"expected a readable file of certificates ({error.strerror})") from None
    return True


class Client:
    """Requests to one endpoint during one probe, until its deadline.

    ``deadline`` is on the clock of *outgoing*; :meth:`extend` moves it. ``steps`` records every request for
    the debug page. *allowance* is asked before every request, and counts every one that is sent.
    """

    def __init__(
        self,
        outgoing: Outgoing,
        endpoint: Endpoint,
        policy: Policy,
        deadline: float,
        *,
        retries: int = 0,
        max_bytes: int = DEFAULT_MAX_BYTES,
        tls: Tls = True,
        allowance: Allowance | None = None,
    ) -> None:
        self._outgoing = outgoing
        self.endpoint = endpoint
        self._policy = policy
        self._retries = retries
        self._max_bytes = max_bytes
        self._tls = tls
        self._allowance = allowance
        self.deadline = deadline
        self._running: asyncio.Timeout | None = None
        self.steps: list[Step] = []
        # Whether the last answer asked for HTTP Digest, as old firmware does.
        self.digest_wanted = False

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; negative when it is over."""
        return self.deadline - self._outgoing.clock()

    def extend(self, deadline: float) -> None:
        """Move the deadline to *deadline* if that is later, for the request under way too."""
        if deadline <= self.deadline:
            return
        self.deadline = deadline
        if self._running is not None and not self._running.expired():
            self._running.reschedule(self._loop_deadline())

    def _loop_deadline(self) -> float:
        return asyncio.get_running_loop().time() + max(0.0, self.seconds_left)

    async def get_json(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        decoder: Callable[[bytes], Any] = decode,
        *,
        query: Mapping[str, str] | None = None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Any:
        """GET *path* and decode its JSON; *query* is sent behind it and shown nowhere.

        Raises:
            ProbeError: as :meth:`request`; ``unauthorised`` for 401 and 403, ``http_status`` for any other
                status but 200, ``not_json`` for a body that is not JSON, HTML with status 200 included.
        """
        answer = await self.request("GET", path, headers=headers, query=query, max_bytes=max_bytes)
        step = self.steps[-1]
        try:
            if answer.status in (401, 403):
                raise ProbeError(Reason.UNAUTHORISED, f"{path} answered status {answer.status}")
            if answer.status != 200:
                raise ProbeError(Reason.HTTP_STATUS, f"{path} answered status {answer.status}")
            try:
                return decoder(answer.body)
            except ProbeError as error:
                raise error.at(path) from None
        except ProbeError as error:
            step.problem = str(error)
            raise

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = (),
        query: Mapping[str, str] | None = None,
        shown: str | None = None,
        max_bytes: int = ANSWER_BYTES,
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status.

        An answer is at most *max_bytes* long, and never longer than this client takes of any.

        *query* may hold a key and is never shown; of a *path* that holds one *shown* is written down.

        A connection that fails is tried again, after a growing pause, while time is left; a POST is not,
        and neither is an answer of any status.

        Raises:
            ProbeError: ``timeout`` at the deadline, ``connection``, ``refused`` for an address outside the
                policy, ``bad_shape`` for a body over the cap.
        """
        most = min(max_bytes, self._max_bytes)
        retries = self._retries if method == "GET" else 0
        pause = _RETRY_BASE_SECONDS
        while True:
            try:
                return await self._attempt(
                    method, path, headers, json, middlewares, query, shown or path, most
                )
            except ProbeError as error:
                self.steps[-1].problem = str(error)
                seconds = pause * self._outgoing.rng.uniform(0.8, 1.2)
                if error.reason is not Reason.CONNECTION or not retries or seconds >= self.seconds_left:
                    raise
            await self._outgoing.sleep(seconds)
            retries -= 1
            pause *= 2

    async def _attempt(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        json: Any,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...],
        query: Mapping[str, str] | None,
        shown: str,
        most: int,
    ) -> Answer:
        clock = self._outgoing.clock
        started = clock()
        step = self._step(method, shown)
        try:
            async with asyncio.timeout_at(self._loop_deadline()) as self._running:
                if self._allowance:
                    self._allowance.check()
                others = await self.permitted()
                while True:
                    address, *others = others
                    try:
                        answer = await self._exchange(
                            method, path, headers, json, middlewares, query, address, step, most, len(others)
                        )
                    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                        # Nothing was sent. Another address is another way to the same target, but who cannot
                        # prove his name at one is not asked at the next.
                        if not others or isinstance(error, aiohttp.ClientSSLError):
                            raise
                        step.problem = f"{address}: {_network_words(error)}; the next address is tried"
                        step.seconds = clock() - started
                        started = clock()
                        step = self._step(method, shown)
                    else:
                        self._outgoing.prefer(self.endpoint.host, address)
                        return answer
        except TimeoutError:
            raise ProbeError(Reason.TIMEOUT, f"{shown}: no complete answer before the deadline") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProbeError(Reason.CONNECTION, f"{shown}: {_network_words(error)}") from None
        finally:
            self._running = None
            step.seconds = clock() - started

    def _step(self, method: str, shown: str) -> Step:
        step = Step(method, shown)
        self.steps.append(step)
        return step

    async def permitted(self) -> list[Address]:
        """The addresses of the endpoint that may be connected to; see :meth:`Outgoing.permitted`."""
        return await self._outgoing.permitted(self.endpoint.host, self._policy)

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        json: Any,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...],
        query: Mapping[str, str] | None,
        address: Address,
        step: Step,
        most: int,
        others: int,
    ) -> Answer:
        endpoint = self.endpoint
        started = self._outgoing.clock()
        url = _url(endpoint.scheme, str(address), endpoint.port, endpoint.path + path)
        if query:
            url = url.with_query(query)
        sent = dict(headers or {})
        hostname = None
        if endpoint.address is None:
            sent["Host"] = f"{endpoint.host}:{endpoint.port}"
            hostname = endpoint.host if endpoint.scheme == "https" else None
        connect_seconds = min(_CONNECT_SECONDS, self.seconds_left / (others + 1)) if others else None
        async with self._outgoing.session.request(
            method,
            url,
            headers=sent,
            json=json,
            allow_redirects=False,
            ssl=self._tls,
            server_hostname=hostname,
            middlewares=middlewares,
            timeout=aiohttp.ClientTimeout(sock_connect=connect_seconds),
            trace_request_ctx=self._allowance,
        ) as response:
            step.status = response.status
            self.digest_wanted = any(
                challenge[:6].lower() == "digest"
                for challenge in response.headers.getall("WWW-Authenticate", ())
            )
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise ProbeError(Reason.BAD_SHAPE, f"{step.path}: the answer is over {most} bytes")
            step.bytes = len(body)
            return Answer(
                response.status,
                bytes(body),
                self._outgoing.clock() - started,
                response.headers,
            )


@lru_cache(maxsize=4096)
def _url(scheme: str, host: str, port: int, path: str) -> URL:
    return URL.build(scheme=scheme, host=host, port=port, path=path)


def _network_words(error: Exception) -> str:
    """A network fault in our own words: the library's carry URLs and the device's bytes."""
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "the certificate is not the pinned one"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "the certificate could not be verified"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _os_words(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return "the connection was closed before the answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection was closed in the middle of the answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not valid HTTP"
    return _os_words(error) if isinstance(error, OSError) else type(error).__name__


def _os_words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "no connection"
