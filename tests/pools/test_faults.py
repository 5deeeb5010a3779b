"""What any pool can do to its answers, and what is made of it, for each driver over a real socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import catalogue as c
from exporter.simulator.faults import POOL_FAULTS
from exporter.simulator.pools.host import PoolHost
from tests.conftest import ROOT, FakeClock
from tests.pools.sites import FIGURES, assert_fails_with, clocked_pool, pool_page, pool_site
from tests.pools.wamp import MINERS

# Each kind of account, by what is left out of its section.
KINDS = {
    "litecoinpool": (),
    "viabtc": (),
    "f2pool": (),
    "f2pool without a token": ("api_key",),
    "yiimp": (),
    "mining_dutch": (),
    "powerpool": (),
    "prohashing": (),
}
# Who tells which workers are connected, and who counts what they did.
LISTS_ALL = ("litecoinpool", "viabtc", "f2pool", "mining_dutch")
SEES_WHO_LEAVES = ("yiimp", "powerpool")
COUNTS = {
    "litecoinpool": c.MINING_POOL_WORKER_HASHES_ACCEPTED,
    "powerpool": c.MINING_POOL_WORKER_SHARES_ACCEPTED,
}
[SHIPPED] = [
    job
    for job in yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    if job["job_name"] == "minefleet-pools"
]
HAS_WORKERS = [kind for kind in KINDS if kind != "prohashing"]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_comes_too_late_is_none(tmp_path: Path, kind: str) -> None:
    name = kind.partition(" ")[0]
    async with pool_site(tmp_path, name, MINERS, drop=KINDS[kind], timeout_seconds=0.5) as site:
        await site.simulation.inject(name, "slow", {"seconds": 30})
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 0}
        assert page["mining_pool_scrape_failure"][(("reason", "timeout"),)] == 1
        assert not FIGURES & page.keys()


@pytest.mark.parametrize("kind", HAS_WORKERS)
async def test_numbers_as_text_are_the_same_numbers(tmp_path: Path, kind: str) -> None:
    name = kind.partition(" ")[0]
    told: list[Any] = []
    for fault in (None, "numbers_as_text"):
        clock = FakeClock()
        (tmp_path / str(fault)).mkdir()
        account = dict.fromkeys(KINDS[kind])
        async with clocked_pool(tmp_path / str(fault), name, MINERS, clock, account=account) as (
            host,
            target,
        ):
            if fault:
                host.account.inject(fault)
            # Time enough for all of a pool that wants ten seconds between two calls.
            _, page = await target.probe(clock() + 300)
            told.append({metric.name: dict(values) for metric, values in page.families()})
    assert told[0]["mining_pool_up"] == {(): 1}
    assert told[1] == told[0]


async def test_the_relay_of_prohashing_tells_numbers_or_nothing(tmp_path: Path) -> None:
    async with pool_site(tmp_path, "prohashing", MINERS) as site:
        await site.simulation.inject("prohashing", "numbers_as_text")
        page = await pool_page(site)
        assert page["mining_pool_scrape_failure"][(("reason", "no_data"),)] == 1
        assert not FIGURES & page.keys()


@pytest.mark.parametrize("kind", KINDS)
async def test_null_is_no_figure(tmp_path: Path, kind: str) -> None:
    name = kind.partition(" ")[0]
    async with pool_site(tmp_path, name, MINERS, drop=KINDS[kind]) as site:
        await site.simulation.inject(name, "nulls")
        page = await pool_page(site)
        # Whether a worker is connected is no number at some pools.
        assert FIGURES & page.keys() <= {"mining_pool_worker_online", "mining_pool_workers"}
        for value in page.get("mining_pool_workers", {}).values():
            assert value in (0, 3)


@pytest.mark.parametrize("kind", HAS_WORKERS)
async def test_a_worker_that_vanishes_returns(tmp_path: Path, clock: FakeClock, kind: str) -> None:
    name = kind.partition(" ")[0]
    rate, online = c.MINING_POOL_WORKER_HASHRATE, c.MINING_POOL_WORKER_ONLINE

    async with clocked_pool(tmp_path, name, MINERS, clock, account=dict.fromkeys(KINDS[kind])) as (
        host,
        target,
    ):

        async def page() -> Any:
            clock.advance(900)
            look, found = await target.probe(clock() + 300)
            assert look.up
            return found

        def seen(found: Any, miner: str) -> tuple[bool, float | None]:
            [worker] = [
                labels[0] for labels in found.family(c.MINING_POOL_WORKER_MINER) if labels[1] == miner
            ]
            rates = [value for labels, value in found.family(rate).items() if labels[0] == worker]
            return bool(rates), found.value(online, worker)

        before = await page()
        assert seen(before, "l9-1")[0]
        host.account.inject("vanishing_worker")
        gone = await page()
        joined = {miner for _, miner in gone.family(c.MINING_POOL_WORKER_MINER)}
        if name in SEES_WHO_LEAVES:
            assert seen(gone, "l9-1") == (False, 0)
        else:
            # No zero of a worker that the pool says nothing of.
            assert joined == {"l9-2", "l7-3"}
        assert seen(gone, "l9-2")[0]
        host.account.repair()
        assert seen(await page(), "l9-1") == seen(before, "l9-1")


@pytest.mark.parametrize("kind", COUNTS)
async def test_counters_that_begin_anew_are_told_as_they_are(
    tmp_path: Path, clock: FakeClock, kind: str
) -> None:
    async with clocked_pool(tmp_path, kind, MINERS, clock) as (host, target):
        counts = []
        for fault in (None, None, "counter_reset", None):
            if fault:
                host.account.inject(fault)
            clock.advance(120)
            look, page = await target.probe(clock() + 9)
            assert look.up
            counts.append(page.value(COUNTS[kind], "account.l9-1"))
        first, second, anew, last = counts
        assert first < second > anew < last


@pytest.mark.parametrize("kind", HAS_WORKERS)
async def test_three_thousand_workers_are_cut_and_counted(tmp_path: Path, kind: str) -> None:
    name = kind.partition(" ")[0]
    async with pool_site(tmp_path, name, MINERS, drop=KINDS[kind], timeout_seconds=60) as site:
        await site.simulation.inject(name, "many_workers", {"count": 3000})
        page = await pool_page(site)
        assert page["mining_pool_up"] == {(): 1}
        shown = {dict(labels)["worker"] for labels in page["mining_pool_worker_hashrate_hashes_per_second"]}
        assert len(shown) == 2000
        assert {"l9-1", "account.l9-1"} & shown
        # Of 3,003; sites that count logins without a name know of one more or less.
        assert page["mining_pool_workers_cut"][()] == 1003
        # Prometheus takes no page of more than it is told to: of 250 workers it took none, and no money was known.
        text = await site.get(f"/probe?target={site.kind}")
        assert sum(map(len, page.values())) <= SHIPPED["sample_limit"] / 2
        assert len(text.encode()) <= int(SHIPPED["body_size_limit"].removesuffix("MB")) * 1e6 / 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong_key", "unauthorised"),
        ("throttled", "throttled"),
        ("html", "html"),
        ("empty", "no_data"),
        ("truncated", "not_json"),
        ("http_500", "http_status"),
        ("dead", "connection"),
        ("hanging", "timeout"),
        ("key_echoed", "no_data"),
    ],
)
async def test_each_failure_of_the_relay_of_prohashing_has_its_reason(
    tmp_path: Path, fault: str, reason: str
) -> None:
    await assert_fails_with(tmp_path, "prohashing", MINERS, fault, reason)


# Faults that are none of an answer's words: of the wire, of time, or of a connection.
WIRE = {"dead", "hanging", "slow", "stale", "silent", "deaf", "skim", "pool_error"}


def record(host: PoolHost, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the pool answers from now on."""
    answers: list[Any] = []
    healthy = host.answer

    async def answer(request: Any) -> Any:
        response = await healthy(request)
        answers.append((request.path, response.status, response.body))  # type: ignore[attr-defined]
        return response

    monkeypatch.setattr(host, "answer", answer)
    return answers


async def test_every_fault_changes_what_some_pool_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a test of the fault would pass without it."""
    idle = POOL_FAULTS.keys() - WIRE
    for kind in HAS_WORKERS:
        name = kind.partition(" ")[0]
        (tmp_path / name).mkdir(exist_ok=True)
        for fault in sorted(idle):
            told = []
            for injected in (None, fault):
                clock = FakeClock()
                account = dict.fromkeys(KINDS[kind])
                async with clocked_pool(tmp_path / name, name, MINERS, clock, account=account) as (
                    host,
                    target,
                ):
                    told.append(record(host, monkeypatch))
                    if injected:
                        host.account.inject(injected)
                    for _ in range(2):
                        clock.advance(600)
                        await target.probe(clock() + 300)
            if told[0] != told[1]:
                idle -= {fault}
    assert not idle
