"""The path of a scrape: single flight, reuse, breaker, cancellation."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections import Counter
from dataclasses import dataclass, field

import pytest

from exporter import catalogue as c
from exporter.breaker import Breaker, State
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.http import Step
from exporter.pools.budget import Budget
from exporter.pools.metrics import kind
from exporter.pools.reading import PoolReading, Profitability
from exporter.probe import Look, Reader, TargetKind
from exporter.vnish.metrics import KIND
from exporter.vnish.reading import Identity, MinerReading
from exporter.vnish.verdict import Glance
from tests.conftest import FakeClock


@dataclass
class FakeClient:
    """All a source needs that asks nothing of the network."""

    deadline: float
    steps: list[Step] = field(default_factory=list)

    def extend(self, deadline: float) -> None:
        self.deadline = max(self.deadline, deadline)


@dataclass
class Source:
    """Answers with what it is told to, once it is let go."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    asked: int = 0
    cancelled: int = 0

    async def read(self, client: FakeClient) -> MinerReading:
        self.asked += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error
        return MinerReading(Identity("v1"), hashrate=1e9, unexpected=Counter({"x": 1}))


def make(
    source: Source,
    clock: FakeClock,
    *,
    reuse: float = 0.0,
    reuse_failure: float | None = None,
    most: float = 10.0,
) -> Reader[MinerReading]:
    return Reader(
        "m",
        KIND,
        breaker=Breaker(3, 30.0, clock),
        open_client=FakeClient,  # type: ignore[arg-type]
        read=source.read,  # type: ignore[arg-type]
        clock=clock,
        reuse_seconds=reuse,
        reuse_failure_seconds=reuse if reuse_failure is None else reuse_failure,
        most_seconds=most,
    )


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_share_one_reading(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    looks = [asyncio.create_task(reader.look(clock() + 10)) for _ in range(20)]
    await settle()
    source.gate.set()
    done = await asyncio.gather(*looks)
    assert source.asked == 1
    assert all(look is done[0] for look in done)


async def test_a_young_reading_is_served_again(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock, reuse=5)
    first = await reader.look(clock() + 10)
    clock.advance(4.9)
    assert await reader.look(clock() + 10) is first
    clock.advance(0.2)
    assert await reader.look(clock() + 10) is not first
    assert source.asked == 2


async def test_a_failure_is_served_again_for_a_time_of_its_own(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.CONNECTION, "gone"))
    source.gate.set()
    reader = make(source, clock, reuse=50, reuse_failure=5)
    await reader.look(clock() + 10)
    clock.advance(4.9)
    await reader.look(clock() + 10)
    assert source.asked == 1
    clock.advance(0.1)
    source.error = None
    await reader.look(clock() + 10)
    assert source.asked == 2
    clock.advance(49.9)
    await reader.look(clock() + 10)
    assert source.asked == 2


async def test_who_goes_is_not_counted_among_those_who_wait(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    looks = [asyncio.create_task(reader.look(clock() + 10)) for _ in range(4)]
    await settle()
    # One by its own patience, the others one by one.
    await reader.look(clock() + 0.001)
    for look in looks[:3]:
        look.cancel()
        await settle()
        assert source.cancelled == 0
        assert reader.busy
    looks[3].cancel()
    await settle()
    assert source.cancelled == 1
    assert not reader.busy


async def test_a_look_at_the_end_of_its_time_says_where_it_stood(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.TIMEOUT, "/summary: no complete answer before the deadline"))
    reader = make(source, clock, most=0.001)
    asker = asyncio.create_task(reader.look(clock() + 0.001))
    await asyncio.sleep(0.05)
    source.gate.set()
    look = await asker
    assert look.error
    assert look.error.detail.startswith("/summary")


