"""The calls a pool's reading is made of: each on its own rhythm, none sooner than the pool allows.

A pool that wants ten seconds between two calls, or a payout list that changes once a day, cannot be asked
for everything at every scrape. A source keeps the outcome of each call here for as long as it is worth.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from exporter.errors import NOT_ASKED, ProbeError, Reason
from exporter.http import Client

T = TypeVar("T")

# A wait that would leave less than this for the call itself is not begun.
_ROOM_SECONDS = 1.0
# A failure of these kinds never reached the pool: it may be asked again at once.
_NOT_HEARD = NOT_ASKED | {Reason.CONNECTION}


class _NotYetError(ProbeError):
    """The pool's pause between calls is not over: nothing was asked."""


@dataclass(slots=True)
class _Part:
    value: Any
    at: float
    up: bool
    tried: float
    counted: bool = False


class Parts:
    """What is kept of a pool's calls between readings; *gap_seconds* lie between any two of them.

    *repeat_seconds* lie between two tries of one call, whatever came of the first.
    With a gap of seconds only some calls have their turn in one reading, in the order they are asked for:
    rhythms must be slow enough that the first leave turns to the last, or the calls be asked for by
    :meth:`longest_untried`.
    ``kept_seconds`` is how long a call's last outcome may stand in when it fails or must wait: the
    account's ``max_age_minutes``.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        kept_seconds: float,
        gap_seconds: float = 0.0,
        repeat_seconds: float = 0.0,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._kept_seconds = kept_seconds
        self._gap_seconds = gap_seconds
        self._repeat_seconds = repeat_seconds
        self._parts: dict[str, _Part] = {}
        self._last_call = -math.inf
        self._tried: dict[str, float] = {}
        self._errors: dict[str, ProbeError] = {}

    async def required(
        self, client: Client, name: str, every_seconds: float, ask: Callable[[Client], Awaitable[T]]
    ) -> T:
        """The outcome of the call *name*, asked anew if the last is older than *every_seconds*.

        Raises:
            ProbeError: the call failed, or may not yet be repeated since it did, or its turn comes after the
                deadline and nothing young is kept.
        """
        try:
            return await self._outcome(client, name, every_seconds, ask)
        except _NotYetError:
            if name in self._errors:
                raise _again(self._errors[name]) from None
            raise

    async def optional(
        self, client: Client, name: str, every_seconds: float, ask: Callable[[Client], Awaitable[T]]
    ) -> T | None:
        """As :meth:`required`, but a failure is the last outcome while that is young, else ``None``.

        A call that failed is left alone for *every_seconds*, a minute at most, or for the pause before a
        repetition if that is longer. A refused key is a failure of the whole account and raised.

        Raises:
            ProbeError: ``unauthorised``, ``unknown_account``, ``ip_not_allowed``.
        """
        now = self._clock()
        kept = self._parts.get(name)
        pause = max(min(every_seconds, 60.0), self._repeat_seconds)
        if kept is None or kept.up or now - kept.tried >= pause:
            try:
                return await self._outcome(client, name, every_seconds, ask)
            except ProbeError as error:
                if error.reason in (Reason.UNAUTHORISED, Reason.UNKNOWN_ACCOUNT, Reason.IP_NOT_ALLOWED):
                    raise
                if not isinstance(error, _NotYetError):
                    value, at, counted = (
                        (kept.value, kept.at, kept.counted) if kept else (None, -math.inf, True)
                    )
                    kept = self._parts[name] = _Part(value, at, False, self._clock(), counted)
        return cast(T, kept.value) if kept and now - kept.at < self._kept_seconds else None

    def age(self, name: str) -> float | None:
        """Seconds since the call *name* last succeeded; ``None`` if it never did."""
        part = self._parts.get(name)
        return None if part is None or math.isinf(part.at) else self._clock() - part.at

    def error(self, name: str) -> ProbeError | None:
        """Why the last try of the call *name* failed; ``None`` if it did not."""
        error = self._errors.get(name)
        return _again(error) if error else None

    def odd(self, name: str, counter: Counter[str]) -> Counter[str]:
        """Where the odd fields of the call *name* are counted: *counter* once for each outcome.

        An outcome that is kept is read again and again, and was odd once.
        """
        part = self._parts.get(name)
        if part is None or part.counted:
            return Counter()
        part.counted = True
        return counter

    def longest_untried(self, names: Iterable[str]) -> list[str]:
        """*names*, those first that were never tried, then by how long ago they were."""
        return sorted(names, key=lambda name: self._tried.get(name, -math.inf))

    @property
    def up(self) -> dict[str, bool]:
        """Whether the last try of each call succeeded."""
        return {name: part.up for name, part in self._parts.items()}

    async def _outcome(
        self, client: Client, name: str, every_seconds: float, ask: Callable[[Client], Awaitable[T]]
    ) -> T:
        kept = self._parts.get(name)
        now = self._clock()
        if kept and kept.up and now - kept.at < every_seconds:
            return cast(T, kept.value)
        if not await self._turn(client, name):
            if kept and kept.up and name not in self._errors and now - kept.at < self._kept_seconds:
                return cast(T, kept.value)
            raise _NotYetError(Reason.THROTTLED, f"{name}: the pool's pause between calls is not over")
        try:
            value = await ask(client)
        except ProbeError as error:
            # Anew: the frames of the one that is raised hold the whole answer.
            self._errors[name] = _again(error)
            if error.reason in _NOT_HEARD:
                del self._tried[name]
            raise
        self._errors.pop(name, None)
        now = self._clock()
        self._parts[name] = _Part(value, now, True, now)
        return value

    async def _turn(self, client: Client, name: str) -> bool:
        """Wait until the call *name* is allowed; ``False`` if that leaves it no time."""
        repeated = self._tried.get(name, -math.inf) + self._repeat_seconds
        wait = max(self._last_call + self._gap_seconds, repeated) - self._clock()
        if wait > 0:
            if wait > client.seconds_left - _ROOM_SECONDS:
                return False
            await self._sleep(wait)
        self._last_call = self._tried[name] = self._clock()
        return True


def _again(error: ProbeError) -> ProbeError:
    """The same error anew, without the traceback of its first time."""
    return ProbeError(error.reason, error.detail, web_page=error.web_page)
