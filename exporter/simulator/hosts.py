"""HTTP on loopback for simulated miners and the relay; faults of the wire happen here.

Each host has its own address (or port), so that one can be unplugged while the others answer. What was
asked of it is kept in ``requests``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from exporter.simulator import api_v1, cgi, simple
from exporter.simulator.miner import SimMiner

_PAGE = (
    '<!doctype html><html><head><meta name="firmware" content="AnthillOS"><title>Miner</title></head>'
    '<body><div id="app"></div></body></html>'
)


class Host:
    """One address that listens, hangs, or is unplugged."""

    def __init__(self, address: str, port: int) -> None:
        if not ipaddress.ip_address(address).is_loopback:
            raise ValueError(f"expected a loopback address for a simulated host, found {address}")
        self.address = address
        self.port = port
        self.requests: deque[tuple[str, str]] = deque(maxlen=10_000)
        # The most requests that were under way at one time.
        self.most_at_once = 0
        self._under_way = 0
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._unblocked = asyncio.Event()
        self._unblocked.set()

    async def start(self) -> None:
        """Listen; a port of 0 becomes the one the system chose."""
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await self._plug_in()

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        self._unblocked.set()
        if self._runner:
            await self._runner.cleanup()

    async def follow_faults(self) -> None:
        """Make the wire what the faults want; to be called after each change of them."""
        if "hanging" in self.faults:
            self._unblocked.clear()
        else:
            self._unblocked.set()
        down = "unplugged" in self.faults or "dead" in self.faults
        if down and self._site:
            await self._site.stop()
            self._site = None
            if self._runner and self._runner.server:
                await self._runner.server.shutdown(0.05)
        elif not down and self._site is None:
            await self._plug_in()

    async def _plug_in(self) -> None:
        assert self._runner, "start comes first"  # noqa: S101
        self._site = web.TCPSite(self._runner, self.address, self.port, reuse_address=True)
        await self._site.start()
        if self.port == 0:
            self.port = self._runner.addresses[0][1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return await self._respond(request)
        finally:
            self._under_way -= 1

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._unblocked.wait()
        if "slow" in self.faults:
            await asyncio.sleep(self.faults["slow"]["seconds"])
        if "http_500" in self.faults:
            return _json({"err": "Internal error"}, status=500)
        if "html" in self.faults:
            return web.Response(text=_PAGE, content_type="text/html")
        return await self.answer(request)

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """The faults in force."""
        raise NotImplementedError

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """What a healthy wire carries."""
        raise NotImplementedError


class MinerHost(Host):
    """A miner's web server.

    *dialect* is a firmware version of the API, ``3.9.0`` (CGI), ``stock`` (the maker's own) or a form of the
    simple shape.
    """

    def __init__(
        self, miner: SimMiner, dialect: str, address: str, port: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(address, port)
        self.miner = miner
        self.dialect = dialect
        self.token: str | None = None
        self.api_key: str | None = None
        self._clock = clock
        # GETs that take no token, by path below /api/v1.
        made: dict[str, Callable[[bool], Any]] = {
            "info": lambda _: api_v1.info(miner, dialect, address),
            "model": lambda _: api_v1.model(miner, dialect),
            "status": lambda unlocked: api_v1.status(miner, dialect, unlocked=unlocked),
            "summary": lambda unlocked: api_v1.summary(miner, dialect, unlocked=unlocked),
            "perf-summary": lambda _: api_v1.perf_summary(miner, dialect),
            "boards": lambda _: api_v1.chains(miner),
            "chains": lambda _: api_v1.chains(miner),
            "chips": lambda _: api_v1.chips(miner),
            "chains/factory-info": lambda _: api_v1.factory_info(miner),
        }
        self._open = {name: answer for name, answer in made.items() if api_v1.has_endpoint(dialect, name)}
        # Some builds want a token for every read.
        self.locked = False
        self.unlock_timeout: int | None = None
        self._cgi_pages = {"3.9.0": cgi.PAGES, "stock": cgi.STOCK_PAGES}.get(dialect)

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """The miner's faults."""
        return self.miner.faults

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer of this firmware; an unknown GET is its web page, an unknown POST is refused."""
        self.miner.advance(self._clock())
        path = request.path
        if self.dialect in simple.FORMS:
            made = simple.FORMS[self.dialect].get(path)
            return (
                web.Response(status=404, text="not found") if made is None else self._json(made(self.miner))
            )
        if self._cgi_pages is not None:
            return self._cgi(request, self._cgi_pages)
        if request.method == "POST":
            return await self._unlock(request) if path == "/api/v1/unlock" else web.Response(status=405)
        name = path.removeprefix("/api/v1/")
        if path.startswith("/api/v1/") and self.locked and not self._unlocked(request):
            return web.Response(status=401)
        if path.startswith("/api/v1/") and name in self._open:
            answer = self._open[name](self._unlocked(request))
            return self._json(api_v1.as_version(name, answer, self.dialect, self.miner, self.address))
        guarded = {"settings": api_v1.settings, "autotune/presets": api_v1.presets}.get(name)
        if guarded and path.startswith("/api/v1/"):
            return self._json(guarded(self.miner)) if self._unlocked(request) else web.Response(status=401)
        if path.startswith("/api/v1/") and api_v1.says_not_found(self.dialect):
            return _json({"err": "Not found"}, status=404)
        return web.Response(text=_PAGE, content_type="text/html")

    def _cgi(self, request: web.BaseRequest, pages: Mapping[str, Callable[[SimMiner], str]]) -> web.Response:
        headers = {"Server": cgi.SERVER}
        authorization = request.headers.get("Authorization", "")
        if not cgi.admits(authorization, request.method, "root", self.miner.password):
            return web.Response(status=401, headers={**headers, "WWW-Authenticate": cgi.challenge()})
        printed = pages.get(request.path)
        page = printed(self.miner) if printed else ""
        if not page:
            return web.Response(status=404, headers=headers, text="404 - Not Found", content_type="text/html")
        if "wrong_types" in self.faults:
            with contextlib.suppress(ValueError):
                page = json.dumps(_mistyped(json.loads(page)))
        if "truncated_json" in self.faults:
            page = page[: len(page) // 2]
        return web.Response(text=page, headers=headers, content_type="text/html")

    def _unlocked(self, request: web.BaseRequest) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.api_key and request.headers.get("x-api-key") == self.api_key:
            return True
        return self.token is not None and given == self.token

    async def _unlock(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.unlock_timeout is not None:
            return _json({"unlock_timeout": self.unlock_timeout}, status=429)
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(await request.text()).get("pw") == self.miner.password:
                self.token = secrets.token_hex(16)
                return _json({"token": self.token})
        return _json({"unlock_timeout": None}, status=403)

    def _json(self, data: Any) -> web.Response:
        if "wrong_types" in self.faults:
            data = _mistyped(data)
        body = json.dumps(data, separators=(",", ":")).encode()
        if "truncated_json" in self.faults:
            body = body[: len(body) // 2]
        return web.Response(body=body, content_type="application/json")


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(data, separators=(",", ":")).encode(), content_type="application/json"
    )


def _mistyped(data: Any) -> Any:
    """The same answer with text for numbers, and lists for the objects inside."""
    if isinstance(data, dict):
        return {
            key: [value] if isinstance(value, dict) and key not in ("miner", "system") else _mistyped(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_mistyped(item) for item in data]
    return f"{data}" if isinstance(data, int | float) and not isinstance(data, bool) else data
