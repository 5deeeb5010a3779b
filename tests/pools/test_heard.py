"""What the real-time interface told, put together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import catalogue as c
from exporter.errors import ProbeError, Reason
from exporter.exposition import Page
from exporter.pools import Context
from exporter.pools.metrics import samples
from exporter.pools.prohashing.heard import Heard
from exporter.pools.prohashing.wamp import _Events
from exporter.pools.workers import MOST_WORKERS
from tests.conftest import FakeClock
from tests.pools.mangled import JSON, mangled

NOW = 1547510700.0
SCRYPT = {"algorithm_name": "Scrypt", "usd": 0.0025, "btc": 6.8e-7, "data_timestamp": NOW - 20}


def heard(clock: FakeClock | None = None, algorithm: str = "scrypt") -> Heard:
    context = Context(clock=clock or FakeClock(), wall_clock=lambda: NOW)
    return Heard(context, algorithm=algorithm, offline_after_seconds=3600)


def worker(uuid: str, name: str = "rig", rate: Any = 9.5e9, **more: Any) -> dict[str, Any]:
    return {"uuid": uuid, "miner_name": name, "algorithm_name": "Scrypt", "adjusted_hashrate": rate, **more}


def page_of(found: Heard) -> Page:
    page = Page()
    samples(found.reading(connected=True), page, NOW, NOW, 600.0)
    return page


def test_of_an_algorithm_the_keys_that_are_told_are_changed() -> None:
    found = heard()
    found.all_profitability({"1": SCRYPT, "2": {"usd": 1e-7, "data_timestamp": NOW - 30}})
    found.profitability_updates({"1": {"usd": 0.003}}, [{"2": {"data_timestamp": NOW}}])
    one, two = found.reading(connected=True).profitability
    assert (one.usd, one.btc) == (0.003 / 1e6 / 86_400, 6.8e-7 / 1e6 / 86_400)
    assert (one.timestamp, two.timestamp) == (NOW - 20, NOW)
    assert two.algorithm == "sha256d"


def test_of_a_worker_the_keys_that_are_told_are_changed() -> None:
    found = heard()
    found.all_workers([worker("a", hashrate="8000000000"), worker("b", "other", "12.5e9")])
    found.worker_updates({"uuid": "a", "adjusted_hashrate": 7e9}, [worker("c", "new", 1e9)])
    page = page_of(found)
    rates = dict(page.family(c.MINING_POOL_WORKER_HASHRATE))
    assert rates == {("rig", "now"): 7e9, ("rig", "2h"): 8e9, ("other", "now"): 12.5e9, ("new", "now"): 1e9}
    assert page.value(c.MINING_POOL_HASHRATE, "now") == 20.5e9


def test_logins_of_one_name_are_one_worker() -> None:
    found = heard()
    found.all_workers([worker("a"), worker("b", rate=0.5e9), worker("c", "other", 1e9)])
    page = page_of(found)
    assert page.value(c.MINING_POOL_WORKER_HASHRATE, "rig", "now") == 10e9
    assert page.value(c.MINING_POOL_WORKERS, "online") == 2
    assert page.value(c.MINING_POOL_WORKERS_CUT) == 0


@pytest.mark.parametrize(("algorithm", "expected"), [("scrypt", "rig"), ("sha256d", "s19")])
def test_workers_of_another_algorithm_do_not_count(algorithm: str, expected: str) -> None:
    found = heard(algorithm=algorithm)
    found.all_workers([worker("a"), worker("b", "s19", 1e14, algorithm_name="SHA-256")])
    [one] = found.reading(connected=True).workers
    assert one.name == expected


def test_a_worker_is_online_by_the_age_of_what_was_heard_of_it() -> None:
    clock = FakeClock()
    found = heard(clock)
    listed = [worker("a"), worker("b", "idle", 0)]
    found.all_workers(listed)
    online = c.MINING_POOL_WORKER_ONLINE
    assert dict(page_of(found).family(online)) == {("rig",): 1, ("idle",): 0}
    clock.advance(599)
    found.all_workers(listed)
    assert page_of(found).value(online, "rig") == 1
    clock.advance(1)
    found.all_workers(listed)
    page = page_of(found)
    assert page.value(online, "rig") == 0, "told again is not heard"
    assert page.value(c.MINING_POOL_WORKER_HASHRATE, "rig", "now") is None
    found.worker_updates({"uuid": "a", "share_count": 4})
    assert page_of(found).value(online, "rig") == 1
    found.all_workers([listed[1]])
    assert page_of(found).value(online, "rig") == 0, "who is not listed is gone"
    clock.advance(3601)
    found.all_workers([listed[1]])
    assert page_of(found).value(online, "rig") is None


def test_a_balance_is_told_once_and_then_its_increments() -> None:
    found = heard()
    found.balance_updates({"coin": "Litecoin", "balance": 99.0})
    found.all_balances({"Litecoin": 0.5, "Dogecoin": "120.25", "Frogcoin": 7})
    found.balance_updates({"coin": "Litecoin", "balance": 0.25}, {"coin": "Dash", "balance": 1})
    found.balance_updates([{"coin": "Litecoin", "balance": -0.5}])
    balances = dict(page_of(found).family(c.MINING_POOL_BALANCE))
    assert balances == {
        ("LTC", "confirmed"): 0.25,
        ("DOGE", "confirmed"): 120.25,
        ("Frogcoin", "confirmed"): 7,
        ("DASH", "confirmed"): 1,
    }
    found.all_balances([])
    found.all_profitability({"1": SCRYPT})
    assert not dict(page_of(found).family(c.MINING_POOL_BALANCE))


def test_what_is_published_during_the_calls_is_applied_after_them() -> None:
    found, events = heard(), _Events()
    handle = events.of(found.balance_updates)
    with events:
        handle({"coin": "Litecoin", "balance": 0.25})
        found.all_balances({"Litecoin": 1.0})
    handle({"coin": "Litecoin", "balance": 0.5})
    assert page_of(found).value(c.MINING_POOL_BALANCE, "LTC", "confirmed") == 1.75


def test_prices_that_are_told_again_are_no_update() -> None:
    wall = FakeClock(NOW)
    found = Heard(Context(clock=FakeClock(), wall_clock=wall), algorithm="scrypt", offline_after_seconds=60)
    found.all_profitability({"1": SCRYPT})
    for _ in range(5):
        wall.advance(120)
        found.all_profitability({"1": SCRYPT})
    reading = found.reading(connected=True)
    assert (reading.updating, reading.last_updates) == (True, {"profitability": NOW})
    wall.advance(1)
    assert found.reading(connected=True).updating is False
    found.profitability_updates({"1": {"usd": 0.0026}})
    assert found.reading(connected=True).last_updates == {"profitability": wall()}


def test_the_number_of_workers_is_bounded() -> None:
    found = heard()
    found.all_workers([worker(str(number), f"rig{number}") for number in range(MOST_WORKERS + 50)])
    for number in range(5 * MOST_WORKERS):
        found.worker_updates(worker(f"x{number}", f"more{number}"))
    assert found._workers is not None
    assert len(found._workers) == 4 * MOST_WORKERS
    reading = found.reading(connected=True)
    assert len(reading.workers) == MOST_WORKERS
    assert reading.workers_cut == 4 * MOST_WORKERS - MOST_WORKERS + found._cut


def test_odd_fields_are_counted_once() -> None:
    found = heard()
    found.all_profitability({"1": {**SCRYPT, "usd": "much"}})
    assert found.reading(connected=True).unexpected == {"profitability.*.usd": 1}
    assert not found.reading(connected=True).unexpected


def test_a_field_nobody_knows_is_said_once(quiet_logs: list[dict[str, Any]]) -> None:
    found = heard()
    key = "c0ffee" * 10 + "beef"
    for _ in range(3):
        found.all_workers([worker("a", temperature=4, share_count=5, **{key: 1})])
        found.worker_updates(worker("b", temperature=4))
    assert [event["field"] for event in quiet_logs] == ["temperature"]
    found.worker_updates(worker("c", **{f"more_{'x' * number}": 1 for number in range(200)}))
    assert len(quiet_logs) < 64


def test_nothing_told_is_no_data() -> None:
    with pytest.raises(ProbeError) as caught:
        heard().reading(connected=True)
    assert caught.value.reason is Reason.NO_DATA


@pytest.mark.parametrize(
    ("take", "result", "words"),
    [
        ("all_profitability", [], "f_all_profitability_updates is not a map of algorithms"),
        ("all_profitability", None, "f_all_profitability_updates is not a map of algorithms"),
        ("all_workers", {}, "f_all_miner_updates is not a list of workers"),
        ("all_balances", [7], "f_all_balance_updates is not a map of balances"),
        ("all_balances", 7, "f_all_balance_updates is not a map of balances"),
    ],
)
def test_a_result_of_another_shape_is_told_in_words(take: str, result: Any, words: str) -> None:
    with pytest.raises(ProbeError) as caught:
        getattr(heard(), take)(result)
    assert (caught.value.reason, caught.value.detail) == (Reason.BAD_SHAPE, words)


def test_what_is_not_as_documented_is_counted_by_its_place() -> None:
    found = heard()
    found.all_profitability({"1": SCRYPT | {"btc": "?", "algorithm_name": 7}, "2": 7})
    found.all_workers(
        [
            worker("a", rate="?", hashrate=[], miner_name=7),
            {"uuid": None},
            {"uuid": []},
            worker("b", algorithm_name=7),
            7,
        ]
    )
    found.all_balances({"Litecoin": "?"})
    found.balance_updates({"coin": 7, "balance": 1}, {"coin": "Litecoin", "balance": "?"}, 7)
    assert found.reading(connected=True).unexpected == {
        "profitability.*.btc": 1,
        "profitability.*.algorithm_name": 1,
        "profitability.*": 1,
        "workers[].adjusted_hashrate": 1,
        "workers[].hashrate": 1,
        "workers[].miner_name": 1,
        "workers[].algorithm_name": 1,
        "workers[].uuid": 2,
        "balances.Litecoin": 1,
        "balance_updates[].coin": 1,
        "balance_updates[].balance": 1,
    }


def test_an_algorithm_that_is_not_listed_any_more_is_forgotten_and_64_are_kept() -> None:
    found = heard()
    entries = {f"{100 + number}": {**SCRYPT, "algorithm_name": f"A{number}"} for number in range(70)}
    found.all_profitability(entries)
    names = [one.algorithm for one in found.reading(connected=True).profitability]
    assert names == [f"a{number}" for number in range(64)]
    found.profitability_updates({"999": SCRYPT}, {"100": {"algorithm_name": "B"}})
    assert [one.algorithm for one in found.reading(connected=True).profitability] == ["b", *names[1:]]
    found.all_profitability({"101": {}, "1": SCRYPT})
    assert [one.algorithm for one in found.reading(connected=True).profitability] == ["a1", "scrypt"]


def test_of_64_coins_the_next_is_left_out() -> None:
    found = heard()
    found.all_balances({f"Coin {number}": number for number in range(70)})
    found.balance_updates({"coin": "Coin 0", "balance": 5}, {"coin": "Litecoin", "balance": 5})
    coins = found.reading(connected=True).coins
    assert list(coins) == [f"Coin {number}" for number in range(64)]
    assert coins["Coin 0"].balance_confirmed == 5
    found.all_balances({f"Coin {number}": number for number in range(63)})
    found.balance_updates(
        {"coin": "Litecoin", "balance": 5}, {"coin": "Dash", "balance": 5}, {"coin": "", "balance": 1}
    )
    assert list(found.reading(connected=True).coins)[62:] == ["Coin 62", "LTC"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda found: found.profitability_updates({"1": {"usd": 1.0}}), "profitability"),
        (lambda found: found.worker_updates({"uuid": "a"}), "account"),
        (lambda found: found.balance_updates({"coin": "Dash", "balance": 1}), "account"),
        (lambda found: found.all_profitability({"1": SCRYPT | {"usd": 2.0}}), "profitability"),
        (lambda found: found.all_workers([]), "account"),
        (lambda found: found.all_balances({}), "account"),
    ],
)
def test_what_is_told_is_dated(change: Any, kind: str) -> None:
    clock, wall = FakeClock(), FakeClock(NOW)
    found = Heard(Context(clock=clock, wall_clock=wall), algorithm="scrypt", offline_after_seconds=60)
    assert found.told_at is None
    found.all_profitability({"1": SCRYPT})
    found.all_workers([worker("a")])
    found.all_balances({"Litecoin": 1})
    reading = found.reading(connected=True)
    assert (reading.last_updates, reading.dated) == ({"profitability": NOW}, {"account": NOW})
    assert found.told_at == clock()
    clock.advance(7)
    wall.advance(7)
    change(found)
    assert found.told_at == clock()
    reading = found.reading(connected=True)
    expected = {"profitability": NOW, "account": NOW} | {kind: NOW + 7}
    assert (*reading.last_updates.items(), *reading.dated.items()) == tuple(expected.items())


def test_changes_of_nothing_are_not_told() -> None:
    found = heard()
    found.profitability_updates({}, 7, [7])
    found.worker_updates({"uuid": "a"})
    found.balance_updates({"coin": "Dash", "balance": 1})
    assert found.told_at is None
    found.all_profitability({"1": SCRYPT})
    for connected in (True, False):
        reading = found.reading(connected=connected)
        assert (reading.connected, reading.workers_online, reading.coins, reading.dated) == (
            connected,
            None,
            {},
            {},
        )


def test_what_the_pool_does_not_tell_is_unknown_again() -> None:
    found = heard()
    found.all_profitability({"1": SCRYPT})
    found.all_workers([worker("a")])
    found.all_balances({"Litecoin": 1})
    found.all_workers(None)
    reading = found.reading(connected=True)
    assert (reading.workers, reading.workers_online, reading.coins.keys()) == ([], None, {"LTC"})
    found.all_balances(None)
    assert found.reading(connected=True).coins == {}
    found.forget()
    assert found.told_at is None
    with pytest.raises(ProbeError, match=r"^no_data: the pool has told no figures$"):
        found.reading(connected=True)


@pytest.mark.parametrize(
    ("entry", "listed"),
    [
        ({"uuid": 7, "miner_name": "a"}, True),
        ({"uuid": "a", "miner_name": "a", "algorithm_name": "SCRYPT"}, True),
        ({"uuid": "a", "miner_name": "a", "algorithm_name": "X11"}, False),
        ({"uuid": "a", "miner_name": ""}, False),
        ({"uuid": "a"}, False),
    ],
)
def test_who_is_a_worker(entry: dict[str, Any], listed: bool) -> None:
    found = heard()
    found.all_profitability({"1": SCRYPT})
    found.all_workers([entry])
    reading = found.reading(connected=True)
    assert [worker.name for worker in reading.workers] == (["a"] if listed else [])
    # Nothing was said of what it does.
    assert (reading.workers_online, reading.workers_offline) == (0, int(listed))


@pytest.mark.parametrize("printed", ["SHA-256", "sha256", "SHA256D", "sha-256d"])
def test_an_algorithm_has_many_names(printed: str) -> None:
    found = heard(algorithm="sha256d")
    found.all_workers([worker("a", algorithm_name=printed)])
    assert found.reading(connected=True).workers_online == 1


def test_a_rate_is_that_of_the_logins_that_are_online() -> None:
    clock = FakeClock()
    found = heard(clock)
    found.all_workers(
        [worker("a", rate=1, hashrate=10), worker("b", rate=2), worker("c", rate=4, hashrate=40)]
    )
    clock.advance(599)
    found.worker_updates({"uuid": "b"}, {"uuid": "c", "adjusted_hashrate": 5})
    [one] = found.reading(connected=True).workers
    assert (one.online, one.hashrate) == (True, {"now": 8, "2h": 50})
    clock.advance(1)
    [one] = found.reading(connected=True).workers
    assert (one.online, one.hashrate) == (True, {"now": 7, "2h": 40})
    clock.advance(599)
    reading = found.reading(connected=True)
    assert (reading.workers[0].online, reading.workers[0].hashrate, reading.hashrate) == (False, {}, {})


def test_who_was_listed_before_and_is_listed_anew_is_one_worker() -> None:
    clock = FakeClock()
    found = heard(clock)
    found.all_workers([worker("a"), worker("b", "gone")])
    clock.advance(10)
    found.all_workers([worker("a", rate=1.0)])
    reading = found.reading(connected=True)
    assert [(one.name, one.online) for one in reading.workers] == [("rig", True), ("gone", False)]
    found.worker_updates(worker("b", "gone"))
    reading = found.reading(connected=True)
    assert [(one.name, one.online) for one in reading.workers] == [("rig", True), ("gone", True)]


@pytest.mark.parametrize(("seconds", "updating"), [(600, True), (601, False)])
def test_the_pool_is_updating_for_ten_minutes_after_an_update(seconds: float, updating: bool) -> None:
    wall = FakeClock(NOW)
    found = Heard(Context(clock=FakeClock(), wall_clock=wall), algorithm="scrypt", offline_after_seconds=60)
    found.all_profitability({"1": SCRYPT})
    wall.advance(seconds)
    assert found.reading(connected=True).updating is updating


ALL = {
    "profitability": {"1": SCRYPT},
    "workers": [worker("a"), worker("b", "two")],
    "balances": {"Litecoin": 1.0},
    "changes": [{"1": SCRYPT}, worker("a"), {"coin": "Litecoin", "balance": 0.5}],
}


@given(mangled(ALL), st.lists(JSON, max_size=3))
def test_anything_told_is_a_page_or_a_reason(told: dict[str, Any], more: list[Any]) -> None:
    found = heard()
    for take, name in (
        (found.all_profitability, "profitability"),
        (found.all_workers, "workers"),
        (found.all_balances, "balances"),
    ):
        try:
            take(told.get(name))
        except ProbeError as error:
            assert error.reason is Reason.BAD_SHAPE
    changes = told.get("changes")
    for one in (*(changes if isinstance(changes, list) else ()), *more):
        for update in (found.profitability_updates, found.worker_updates, found.balance_updates):
            update(one)
    try:
        page = page_of(found)
    except ProbeError as error:
        assert error.reason is Reason.NO_DATA
        return
    for _, values in page.families():
        for labels, value in values.items():
            assert value == value
            assert all(label.isprintable() for label in labels)
