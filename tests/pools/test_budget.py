"""How often a pool account may be asked."""

from __future__ import annotations

import pytest

from exporter.errors import ProbeError, Reason
from exporter.pools.budget import Budget
from tests.conftest import FakeClock


def test_the_budget_is_never_exceeded_in_any_hour(clock: FakeClock) -> None:
    budget = Budget(10, clock)
    spent: list[float] = []
    for _ in range(2000):
        clock.advance(7)
        try:
            budget.spend()
        except ProbeError as error:
            assert error.reason is Reason.BUDGET_SPENT
        else:
            spent.append(clock())
    assert len(spent) > 30
    assert all(later - earlier >= 3600 for earlier, later in zip(spent, spent[10:], strict=False))
    assert budget.spent == len(spent)


def test_the_first_hour_of_a_budget_is_a_smaller_one(clock: FakeClock) -> None:
    """An earlier process may have sent an hour's worth just before this one started."""

    def send_all(budget: Budget) -> int:
        sent = 0
        while budget.remaining:
            budget.spend()
            sent += 1
        return sent

    budget = Budget(4500, clock)
    assert send_all(budget) == 450
    clock.advance(60)
    assert send_all(budget) == 75
    clock.advance(2000)
    assert send_all(budget) == 2500
    clock.advance(3600)
    assert send_all(budget) == 4500


@pytest.mark.parametrize(
    ("limit", "at_once"), [(1, 1), (9, 9), (10, 10), (60, 10), (100, 10), (101, 10), (250, 25)]
)
def test_a_first_hour_begins_with_a_few_readings_at_least(clock: FakeClock, limit: int, at_once: int) -> None:
    assert Budget(limit, clock).remaining == at_once


def test_a_spent_budget_says_when_the_next_request_may_be_sent(clock: FakeClock) -> None:
    budget = Budget(360, clock)
    while budget.remaining:
        budget.spend()
    for wait in (10, 4):
        with pytest.raises(ProbeError, match=f"360 requests an hour; next in {wait} s"):
            budget.check()
        clock.advance(6)
    clock.advance(100)
    assert budget.remaining > 0
    budget = Budget(2, clock)
    budget.spend()
    clock.advance(5)
    budget.spend()
    with pytest.raises(ProbeError, match=r"2 requests an hour; next in 3595 s"):
        budget.spend()
    assert budget.spent == 2
    # A reload lowers the limit: the earlier requests still count.
    budget.limit = 1
    with pytest.raises(ProbeError, match=r"1 requests an hour; next in 3600 s"):
        budget.spend()


def test_a_request_is_forgotten_after_exactly_an_hour(clock: FakeClock) -> None:
    budget = Budget(1, clock)
    budget.spend()
    clock.advance(3599.5)
    with pytest.raises(ProbeError, match=r"1 requests an hour; next in 0 s$") as caught:
        budget.check()
    assert caught.value.reason is Reason.BUDGET_SPENT
    clock.advance(0.5)
    budget.check()
    assert budget.remaining == 1


def test_a_lowered_limit_leaves_nothing_rather_than_less(clock: FakeClock) -> None:
    budget = Budget(10, clock)
    for _ in range(8):
        budget.spend()
    budget.limit = 4
    assert budget.remaining == 0
    assert budget.spent == 8