async def test_one_who_gives_up_leaves_the_reading_to_the_others(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    impatient = asyncio.create_task(reader.look(clock() + 10))
    patient = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    impatient.cancel()
    await settle()
    source.gate.set()
    assert (await patient).up
    assert source.cancelled == 0


async def test_when_nobody_waits_any_more_the_request_is_dropped_and_nobody_is_blamed(
    clock: FakeClock,
) -> None:
    source = Source()
    reader = make(source, clock)
    for _ in range(5):
        task = asyncio.create_task(reader.look(clock() + 10))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
    assert source.cancelled == 5
    assert reader.breaker.state is State.CLOSED
    assert not reader.busy


async def test_who_asks_right_after_a_cancellation_gets_a_reading_of_his_own(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    first = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    first.cancel()
    # The request has been told to end, and has not had a moment to.
    await asyncio.sleep(0)
    source.gate.set()
    assert (await reader.look(clock() + 10)).up
    assert source.asked == 2


async def test_a_joined_reading_does_not_hold_a_shorter_deadline_up(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    first = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    look = await reader.look(clock() + 0.01)
    assert look.error
    assert look.error.reason is Reason.TIMEOUT
    assert reader.breaker.state is State.CLOSED
    source.gate.set()
    assert (await first).up


async def test_the_impatient_do_not_open_the_breaker_of_a_healthy_miner(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    deadlines = []
    open_client = reader.open_client
    reader.open_client = lambda deadline: deadlines.append(deadline) or open_client(deadline)  # type: ignore[func-returns-value]
    for _ in range(4):
        look = await reader.look(clock() + 0.001)
        assert look.error
        assert look.error.reason is Reason.TIMEOUT
    assert source.asked == 1
    assert deadlines == [clock() + 2]
    patient = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    source.gate.set()
    assert (await patient).up
    assert reader.breaker.state is State.CLOSED


async def test_a_patient_caller_gives_the_reading_he_joins_his_own_time(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock)
    clients: list[FakeClient] = []
    reader.open_client = lambda deadline: clients.append(FakeClient(deadline)) or clients[-1]  # type: ignore[func-returns-value]
    impatient = asyncio.create_task(reader.look(clock() + 3))
    joined_before_take_off = asyncio.create_task(reader.look(clock() + 5))
    await settle()
    assert [one.deadline for one in clients] == [clock() + 5]
    patient = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    assert [one.deadline for one in clients] == [clock() + 10]
    hasty = asyncio.create_task(reader.look(clock() + 1))
    await settle()
    assert [one.deadline for one in clients] == [clock() + 10]
    source.gate.set()
    looks = await asyncio.gather(impatient, joined_before_take_off, patient, hasty)
    assert all(look is looks[0] and look.up for look in looks)


async def test_the_impatient_goes_while_the_patient_waits_for_what_he_began(clock: FakeClock) -> None:
    source = Source()
    reader = make(source, clock, most=0.001)
    impatient = asyncio.create_task(reader.look(clock() + 0.001))
    await asyncio.sleep(0)
    patient = asyncio.create_task(reader.look(clock() + 10))
    look = await impatient
    assert look.error
    assert look.error.reason is Reason.TIMEOUT
    assert look.error.detail == "the reading under way takes longer than this scrape waits"
    assert look.at == clock()
    assert reader.busy
    source.gate.set()
    assert (await patient).up
    assert source.asked == 1
    assert reader.breaker.state is State.CLOSED


async def test_failures_open_the_breaker_and_then_nothing_is_asked(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.TIMEOUT, "late"))
    source.gate.set()
    reader = make(source, clock)
    for _ in range(3):
        await reader.look(clock() + 10)
    assert reader.breaker.state is State.OPEN
    clock.advance(10)
    look = await reader.look(clock() + 10)
    assert look.error
    assert look.error.reason is Reason.CIRCUIT_OPEN
    assert look.error.detail == "not asked; next trial in 20 s"
    assert look.at == clock()
    assert source.asked == 3
    clock.advance(20)
    source.error = None
    assert (await reader.look(clock() + 10)).up
    assert source.asked == 4
    assert reader.breaker.state is State.CLOSED


async def test_a_refused_address_is_not_the_targets_failure(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.REFUSED, "outside"))
    source.gate.set()
    reader = make(source, clock)
    for _ in range(5):
        await reader.look(clock() + 10)
    assert reader.breaker.state is State.CLOSED


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_trial_without_a_verdict_is_left_to_who_asks_next(clock: FakeClock, cancelled: bool) -> None:
    source = Source(error=ProbeError(Reason.TIMEOUT, "late"))
    source.gate.set()
    reader = make(source, clock)
    for _ in range(3):
        await reader.look(clock() + 10)
    clock.advance(30)
    source.gate.clear()
    trial = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    if cancelled:
        trial.cancel()
    source.error = ProbeError(Reason.REFUSED, "outside")
    source.gate.set()
    await asyncio.wait({trial})
    await settle()
    assert reader.breaker.state is State.HALF_OPEN
    source.error = None
    assert (await reader.look(clock() + 10)).up
    assert reader.breaker.state is State.CLOSED


async def test_a_look_tells_the_steps_it_took_as_it_takes_them(clock: FakeClock) -> None:
    reader = make(Source(), clock)

    async def read(client: FakeClient) -> MinerReading:
        client.steps.append(Step("GET", "/summary", 0.01, "200"))
        raise ProbeError(Reason.BAD_JSON, "not JSON")

    reader._read = read  # type: ignore[assignment]
    look = await reader.look(clock() + 10)
    assert [step.path for step in look.steps] == ["/summary"]


async def test_a_defect_of_ours_is_a_failed_probe_and_an_error_in_the_log(
    clock: FakeClock, quiet_logs: list[dict[str, object]]
) -> None:
    source = Source(error=KeyError("hashrate"))
    source.gate.set()
    look = await make(source, clock).look(clock() + 10)
    assert look.error
    assert look.error.reason is Reason.BAD_SHAPE
    assert look.error.detail == "the answer could not be read: KeyError"
    assert [(event["event"], event["target"]) for event in quiet_logs if event["log_level"] == "error"] == [
        ("defect while reading", "m")
    ]


async def test_the_log_has_a_line_for_each_change_and_none_for_a_scrape(
    clock: FakeClock, quiet_logs: list[dict[str, object]]
) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    for error in (None, None, ProbeError(Reason.CONNECTION, "refused"), None, None):
        for _ in range(4):
            source.error = error
            await reader.look(clock() + 10)
            clock.advance(40)
    assert quiet_logs == [
        {
            "event": "target down",
            "log_level": "warning",
            "target": "m",
            "reason": "connection",
            "detail": "refused",
        },
        {"event": "target up again", "log_level": "info", "target": "m"},
    ]


async def test_every_scrape_is_in_the_log_of_who_wants_to_know(
    clock: FakeClock, quiet_logs: list[dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "probe")
    source = Source()
    asker = asyncio.create_task(make(source, clock).look(clock() + 10))
    await settle()
    clock.advance(0.12345)
    source.gate.set()
    await asker
    assert quiet_logs == [
        {"event": "probed", "log_level": "debug", "target": "m", "up": True, "seconds": 0.123}
    ]


async def test_a_failed_probe_shows_why_and_no_value(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    await reader.look(clock() + 10)
    source.error = ProbeError(Reason.HTTP_STATUS, "500")
    page = reader.page(await reader.look(clock() + 10))
    assert page.value(c.UP) == 0.0
    assert page.value(c.HASHRATE) is None
    assert page.value(c.SCRAPE_FAILURE, "http_status") == 1.0
    assert page.value(c.SCRAPE_FAILURE, "timeout") == 0.0
    assert page.value(c.BREAKER_STATE, "closed") == 1.0


async def test_a_good_look_has_no_reason_and_its_samples_are_made_once(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    made: list[MinerReading] = []

    def write(reading: MinerReading, page: Page, *_: float) -> Counter[str]:
        made.append(reading)
        page.add(c.HASHRATE, 1e9)
        return Counter({"y": 1})

    reader.kind = TargetKind(c.MINER_PROBE, write)
    look = await reader.look(clock() + 10)
    for _ in range(2):
        page = reader.page(look)
        assert page.value(c.HASHRATE) == 1e9
    assert made == [look.reading]
    reasons = dict(page.families())[c.SCRAPE_FAILURE]
    assert set(reasons) == {(state,) for state in c.SCRAPE_FAILURE.states}
    assert set(reasons.values()) == {0.0}


async def test_a_last_reading_is_shown_up_to_its_time_and_made_anew_for_each_page(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.CONNECTION, "gone"))
    source.gate.set()
    reader = make(source, clock)
    ages: list[float | None] = []

    def write(_: MinerReading, page: Page, *__: float) -> Counter[str]:
        page.add(c.HASHRATE, clock())
        return Counter({"y": 1})

    reader.kind = TargetKind(
        c.MINER_PROBE, write, shown_seconds=600.0, beside=lambda _, age: ages.append(age)
    )
    reader.page(await reader.look(clock() + 10))
    source.error = None
    reader.page(await reader.look(clock() + 10))
    source.error = ProbeError(Reason.CONNECTION, "gone")
    clock.advance(600)
    page = reader.page(await reader.look(clock() + 10))
    assert page.value(c.HASHRATE) == 1600.0
    assert page.value(c.UP) == 0.0
    clock.advance(0.5)
    page = reader.page(await reader.look(clock() + 10))
    assert page.value(c.HASHRATE) is None
    assert ages == [None, 0.0, 600.0, 600.5]
    assert page.value(c.IMPLAUSIBLE, "y") == 1.0


async def test_a_look_that_is_not_given_again_leaves_a_glance(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    look = await reader.look(clock() + 10)
    page = reader.page(look)
    await asyncio.sleep(0.01)
    kept = reader.last
    assert kept
    assert kept is not look
    assert kept.up
    assert (kept.at, kept.reading, kept.samples, kept.steps) == (look.at, None, None, [])
    assert reader.last_good is None
    assert isinstance(reader.glance(kept), Glance)
    assert reader.glance(kept).hashrate == page.value(c.HASHRATE)
    # Who holds the look has it whole.
    assert look.reading
    # A glance is no reading: the miner is asked again, even if the clock has stood still.
    assert (await reader.look(clock() + 10)).reading
    assert source.asked == 2


async def test_targets_that_are_several_to_a_page_have_labels_on_all_the_probe_says(
    clock: FakeClock,
) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    reader.kind = TargetKind(c.MARKET_PROBE, lambda *_: Counter({"y": 2}), labels=("kraken",))
    reader.page(await reader.look(clock() + 10))
    clock.advance(1)
    page = reader.page(await reader.look(clock() + 10))
    assert page.value(c.MARKET_SOURCE_UP, "kraken") == 1.0
    assert page.value(c.MARKET_SOURCE_DURATION, "kraken") == 0.0
    assert page.value(c.MARKET_SOURCE_FAILURE, "kraken", "timeout") == 0.0
    assert page.value(c.MARKET_SOURCE_BREAKER, "kraken", "closed") == 1.0
    assert page.value(c.MARKET_SOURCE_IMPLAUSIBLE, "kraken", "y") == 4.0
    assert page.value(c.MARKET_SOURCE_UNEXPECTED, "kraken", "x") == 2.0


async def test_a_good_look_shows_its_own_reading_and_not_a_later_one(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock)
    reader.kind = TargetKind(c.MINER_PROBE, lambda *_: Counter(), shown_seconds=600.0)
    first = await reader.look(clock() + 10)
    clock.advance(1)
    second = await reader.look(clock() + 10)
    assert first is not second
    assert reader.shown(first) is first.reading
    assert reader.shown(second) is second.reading
    clock.advance(599.5)
    assert reader.shown(first) is None
    assert reader.shown(second) is second.reading


async def test_what_is_left_of_a_failed_look_says_why_and_how_long(clock: FakeClock) -> None:
    source = Source(error=ProbeError(Reason.CONNECTION, "gone"))
    reader = make(source, clock)
    asker = asyncio.create_task(reader.look(clock() + 10))
    await settle()
    clock.advance(1.5)
    source.gate.set()
    look = await asker
    await settle()
    assert reader.last is not None
    assert reader.last is not look
    assert (reader.last.error, reader.last.seconds, reader.last.up) == (look.error, 1.5, False)


async def test_a_failed_look_keeps_nothing_of_the_answer(clock: FakeClock) -> None:
    clients: list[weakref.ref[FakeClient]] = []

    async def read(client: FakeClient) -> MinerReading:
        clients.append(weakref.ref(client))
        # As where several interfaces are tried: a frame that has its own error as a variable.
        first: ProbeError | None = None
        try:
            raise ValueError("of the library")
        except ValueError:
            try:
                raise ProbeError(Reason.CONNECTION, "gone")
            except ProbeError as error:
                first = error
        raise first

    reader = make(Source(), clock, reuse=100)
    reader._read = read  # type: ignore[assignment]
    gc.disable()
    try:
        look = await reader.look(clock() + 10)
        assert look.error
        assert str(look.error) == "connection: gone"
        assert (look.error.__traceback__, look.error.__context__, look.error.__cause__) == (None, None, None)
        assert reader.last is look
        assert [one() for one in clients] == [None]
    finally:
        gc.enable()


async def test_counters_of_a_look_count_once_however_often_it_is_served(clock: FakeClock) -> None:
    source = Source()
    source.gate.set()
    reader = make(source, clock, reuse=100)
    look = await reader.look(clock() + 10)
    for _ in range(3):
        page = reader.page(look)
    assert page.value(c.UNEXPECTED, "x") == 1.0


# The labels of what all coins of scrypt earn, as the pool quotes it.
SCRYPT = ("scrypt", "", "pool")


class Pool:
    """A pool source that answers or fails."""

    def __init__(self) -> None:
        self.error: ProbeError | None = None

    async def read(self, _: FakeClient) -> PoolReading:
        if self.error:
            raise self.error
        return PoolReading([Profitability("scrypt", timestamp=5000.0, usd=1e-14)])


def make_pool(
    pool: Pool, clock: FakeClock, wall: FakeClock, budget: Budget | None = None
) -> Reader[PoolReading]:
    return Reader(
        "pool",
        kind(budget or Budget(4500, clock), 600.0, wall),
        breaker=Breaker(5, 60.0, clock),
        open_client=FakeClient,
        read=pool.read,
        clock=clock,
        reuse_seconds=60,
        reuse_failure_seconds=0,
    )


async def test_the_last_good_figures_are_shown_while_young_and_beside_a_zero() -> None:
    clock, wall = FakeClock(), FakeClock(5010)
    pool = Pool()
    reader = make_pool(pool, clock, wall)
    assert reader.page(await reader.look(clock() + 5)).value(c.MINING_POOL_USD, *SCRYPT) == 1e-14
    pool.error = ProbeError(Reason.CONNECTION, "gone")
    for one in (clock, wall):
        one.advance(300)
    page = reader.page(await reader.look(clock() + 5))
    assert page.value(c.MINING_POOL_UP) == 0.0
    assert page.value(c.MINING_POOL_USD, *SCRYPT) == 1e-14
    assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == 5000.0
    assert page.value(c.MINING_POOL_LAST_SUCCESS) == 5010.0
    for one in (clock, wall):
        one.advance(301)
    page = reader.page(await reader.look(clock() + 5))
    assert page.value(c.MINING_POOL_USD, *SCRYPT) is None
    assert page.value(c.MINING_POOL_LAST_SUCCESS) == 5010.0


async def test_figures_a_relay_serves_for_ever_are_withheld_when_old_but_dated() -> None:
    clock, wall = FakeClock(), FakeClock(5000 + 601)
    reader = make_pool(Pool(), clock, wall)
    page = reader.page(await reader.look(clock() + 5))
    assert page.value(c.MINING_POOL_UP) == 1.0
    assert page.value(c.MINING_POOL_USD, *SCRYPT) is None
    assert page.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") == 5000.0


async def test_a_date_in_the_future_is_dropped_and_counted_once() -> None:
    clock, wall = FakeClock(), FakeClock(5000 - 4000)
    reader = make_pool(Pool(), clock, wall)
    look = await reader.look(clock() + 5)
    for _ in range(3):
        page = reader.page(look)
    assert page.value(c.MINING_POOL_USD, *SCRYPT) is None
    assert page.value(c.MINING_POOL_IMPLAUSIBLE, c.MINING_POOL_ALGORITHM_TIMESTAMP.name) == 1.0


async def test_a_look_that_was_never_read_has_the_probes_series_only(clock: FakeClock) -> None:
    page: Page = make(Source(), clock).page(Look(clock(), error=ProbeError(Reason.TIMEOUT, "x")))
    names = {metric.name for metric, _ in page.families()}
    assert names == {
        "vnish_up",
        "vnish_scrape_duration_seconds",
        "vnish_scrape_failure",
        "vnish_breaker_state",
    }
