"""An account's workers: bounded and cleaned, joined to miners, and remembered when they are gone."""

from __future__ import annotations

import pytest

from exporter.pools.reading import Worker
from exporter.pools.workers import MOST_WORKERS, Seen, WorkerNames, bounded
from tests.conftest import FakeClock


def test_names_are_cleaned_and_the_first_of_a_name_counts() -> None:
    found = [
        ("a.rig1", lambda name: Worker(name, {"now": 1.0})),
        ("a.rig1\n", lambda name: Worker(name, {"now": 2.0})),
        ("", Worker),
        ("\n", Worker),
        ("x" * 200, Worker),
    ]
    workers, cut = bounded(found)
    assert [worker.name for worker in workers] == ["a.rig1", "x" * 128]
    assert workers[0].hashrate == {"now": 1.0}
    assert cut == 3


@pytest.mark.parametrize(("more", "cut"), [(0, 0), (1, 1), (3, 3)])
def test_workers_are_bounded_and_those_left_out_are_counted(more: int, cut: int) -> None:
    workers, left_out = bounded((f"w{number}", Worker) for number in range(MOST_WORKERS + more))
    assert [worker.name for worker in workers] == [f"w{number}" for number in range(MOST_WORKERS)]
    assert left_out == cut


def test_after_the_bound_a_known_name_is_left_out_too() -> None:
    names = [*(f"w{number}" for number in range(MOST_WORKERS)), "w0"]
    assert bounded((name, Worker) for name in names)[1] == 1


def test_a_worker_is_found_with_and_without_the_accounts_name() -> None:
    names = WorkerNames()
    assert list(names.miners("rig1")) == []
    names.update([("rig1", "miner-1"), ("rig1", "miner-2"), ("a.b", "miner-3"), ("b", "miner-4")])
    assert list(names.miners("rig1")) == ["miner-1", "miner-2"]
    assert list(names.miners("account.rig1")) == ["miner-1", "miner-2"]
    assert list(names.miners("a.b")) == ["miner-3"], "the whole name first"
    assert list(names.miners("c.b")) == ["miner-4"]
    assert list(names.miners("account.a.b")) == ["miner-3"]
    assert list(names.miners("account.other")) == []
    names.update([("rig2", "miner-5")])
    assert list(names.miners("rig1")) == [], "those of before are forgotten"
    assert list(names.miners("rig2")) == ["miner-5"]


def test_who_was_listed_and_is_not_any_more_is_gone_for_a_time(clock: FakeClock) -> None:
    seen = Seen(clock, 600.0)
    assert seen.gone(["a", "b"]) == []
    clock.advance(10)
    assert seen.gone(["b"]) == ["a"]
    clock.advance(10)
    assert seen.gone([]) == ["b", "a"], "the one seen last first"
    clock.advance(579)
    assert seen.gone(["c"]) == ["b", "a"]
    clock.advance(1)
    assert seen.gone(["c"]) == ["b"], "a was last seen 600 seconds ago"
    clock.advance(10)
    assert seen.gone(["a", "c"]) == []
    clock.advance(1)
    assert seen.gone(["c"]) == ["a"], "who came back is seen anew"


def test_those_gone_are_bounded_together_with_those_listed(clock: FakeClock) -> None:
    seen = Seen(clock, 600.0)
    seen.gone(["old"])
    clock.advance(1)
    listed = [f"w{number}" for number in range(MOST_WORKERS - 1)]
    assert seen.gone(["young", *listed]) == [], "there is no room for one that is gone"
    clock.advance(1)
    assert seen.gone(listed) == ["young"]
    assert seen.gone([*listed, "more"]) == []
    assert seen.gone([*listed, *(f"x{number}" for number in range(10))]) == []
