"""How often a pool account may be asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exporter.errors import ProbeError, Reason

_HOUR = 3600.0


class Budget:
    """At most *limit* requests in any hour, counted before they are sent.

    It lives as long as the process, through every reload of the configuration.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.spent = 0
        self._clock = clock
        self._times: deque[float] = deque()

    @property
    def remaining(self) -> int:
        """Requests that may be sent now."""
        self._forget()
        return max(0, self.limit - len(self._times))

    def spend(self) -> None:
        """Count one request.

        Raises:
            ProbeError: ``budget_spent``; the request must not be sent.
        """
        if self.remaining == 0:
            wait = self._times[0] + _HOUR - self._clock()
            raise ProbeError(Reason.BUDGET_SPENT, f"{self.limit} requests an hour; next in {wait:.0f} s")
        self._times.append(self._clock())
        self.spent += 1

    def _forget(self) -> None:
        hour_ago = self._clock() - _HOUR
        while self._times and self._times[0] <= hour_ago:
            self._times.popleft()
