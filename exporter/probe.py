"""The one path of a scrape: may I ask, is someone asking already, read, and write down what came of it.

    look = await reader.look(deadline)      # breaker, single flight, source
    page = reader.page(look)                # samples, whatever happened

A :class:`Reader` is the lasting part of a target: its breaker, what its source remembers, its last reading.
What differs between kinds of target is handed in as a :class:`TargetKind`. Nothing a target does raises
out of here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import structlog

from exporter.breaker import Breaker
from exporter.catalogue import ProbeSeries
from exporter.errors import NOT_ASKED, ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Client, Step

# A reading gets this long, however short the patience of who asks for it: three impatient callers must not
# open the breaker of a healthy miner for everybody.
_LEAST_SECONDS = 2.0
log = structlog.get_logger("probe")
# Asked first for what would be written at every scrape: it is quicker to say no.
_stdlib_log = logging.getLogger("probe")


class HasUnexpected(Protocol):
    """What every reading counts: fields of the wrong type and unknown enumeration values."""

    unexpected: Counter[str]


R = TypeVar("R", bound=HasUnexpected)


def _nothing(_page: Page, _age: float | None) -> None:
    """Nothing is written beside the reading."""


@dataclass(frozen=True, slots=True)
class TargetKind(Generic[R]):
    """What differs between kinds of target.

    ``write`` puts the samples of a reading of so many seconds ago onto a page and returns the values it
    dropped, counted by metric.
    ``glance`` makes what a page of many targets needs of a reading and its samples: something small.
    With ``shown_seconds`` the last good reading is shown for so long where a look failed; its samples are
    then written anew for every page, since what may be shown depends on the time. ``beside`` writes what
    stands on every page, given the seconds since the last good look, or ``None`` if there was none.
    ``labels`` are the first labels of the probe's own series, for targets that are several to a page.
    """

    series: ProbeSeries
    write: Callable[[R, Page, float], Counter[str]]
    shown_seconds: float = 0.0
    beside: Callable[[Page, float | None], None] = _nothing
    glance: Callable[[R, Page], Any] = lambda _reading, _samples: None
    labels: tuple[str, ...] = ()


@dataclass(slots=True)
class Look(Generic[R]):
    """What one look at a target came to: a reading, or why there is none.

    ``at`` is when it ended, ``seconds`` how long it took; both on the monotonic clock. What is left of a look
    that is not given again has a glance or an error, and no reading.
    """

    at: float
    seconds: float = 0.0
    reading: R | None = None
    error: ProbeError | None = None
    steps: list[Step] = field(default_factory=list)
    # The reading's samples, once they have been made, and whether what was dropped of them was counted.
    samples: Page | None = None
    counted: bool = False
    # What its kind keeps for pages of many targets, once it was asked for.
    glance: Any = None

    @property
    def up(self) -> bool:
        """Whether the target answered usefully."""
        return self.error is None


class _Flight(Generic[R]):
    """A look under way, and how long it may take: as long as the most patient of those who wait."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.waiters = 0
        self.task: asyncio.Task[Look[R]]
        self.client: Client | None = None

    def extend(self, deadline: float) -> None:
        self.deadline = max(self.deadline, deadline)
        if self.client is not None:
            self.client.extend(self.deadline)


