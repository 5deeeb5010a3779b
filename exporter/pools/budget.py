"""How often a pool account may be asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exporter.errors import ProbeError, Reason

_HOUR = 3600.0
# What may be sent at once after a start: a tenth of an hour's requests, but a few readings at least.
_FIRST_PART = 10
_FIRST_LEAST = 10


class Budget:
    """At most *limit* requests in any hour, counted as they are sent.

    It lives as long as the process, through every reload of the configuration. What an earlier process sent
    is not known, so the first hour is a smaller one: a tenth of the limit at once, and the rest spread evenly
    over it. A process that dies and starts again and again stays near the limit, not far beyond.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.spent = 0
        self._clock = clock
        self._started = clock()
        self._times: deque[float] = deque()

    @property
    def remaining(self) -> int:
        """Requests that may be sent now."""
        now = self._clock()
        while self._times and self._times[0] <= now - _HOUR:
            self._times.popleft()
        return max(0, self._allowed(now) - len(self._times))

    def check(self) -> None:
        """Whether a request may be sent now; nothing is counted.

        Raises:
            ProbeError: ``budget_spent``.
        """
        if self.remaining == 0:
            detail = f"{self.limit} requests an hour; next in {self._seconds_to_next():.0f} s"
            raise ProbeError(Reason.BUDGET_SPENT, detail)

    def spend(self) -> None:
        """Count one request that is about to be sent.

        Raises:
            ProbeError: ``budget_spent``; the request must not be sent.
        """
        self.check()
        self._times.append(self._clock())
        self.spent += 1

    @property
    def _at_once(self) -> int:
        return min(self.limit, max(_FIRST_LEAST, self.limit // _FIRST_PART))

    def _allowed(self, now: float) -> int:
        return min(self.limit, self._at_once + int(self.limit * (now - self._started) / _HOUR))

    def _seconds_to_next(self) -> float:
        now, sent = self._clock(), len(self._times)
        if sent < self.limit:
            more = sent + 1 - self._at_once
            return self._started + more * _HOUR / self.limit - now
        return self._times[sent - self.limit] + _HOUR - now
