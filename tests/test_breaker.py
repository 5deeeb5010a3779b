from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from exporter.breaker import Breaker, Permit, State
from tests.conftest import FakeClock


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(3, 30.0, clock)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        permit = breaker.admit()
        assert permit is not None
        breaker.failure(permit)


def test_it_opens_after_the_threshold_and_not_before(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker)
    assert breaker.state is State.OPEN
    assert breaker.admit() is None
    assert breaker.seconds_left == 30.0


def test_a_success_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    permit = breaker.admit()
    assert permit
    breaker.success(permit)
    fail(breaker, 2)
    assert breaker.state is State.CLOSED


@given(st.integers(2, 50))
def test_half_open_admits_exactly_one_of_many(crowd: int) -> None:
    clock = FakeClock()
    breaker = Breaker(1, 30.0, clock)
    fail(breaker)
    clock.advance(30)
    assert breaker.state is State.HALF_OPEN
    assert sum(breaker.admit() is not None for _ in range(crowd)) == 1


def test_the_trial_decides(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    fail(breaker)
    assert breaker.state is State.OPEN
    assert breaker.seconds_left == 30.0
    clock.advance(30)
    permit = breaker.admit()
    assert permit
    breaker.success(permit)
    assert breaker.state is State.CLOSED


def test_a_cancelled_trial_leaves_the_trial_to_the_next(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    permit = breaker.admit()
    assert permit
    breaker.cancel(permit)
    assert breaker.state is State.HALF_OPEN
    assert breaker.admit() is not None


def test_a_cancelled_request_is_no_failure(breaker: Breaker) -> None:
    for _ in range(10):
        permit = breaker.admit()
        assert permit
        breaker.cancel(permit)
    assert breaker.state is State.CLOSED


def test_an_answer_from_before_the_opening_does_not_close_it(breaker: Breaker) -> None:
    late = breaker.admit()
    assert late
    fail(breaker, 3)
    breaker.success(late)
    assert breaker.state is State.OPEN


def test_a_circuit_that_closed_takes_the_whole_threshold_again(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    trial = breaker.admit()
    assert trial
    breaker.success(trial)
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker)
    assert breaker.state is State.OPEN


def test_an_answer_from_before_several_changes_decides_nothing(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    clock.advance(30)
    trial = breaker.admit()
    assert trial
    breaker.success(trial)
    late = breaker.admit()
    assert late
    fail(breaker, 3)
    for permit in (trial, late):
        breaker.success(permit)
        assert breaker.state is State.OPEN
    clock.advance(30)
    assert breaker.admit()
    for permit in (trial, late):
        breaker.cancel(permit)
        breaker.failure(permit)
        assert breaker.admit() is None, "the trial is under way"
        assert breaker.state is State.HALF_OPEN


class BreakerMachine(RuleBasedStateMachine):
    """Any sequence of requests, verdicts and time keeps the promises."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.breaker = Breaker(3, 30.0, self.clock)
        self.trials: set[Permit] = set()

    @rule(target=permits)
    def ask(self) -> Permit | None:
        before = self.breaker.state
        permit = self.breaker.admit()
        assert not (before is State.OPEN and permit)
        if before is State.HALF_OPEN and permit:
            assert permit not in self.trials, "a second trial under way"
            self.trials.add(permit)
        return permit

    @rule(permit=consumes(permits), verdict=st.sampled_from(["success", "failure", "cancel"]))
    def answer(self, permit: Permit | None, verdict: str) -> None:
        if permit:
            getattr(self.breaker, verdict)(permit)
            self.trials.discard(permit)

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def the_wait_is_bounded(self) -> None:
        assert 0 <= self.breaker.seconds_left <= 30.0
        assert (self.breaker.state is State.OPEN) == (self.breaker.seconds_left > 0)


TestBreakerMachine = BreakerMachine.TestCase
