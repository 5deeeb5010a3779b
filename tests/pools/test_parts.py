"""The calls a reading is made of: rhythms, pauses, and what stands in for a call that failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from exporter.errors import ProbeError, Reason
from exporter.http import Client
from exporter.pools.parts import Parts
from tests.conftest import FakeClock


@dataclass
class Caller:
    """A client with a deadline, and calls that count themselves."""

    clock: FakeClock
    deadline: float = 1e9
    asked: list[str] = field(default_factory=list)
    error: ProbeError | None = None

    @property
    def seconds_left(self) -> float:
        return self.deadline - self.clock()

    def call(self, name: str):  # type: ignore[no-untyped-def]
        async def ask(client: Client) -> str:
            assert client is self
            self.asked.append(name)
            if self.error:
                raise self.error
            return f"{name}{len(self.asked)}"

        return ask


def make(clock: FakeClock, gap: float = 0.0, repeat: float = 0.0) -> tuple[Parts, Caller]:
    parts = Parts(clock, kept_seconds=600, gap_seconds=gap, repeat_seconds=repeat, sleep=clock.sleep)
    return parts, Caller(clock)


async def test_each_call_has_its_own_rhythm(clock: FakeClock) -> None:
    parts, caller = make(clock)
    for number in range(10):
        await parts.required(caller, "quick", 60, caller.call("quick"))  # type: ignore[arg-type]
        kept = await parts.required(caller, "slow", 300, caller.call("slow"))  # type: ignore[arg-type]
        assert kept == ("slow2" if number < 5 else "slow8")
        clock.advance(60)
    assert caller.asked.count("quick") == 10
    assert caller.asked.count("slow") == 2


async def test_the_pause_between_calls_is_waited_out(clock: FakeClock) -> None:
    parts, caller = make(clock, gap=1.0)
    started = clock()
    for name in ("a", "b", "c"):
        await parts.required(caller, name, 60, caller.call(name))  # type: ignore[arg-type]
    assert clock() - started == 2.0


async def test_a_call_whose_turn_comes_too_late_is_left_out_and_has_it_next_time(clock: FakeClock) -> None:
    parts, caller = make(clock, gap=10.0)
    caller.deadline = clock() + 5
    assert await parts.required(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    assert await parts.optional(caller, "b", 60, caller.call("b")) is None  # type: ignore[arg-type]
    with pytest.raises(ProbeError) as caught:
        await parts.required(caller, "c", 60, caller.call("c"))  # type: ignore[arg-type]
    assert caught.value.reason is Reason.THROTTLED
    assert parts.up == {"a": True}, "who was not asked has not failed"
    clock.advance(11)
    caller.deadline = clock() + 5
    assert await parts.optional(caller, "b", 60, caller.call("b")) == "b2"  # type: ignore[arg-type]
    assert caller.asked == ["a", "b"]


async def test_the_last_outcome_stands_in_for_a_failure_while_young(clock: FakeClock) -> None:
    parts, caller = make(clock)
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    caller.error = ProbeError(Reason.HTTP_STATUS, "500")
    clock.advance(100)
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    assert parts.up == {"a": False}
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    assert len(caller.asked) == 2, "a call that failed is left alone for a while"
    clock.advance(501)
    assert await parts.optional(caller, "a", 60, caller.call("a")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", [Reason.UNAUTHORISED, Reason.UNKNOWN_ACCOUNT, Reason.IP_NOT_ALLOWED])
async def test_a_refused_account_is_no_partial_failure(clock: FakeClock, reason: Reason) -> None:
    parts, caller = make(clock)
    caller.error = ProbeError(reason, "no")
    with pytest.raises(ProbeError):
        await parts.optional(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]


async def test_a_call_that_failed_is_not_repeated_too_soon(clock: FakeClock) -> None:
    parts, caller = make(clock, repeat=10.0)
    caller.deadline = clock() + 1000
    caller.error = ProbeError(Reason.EMPTY, "nothing")
    with pytest.raises(ProbeError):
        await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    clock.advance(4)
    caller.deadline = clock() + 5
    with pytest.raises(ProbeError) as caught:
        await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    assert caught.value.reason is Reason.EMPTY, "the reason stays what the pool said"
    assert caller.asked == ["a"]
    caller.deadline = clock() + 9
    caller.error = None
    started = clock()
    await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    assert clock() - started == 6.0
    assert parts.error("a") is None


async def test_a_pool_that_was_not_reached_may_be_asked_again_at_once(clock: FakeClock) -> None:
    parts, caller = make(clock, repeat=600.0)
    caller.error = ProbeError(Reason.CONNECTION, "refused")
    for _ in range(2):
        with pytest.raises(ProbeError):
            await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    assert caller.asked == ["a", "a"]


async def test_a_value_that_stands_in_does_not_vanish_while_another_call_has_its_turn(
    clock: FakeClock,
) -> None:
    parts, caller = make(clock, gap=10.0)
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    clock.advance(60)
    caller.error = ProbeError(Reason.HTTP_STATUS, "500")
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    caller.error = None
    clock.advance(60)
    caller.deadline = clock() + 5
    await parts.required(caller, "b", 60, caller.call("b"))  # type: ignore[arg-type]
    assert await parts.optional(caller, "a", 60, caller.call("a")) == "a1"  # type: ignore[arg-type]
    assert parts.age("a") == 120.0
    assert parts.longest_untried(["b", "a", "c"]) == ["c", "a", "b"]


async def test_no_call_starves_when_each_reading_has_time_for_one_and_some_fail(clock: FakeClock) -> None:
    parts, caller = make(clock, gap=10.0)
    names = [f"call{number}" for number in range(8)]

    def call(name: str):  # type: ignore[no-untyped-def]
        async def ask(_: Client) -> str:
            caller.asked.append(name)
            if name in names[:4]:
                raise ProbeError(Reason.HTTP_STATUS, "500")
            return name

        return ask

    for _ in range(60):
        caller.deadline = clock() + 9.5
        for name in parts.longest_untried(names):
            await parts.optional(caller, name, 300, call(name))  # type: ignore[arg-type]
        clock.advance(60)
    assert all(caller.asked.count(name) >= 7 for name in names), caller.asked


async def test_a_failure_that_is_kept_holds_no_answer(clock: FakeClock) -> None:
    parts, caller = make(clock)
    caller.error = ProbeError(Reason.BAD_SHAPE, "a large one")
    assert await parts.optional(caller, "a", 60, caller.call("a")) is None  # type: ignore[arg-type]
    [kept] = parts._errors.values()
    assert (kept.reason, kept.detail) == (Reason.BAD_SHAPE, "a large one")
    assert (kept.__traceback__, kept.__context__, kept.__cause__) == (None, None, None)


async def test_an_outcome_that_is_kept_is_odd_once(clock: FakeClock) -> None:
    parts, caller = make(clock)
    odd: Counter[str] = Counter()
    for _ in range(3):
        await parts.optional(caller, "slow", 300, caller.call("slow"))  # type: ignore[arg-type]
        parts.odd("slow", odd)["field"] += 1
        clock.advance(60)
    assert odd == {"field": 1}
    caller.error = ProbeError(Reason.HTTP_STATUS, "503")
    clock.advance(300)
    await parts.optional(caller, "slow", 300, caller.call("slow"))  # type: ignore[arg-type]
    parts.odd("slow", odd)["field"] += 1
    assert odd == {"field": 1}, "a failure leaves the outcome that was counted"
    caller.error = None
    clock.advance(60)
    await parts.optional(caller, "slow", 300, caller.call("slow"))  # type: ignore[arg-type]
    parts.odd("slow", odd)["field"] += 1
    assert odd == {"field": 2}


async def test_what_is_told_of_a_call_is_its_own(clock: FakeClock) -> None:
    parts, caller = make(clock)
    assert (parts.age("a"), parts.error("a"), parts.up) == (None, None, {})
    caller.error = ProbeError(Reason.HTTP_STATUS, "503", web_page=True)
    await parts.optional(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    assert parts.age("a") is None, "it was tried and never succeeded"
    told = parts.error("a")
    assert told
    assert (told.reason, told.detail, told.web_page) == (Reason.HTTP_STATUS, "503", True)
    assert parts.error("b") is None
    caller.error = None
    await parts.optional(caller, "b", 60, caller.call("b"))  # type: ignore[arg-type]
    clock.advance(7)
    assert (parts.age("a"), parts.age("b"), parts.error("b")) == (None, 7.0, None)
    assert parts.up == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("every", "repeat", "pause"), [(300.0, 0.0, 60.0), (20.0, 0.0, 20.0), (20.0, 90.0, 90.0)]
)
async def test_how_long_an_optional_call_that_failed_is_left_alone(
    clock: FakeClock, every: float, repeat: float, pause: float
) -> None:
    parts, caller = make(clock, repeat=repeat)
    caller.error = ProbeError(Reason.HTTP_STATUS, "503")
    caller.deadline = clock() + 2
    await parts.optional(caller, "a", every, caller.call("a"))  # type: ignore[arg-type]
    for seconds, asked in ((pause - 0.5, 1), (0.5, 2)):
        clock.advance(seconds)
        caller.deadline = clock() + 1.25
        await parts.optional(caller, "a", every, caller.call("a"))  # type: ignore[arg-type]
        assert len(caller.asked) == asked


@pytest.mark.parametrize(("left", "asked"), [(5.0, 2), (4.9, 1)])
async def test_a_wait_leaves_a_second_for_the_call(clock: FakeClock, left: float, asked: int) -> None:
    parts, caller = make(clock, gap=10.0)
    await parts.optional(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    clock.advance(6)
    caller.deadline = clock() + left
    await parts.optional(caller, "b", 60, caller.call("b"))  # type: ignore[arg-type]
    assert len(caller.asked) == asked


async def test_a_call_that_must_wait_shows_its_last_outcome_while_that_is_young(clock: FakeClock) -> None:
    parts, caller = make(clock, gap=10.0)
    await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    for seconds, value in ((599.0, "a1"), (1.0, None)):
        clock.advance(seconds)
        caller.deadline = clock() + 20
        # Another has its turn, and leaves no time.
        await parts.optional(caller, "b", 0, caller.call("b"))  # type: ignore[arg-type]
        caller.deadline = clock() + 5
        assert await parts.optional(caller, "a", 60, caller.call("a")) == value  # type: ignore[arg-type]
        if value:
            assert await parts.required(caller, "a", 60, caller.call("a")) == value  # type: ignore[arg-type]
    with pytest.raises(ProbeError, match="a: the pool's pause between calls is not over") as caught:
        await parts.required(caller, "a", 60, caller.call("a"))  # type: ignore[arg-type]
    assert caught.value.reason is Reason.THROTTLED
