"""A circuit breaker: who failed too often is left alone for a while, then tried once.

Closed, every request passes. After ``failure_threshold`` failures in a row it opens: nothing passes for
``open_seconds``. Then it is half open: exactly one trial passes, however many ask at once, and its result
closes or opens the circuit again. A trial that was cancelled is neither: the next one to ask is the trial.

No library of the field admits only one trial, and some count a cancelled request as a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """A breaker's state; the values are label values of the ``..._breaker_state`` series."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit:
    """Leave to ask once; give it back through ``success``, ``failure`` or ``cancel``."""

    __slots__ = ()


class Breaker:
    """The breaker of one target. Not thread-safe: one event loop owns it."""

    _opened_at: float | None
    _failures: int
    _trial: bool
    # Another with each change of state, so that an answer from before a change cannot undo it.
    _permit: Permit

    def __init__(self, failure_threshold: int, open_seconds: float, clock: Callable[[], float]) -> None:
        self.failure_threshold = failure_threshold
        self.open_seconds = open_seconds
        self._clock = clock
        self._turn(None)

    @property
    def state(self) -> State:
        """The state now; an open circuit is half open from the moment its time is over."""
        if self._opened_at is None:
            return State.CLOSED
        return State.HALF_OPEN if self.seconds_left == 0 else State.OPEN

    @property
    def seconds_left(self) -> float:
        """Seconds until an open circuit admits its trial, else 0."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self.open_seconds - self._clock())

    def admit(self) -> Permit | None:
        """A permit to ask, or ``None`` while the circuit is open or its one trial is under way."""
        if self._opened_at is not None:
            if self._trial or self.state is State.OPEN:
                return None
            self._trial = True
        return self._permit

    def success(self, permit: Permit) -> None:
        """The target answered: the circuit closes."""
        if permit is not self._permit:
            return
        self._failures = 0
        if self._opened_at is not None:
            self._turn(None)

    def failure(self, permit: Permit) -> None:
        """The target failed: a trial opens the circuit again, else the count decides."""
        if permit is not self._permit:
            return
        self._failures += 1
        if self._opened_at is not None or self._failures >= self.failure_threshold:
            self._turn(self._clock())

    def cancel(self, permit: Permit) -> None:
        """The request ended without a verdict on the target: as if it had not been made."""
        if permit is self._permit:
            self._trial = False

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._failures = 0
        self._trial = False
        self._permit = Permit()
