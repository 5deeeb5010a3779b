"""HTTP on loopback for a simulated pool: faults of the wire, and a watch on how often it is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from exporter.simulator.hosts import Host
from exporter.simulator.pools.account import SimAccount

# The ways to be refused that each pool has words of its own for.
REFUSALS = ("wrong_key", "throttled", "unknown_account", "ip_not_allowed")


class Fake(Protocol):
    """One pool's interface over the ledger.

    ``gaps`` are the least seconds between two requests, by the ``name`` of the request; ``""`` stands for any
    two. ``settings`` are what the driver's section needs besides ``type`` and ``base_url``.
    """

    gaps: Mapping[str, float]
    settings: Mapping[str, Any]

    def name(self, request: web.BaseRequest) -> str:
        """What the pool counts the request as."""
        ...

    def refuse(self, refusal: str) -> web.Response:
        """The answer to one of :data:`REFUSALS`, in the pool's own way."""
        ...

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer of a healthy pool; wrong credentials are refused."""
        ...


class PoolHost(Host):
    """A pool's web server.

    ``too_fast`` has a line for each request that came sooner than the pool allows: a test that finds one has
    found a driver that gets its owner banned.
    """

    def __init__(
        self,
        account: SimAccount,
        fake: Fake,
        address: str,
        port: int,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(address, port)
        self.account = account
        self.fake = fake
        self.too_fast: list[str] = []
        self.asked: dict[str, int] = {}
        self._last: dict[str, float] = {}
        self._said: dict[str, bytes] = {}
        self._clock = clock

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """The pool's faults."""
        return self.account.faults

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The pool's answer, as its faults leave it."""
        name = self._watch(request)
        if "stale" in self.faults and name in self._said:
            return web.Response(body=self._said[name], content_type="application/json")
        self.account.advance()
        for refusal in REFUSALS:
            if refusal in self.faults:
                return self._told(self.fake.refuse(refusal))
        if "empty" in self.faults:
            return web.Response()
        response = await self.fake.answer(request)
        if isinstance(response.body, bytes):
            self._said[name] = response.body
        return self._told(response)

    def _watch(self, request: web.BaseRequest) -> str:
        name = self.fake.name(request)
        now = self._clock()
        self.asked[name] = self.asked.get(name, 0) + 1
        for key in {name, ""}:
            gap = now - self._last.get(key, -1e9)
            # A hundredth of tolerance: the two clocks are not the same.
            if gap < self.fake.gaps.get(key, 0.0) * 0.99:
                self.too_fast.append(f"{name}: {gap:.3f} s after the last")
            self._last[key] = now
        return name

    def _told(self, response: web.Response) -> web.Response:
        return spoilt(response, self.faults, self.account.key)


def spoilt(response: web.Response, faults: Mapping[str, object], key: str) -> web.Response:
    """The answer as those faults leave it that any pool can have."""
    body = response.body if isinstance(response.body, bytes) else b""
    if "key_echoed" in faults:
        return json_response({"error": f"invalid key {key}"}, status=response.status)
    if "truncated" in faults:
        return web.Response(status=response.status, body=body[: len(body) // 2])
    if "numbers_as_text" in faults:
        return json_response(as_text(json.loads(body)), status=response.status)
    if "nulls" in faults:
        return json_response(as_nulls(json.loads(body)), status=response.status)
    return response


# What an answer is, and no figure of it.
_ENVELOPE = ("code", "status")


def json_response(data: Any, status: int = 200) -> web.Response:
    """A JSON answer without spaces, as most pools write it."""
    return web.Response(
        status=status, body=json.dumps(data, separators=(",", ":")).encode(), content_type="application/json"
    )


def as_text(data: Any) -> Any:
    """The same answer with text with a leading zero for every number."""
    if isinstance(data, dict):
        return {key: value if key in _ENVELOPE else as_text(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_text(item) for item in data]
    return f"0{data}" if _is_number(data) and data >= 0 else data


def _is_number(data: Any) -> bool:
    return isinstance(data, int | float) and not isinstance(data, bool)


def as_nulls(data: Any) -> Any:
    """The same answer with ``null`` for every number, those as text included."""
    if isinstance(data, dict):
        return {key: value if key in _ENVELOPE else as_nulls(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_nulls(item) for item in data]
    numeral = isinstance(data, str) and re.fullmatch(r"[0-9.]+(e[+-]?[0-9]+)?", data)
    return None if _is_number(data) or numeral else data