class Reader(Generic[R]):
    """Asks one target, at most once at a time, through its breaker.

    ``open_client(deadline)`` gives a client for one read; ``read`` is the source. A look younger than
    ``reuse_seconds`` (``reuse_failure_seconds`` if it failed) is given again; of an older one only a glance
    is kept, unless its kind shows it for longer. No reading may take more than ``most_seconds``.
    ``close()`` ends what its source runs beside the readings.
    """

    def __init__(
        self,
        name: str,
        kind: TargetKind[R],
        *,
        breaker: Breaker,
        open_client: Callable[[float], Client],
        read: Callable[[Client], Awaitable[R]],
        clock: Callable[[], float],
        reuse_seconds: float,
        reuse_failure_seconds: float,
        most_seconds: float = _LEAST_SECONDS,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.breaker = breaker
        self.last: Look[R] | None = None
        self.last_good: Look[R] | None = None
        self.implausible: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.open_client = open_client
        self.close = close
        self._read = read
        self._clock = clock
        self._reuse_seconds = reuse_seconds
        self._reuse_failure_seconds = reuse_failure_seconds
        self._least_seconds = min(_LEAST_SECONDS, most_seconds)
        self._flight: _Flight[R] | None = None
        self._reported_up: bool | None = None

    @property
    def busy(self) -> bool:
        """Whether the target is being asked now."""
        return self._flight is not None

    async def look(self, deadline: float) -> Look[R]:
        """Look at the target, or join a look under way, until *deadline* on the monotonic clock.

        A look that is joined may take as long as the most patient of its callers waits. A caller that is
        cancelled leaves the others their reading; when nobody waits any more, the request is dropped, and
        the breaker hears nothing of it.
        """
        last = self.last
        if (
            last is not None
            and self._clock() - last.at < self._reusable_seconds(last)
            and (last.reading is not None or last.error is not None)
        ):
            return last
        flight = self._flight
        if flight is None:
            flight = self._flight = _Flight(max(deadline, self._clock() + self._least_seconds))
            flight.task = asyncio.create_task(self._take_off(flight))
        else:
            flight.extend(deadline)
        flight.waiters += 1
        try:
            await asyncio.wait({flight.task}, timeout=max(0.0, deadline - self._clock()))
            if not flight.task.done() and flight.deadline <= deadline:
                # It ends now by its own deadline, and says better than we where it stood.
                await asyncio.wait({flight.task})
            if flight.task.done():
                return flight.task.result()
            problem = ProbeError(Reason.TIMEOUT, "the reading under way takes longer than this scrape waits")
            return Look(self._clock(), error=problem)
        except asyncio.CancelledError:
            if flight.waiters == 1:
                flight.task.cancel()
                # Who asks next must not join what is being cancelled.
                if self._flight is flight:
                    self._flight = None
            raise
        finally:
            flight.waiters -= 1

    async def _take_off(self, flight: _Flight[R]) -> Look[R]:
        try:
            look = await self._ask(flight)
        finally:
            if self._flight is flight:
                self._flight = None
        if look.error is None or look.error.reason not in NOT_ASKED:
            self.last = look
            if not self.kind.shown_seconds:
                asyncio.get_running_loop().call_later(self._reusable_seconds(look), self._put_away, look)
        if look.up and self.kind.shown_seconds:
            self.last_good = look
        self._report(look)
        return look

    def _reusable_seconds(self, look: Look[R]) -> float:
        return self._reuse_seconds if look.up else self._reuse_failure_seconds

    def _put_away(self, look: Look[R]) -> None:
        """Keep what is small of a look that is not given again. Who still holds it has it whole."""
        if self.last is look:
            self.last = Look(look.at, look.seconds, error=look.error, glance=self.glance(look))

    async def _ask(self, flight: _Flight[R]) -> Look[R]:
        started = self._clock()
        permit = self.breaker.admit()
        if permit is None:
            problem = ProbeError(
                Reason.CIRCUIT_OPEN, f"not asked; next trial in {self.breaker.seconds_left:.0f} s"
            )
            return Look(started, error=problem)
        client = flight.client = self.open_client(flight.deadline)
        look: Look[R] = Look(started, steps=client.steps)
        try:
            look.reading = await self._read(client)
        except ProbeError as error:
            look.error = error.bare()
        except asyncio.CancelledError:
            self.breaker.cancel(permit)
            raise
        except Exception as error:
            # A defect of ours, not of the device; the scrape of the others must not suffer for it.
            log.exception("defect while reading", target=self.name)
            look.error = ProbeError(Reason.BAD_SHAPE, f"the answer could not be read: {type(error).__name__}")
        look.at = self._clock()
        look.seconds = look.at - started
        if look.error is None:
            self.breaker.success(permit)
        elif look.error.reason in NOT_ASKED:
            self.breaker.cancel(permit)
        else:
            self.breaker.failure(permit)
        if look.reading is not None:
            self.unexpected.update(look.reading.unexpected)
        return look

    def _report(self, look: Look[R]) -> None:
        """One line when the target goes down, with the reason, and one when it is up again."""
        up = look.up
        if _stdlib_log.isEnabledFor(logging.DEBUG):
            log.debug("probed", target=self.name, up=up, seconds=round(look.seconds, 3))
        if up == self._reported_up or (look.error and look.error.reason is Reason.CIRCUIT_OPEN):
            return
        if look.error:
            log.warning(
                "target down", target=self.name, reason=str(look.error.reason), detail=look.error.detail
            )
        elif self._reported_up is not None:
            log.info("target up again", target=self.name)
        self._reported_up = up

    def page(self, look: Look[R]) -> Page:
        """The samples of a look: whether it succeeded and why not, and all that was read."""
        page = Page()
        names, labels = self.kind.series, self.kind.labels
        page.add(names.up, float(look.up), *labels)
        page.add(names.duration, look.seconds, *labels)
        page.add_states(names.failure, str(look.error.reason) if look.error else "", *labels)
        page.add_states(names.breaker, str(self.breaker.state), *labels)
        self._write(look, page)
        for counter, metric in ((self.implausible, names.implausible), (self.unexpected, names.unexpected)):
            for key, count in counter.items():
                page.add(metric, count, *labels, key)
        return page

    def _write(self, look: Look[R], page: Page) -> None:
        look = self._held(look)
        age = self._clock() - look.at
        self.kind.beside(page, age if look.up else None)
        reading = self.shown(look)
        if reading is not None:
            page.update(self._samples(look, reading, age))

    def shown(self, look: Look[R]) -> R | None:
        """The reading whose samples are on a look's page: its own, else the last good one while young."""
        look = self._held(look)
        limit = self.kind.shown_seconds
        return None if limit and self._clock() - look.at > limit else look.reading

    def _held(self, look: Look[R]) -> Look[R]:
        held = self.last_good if self.kind.shown_seconds and not look.up else None
        return held or look

    def _samples(self, look: Look[R], reading: R, age: float) -> Page:
        if look.samples is not None:
            return look.samples
        samples = Page()
        dropped = self.kind.write(reading, samples, age)
        if not look.counted:
            self.implausible.update(dropped)
            look.counted = True
        if not self.kind.shown_seconds:
            look.samples = samples
        return samples

    def glance(self, look: Look[R]) -> Any:
        """The glance of a look, as its kind makes it; ``None`` without a reading."""
        if look.glance is None and look.reading is not None:
            samples = self._samples(look, look.reading, self._clock() - look.at)
            look.glance = self.kind.glance(look.reading, samples)
        return look.glance
